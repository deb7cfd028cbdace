//! Batches that are tried again, by their policy and by hand.

use super::*;

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
