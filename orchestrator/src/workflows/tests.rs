mod chaos;
#[expect(clippy::print_stdout, reason = "the figures are for whoever runs it")]
mod scale;
mod whole;

use std::sync::Arc;
use std::time::Duration;

use paceline_types::{JobId, WorkflowDefinition, WorkflowId, WorkflowStatus};
use tokio::time::Instant;

use super::*;
use crate::graph::{fan, graph, layered};
use crate::memory::{Fault, MemoryLedger};
use crate::ports::TaskOutcome;
use crate::term::Tenure;

/// One leader's services on a ledger.
struct Hand {
    ledger: Arc<MemoryLedger>,
    desk: Desk<MemoryLedger>,
    workflows: Workflows,
    _tenure: Tenure,
    term: Term,
}

impl Hand {
    fn new(ledger: &Arc<MemoryLedger>, number: u64) -> Hand {
        let (tenure, term) = Tenure::begin(number, Instant::now() + Duration::from_secs(3_600));
        Hand {
            ledger: ledger.clone(),
            desk: Desk::new(ledger.clone(), DEFAULT_CACHE_BYTES),
            workflows: Workflows::new(Options::default()),
            _tenure: tenure,
            term,
        }
    }

    async fn tick(&mut self) -> Result<Report, LedgerError> {
        self.workflows.tick(&mut self.desk, &self.term).await
    }

    /// Ticks until nothing is left to do; sums up the answers.
    async fn settle(&mut self) -> Answers {
        let mut sum = Answers::default();
        loop {
            let report = self.tick().await.expect("tick");
            sum.applied += report.answers.applied;
            sum.late += report.answers.late;
            sum.impossible += report.answers.impossible;
            sum.stale += report.answers.stale;
            if !report.busy && self.ledger.inbox_len() == 0 {
                return sum;
            }
        }
    }

    async fn settle_or_fail(&mut self) -> Result<(), LedgerError> {
        while self.tick().await?.busy {}
        Ok(())
    }

    /// Runs everything to its end, with workers that end up to 100 jobs in one go.
    async fn finish(&mut self) -> Answers {
        let mut sum = Answers::default();
        loop {
            let answers = self.settle().await;
            sum.applied += answers.applied;
            sum.late += answers.late;
            sum.impossible += answers.impossible;
            let claimed = self.ledger.claim(100);
            if claimed.is_empty() {
                return sum;
            }
            well(&self.ledger, claimed);
        }
    }
}

fn well(ledger: &MemoryLedger, jobs: impl IntoIterator<Item = JobId>) {
    ledger.end(jobs.into_iter().map(|job| (job, TaskOutcome::Completed)));
}

fn ledger() -> Arc<MemoryLedger> {
    Arc::new(MemoryLedger::new())
}

fn each_event_once(ledger: &MemoryLedger, workflow: WorkflowId) {
    let mut log = ledger.log(workflow);
    let told = log.len();
    log.sort_unstable();
    log.dedup();
    assert_eq!(log.len(), told, "an event was told twice");
}

#[tokio::test]
async fn one_call_reads_commits_and_reads_ahead() {
    let ledger = ledger();
    let mut hand = Hand::new(&ledger, 1);
    hand.settle().await;
    for _ in 0..10 {
        ledger.submit(&graph("a"));
    }
    let before = ledger.tally();
    let report = hand.tick().await.expect("tick");
    assert_eq!((report.answers.applied, report.busy), (10, false));
    let after = ledger.tally();
    // Read the inbox, load ten instances, commit ten starts.
    assert_eq!(
        (after.calls - before.calls, after.turns - before.turns),
        (3, 1)
    );

    well(&ledger, ledger.claim(4));
    well(&ledger, ledger.claim(6));
    let before = ledger.tally();
    let report = hand.tick().await.expect("tick");
    assert_eq!(report.answers.applied, 10);
    assert_eq!(
        ledger.tally().calls - before.calls,
        2,
        "the instances are cached"
    );
    assert_eq!(ledger.inbox_len(), 0);
}

