//! Batches, decided: what each event leads to, by hand; the walks and the chaos are in their own
//! files.

mod chaos;
mod walk;

use std::sync::Arc;
use std::time::Duration;

use paceline_types::batch::{
    BatchEnding, BatchFailurePolicy, BatchItem, BatchPlan, BatchStage, ItemRecord, ItemState,
    MAX_ATTEMPTS, ONETIME_PLACE, OnetimeState,
};
use paceline_types::{BatchDefinition, BatchId, RetryPolicy, ShardIndex};

use super::*;
use crate::ports::{BatchAlarm, TaskOutcome};
use crate::transition::Late;

/// More than any test starts at once.
const PLENTY: usize = 1_000;

/// `items` items with a window of `window`, and what else is asked for.
fn definition(items: usize, window: u32) -> BatchDefinition {
    BatchDefinition {
        name: "b".into(),
        item_task_type: "item".into(),
        items: (0..items)
            .map(|n| BatchItem::new(format!("i{n}"), None))
            .collect(),
        chunk_size: window,
        ..BatchDefinition::default()
    }
}

fn retried(attempts: u32) -> Option<RetryPolicy> {
    Some(RetryPolicy {
        max_attempts: attempts,
        initial_delay: Duration::from_secs(10),
        jitter: 0.0,
        ..RetryPolicy::default()
    })
}

fn plan(definition: &BatchDefinition) -> Arc<BatchPlan> {
    Arc::new(definition.validate(1 << 20).expect("valid"))
}

fn instance(definition: &BatchDefinition) -> BatchInstance {
    let id = BatchId::from_parts(7, ShardIndex(0), 0x1234_5678_9abc_def0);
    BatchInstance::new(id, plan(definition))
}

fn ended(batch: &BatchInstance, place: u32, iteration: u32, outcome: TaskOutcome) -> BatchEvent {
    BatchEvent::JobEnded {
        place,
        item: format!("i{place}").into(),
        iteration,
        job: batch.job(place, iteration),
        outcome,
    }
}

fn dead() -> TaskOutcome {
    TaskOutcome::Dead {
        error: "boom".into(),
    }
}

/// Applies an event that must apply.
fn apply(batch: &mut BatchInstance, event: &BatchEvent) -> BatchTransition {
    advance_batch(batch, event, PLENTY).expect("applies")
}

fn end(batch: &mut BatchInstance, place: u32, outcome: TaskOutcome) -> BatchTransition {
    let iteration = match place {
        ONETIME_PLACE => batch.header().onetime.as_ref().expect("onetime").iteration,
        place => batch.record(place).expect("item").iteration.into(),
    };
    let event = ended(batch, place, iteration, outcome);
    apply(batch, &event)
}

fn kinds(transition: &BatchTransition) -> Vec<&str> {
    transition
        .events
        .iter()
        .map(|event| event.kind.as_str())
        .collect()
}

fn started(transition: &BatchTransition) -> Vec<(u32, u8)> {
    let effects = transition.effects.iter();
    effects
        .filter_map(|effect| match effect {
            BatchEffect::Dispatch(start) => Some((start.place, start.iteration)),
            _ => None,
        })
        .collect()
}

fn cancelled(transition: &BatchTransition) -> usize {
    let effects = transition.effects.iter();
    effects
        .filter(|effect| matches!(effect, BatchEffect::Cancel(_)))
        .count()
}

/// Row 93: as many as the window allows, then one for each that ends.
#[test]
fn the_window_slides() {
    let mut batch = instance(&definition(5, 2));
    let begun = apply(&mut batch, &BatchEvent::Start);
    assert_eq!(kinds(&begun), ["batch.started"]);
    assert_eq!(started(&begun), [(0, 0), (1, 0)]);
    assert!(!begun.more, "a full window is not work left over");
    let next = end(&mut batch, 1, TaskOutcome::Completed);
    assert_eq!(kinds(&next), ["batch.item.completed"]);
    assert_eq!(started(&next), [(2, 0)]);
    for place in [0, 2, 3] {
        end(&mut batch, place, TaskOutcome::Completed);
    }
    let last = end(
        &mut batch,
        4,
        TaskOutcome::Skipped {
            reason: "none".into(),
        },
    );
    assert_eq!(kinds(&last), ["batch.item.completed", "batch.completed"]);
    assert_eq!(*batch.stage(), BatchStage::Completed);
    assert_eq!((batch.header().completed, batch.header().failed), (5, 0));
}

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

