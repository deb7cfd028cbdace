//! Batches under leaders that are lost before and after their commits.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::time::Instant;

use super::*;
use crate::alarms::{self, Alarms};
use crate::desk::{DEFAULT_CACHE_BYTES, Desk};
use crate::memory::{Fault, JobState, MemoryLedger};
use crate::reconciler::{self, Reconciler};
use crate::term::{Tenure, Term};
use crate::workflows::{self, Workflows};
use paceline_types::BatchStatus;

/// One leader's services.
struct Leader {
    desk: Desk<MemoryLedger>,
    inbox: Workflows,
    alarms: Alarms,
    reconciler: Reconciler,
    _tenure: Tenure,
    term: Term,
}

impl Leader {
    fn new(ledger: &Arc<MemoryLedger>, number: u64) -> Leader {
        let hour = Instant::now() + Duration::from_secs(3_600);
        let (tenure, term) = Tenure::begin(number, hour);
        Leader {
            desk: Desk::new(ledger.clone(), DEFAULT_CACHE_BYTES),
            inbox: Workflows::new(workflows::Options::default()),
            alarms: Alarms::new(alarms::Options::default()),
            reconciler: Reconciler::new(reconciler::Options::default()),
            _tenure: tenure,
            term,
        }
    }

    /// Works until nothing is left; false when the ledger failed.
    async fn work(&mut self) -> bool {
        loop {
            match self.inbox.tick(&mut self.desk, &self.term).await {
                Ok(report) if report.busy => {}
                Ok(_) => return true,
                Err(_) => return false,
            }
        }
    }

    /// Two walks, which is what a repair takes.
    async fn reconcile(&mut self) {
        for _ in 0..2 {
            loop {
                let report = self.reconciler.tick(&mut self.desk, &self.term).await;
                if report.expect("tick").done {
                    break;
                }
            }
        }
        assert!(self.work().await);
    }
}

fn outcome(random: &mut StdRng) -> TaskOutcome {
    match random.random_range(0..12) {
        0 => dead(),
        1 => TaskOutcome::Cancelled,
        2 => TaskOutcome::Skipped { reason: "x".into() },
        _ => TaskOutcome::Completed,
    }
}

/// Leaders are lost before and after commits, entries come twice, and still each start of an item has
/// one job, the window holds (the ledger sees to both), and the end is told once, with the counters
/// that the items say.
async fn survive(seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let ledger = Arc::new(MemoryLedger::new());
    if random.random() {
        ledger.repeat_deliveries();
    }
    let mut batches = Vec::new();
    for _ in 0..3 {
        let items = random.random_range(1..=150);
        let mut definition = definition(items, random.random_range(1..=120));
        if random.random_bool(0.3) {
            definition.failure_policy = BatchFailurePolicy::FailFast;
        }
        if random.random() {
            definition.onetime_task_type = Some("prepare".into());
        }
        if random.random() {
            definition.retry_policy = retried(3);
        }
        if random.random_bool(0.2) {
            definition.execution_timeout = Some(Duration::from_secs(25));
        }
        batches.push((ledger.submit_batch(&definition), items, definition));
    }
    let mut number = 1;
    let mut leader = Leader::new(&ledger, number);
    for round in 0.. {
        assert!(round < 3_000, "seed {seed} does not end");
        if random.random_bool(0.2) {
            let faults = [Fault::Before, Fault::After];
            ledger.fail_commit(faults[random.random_range(0..2)]);
        }
        if random.random_bool(0.02) {
            let (batch, ..) = batches[random.random_range(0..batches.len())];
            ledger.cancel_batch(batch, "enough");
        }
        if !leader.work().await && random.random() {
            number += 1;
            leader = Leader::new(&ledger, number);
        }
        ledger.clear_faults();
        let claimed = ledger.claim_items(random.random_range(1..=60));
        ledger.end_items(
            claimed
                .into_iter()
                .map(|(job, _)| (job, outcome(&mut random))),
        );
        // What was claimed, asked to stop and is not ended yet.
        for (batch, ..) in &batches {
            let open = ledger.open_items(*batch);
            let asked = open
                .into_iter()
                .filter(|(_, job)| job.state == JobState::CancelRequested);
            ledger.end_items(asked.map(|(job, _)| (job, TaskOutcome::Cancelled)));
        }
        if random.random_bool(0.1) {
            ledger.pass(Duration::from_secs(20));
            let _ = leader.alarms.tick(&mut leader.desk, &leader.term).await;
        }
        let over = |(batch, ..): &(BatchId, usize, BatchDefinition)| {
            ledger
                .batch_status(*batch)
                .is_some_and(BatchStatus::is_terminal)
        };
        if batches.iter().all(over) {
            break;
        }
    }
    assert!(leader.work().await);
    assert!(
        ledger.parked().is_empty(),
        "seed {seed}: {:?}",
        ledger.parked()
    );
    for (batch, items, definition) in &batches {
        check(&ledger, *batch, *items, definition);
    }
}

