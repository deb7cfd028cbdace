//! Hooks: once for each outcome, in their order, and without a say in it.

use super::*;

/// Row 81, W24: on_init ends before anything begins; on_success, then on_exit; each once.
#[test]
fn hooks_run_in_sequence_once_each() {
    check(
        "#init,success,failure,exit a",
        &[
            "start => run __hook.on_init ! started, hook.dispatched __hook.on_init",
            "done __hook.on_init => run a ! hook.completed __hook.on_init, task.dispatched a",
            "done __hook.on_init => late: the task has ended already",
            "done a => close completed, run __hook.on_success ! task.completed a, completed, \
             hook.dispatched __hook.on_success",
            "done __hook.on_success => run __hook.on_exit ! hook.completed __hook.on_success, \
             hook.dispatched __hook.on_exit",
            "dead __hook.on_exit boom => retire ! hook.failed __hook.on_exit (boom)",
            "done __hook.on_exit => late: the task has ended already",
        ],
    );
}

/// Row 81: on_failure and on_exit also after a cancellation and a timeout; what they come to
/// changes nothing.
#[test]
fn every_bad_end_calls_on_failure_and_on_exit() {
    for (end, kind, status) in [
        ("cancel why", "cancelled (cancelled: why)", "cancelled"),
        ("deadline", "timed_out (execution timed out)", "failed"),
    ] {
        let mut run = Run::new("@1m #success,failure,exit a");
        run.after(&["start", end]);
        let expected = format!(
            "stopped a => close {status}, run __hook.on_failure ! task.failed a (its job was \
             cancelled), {kind}, hook.dispatched __hook.on_failure"
        );
        run.script(&[
            &expected,
            "gone __hook.on_failure => run __hook.on_exit ! hook.failed __hook.on_failure (its job \
             is not there any more; it was removed before the workflow ended), hook.dispatched \
             __hook.on_exit",
            "done __hook.on_exit => retire ! hook.completed __hook.on_exit",
        ]);
        assert_eq!(run.instance.stage().status().as_str(), status);
    }
}

/// Row 81: a hook that fails first does not keep the workflow from beginning.
#[test]
fn a_failed_init_changes_nothing() {
    for end in [
        "dead __hook.on_init x",
        "stopped __hook.on_init",
        "skip __hook.on_init",
    ] {
        let mut run = Run::new("#init a");
        run.after(&["start", end]);
        assert_eq!(run.open(), ["a"], "{end}");
    }
}

/// Rows 81 and 84, W24: a signal that comes while it opens is kept, and calls the hook no second time.
#[test]
fn a_signal_may_come_while_it_opens() {
    let mut run = Run::new("#init w!go");
    run.after(&["start", "signal 1 go"]);
    assert_eq!(run.instance.stage(), &Stage::Opening);
    run.after(&["done __hook.on_init"]);
    assert_eq!(run.instance.stage(), &Stage::Completed);
}

/// Row 81: a workflow that is cancelled while it opens waits for its hook.
#[test]
fn a_workflow_may_end_while_it_opens() {
    check(
        "#init,exit a",
        &[
            "start => run __hook.on_init ! started, hook.dispatched __hook.on_init",
            "cancel => stop __hook.on_init",
            "stopped __hook.on_init => close cancelled, run __hook.on_exit ! hook.failed \
             __hook.on_init (its job was cancelled), cancelled (cancelled), hook.dispatched \
             __hook.on_exit",
        ],
    );
}

/// Rows 81 and 82: one that ended before there was room for its first hook opens when it is tried
/// again; one whose first hook was stopped does not, as it runs once.
#[test]
fn a_retry_opens_what_never_opened() {
    let mut run = Run::new("#init a").limited(0);
    run.after(&["start"]);
    run.limit = ALL;
    run.script(&[
        "suspend => late: nothing is left over",
        "cancel  => close cancelled, retire ! cancelled (cancelled)",
    ]);
    run.kept.suspended = false;
    run.instance = run.reloaded();
    run.script(&[
        "retry => run __hook.on_init ! retrying (cancelled), hook.dispatched __hook.on_init",
        "done __hook.on_init => run a ! hook.completed __hook.on_init, task.dispatched a",
    ]);
    let mut run = Run::new("#init a");
    run.after(&["start", "cancel", "stopped __hook.on_init"]);
    run.script(&["retry => run a ! retrying (cancelled), task.dispatched a"]);
}

