//! Workflows that are tried again.

use super::*;

/// Row 82, W27: the policy's wait is kept, the deadline is armed anew, what completed stays.
#[test]
fn a_failed_workflow_rests_and_runs_again_what_failed() {
    check(
        "@1m %2 #failure a b<a c d<b,c",
        &[
            "start  => arm deadline 60s, run a, run c ! started, task.dispatched a, \
             task.dispatched c",
            "done a => run b ! task.completed a, task.dispatched b",
            "dead b boom => disarm deadline, stop c ! task.failed b (boom)",
            "deadline  => late: the workflow is ending already",
            "stopped c => arm retry 1s ! task.failed c (its job was cancelled)",
            "deadline  => late: nothing waits for that moment any more",
            "rest over => arm deadline 60s, run b@1, run c@1 ! retrying (task b failed: boom), \
             task.dispatched b, task.dispatched c",
            "rest over => late: nothing waits for that moment any more",
            "done b@0  => late: the task was started again since, as iteration 1",
            "done c    => ! task.completed c",
            "done b    => run d ! task.completed b, task.dispatched d",
            "dead d no => disarm deadline, close failed, run __hook.on_failure@1 ! task.failed d \
             (no), failed (task d failed: no), hook.dispatched __hook.on_failure",
        ],
    );
}

/// Row 82: waits grow as the policy says.
#[test]
fn waits_grow() {
    let mut run = Run::new("%4 a");
    run.after(&["start"]);
    for wait in ["1s", "2s", "4s"] {
        assert_eq!(
            run.say("dead a x"),
            format!("arm retry {wait} ! task.failed a (x)")
        );
        run.after(&["rest over"]);
    }
    run.after(&["dead a x"]);
    assert!(run.instance.stage().is_closed());
    assert_eq!(run.instance.header().attempt, 4);
}

/// Row 82: neither a cancellation nor a timeout is tried again by itself; both are by hand.
#[test]
fn only_failures_are_tried_again_by_themselves() {
    for end in ["cancel", "deadline", "stopped a"] {
        let mut run = Run::new("@1m %3 a b<a");
        run.after(&["start", end]);
        if end != "stopped a" {
            run.after(&["stopped a"]);
        }
        assert!(run.instance.stage().is_closed(), "{end}");
        run.after(&["retry", "done a", "done b"]);
        assert_eq!(run.instance.stage(), &Stage::Completed, "{end}");
    }
}

/// Rows 82 and 86: what rests may be cancelled; a completed workflow may not be tried again.
#[test]
fn what_rests_may_be_cancelled() {
    let mut run = Run::new("%2 a");
    run.after(&["start", "dead a x"]);
    run.script(&[
        "retry     => late: the workflow has started already",
        "cancel    => disarm retry, close cancelled, retire ! cancelled (cancelled)",
        "rest over => late: nothing waits for that moment any more",
    ]);
    let mut run = Run::new("a");
    run.after(&["start", "done a"]);
    run.script(&["retry => late: the workflow has ended"]);
}

/// Rows 82 and 86: one that ends to be tried again is cancelled for good; one that ends for good
/// keeps its first cause.
#[test]
fn what_ends_to_be_tried_again_may_be_cancelled() {
    let mut run = Run::new("%2 a b");
    run.after(&["start", "dead b x", "cancel why"]);
    run.script(&[
        "stopped a => close cancelled, retire ! task.failed a (its job was cancelled), cancelled \
         (cancelled: why)",
    ]);
    let mut run = Run::new("a b");
    run.after(&["start", "dead b x"]);
    run.script(&[
        "cancel why => late: the workflow is ending already",
        "stopped a  => close failed, retire ! task.failed a (its job was cancelled), failed (task b \
         failed: x)",
    ]);
}

/// W27: a loop that had reached its limit counts from 0 again.
#[test]
fn a_retry_counts_iterations_anew() {
    let mut run = Run::new("c>c,d*2 d<c");
    run.after(&["start", "done c {\"route\":0}", "done c {\"route\":0}"]);
    assert!(run.instance.stage().is_closed());
    run.after(&[
        "retry",
        "done c {\"route\":0}",
        "done c {\"route\":1}",
        "done d",
    ]);
    assert_eq!(run.instance.stage(), &Stage::Completed);
}

/// W27: of a generator that failed the tasks go; of one that waited for its tasks those run again
/// that did not end well.
#[test]
fn a_retry_keeps_what_a_section_has_done() {
    let two = "done g {\"tasks\":[{\"name\":\"p\",\"task_type\":\"x\"},\
               {\"name\":\"q\",\"task_type\":\"x\"}]}";
    let mut run = Run::new("g() z<g");
    run.after(&["start", two, "done p", "dead q boom"]);
    run.script(&[
        "retry  => run q@1 ! retrying (task q failed: boom), task.dispatched q",
        "done q => run z ! task.completed q, task.completed g, task.dispatched z",
    ]);

    let mut run = Run::new("l m[]<l=l");
    run.after(&["start", "done l [1,2]", "done m#0", "dead m#1 boom"]);
    assert!(run.instance.index_of("m#0").is_some());
    run.after(&["retry"]);
    assert_eq!(
        run.instance.index_of("m#0"),
        Some(4),
        "a map that failed begins anew"
    );
}

