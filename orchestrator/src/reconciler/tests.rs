mod batches;
mod lost;
mod unheard;

use std::sync::Arc;
use std::time::Duration;

use paceline_types::WorkflowStatus;
use tokio::time::Instant;

use super::*;
use crate::desk::DEFAULT_CACHE_BYTES;
use crate::graph::{fan, graph};
use crate::memory::MemoryLedger;
use crate::ports::TaskOutcome;
use crate::term::Tenure;
use crate::workflows::{self, Workflows};

struct Hand {
    ledger: Arc<MemoryLedger>,
    desk: Desk<MemoryLedger>,
    workflows: Workflows,
    reconciler: Reconciler,
    _tenure: Tenure,
    term: Term,
}

impl Hand {
    fn new() -> Hand {
        let ledger = Arc::new(MemoryLedger::new());
        let (tenure, term) = Tenure::begin(1, Instant::now() + Duration::from_secs(3_600));
        Hand {
            desk: Desk::new(ledger.clone(), DEFAULT_CACHE_BYTES),
            ledger,
            workflows: Workflows::new(workflows::Options::default()),
            reconciler: Reconciler::new(Options::default()),
            _tenure: tenure,
            term,
        }
    }

    async fn settle(&mut self) {
        while self
            .workflows
            .tick(&mut self.desk, &self.term)
            .await
            .expect("tick")
            .busy
        {}
    }

    /// One whole walk; what it repaired, and how many steps it took.
    async fn walk(&mut self) -> (usize, usize) {
        let (mut repaired, mut steps) = (0, 0);
        loop {
            let calls = self.ledger.tally().calls;
            let report = self
                .reconciler
                .tick(&mut self.desk, &self.term)
                .await
                .expect("tick");
            assert!(self.ledger.tally().calls - calls <= 4, "a step is bounded");
            repaired += report.repaired;
            steps += 1;
            if report.done {
                return (repaired, steps);
            }
        }
    }
}

#[tokio::test]
async fn nothing_is_repaired_where_nothing_stands_still() {
    let mut hand = Hand::new();
    let ledger = hand.ledger.clone();
    ledger.submit(&graph("a b<a"));
    hand.settle().await;
    for _ in 0..3 {
        assert_eq!(hand.walk().await.0, 0);
    }
}

#[tokio::test]
async fn a_lost_event_is_found_by_the_second_walk() {
    for outcome in [
        TaskOutcome::Skipped {
            reason: "nothing to do".to_owned(),
        },
        TaskOutcome::Cancelled,
    ] {
        let mut hand = Hand::new();
        let ledger = hand.ledger.clone();
        let workflow = ledger.submit(&graph("a? b<a"));
        hand.settle().await;
        ledger.end(
            ledger
                .claim(1)
                .into_iter()
                .map(|job| (job, outcome.clone())),
        );
        ledger.lose_inbox();
        assert_eq!(hand.walk().await.0, 0, "the event may be on its way");
        assert_eq!(hand.walk().await.0, 1);
        assert_eq!(hand.walk().await.0, 0);
        assert_eq!(ledger.claim(9).len(), 1, "b runs");
        assert_eq!(ledger.status(workflow), Some(WorkflowStatus::Running));
    }
}

#[tokio::test]
async fn a_lost_start_and_a_lost_job_are_found() {
    let mut hand = Hand::new();
    let ledger = hand.ledger.clone();
    let workflow = ledger.submit(&graph("a"));
    ledger.lose_inbox();
    hand.walk().await;
    assert_eq!(hand.walk().await.0, 1);
    assert_eq!(ledger.status(workflow), Some(WorkflowStatus::Running));
    let job = ledger.claim(1)[0];
    ledger.lose_job(job);
    hand.walk().await;
    assert_eq!(hand.walk().await.0, 1);
    assert_eq!(ledger.status(workflow), Some(WorkflowStatus::Failed));
    assert_eq!(ledger.parked(), []);
}

#[tokio::test]
async fn a_large_workflow_is_walked_in_steps() {
    let mut hand = Hand::new();
    let ledger = hand.ledger.clone();
    let workflow = ledger.submit(&fan(400));
    hand.settle().await;
    ledger.end(
        ledger
            .claim(1)
            .into_iter()
            .map(|job| (job, TaskOutcome::Cancelled)),
    );
    hand.settle().await;
    assert_eq!(ledger.status(workflow), Some(WorkflowStatus::Failed));

    let workflow = ledger.submit(&fan(400));
    hand.settle().await;
    let well = |job| (job, TaskOutcome::Completed);
    ledger.end(ledger.claim(1).into_iter().map(well));
    hand.settle().await;
    ledger.end(ledger.claim(400).into_iter().map(well));
    ledger.lose_inbox();
    let (_, steps) = hand.walk().await;
    assert!(steps >= 8, "{steps} steps");
    assert_eq!(hand.walk().await.0, 400);
    hand.settle().await;
    ledger.end(ledger.claim(1).into_iter().map(well));
    hand.settle().await;
    assert_eq!(ledger.status(workflow), Some(WorkflowStatus::Completed));
}