/// Row 92: it runs first; its failure is the batch's, and no item begins.
#[test]
fn a_onetime_task_runs_before_the_items() {
    let mut definition = definition(2, 2);
    definition.onetime_task_type = Some("prepare".into());
    for (outcome, events, begun) in [
        (TaskOutcome::Completed, &["batch.onetime.completed"][..], 2),
        (
            TaskOutcome::Skipped { reason: "x".into() },
            &["batch.onetime.completed"],
            2,
        ),
        (dead(), &["batch.onetime.failed", "batch.failed"], 0),
        (
            TaskOutcome::Cancelled,
            &["batch.onetime.failed", "batch.failed"],
            0,
        ),
    ] {
        let mut batch = instance(&definition);
        let first = apply(&mut batch, &BatchEvent::Start);
        assert_eq!(started(&first), []);
        assert!(
            first
                .effects
                .contains(&BatchEffect::DispatchOnetime { iteration: 0 })
        );
        let next = end(&mut batch, ONETIME_PLACE, outcome.clone());
        assert_eq!(kinds(&next), events, "{outcome:?}");
        assert_eq!(started(&next).len(), begun);
        let kept = next
            .effects
            .contains(&BatchEffect::KeepOnetime { iteration: 0 });
        assert_eq!(kept, begun > 0);
    }
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

/// A window of thousands is asked to stop step by step, what is left derived from what is kept.
#[test]
fn a_limit_leaves_the_rest_for_later() {
    let mut batch = instance(&definition(250, 200));
    let begun = advance_batch(&mut batch, &BatchEvent::Start, 90).expect("applies");
    assert_eq!((started(&begun).len(), begun.more), (90, true));
    let more = advance_batch(&mut batch, &BatchEvent::Continue, 90).expect("applies");
    assert_eq!((started(&more).len(), more.more), (90, true));
    let cancel = BatchEvent::CancelRequested {
        reason: String::new(),
    };
    let first = advance_batch(&mut batch, &cancel, 100).expect("applies");
    assert_eq!((cancelled(&first), first.more), (100, true));
    let second = advance_batch(&mut batch, &BatchEvent::Continue, 100).expect("applies");
    assert_eq!((cancelled(&second), second.more), (80, false));
    let none = advance_batch(&mut batch, &BatchEvent::Continue, 100);
    assert_eq!(none, Err(BatchRefusal::Late(Late::NothingLeft)));
    // With nothing to spare the event is taken in, and its consequences are left over.
    let mut batch = instance(&definition(3, 2));
    let begun = advance_batch(&mut batch, &BatchEvent::Start, 0).expect("applies");
    assert_eq!((started(&begun).len(), begun.more), (0, true));
}

/// Row 96: what failed runs again after the policy's delay, what completed is kept, and the counters
/// are counted anew.
#[test]
fn a_policy_tries_what_failed_again() {
    let mut definition = definition(3, 3);
    definition.retry_policy = retried(2);
    definition.execution_timeout = Some(Duration::from_secs(60));
    let mut batch = instance(&definition);
    apply(&mut batch, &BatchEvent::Start);
    end(&mut batch, 0, TaskOutcome::Completed);
    end(&mut batch, 1, dead());
    let rests = end(&mut batch, 2, TaskOutcome::Cancelled);
    assert_eq!(
        kinds(&rests),
        ["batch.item.failed"],
        "a retry is no outcome"
    );
    let ten = Duration::from_secs(10);
    assert!(
        rests
            .effects
            .contains(&BatchEffect::Arm(BatchAlarm::Retry, ten))
    );
    assert!(
        rests
            .effects
            .contains(&BatchEffect::Disarm(BatchAlarm::Deadline))
    );
    assert!(matches!(batch.stage(), BatchStage::Resting(_)));
    // A deadline that was read before it was disarmed.
    let stale = advance_batch(&mut batch, &BatchEvent::Rang(BatchAlarm::Deadline), PLENTY);
    assert_eq!(stale, Err(BatchRefusal::Late(Late::Disarmed)));

    let again = apply(&mut batch, &BatchEvent::Rang(BatchAlarm::Retry));
    assert_eq!(kinds(&again), ["batch.retrying"]);
    assert_eq!(started(&again), [(1, 1), (2, 1)]);
    let header = batch.header();
    assert_eq!((header.attempt, header.completed, header.failed), (2, 1, 0));
    // The end of the first start, delivered once more.
    let late = ended(&batch, 1, 0, TaskOutcome::Completed);
    assert_eq!(
        advance_batch(&mut batch, &late, PLENTY),
        Err(BatchRefusal::Late(Late::Superseded { current: 1 }))
    );
    end(&mut batch, 1, TaskOutcome::Completed);
    let last = end(&mut batch, 2, dead());
    assert_eq!(
        kinds(&last),
        ["batch.item.failed", "batch.failed"],
        "two attempts"
    );
    assert_eq!((batch.header().completed, batch.header().failed), (2, 1));
}

/// W29: a policy is about each failure, that of the onetime task and of failing fast included.
#[test]
fn every_failure_follows_the_retry_policy() {
    let mut definition = definition(3, 2);
    definition.retry_policy = retried(2);
    definition.failure_policy = BatchFailurePolicy::FailFast;
    definition.onetime_task_type = Some("prepare".into());
    let mut batch = instance(&definition);
    apply(&mut batch, &BatchEvent::Start);
    end(&mut batch, ONETIME_PLACE, dead());
    assert!(matches!(batch.stage(), BatchStage::Resting(_)));
    let again = apply(&mut batch, &BatchEvent::Rang(BatchAlarm::Retry));
    assert!(
        again
            .effects
            .contains(&BatchEffect::DispatchOnetime { iteration: 1 })
    );
    let begun = end(&mut batch, ONETIME_PLACE, TaskOutcome::Completed);
    assert_eq!(
        started(&begun),
        [(0, 0), (1, 0)],
        "items that never began begin"
    );

    definition.onetime_task_type = None;
    let mut batch = instance(&definition);
    apply(&mut batch, &BatchEvent::Start);
    end(&mut batch, 0, dead());
    end(&mut batch, 1, TaskOutcome::Cancelled);
    assert!(matches!(batch.stage(), BatchStage::Resting(_)));
    let again = apply(&mut batch, &BatchEvent::Rang(BatchAlarm::Retry));
    assert_eq!(started(&again), [(0, 1), (1, 1)]);
}

/// A wish to stop is stronger than the policy, whenever it comes; a timeout is not tried again.
#[test]
fn a_cancelled_batch_is_not_tried_again() {
    let cancel = BatchEvent::CancelRequested {
        reason: String::new(),
    };
    let mut definition = definition(2, 2);
    definition.retry_policy = retried(9);
    definition.failure_policy = BatchFailurePolicy::FailFast;
    definition.execution_timeout = Some(Duration::from_secs(1));
    let resting = |batch: &mut BatchInstance| {
        apply(batch, &BatchEvent::Start);
        end(batch, 0, dead());
        end(batch, 1, TaskOutcome::Cancelled);
    };
    let mut batch = instance(&definition);
    resting(&mut batch);
    let over = apply(&mut batch, &cancel);
    assert_eq!(kinds(&over), ["batch.cancelled"]);
    assert!(
        over.effects
            .contains(&BatchEffect::Disarm(BatchAlarm::Retry))
    );
    let late = advance_batch(&mut batch, &BatchEvent::Rang(BatchAlarm::Retry), PLENTY);
    assert_eq!(late, Err(BatchRefusal::Late(Late::Disarmed)));

    // While what failed first is being stopped.
    let mut batch = instance(&definition);
    apply(&mut batch, &BatchEvent::Start);
    end(&mut batch, 0, dead());
    apply(&mut batch, &cancel);
    let over = end(&mut batch, 1, TaskOutcome::Cancelled);
    assert_eq!(kinds(&over), ["batch.item.failed", "batch.cancelled"]);

    let mut batch = instance(&definition);
    apply(&mut batch, &BatchEvent::Start);
    apply(&mut batch, &BatchEvent::Rang(BatchAlarm::Deadline));
    end(&mut batch, 0, TaskOutcome::Cancelled);
    let over = end(&mut batch, 1, TaskOutcome::Cancelled);
    assert_eq!(kinds(&over), ["batch.item.failed", "batch.timed_out"]);
}

/// W29: items that were cancelled, and those that never began, run in a retry of what failed.
#[test]
fn a_retry_by_hand_runs_what_did_not_complete_or_everything() {
    for (failed_only, expected, completed) in [
        (true, &[(1, 1), (2, 0), (3, 0)][..], 1),
        (false, &[(0, 1), (1, 1), (2, 0), (3, 0)], 0),
    ] {
        let mut batch = instance(&definition(4, 4));
        batch.header_mut().stage = BatchStage::Ended(BatchEnding::Cancelled {
            reason: String::new(),
        });
        batch.header_mut().attempt = 1;
        batch.header_mut().next = 2;
        batch.header_mut().completed = 1;
        batch.header_mut().failed = 1;
        let record = |state| ItemRecord {
            state,
            iteration: 0,
        };
        batch.set(0, record(ItemState::Completed));
        batch.set(1, record(ItemState::Cancelled));
        let again = apply(&mut batch, &BatchEvent::RetryRequested { failed_only });
        assert_eq!(kinds(&again), ["batch.retrying"]);
        assert_eq!(started(&again), expected);
        assert_eq!(batch.header().completed, completed);
        for (place, _) in expected {
            end(&mut batch, *place, TaskOutcome::Completed);
        }
        assert_eq!(*batch.stage(), BatchStage::Completed);
        assert_eq!(batch.header().completed, 4);
        let over = BatchEvent::RetryRequested { failed_only };
        let refused = advance_batch(&mut batch, &over, PLENTY);
        assert_eq!(refused, Err(BatchRefusal::Late(Late::Closed)));
    }
    // What an earlier attempt came to stays what it was, until the item's turn comes.
    let mut batch = instance(&definition(3, 1));
    apply(&mut batch, &BatchEvent::Start);
    for place in 0..3 {
        end(&mut batch, place, dead());
    }
    apply(
        &mut batch,
        &BatchEvent::RetryRequested { failed_only: true },
    );
    let kept = batch.record(2).expect("item");
    assert_eq!((kept.state, kept.iteration), (ItemState::Dead, 0));
    assert!(batch.header().is_ahead(2, kept) && !batch.header().is_ahead(0, kept));
}

/// A onetime task that completed is kept by a retry of what failed, and runs again in one of
/// everything.
#[test]
fn a_retry_keeps_the_onetime_task_or_not() {
    let mut definition = definition(1, 1);
    definition.onetime_task_type = Some("prepare".into());
    for failed_only in [true, false] {
        let mut batch = instance(&definition);
        apply(&mut batch, &BatchEvent::Start);
        end(&mut batch, ONETIME_PLACE, TaskOutcome::Completed);
        end(&mut batch, 0, dead());
        let again = apply(&mut batch, &BatchEvent::RetryRequested { failed_only });
        let onetime = BatchEffect::DispatchOnetime { iteration: 1 };
        assert_eq!(again.effects.contains(&onetime), !failed_only);
        assert_eq!(started(&again).len(), usize::from(failed_only));
        if !failed_only {
            let begun = end(&mut batch, ONETIME_PLACE, TaskOutcome::Completed);
            assert_eq!(started(&begun), [(0, 1)]);
        }
    }
}

/// W4, and what contradicts what is kept.
#[test]
fn what_cannot_be_is_refused_and_changes_nothing() {
    use BatchImpossible::{FutureIteration, NeverStarted, NoDeadline, UnknownItem};
    let mut batch = instance(&definition(3, 1));
    let early = advance_batch(&mut batch, &BatchEvent::Continue, PLENTY);
    assert_eq!(early, Err(BatchRefusal::Late(Late::NothingLeft)));
    apply(&mut batch, &BatchEvent::Start);
    let before = batch.clone();
    let foreign = BatchEvent::JobEnded {
        place: 0,
        item: "i0".into(),
        iteration: 0,
        job: batch.job(1, 0),
        outcome: dead(),
    };
    let onetime = NeverStarted {
        place: ONETIME_PLACE,
    };
    let future = FutureIteration {
        place: 0,
        current: 0,
        iteration: 1,
    };
    let table = [
        (BatchEvent::Start, BatchRefusal::Late(Late::Started)),
        (
            BatchEvent::RetryRequested { failed_only: true },
            BatchRefusal::Late(Late::Started),
        ),
        (
            ended(&batch, 1, 0, dead()),
            BatchRefusal::Impossible(NeverStarted { place: 1 }),
        ),
        (
            ended(&batch, 3, 0, dead()),
            BatchRefusal::Impossible(UnknownItem { place: 3 }),
        ),
        (
            ended(&batch, 0, 1, dead()),
            BatchRefusal::Impossible(future),
        ),
        (
            ended(&batch, ONETIME_PLACE, 0, dead()),
            BatchRefusal::Impossible(onetime),
        ),
        (
            BatchEvent::Rang(BatchAlarm::Deadline),
            BatchRefusal::Impossible(NoDeadline),
        ),
        (
            BatchEvent::Rang(BatchAlarm::Retry),
            BatchRefusal::Late(Late::Disarmed),
        ),
    ];
    for (event, expected) in table {
        assert_eq!(
            advance_batch(&mut batch, &event, PLENTY),
            Err(expected),
            "{event:?}"
        );
        assert_eq!(batch, before, "{event:?}");
    }
    let refused = advance_batch(&mut batch, &foreign, PLENTY);
    assert!(matches!(
        refused,
        Err(BatchRefusal::Impossible(BatchImpossible::ForeignJob { .. }))
    ));
    assert_eq!(batch, before);
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

/// An iteration is one byte, so there is a last attempt.
#[test]
fn attempts_have_an_end() {
    let mut batch = instance(&definition(1, 1));
    apply(&mut batch, &BatchEvent::Start);
    for attempt in 1..MAX_ATTEMPTS {
        assert_eq!(batch.header().attempt, attempt);
        end(&mut batch, 0, dead());
        apply(
            &mut batch,
            &BatchEvent::RetryRequested { failed_only: true },
        );
    }
    assert_eq!(batch.record(0).expect("item").iteration, 254);
    end(&mut batch, 0, dead());
    let event = BatchEvent::RetryRequested { failed_only: true };
    let refused = advance_batch(&mut batch, &event, PLENTY);
    assert_eq!(refused, Err(BatchRefusal::Late(Late::Closed)));
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

/// Row 93: two bytes an item, and some for each that the window allows.
#[test]
fn memory_is_two_bytes_an_item() {
    let footprint = |items, window| instance(&definition(items, window)).footprint();
    let each = (footprint(100_000, 100) - footprint(10_000, 100)) / 90_000;
    assert_eq!(each, 2);
    assert_eq!(size_of::<ItemRecord>(), 2);
    assert!(footprint(100_000, 100) < 210_000);
}