/// Row 82: what keeps no result runs again, and what waits for it waits again; what ran on it stays.
#[test]
fn what_keeps_no_result_runs_again() {
    let mut run = Run::new("a~ b<a c<a,b d<c");
    run.after(&["start", "done a", "done b", "dead c boom"]);
    run.script(&[
        "retry  => run a@1 ! retrying (task c failed: boom), task.dispatched a",
        "done a => run c@1 ! task.completed a, task.dispatched c",
        "done c => run d ! task.completed c, task.dispatched d",
    ]);
}

/// Row 82: a condition that is evaluated again may lead elsewhere: what it had passed by waits again.
#[test]
fn what_was_passed_by_behind_a_reset_condition_is_reset() {
    let mut run = Run::new("c~>x,y x<c y<c z<y f<x").limited(1);
    run.after(&["start", "done c {\"route\":0}"]);
    while run.instance.has_leftover() {
        run.after(&["continue"]);
    }
    run.after(&["done x", "dead f boom", "retry"]);
    while run.instance.has_leftover() {
        run.after(&["continue"]);
    }
    assert_eq!(run.open(), ["c", "f"]);
    run.after(&["done c {\"route\":1}", "continue"]);
    assert_eq!(run.open(), ["y", "f"]);
    run.after(&["done y", "done z", "done f"]);
    assert_eq!(run.instance.stage(), &Stage::Completed);
}

/// W28: tasks that were allowed to fail stay as they are, through cancellation and retry.
#[test]
fn allowed_failures_stay() {
    let mut run = Run::new("a? b");
    run.after(&["start", "dead a boom", "cancel", "stopped b"]);
    let failed = TaskRecord::FailedAllowed {
        iteration: 0,
        error: "boom".to_owned(),
    };
    assert_eq!(run.record("a"), Some(&failed));
    run.script(&["retry => run b@1 ! retrying (cancelled), task.dispatched b"]);
    assert_eq!(run.record("a"), Some(&failed));
}

/// Resets count against the limit; a leader that comes new goes on with them.
#[test]
fn a_retry_resets_step_by_step() {
    let mut run = Run::new("a b c d").limited(2);
    run.after(&["start", "continue", "cancel", "continue"]);
    run.after(&["stopped a", "stopped b", "stopped c", "stopped d"]);
    run.script(&[
        "retry    => more ! retrying (cancelled)",
        "continue => more",
        "continue => run a@1, run b@1, more ! task.dispatched a, task.dispatched b",
        "continue => run c@1, run d@1 ! task.dispatched c, task.dispatched d",
    ]);
}

/// A permanent error is not tried again.
#[test]
fn a_permanent_error_ends_the_workflow() {
    let mut definition = crate::graph::graph("%3 a");
    if let Some(policy) = &mut definition.retry_policy {
        policy.non_retryable_errors = vec!["no such".to_owned()];
    }
    let mut run = Run::of(&definition);
    run.after(&["start", "dead a no such file"]);
    assert!(run.instance.stage().is_closed());
}

/// W16, W27: a task of a loop that a retry runs again is waited for before the loop's condition is
/// evaluated, so that nothing runs that a route back resets.
#[test]
fn a_condition_waits_for_all_of_its_loop_after_a_retry() {
    let mut run = Run::new("t~ b<t c>t,d<b d<c f");
    run.after(&[
        "start",
        "done t",
        "done b",
        "dead f boom",
        "stopped c",
        "retry",
    ]);
    assert_eq!(run.open(), ["t", "f"]);
    run.script(&["done t => run c@1 ! task.completed t, task.dispatched c"]);
    run.after(&["done c {\"route\":0}"]);
    assert_eq!(run.open(), ["t", "f"]);
    run.after(&[
        "done t",
        "done b",
        "done c {\"route\":1}",
        "done d",
        "done f",
    ]);
    assert_eq!(run.instance.stage(), &Stage::Completed);
}

/// A workflow that ends while a loop is being reset has it reset all the same: a retry begins it
/// anew, and not in parts.
#[test]
fn a_reset_that_an_end_meets_is_finished() {
    let mut run = Run::new("t b<t c>t,d<b d<c").limited(1);
    run.after(&[
        "start",
        "done t",
        "done b",
        "done c {\"route\":0}",
        "continue",
    ]);
    assert!(matches!(
        run.record("c"),
        Some(TaskRecord::Rewinding { .. })
    ));
    run.script(&[
        "cancel   => more",
        "continue => close cancelled, retire ! cancelled (cancelled)",
        "retry    => run t@1 ! retrying (cancelled), task.dispatched t",
    ]);
    run.after(&[
        "done t",
        "done b",
        "done c {\"route\":1}",
        "continue",
        "done d",
    ]);
    assert_eq!(run.instance.stage(), &Stage::Completed);
}

/// Row 82 in row 73: a subflow that was done waits again when a task of it runs again, and so does
/// what waits for the subflow.
#[test]
fn a_subflow_waits_for_what_runs_again_in_it() {
    let mut run = Run::new("g() z<g");
    let never =
        "done g {\"tasks\":[{\"name\":\"p\",\"task_type\":\"x\",\"result_reuse\":\"never\"}]}";
    run.after(&["start", never, "done p", "dead z boom"]);
    run.script(&[
        "retry  => run p@1 ! retrying (task z failed: boom), task.dispatched p",
        "done p => run z@1 ! task.completed p, task.completed g, task.dispatched z",
    ]);
}
