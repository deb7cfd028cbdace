//! What batches lost, and the second walk that misses it finds.

use std::sync::Arc;
use std::time::Duration;

use paceline_types::batch::BatchItem;
use paceline_types::{BatchDefinition, BatchId, BatchStatus, RetryPolicy};

use crate::memory::MemoryLedger;
use crate::ports::{BatchAlarm, BatchNews, InboxItem, TaskOutcome};
use crate::theatre::Troupe;

/// Items that are given a minute, and are tried twice.
fn definition(items: usize) -> BatchDefinition {
    BatchDefinition {
        name: "b".into(),
        item_task_type: "item".into(),
        items: (0..items)
            .map(|n| BatchItem::new(format!("i{n}"), None))
            .collect(),
        execution_timeout: Some(Duration::from_secs(60)),
        retry_policy: Some(RetryPolicy {
            max_attempts: 2,
            initial_delay: Duration::from_secs(10),
            ..RetryPolicy::default()
        }),
        ..BatchDefinition::default()
    }
}

fn play(definition: &BatchDefinition) -> (Arc<MemoryLedger>, BatchId, Troupe) {
    let ledger = Arc::new(MemoryLedger::new());
    let batch = ledger.submit_batch(definition);
    let troupe = Troupe::new(&ledger, 1);
    (ledger, batch, troupe)
}

/// Ends all jobs that wait or run.
fn end_all(ledger: &MemoryLedger, outcome: &TaskOutcome) {
    let claimed = ledger.claim_items(100);
    ledger.end_items(claimed.into_iter().map(|(job, _)| (job, outcome.clone())));
}

fn dead() -> TaskOutcome {
    TaskOutcome::Dead {
        error: "boom".to_owned(),
    }
}

/// The first walk suspects, the second repairs, and the third finds nothing.
async fn repaired_by_the_second_walk(troupe: &mut Troupe) -> usize {
    assert_eq!(troupe.walk().await, 0, "it may be on its way");
    let repaired = troupe.walk().await;
    troupe.settle().await.expect("settled");
    assert_eq!(troupe.walk().await, 0, "nothing is wrong any more");
    repaired
}

/// Row 96.
#[tokio::test]
async fn moments_that_nobody_would_ring_for_are_found() {
    let (ledger, batch, mut troupe) = play(&definition(2));
    troupe.settle().await.expect("settled");
    assert_eq!(ledger.batch_alarms(batch), [BatchAlarm::Deadline]);
    ledger.lose_batch_alarms(batch);
    assert_eq!(repaired_by_the_second_walk(&mut troupe).await, 1);
    assert_eq!(
        ledger.batch_alarms(batch),
        [BatchAlarm::Deadline],
        "armed again"
    );

    end_all(&ledger, &dead());
    troupe.settle().await.expect("settled");
    assert_eq!(ledger.batch_alarms(batch), [BatchAlarm::Retry]);
    ledger.lose_batch_alarms(batch);
    assert_eq!(repaired_by_the_second_walk(&mut troupe).await, 1);
    assert_eq!(
        ledger.batch_alarms(batch),
        [BatchAlarm::Deadline],
        "it rested too long already"
    );

    ledger.lose_batch_alarms(batch);
    assert_eq!(repaired_by_the_second_walk(&mut troupe).await, 1);
    ledger.pass(Duration::from_secs(60));
    troupe.settle().await.expect("settled");
    end_all(&ledger, &TaskOutcome::Cancelled);
    troupe.settle().await.expect("settled");
    assert_eq!(ledger.batch_status(batch), Some(BatchStatus::Failed));
    let (header, _) = ledger.batch(batch).expect("kept");
    assert_eq!(header.attempt, 2);
    assert_eq!(ledger.batch_alarms(batch), []);
    assert_eq!(ledger.parked(), []);
}

/// What has no moment to wait for, or is about to end, is not armed.
#[tokio::test]
async fn a_batch_that_waits_for_no_moment_is_left_alone() {
    let unlimited = BatchDefinition {
        execution_timeout: None,
        ..definition(2)
    };
    let (ledger, batch, mut troupe) = play(&unlimited);
    let limited = ledger.submit_batch(&definition(2));
    troupe.settle().await.expect("settled");
    assert_eq!(ledger.claim_items(9).len(), 4);
    ledger.cancel_batch(limited, "enough");
    troupe.settle().await.expect("settled");
    for _ in 0..4 {
        assert_eq!(troupe.walk().await, 0);
    }
    assert_eq!(ledger.batch_alarms(batch), []);
    assert_eq!(ledger.batch_alarms(limited), []);
}

