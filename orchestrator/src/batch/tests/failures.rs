//! Failed items, and batches that end early.

use super::*;

/// Row 94: the others go on, and the batch has failed at the end.
#[test]
fn a_failed_item_fails_the_batch_at_its_end() {
    let mut batch = instance(&definition(3, 3));
    apply(&mut batch, &BatchEvent::Start);
    let failed = end(&mut batch, 0, dead());
    assert_eq!(kinds(&failed), ["batch.item.failed"]);
    end(&mut batch, 1, TaskOutcome::Cancelled);
    let last = end(&mut batch, 2, TaskOutcome::Completed);
    assert_eq!(kinds(&last), ["batch.item.completed", "batch.failed"]);
    assert_eq!(last.events[1].error.as_deref(), Some("2 items failed"));
    assert_eq!(
        *batch.stage(),
        BatchStage::Ended(BatchEnding::ItemsFailed { failed: 2 })
    );
}

/// Row 94: nothing new begins, what runs is asked to stop, and the end waits for it.
#[test]
fn failing_fast_cancels_what_runs() {
    let mut definition = definition(6, 3);
    definition.failure_policy = BatchFailurePolicy::FailFast;
    let mut batch = instance(&definition);
    apply(&mut batch, &BatchEvent::Start);
    let failed = end(&mut batch, 1, dead());
    assert_eq!(started(&failed), [], "nothing new begins");
    assert_eq!(cancelled(&failed), 2);
    assert!(batch.record(0).expect("item").state == ItemState::Cancelling);
    end(&mut batch, 0, TaskOutcome::Cancelled);
    let last = end(&mut batch, 2, TaskOutcome::Completed);
    assert_eq!(kinds(&last), ["batch.item.completed", "batch.failed"]);
    assert_eq!(
        last.events[1].error.as_deref(),
        Some("item i1 failed: boom")
    );
    assert_eq!(batch.header().next, 3);
}

/// Row 99: cancelled, and timed out.
#[test]
fn a_batch_ends_early() {
    let mut definition = definition(4, 2);
    definition.execution_timeout = Some(Duration::from_secs(60));
    let cancel = BatchEvent::CancelRequested {
        reason: "enough".into(),
    };
    for (event, kind, error) in [
        (cancel.clone(), "batch.cancelled", "cancelled: enough"),
        (
            BatchEvent::Rang(BatchAlarm::Deadline),
            "batch.timed_out",
            "execution timed out",
        ),
    ] {
        let mut batch = instance(&definition);
        let begun = apply(&mut batch, &BatchEvent::Start);
        let minute = Duration::from_secs(60);
        assert!(
            begun
                .effects
                .contains(&BatchEffect::Arm(BatchAlarm::Deadline, minute))
        );
        let first = apply(&mut batch, &event);
        assert_eq!(cancelled(&first), 2);
        assert!(
            first
                .effects
                .contains(&BatchEffect::Disarm(BatchAlarm::Deadline))
        );
        let late = advance_batch(&mut batch, &event, PLENTY);
        assert_eq!(late, Err(BatchRefusal::Late(Late::Ending)));
        end(&mut batch, 0, TaskOutcome::Cancelled);
        let last = end(&mut batch, 1, TaskOutcome::Cancelled);
        assert_eq!(kinds(&last), ["batch.item.failed", kind]);
        assert_eq!(last.events[1].error.as_deref(), Some(error));
    }
    // Before it began, there is nothing to wait for.
    let mut batch = instance(&definition);
    assert_eq!(kinds(&apply(&mut batch, &cancel)), ["batch.cancelled"]);
}

/// The job of an item that is not there any more: the item failed, once.
#[test]
fn a_job_that_is_gone_has_failed() {
    let mut batch = instance(&definition(2, 1));
    apply(&mut batch, &BatchEvent::Start);
    let gone = BatchEvent::JobGone {
        place: 0,
        iteration: 0,
    };
    let next = apply(&mut batch, &gone);
    assert_eq!(kinds(&next), ["batch.item.failed"]);
    assert_eq!(started(&next), [(1, 0)]);
    let late = advance_batch(&mut batch, &gone, PLENTY);
    assert_eq!(late, Err(BatchRefusal::Late(Late::TaskEnded)));
}

/// What a cancelled onetime task leaves: nothing begins after it.
#[test]
fn a_batch_is_cancelled_while_it_prepares() {
    let mut definition = definition(2, 2);
    definition.onetime_task_type = Some("prepare".into());
    let mut batch = instance(&definition);
    apply(&mut batch, &BatchEvent::Start);
    let cancel = BatchEvent::CancelRequested {
        reason: String::new(),
    };
    assert_eq!(cancelled(&apply(&mut batch, &cancel)), 1);
    let last = end(&mut batch, ONETIME_PLACE, TaskOutcome::Completed);
    assert_eq!(kinds(&last), ["batch.onetime.completed", "batch.cancelled"]);
    assert_eq!(started(&last), []);
    let onetime = batch.header().onetime.as_ref().expect("onetime");
    assert_eq!(onetime.state, OnetimeState::Completed);
}