#[tokio::test]
async fn everything_delivered_twice_changes_nothing() {
    for definition in [
        graph("a b<a c<a d<b,c"),
        graph("@1m a b? c<b"),
        fan(300),
        layered(10, 10),
    ] {
        let ledger = ledger();
        ledger.repeat_deliveries();
        let mut hand = Hand::new(&ledger, 1);
        let workflow = ledger.submit(&definition);
        let answers = hand.finish().await;
        assert_eq!(ledger.status(workflow), Some(WorkflowStatus::Completed));
        let tasks = definition.tasks.len();
        assert_eq!(
            (answers.applied, answers.late, answers.impossible),
            (tasks + 1, tasks + 1, 0)
        );
        assert_eq!(ledger.tally().dispatches, tasks as u64);
        each_event_once(&ledger, workflow);
    }
}

#[tokio::test]
async fn a_leader_that_fails_at_any_commit_loses_and_doubles_nothing() {
    let definition = graph("a b<a c?<a d<b,c e f<e");
    for fault in [Fault::Before, Fault::After] {
        // One commit for the start, and one for the end of each task.
        for place in 0..7 {
            let ledger = ledger();
            let workflow = ledger.submit(&definition);
            let mut number = 1;
            let mut hand = Hand::new(&ledger, number);
            let mut commits = 0;
            loop {
                let turns = ledger.tally().turns;
                if commits == place {
                    ledger.fail_commit(fault);
                    commits += 1;
                }
                match hand.tick().await {
                    Ok(report) if !report.busy && ledger.inbox_len() == 0 => {
                        let claimed = ledger.claim(1);
                        if claimed.is_empty() {
                            break;
                        }
                        well(&ledger, claimed);
                    }
                    Ok(_) => {}
                    Err(_) => {
                        // The next leader knows nothing of this one.
                        number += 1;
                        hand = Hand::new(&ledger, number);
                    }
                }
                commits += usize::from(ledger.tally().turns > turns);
            }
            assert_eq!(number, 2, "the fault was met: {fault:?} {place}");
            assert_eq!(ledger.status(workflow), Some(WorkflowStatus::Completed));
            assert_eq!(ledger.tally().dispatches, 6);
            each_event_once(&ledger, workflow);
        }
    }
}

#[tokio::test]
async fn a_leader_whose_reply_is_lost_goes_on_by_itself() {
    let ledger = ledger();
    let mut hand = Hand::new(&ledger, 1);
    let workflow = ledger.submit(&graph("a b<a c<b"));
    for fault in [Fault::After, Fault::Before, Fault::After, Fault::After] {
        ledger.fail_commit(fault);
        assert!(hand.tick().await.is_err());
        hand.settle().await;
        well(&ledger, ledger.claim(1));
    }
    hand.finish().await;
    assert_eq!(ledger.status(workflow), Some(WorkflowStatus::Completed));
    each_event_once(&ledger, workflow);
}

#[tokio::test]
async fn two_leaders_are_as_good_as_one() {
    let ledger = ledger();
    let workflow = ledger.submit(&graph("a b<a c<b"));
    let mut old = Hand::new(&ledger, 1);
    old.settle().await;
    well(&ledger, ledger.claim(1));
    let mut new = Hand::new(&ledger, 2);
    new.settle().await;
    well(&ledger, ledger.claim(1));
    let turns = ledger.tally().turns;
    let refused = old.tick().await.expect_err("fenced");
    assert!(matches!(refused, LedgerError::Fenced { newest: 2 }));
    assert_eq!((ledger.tally().turns, ledger.tally().fenced), (turns, 1));
    new.finish().await;
    assert_eq!(ledger.status(workflow), Some(WorkflowStatus::Completed));
    each_event_once(&ledger, workflow);
}

#[tokio::test]
async fn an_instance_that_changed_is_loaded_again() {
    let ledger = ledger();
    let workflow = ledger.submit(&graph("a b"));
    let mut hand = Hand::new(&ledger, 1);
    hand.settle().await;
    ledger.touch(workflow);
    well(&ledger, ledger.claim(2));
    let report = hand.tick().await.expect("tick");
    assert_eq!((report.answers.stale, report.busy), (1, true));
    assert_eq!(ledger.inbox_len(), 1);
    hand.settle().await;
    assert_eq!(ledger.status(workflow), Some(WorkflowStatus::Completed));
}