/// Row 94.
#[tokio::test]
async fn a_cancellation_that_was_never_heard_of_is_found() {
    let (ledger, batch, mut troupe) = play(&definition(2));
    troupe.settle().await.expect("settled");
    let running = ledger.claim_items(1);
    ledger.cancel_batch(batch, "enough");
    ledger.lose_inbox();
    assert_eq!(repaired_by_the_second_walk(&mut troupe).await, 1);
    let ended = running.into_iter();
    ledger.end_items(ended.map(|(job, _)| (job, TaskOutcome::Completed)));
    troupe.settle().await.expect("settled");
    assert_eq!(ledger.batch_status(batch), Some(BatchStatus::Cancelled));
    let (header, _) = ledger.batch(batch).expect("kept");
    let ending = header.stage.ending().expect("it ended").to_string();
    assert!(ending.contains("enough"), "{ending}");
}

/// Row 94: what is to be cancelled is not started first.
#[tokio::test]
async fn a_start_and_a_cancellation_that_were_never_heard_of_are_one() {
    let (ledger, batch, mut troupe) = play(&definition(2));
    ledger.cancel_batch(batch, "enough");
    ledger.lose_inbox();
    assert_eq!(repaired_by_the_second_walk(&mut troupe).await, 1);
    assert_eq!(ledger.batch_status(batch), Some(BatchStatus::Cancelled));
    assert_eq!(ledger.tally().dispatches, 0);
}

/// Row 97: as it was asked for, and once.
#[tokio::test]
async fn a_retry_that_was_never_heard_of_is_found() {
    for failed_only in [true, false] {
        let once = BatchDefinition {
            retry_policy: None,
            ..definition(2)
        };
        let (ledger, batch, mut troupe) = play(&once);
        troupe.settle().await.expect("settled");
        let claimed = ledger.claim_items(2);
        let outcomes = [TaskOutcome::Completed, dead()];
        ledger.end_items(claimed.into_iter().map(|(job, _)| job).zip(outcomes));
        troupe.settle().await.expect("settled");
        assert_eq!(ledger.batch_status(batch), Some(BatchStatus::Failed));
        assert!(ledger.retry_batch(batch, failed_only));
        ledger.lose_inbox();
        assert_eq!(repaired_by_the_second_walk(&mut troupe).await, 1);
        let again = ledger.open_items(batch).len();
        assert_eq!(again, if failed_only { 1 } else { 2 });
        end_all(&ledger, &TaskOutcome::Completed);
        troupe.settle().await.expect("settled");
        assert_eq!(ledger.batch_status(batch), Some(BatchStatus::Completed));
        let (header, _) = ledger.batch(batch).expect("kept");
        assert_eq!(header.attempt, 2);
        assert_eq!(ledger.parked(), []);
    }
}

/// Row 97: its entry may come after all, when the batch has failed once more.
#[tokio::test]
async fn a_retry_that_was_found_is_not_heard_of_again() {
    let once = BatchDefinition {
        retry_policy: None,
        ..definition(2)
    };
    let (ledger, batch, mut troupe) = play(&once);
    troupe.settle().await.expect("settled");
    end_all(&ledger, &dead());
    troupe.settle().await.expect("settled");
    assert!(ledger.retry_batch(batch, true));
    ledger.lose_inbox();
    assert_eq!(repaired_by_the_second_walk(&mut troupe).await, 1);
    end_all(&ledger, &dead());
    troupe.settle().await.expect("settled");
    let news = BatchNews::Retry { failed_only: true };
    ledger.deliver(vec![InboxItem::Batch { batch, news }]);
    troupe.settle().await.expect("settled");
    assert_eq!(ledger.batch_status(batch), Some(BatchStatus::Failed));
    let (header, _) = ledger.batch(batch).expect("kept");
    assert_eq!(header.attempt, 2);
}

/// Whoever was cancelled before a retry has nothing to fear of the words from before it.
#[tokio::test]
async fn a_cancellation_from_before_a_retry_is_over() {
    let (ledger, batch, mut troupe) = play(&definition(2));
    troupe.settle().await.expect("settled");
    ledger.cancel_batch(batch, "enough");
    troupe.settle().await.expect("settled");
    assert_eq!(ledger.batch_status(batch), Some(BatchStatus::Cancelled));
    assert!(ledger.retry_batch(batch, true));
    troupe.settle().await.expect("settled");
    for _ in 0..3 {
        assert_eq!(troupe.walk().await, 0);
    }
    assert_eq!(ledger.batch_status(batch), Some(BatchStatus::Running));
}
