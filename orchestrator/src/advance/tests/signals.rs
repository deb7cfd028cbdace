//! Tasks that wait for signals.

use super::*;

/// Row 84: a task takes the oldest signal of its name, whether that came before or after its turn;
/// each signal is taken once.
#[test]
fn signals_are_taken_in_order_each_once() {
    check(
        "a w!go<a v!go<a u!go<w",
        &[
            "start       => run a ! started, task.dispatched a",
            "signal 1 go => ",
            "signal 1 go => late: the signal is known already",
            "signal 2 no => ",
            "done a      => v takes 1 ! task.completed a, task.completed v, task.dispatched w",
            "signal 3 go => w takes 3 ! task.completed w, task.dispatched u",
            "signal 4 go => u takes 4, close completed, retire ! task.completed u, completed",
            "signal 5 go => late: the workflow has ended",
        ],
    );
}

/// Row 84: tasks that wait for one name are served in the order of their numbers.
#[test]
fn those_that_wait_are_served_by_their_number() {
    check(
        "b!go a!go",
        &[
            "start       => ! started, task.dispatched a, task.dispatched b",
            "signal 1 go => b takes 1 ! task.completed b",
            "signal 2 go => a takes 2, close completed, retire ! task.completed a, completed",
        ],
    );
}

/// Row 84: a wait may have an end; the reason names the signal and the time.
#[test]
fn a_wait_may_time_out() {
    check(
        "w!go/1h",
        &[
            "start  => arm alarm of w 3600s ! started, task.dispatched w",
            "ring w => close failed, retire ! task.failed w (no signal \"go\" came within 1h0m0s), \
             failed (task w failed: no signal \"go\" came within 1h0m0s)",
        ],
    );
    check(
        "w!go/1h? z<w",
        &[
            "start       => arm alarm of w 3600s ! started, task.dispatched w",
            "signal 1 go => disarm alarm of w, w takes 1, run z ! task.completed w, \
             task.dispatched z",
            "ring w      => late: nothing waits for that moment any more",
        ],
    );
    let mut run = Run::new("w!go/1h? z<w");
    run.after(&["start", "ring w"]);
    assert_eq!(run.open(), ["z"]);
}

/// Row 84, W27: a moment that an earlier start waited for ends no later one.
#[test]
fn an_alarm_of_an_earlier_start_is_late() {
    use crate::ports::Alarm;
    use crate::transition::{Late, Refusal};
    let mut run = Run::new("w!go/1h b");
    run.after(&["start", "dead b boom", "retry", "signal 1 no"]);
    let ring = |iteration| Event::Rang(Alarm::Signal { task: 0, iteration });
    assert_eq!(run.apply(&ring(0)), Err(Refusal::Late(Late::Disarmed)));
    assert!(run.apply(&ring(1)).is_ok());
}

/// Rows 84 and 86: a workflow that ends stops waiting at once; the signals stay.
#[test]
fn an_end_ends_the_wait() {
    let mut run = Run::new("w!go/1h a b!go<a");
    run.after(&["start"]);
    run.script(&[
        "dead a boom => disarm alarm of w, close failed, retire ! task.failed a (boom), \
         task.failed w (its job was cancelled), failed (task a failed: boom)",
        "ring w      => late: nothing waits for that moment any more",
    ]);
}

/// A signal whose entry the leader has not seen when the workflow ended is there for a retry.
#[test]
fn a_signal_that_came_too_late_is_there_for_a_retry() {
    let mut run = Run::new("w!go a");
    run.after(&["start", "dead a boom"]);
    let name = paceline_types::SignalName::new("go").expect("a name");
    run.kept.signals.insert(1, name.clone());
    let told = Event::Signalled { number: 1, name };
    assert_eq!(run.apply(&told), Err(Refusal::Late(Late::Closed)));
    run.instance = run.reloaded();
    run.script(&[
        "retry => run a@1, w@1 takes 1 ! retrying (task a failed: boom), task.dispatched a, \
         task.completed w",
    ]);
    assert_eq!(run.apply(&told), Err(Refusal::Late(Late::SignalKnown)));
}

/// A signal that does not fit under the limit is handed over by the next step.
#[test]
fn a_delivery_counts_against_the_limit() {
    check_limited(
        "w!go v!go",
        1,
        &[
            "start       => more ! started, task.dispatched v",
            "signal 1 go => v takes 1, more ! task.completed v",
            "continue    => ! task.dispatched w",
        ],
    );
}