/// Row 66, W7.
#[tokio::test]
async fn an_impossible_event_is_parked_and_holds_nothing_up() {
    let ledger = ledger();
    let (broken, healthy) = (ledger.submit(&graph("a")), ledger.submit(&graph("a b<a")));
    let mut hand = Hand::new(&ledger, 1);
    ledger.break_definition(broken);
    ledger.deliver(vec![InboxItem::Unreadable {
        text: "\u{1}".to_owned(),
        problem: "not an item".to_owned(),
    }]);
    let never = JobId::of_task(healthy, 1, 0);
    ledger.deliver(vec![InboxItem::TaskEnded {
        workflow: healthy,
        task: "b".parse().expect("name"),
        iteration: 0,
        attempt: 1,
        job: never,
        outcome: TaskOutcome::Cancelled,
    }]);
    let answers = hand.finish().await;
    assert_eq!(answers.impossible, 3);
    let reasons: Vec<String> = ledger
        .parked()
        .into_iter()
        .map(|parked| parked.reason)
        .collect();
    assert_eq!(reasons.len(), 3);
    assert!(
        reasons
            .iter()
            .any(|reason| reason.starts_with("the kept definition is broken"))
    );
    assert!(
        reasons
            .iter()
            .any(|reason| reason == "task b was never dispatched")
    );
    assert!(reasons.iter().any(|reason| reason == "not an item"));
    assert_eq!(ledger.status(healthy), Some(WorkflowStatus::Completed));
    assert_eq!(ledger.status(broken), Some(WorkflowStatus::Pending));
}

/// Row 66, W7.
#[tokio::test]
async fn an_event_that_the_ledger_cannot_take_is_parked_in_the_end() {
    let ledger = ledger();
    let before = ledger.submit(&graph("a"));
    let poisoned = ledger.submit(&graph("a"));
    let after = ledger.submit(&graph("a"));
    ledger.poison(poisoned);
    let mut hand = Hand::new(&ledger, 1);
    let mut failures = 0;
    while ledger.inbox_len() > 0 {
        failures += u32::from(hand.tick().await.is_err());
        assert!(failures <= PATIENCE + 1, "it holds up the inbox for ever");
    }
    assert_eq!(failures, PATIENCE + 1);
    for healthy in [before, after] {
        assert_eq!(ledger.status(healthy), Some(WorkflowStatus::Running));
    }
    let parked = ledger.parked();
    assert_eq!((parked.len(), parked[0].workflow), (1, Some(poisoned)));
}

#[tokio::test]
async fn an_outage_parks_nothing() {
    // It may be over at any moment.
    for rounds in 1..=20 {
        let ledger = ledger();
        let workflow = ledger.submit(&graph("a"));
        let mut hand = Hand::new(&ledger, 1);
        for round in 0..rounds {
            let down = round % 3 == 0;
            ledger.set_down(down);
            if !down {
                ledger.fail_commit(Fault::Before);
            }
            assert!(hand.tick().await.is_err());
        }
        ledger.set_down(false);
        while hand.settle_or_fail().await.is_err() {}
        assert_eq!(ledger.status(workflow), Some(WorkflowStatus::Running));
        assert_eq!(ledger.parked(), [], "after {rounds} rounds");
    }
}

#[tokio::test]
async fn a_backlog_that_the_ledger_cannot_take_holds_nothing_up() {
    let ledger = ledger();
    let large = [ledger.submit(&fan(300)), ledger.submit(&fan(300))];
    let mut hand = Hand::new(&ledger, 1);
    hand.settle().await;
    well(&ledger, ledger.claim(2));
    hand.tick().await.expect("tick");
    ledger.poison(large[0]);
    for _ in 0..100 {
        // Some fail: those with the poisoned instance.
        let _ = hand.tick().await;
    }
    let (_, records) = ledger.kept(large[1]).expect("kept");
    assert_eq!(
        records.len(),
        301,
        "all of the other one's tasks are dispatched"
    );
}

#[tokio::test]
async fn events_for_what_is_gone_are_late() {
    let ledger = ledger();
    let workflow = WorkflowId::from_parts(1, paceline_types::ShardIndex(0), 77);
    ledger.cancel(workflow, "");
    let answers = Hand::new(&ledger, 1).settle().await;
    assert_eq!(
        (answers.late, ledger.inbox_len(), ledger.parked().len()),
        (1, 0, 0)
    );
}

