//! Suspending, cancelling, timing out, going on as another.

use super::*;

/// Row 85, W20: nothing begins while it is suspended; ends and answers are taken in, and do not
/// resume it.
#[test]
fn a_suspended_workflow_takes_in_what_ends() {
    let mut run = Run::new("a c>x,y x<c y<c d<a");
    run.after(&["start"]);
    run.script(&[
        "suspend            => late: nothing is left over",
        "done a             => ! task.completed a",
        "done c {\"route\":1} => ! task.completed c",
        "continue           => late: nothing is left over",
        "resume             => run d, run y ! task.dispatched d, task.completed x (skipped: no \
         route led here), task.dispatched y",
    ]);
}

/// Row 85: the hook that everything waits for does not begin either, when there was no room for it
/// before the workflow was suspended; nor is it forgotten.
#[test]
fn a_suspended_workflow_does_not_open() {
    let mut run = Run::new("#init a").limited(0);
    run.script(&["start => more ! started"]);
    run.limit = ALL;
    run.script(&[
        "suspend => late: nothing is left over",
        "resume  => run __hook.on_init ! hook.dispatched __hook.on_init",
        "done __hook.on_init => run a ! hook.completed __hook.on_init, task.dispatched a",
    ]);
    let mut run = Run::new("#init,exit a").limited(0);
    run.after(&["start"]);
    run.limit = ALL;
    run.script(&[
        "suspend => late: nothing is left over",
        "cancel  => close cancelled, run __hook.on_exit ! cancelled (cancelled), hook.dispatched \
         __hook.on_exit",
    ]);
}

/// Row 85: a suspended workflow whose tasks are done completes when it is resumed.
#[test]
fn a_suspended_workflow_completes_when_it_is_resumed() {
    let mut run = Run::new("#success a");
    run.after(&["start"]);
    run.script(&[
        "suspend => late: nothing is left over",
        "done a  => ! task.completed a",
        "resume  => close completed, run __hook.on_success ! completed, hook.dispatched \
         __hook.on_success",
    ]);
}

/// Rows 83, 85 and 86: suspended or not, it fails, is cancelled, and times out.
#[test]
fn a_suspended_workflow_may_end() {
    for (end, status) in [
        ("cancel", "cancelled"),
        ("deadline", "failed"),
        ("dead b x", "failed"),
    ] {
        let mut run = Run::new("@1m a b");
        run.after(&["start"]);
        let _ = run.say("suspend");
        run.after(&[end, "stopped a"]);
        if end != "dead b x" {
            run.after(&["stopped b"]);
        }
        assert_eq!(run.instance.stage().status().as_str(), status, "{end}");
    }
}

/// Rows 83 and 86, W28: an end asks every job to stop, and is told when the last has; tasks that
/// never began get no record.
#[test]
fn an_end_stops_everything_that_is_under_way() {
    let mut run = Run::new("@1m a b<a k{} w!go g() c>x x<c m[]<a=a");
    run.after(&["start"]);
    run.after(&["done g {\"tasks\":[{\"name\":\"p\",\"task_type\":\"x\"}]}"]);
    run.after(&["done a [1]"]);
    run.script(&[
        "deadline => disarm deadline, stop b, stop child, stop c, stop p, stop m#0 ! task.failed w \
         (its job was cancelled)",
        "deadline => late: the workflow is ending already",
        "cancel   => late: the workflow is ending already",
        "stopped b   => ! task.failed b (its job was cancelled)",
        "stopped k   => ! task.failed k (its job was cancelled)",
        "done c {\"route\":0} => ! task.failed c (its job was cancelled)",
        "stopped m#0 => ! task.failed m#0 (its job was cancelled)",
        "stopped p   => close failed, retire ! task.failed p (its job was cancelled), \
         task.failed m (its job was cancelled), task.failed g (its job was cancelled), \
         timed_out (execution timed out)",
    ]);
    assert_eq!(run.record("x"), None);
}

/// Row 87: when all is done, the first leaf that wants it hands over to a new instance; no hooks.
#[test]
fn a_workflow_may_go_on_as_another() {
    check(
        "@1m #success,exit a b<a c<a",
        &[
            "start  => arm deadline 60s, run a ! started, task.dispatched a",
            "next a => run b, run c ! task.completed a, task.dispatched b, task.dispatched c",
            "next c {\"n\":1} => ! task.completed c",
        ],
    );
    let mut run = Run::new("@1m #success,exit a b<a c<a");
    run.after(&["start", "next a", "next c {\"n\":1}"]);
    let to = run.instance.id().of_successor();
    let written = run.say("done b");
    assert_eq!(
        written,
        format!(
            "disarm deadline, succeed with c, close continued, retire ! task.completed b, completed \
             (continued as {to})"
        )
    );
    assert_eq!(run.instance.stage(), &Stage::Continued { to });
    run.script(&["retry => late: the workflow has ended"]);
}

/// Row 81 in row 87: the first hook ran for the instance that goes on.
#[test]
fn one_that_goes_on_does_not_open_again() {
    let plan = new_instance("#init a").plan().clone();
    let mut run = Run::with(plan, |kept| {
        kept.continued_from = Some(paceline_types::WorkflowId::from_parts(
            1,
            paceline_types::ShardIndex(0),
            1,
        ));
    });
    run.script(&["start => run a ! started, task.dispatched a"]);
}

/// An event that tells of a panic says so.
#[test]
fn a_panic_is_told_as_such() {
    check(
        "a? b",
        &[
            "start => run a, run b ! started, task.dispatched a, task.dispatched b",
            "dead a handler panicked: oh => ! task.panicked a (handler panicked: oh)",
        ],
    );
}