/// Row 78 and 81: the payload says what came of the workflow; priority and timeout are those of the
/// definition.
#[test]
fn a_hook_is_told_the_outcome() {
    let text = serde_json::json!({"name": "w", "default_priority": 8,
        "hooks": {"on_failure": {"task_type": "h", "payload": {"x": "{{no}}"}, "timeout": "9s"}},
        "tasks": [{"name": "a", "task_type": "x"}]});
    let definition = paceline_types::WorkflowDefinition::from_json(&text.to_string());
    let mut run = Run::of(&definition.expect("a definition"));
    run.after(&["start"]);
    let event = run.event("dead a boom");
    let transition = run.apply(&event).expect("applied");
    let job = transition.effects.iter().find_map(|effect| match effect {
        Effect::Dispatch(job) => Some(job),
        _ => None,
    });
    let job = job.expect("a hook");
    let id = run.instance.id();
    let expected = format!(
        "{{\"original\":{{\"x\":\"{{{{no}}}}\"}},\"workflow\":{{\"error\":\"task a failed: \
         boom\",\"id\":\"{id}\",\"name\":\"w\",\"status\":\"failed\"}}}}"
    );
    assert_eq!(String::from_utf8_lossy(&job.spec.payload), expected);
    assert_eq!(job.index, Hook::Failure.index());
    assert_eq!(job.spec.priority.get(), 8);
    assert_eq!(job.spec.timeout, Some(std::time::Duration::from_secs(9)));
}

/// W24: without room for the hook, the outcome waits with it; they are committed together.
#[test]
fn an_outcome_waits_for_room_for_its_hook() {
    let mut run = Run::new("#success a").limited(1);
    run.after(&["start"]);
    run.limit = 0;
    run.script(&["done a => more ! task.completed a"]);
    run.limit = 1;
    run.script(&[
        "continue => close completed, run __hook.on_success ! completed, hook.dispatched \
         __hook.on_success",
    ]);
}

/// W24: the same of an outcome that is a failure.
#[test]
fn a_failure_waits_for_room_for_its_hook() {
    let mut run = Run::new("#failure a").limited(1);
    run.after(&["start"]);
    run.limit = 0;
    run.script(&["dead a boom => more ! task.failed a (boom)"]);
    run.limit = 1;
    run.script(&[
        "continue => close failed, run __hook.on_failure ! failed (task a failed: boom), \
         hook.dispatched __hook.on_failure",
    ]);
}

/// A retry by hand while hooks are still to come: they are called at once, and the next outcome
/// has its own.
#[test]
fn hooks_of_an_outcome_that_is_left_are_called_all_the_same() {
    let mut run = Run::new("#failure,exit a");
    run.after(&["start", "dead a boom"]);
    run.script(&[
        "retry => run __hook.on_exit, run a@1 ! hook.dispatched __hook.on_exit, retrying (task a \
         failed: boom), task.dispatched a",
        "done __hook.on_failure => ! hook.completed __hook.on_failure",
        "dead a again => close failed, run __hook.on_failure@1 ! task.failed a (again), failed \
         (task a failed: again), hook.dispatched __hook.on_failure",
        "done __hook.on_exit => ! hook.completed __hook.on_exit",
        "done __hook.on_failure => run __hook.on_exit@1 ! hook.completed __hook.on_failure, \
         hook.dispatched __hook.on_exit",
        "done __hook.on_exit => retire ! hook.completed __hook.on_exit",
    ]);
}