#[tokio::test]
async fn a_cancelled_workflow_ends_when_its_running_jobs_have() {
    let ledger = ledger();
    let workflow = ledger.submit(&fan(250));
    let mut hand = Hand::new(&ledger, 1);
    hand.settle().await;
    well(&ledger, ledger.claim(1));
    hand.settle().await;
    let running = ledger.claim(3);
    ledger.cancel(workflow, "enough");
    hand.settle().await;
    assert_eq!(ledger.status(workflow), Some(WorkflowStatus::Running));
    assert_eq!(ledger.claim(1), [], "what waited is cancelled");
    ledger.end(running.into_iter().map(|job| (job, TaskOutcome::Cancelled)));
    hand.settle().await;
    assert_eq!(ledger.status(workflow), Some(WorkflowStatus::Cancelled));
    assert_eq!(ledger.tally().cancels, 250);
    each_event_once(&ledger, workflow);
}

#[tokio::test]
async fn a_leader_takes_up_what_the_one_before_left_over() {
    let ledger = ledger();
    let workflow = ledger.submit(&fan(400));
    let mut first = Hand::new(&ledger, 1);
    first.settle().await;
    well(&ledger, ledger.claim(1));
    first.tick().await.expect("tick");
    assert!(ledger.tally().dispatches < 400 && ledger.inbox_len() == 0);
    let mut second = Hand::new(&ledger, 2);
    second.finish().await;
    assert_eq!(ledger.status(workflow), Some(WorkflowStatus::Completed));
    assert_eq!(ledger.tally().dispatches, 402);
}

#[tokio::test]
async fn a_large_fan_out_does_not_hold_up_the_others() {
    let ledger = ledger();
    let large = ledger.submit(&fan(5_000));
    let mut hand = Hand::new(&ledger, 1);
    hand.settle().await;
    well(&ledger, ledger.claim(1));
    hand.tick().await.expect("tick");
    let small = ledger.submit(&graph("a"));
    hand.tick().await.expect("tick");
    assert_eq!(
        ledger.status(small),
        Some(WorkflowStatus::Running),
        "within one turn"
    );
    hand.finish().await;
    assert_eq!(ledger.status(large), Some(WorkflowStatus::Completed));
}

/// Calls, turns and records of a run, for each task.
async fn cost(definition: &WorkflowDefinition) -> [f64; 3] {
    let ledger = ledger();
    let mut hand = Hand::new(&ledger, 1);
    let workflow = ledger.submit(definition);
    hand.finish().await;
    assert_eq!(ledger.status(workflow), Some(WorkflowStatus::Completed));
    let (tally, tasks) = (ledger.tally(), definition.tasks.len() as f64);
    assert_eq!(tally.dispatches, definition.tasks.len() as u64);
    assert_eq!(tally.headers, 2);
    [tally.calls, tally.turns, tally.records].map(|count| count as f64 / tasks)
}

#[tokio::test]
async fn a_workflow_of_10_000_tasks_costs_the_same_per_task_as_one_of_100() {
    for (small, large) in [(layered(100, 2), layered(100, 100)), (fan(998), fan(9_998))] {
        let (small, large) = (cost(&small).await, cost(&large).await);
        for (small, large) in small.into_iter().zip(large) {
            assert!(large <= small * 1.2, "{small} for each task became {large}");
        }
        assert!(
            large[0] < 0.1,
            "a hundred tasks take a few calls: {large:?}"
        );
    }
}

#[tokio::test]
async fn a_thousand_workflows_share_their_calls() {
    let ledger = ledger();
    let mut hand = Hand::new(&ledger, 1);
    let workflows: Vec<_> = (0..1_000)
        .map(|_| ledger.submit(&graph("a b<a c<b")))
        .collect();
    hand.finish().await;
    for workflow in workflows {
        assert_eq!(ledger.status(workflow), Some(WorkflowStatus::Completed));
    }
    assert!(ledger.tally().turns < 200, "{:?}", ledger.tally());
}