fn check(ledger: &MemoryLedger, batch: BatchId, items: usize, definition: &BatchDefinition) {
    let (header, records) = ledger.batch(batch).expect("kept");
    assert_eq!(ledger.open_items(batch).len(), 0);
    assert!(ledger.most_open(batch) <= definition.chunk_size as usize);
    let count = |wanted: fn(&ItemState) -> bool| {
        records
            .iter()
            .filter(|record| wanted(&record.state))
            .count()
    };
    let completed = count(|state| state.is_completed());
    assert_eq!(header.completed as usize, completed);
    let log = ledger.batch_log(batch);
    let ends = log.iter().filter(|event| {
        let kind = event.kind.as_str();
        [
            "batch.completed",
            "batch.failed",
            "batch.cancelled",
            "batch.timed_out",
        ]
        .contains(&kind)
    });
    assert_eq!(ends.count(), 1);
    let started = log
        .iter()
        .filter(|event| event.kind.as_str() == "batch.started")
        .count();
    assert!(started <= 1);
    // The last progress is where it stands, and comes before the end.
    if let Some(last) = log.iter().rev().find_map(|event| event.progress) {
        assert_eq!(
            last,
            header.progress(batch, u32::try_from(items).expect("few"))
        );
    }
    if header.stage == BatchStage::Completed {
        assert_eq!(completed, items);
    }
}

/// `CHAOS_SEED` and `CHAOS_COUNT` ask for other seeds, and for more.
#[tokio::test]
async fn leaders_may_be_lost_before_and_after_their_commits() {
    let number = |name: &str, usual: u64| match std::env::var(name) {
        Ok(text) => text.parse().expect("a number"),
        Err(_) => usual,
    };
    let first = number("CHAOS_SEED", 0);
    for seed in first..first + number("CHAOS_COUNT", 120) {
        survive(seed).await;
    }
}

/// An item whose job is gone, or whose end was lost, does not hold the batch up.
#[tokio::test]
async fn what_stands_still_is_found() {
    let ledger = Arc::new(MemoryLedger::new());
    let mut leader = Leader::new(&ledger, 1);
    let batch = ledger.submit_batch(&definition(4, 2));
    ledger.lose_inbox();
    leader.reconcile().await;
    let claimed = ledger.claim_items(9);
    assert_eq!(claimed.len(), 2, "the lost start was found");
    ledger.lose_item(claimed[0].0);
    ledger.end_items([(claimed[1].0, TaskOutcome::Completed)]);
    ledger.lose_inbox();
    assert_eq!(ledger.claim_items(9).len(), 0);
    leader.reconcile().await;
    let claimed = ledger.claim_items(9);
    assert_eq!(claimed.len(), 2, "both ends were found");
    ledger.end_items(
        claimed
            .into_iter()
            .map(|(job, _)| (job, TaskOutcome::Completed)),
    );
    assert!(leader.work().await);
    assert_eq!(ledger.batch_status(batch), Some(BatchStatus::Failed));
    let (header, _) = ledger.batch(batch).expect("kept");
    assert_eq!((header.completed, header.failed), (3, 1));
}

/// The next leader goes on with what a full commit left over, by its mark alone.
#[tokio::test]
async fn what_is_left_over_is_gone_on_with_by_another_leader() {
    let ledger = Arc::new(MemoryLedger::new());
    let mut leader = Leader::new(&ledger, 1);
    ledger.submit_batch(&definition(300, 250));
    let report = leader
        .inbox
        .tick(&mut leader.desk, &leader.term)
        .await
        .expect("tick");
    assert!(report.busy);
    let begun = ledger.claim_items(1_000).len();
    assert!(begun <= 100, "one turn starts {begun}");
    let mut leader = Leader::new(&ledger, 2);
    assert!(leader.work().await);
    assert_eq!(begun + ledger.claim_items(1_000).len(), 250);
}

/// Row 96: the policy's delay is waited for, by the ledger's clock.
#[tokio::test]
async fn a_batch_that_rests_is_woken() {
    let ledger = Arc::new(MemoryLedger::new());
    let mut leader = Leader::new(&ledger, 1);
    let mut definition = definition(1, 1);
    definition.retry_policy = retried(2);
    let batch = ledger.submit_batch(&definition);
    for seconds in [9, 1] {
        assert!(leader.work().await);
        ledger.end_items(
            ledger
                .claim_items(1)
                .into_iter()
                .map(|(job, _)| (job, dead())),
        );
        assert!(leader.work().await);
        ledger.pass(Duration::from_secs(seconds));
        leader
            .alarms
            .tick(&mut leader.desk, &leader.term)
            .await
            .expect("tick");
    }
    assert_eq!(ledger.claim_items(9).len(), 1, "after ten seconds");
    assert_eq!(ledger.batch_status(batch), Some(BatchStatus::Running));
}

/// A batch that cannot be read is parked once, and holds nobody up.
#[tokio::test]
async fn an_end_of_an_unknown_batch_is_dropped() {
    use crate::ports::{BatchNews, InboxItem};
    let ledger = Arc::new(MemoryLedger::new());
    let mut leader = Leader::new(&ledger, 1);
    let batch = BatchId::from_parts(1, ShardIndex(0), 3);
    let news = BatchNews::Cancel {
        reason: String::new(),
    };
    ledger.deliver(vec![InboxItem::Batch { batch, news }]);
    assert!(leader.work().await);
    assert!(ledger.parked().is_empty());
}
