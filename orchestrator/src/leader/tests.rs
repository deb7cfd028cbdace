mod posts;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use paceline_types::{NodeId, ShardIndex, WorkflowStatus};
use tokio::sync::{Notify, oneshot};

use super::*;
use crate::graph::graph;
use crate::memory::MemoryLedger;
use crate::ports::TaskOutcome;
use crate::term::Tenure;

const LEASE: Duration = Duration::from_secs(3_600);

/// A bell that the test rings.
#[derive(Clone, Default)]
struct TestBell {
    ring: Arc<Notify>,
}

impl Bell for TestBell {
    async fn wait(&mut self, at_most: Duration) -> bool {
        tokio::time::timeout(at_most, self.ring.notified())
            .await
            .is_ok()
    }
}

/// A leader that runs beside the test, and the test's hands on it.
struct Running {
    ledger: Arc<MemoryLedger>,
    ring: Arc<Notify>,
    tenure: Option<Tenure>,
    stop: oneshot::Sender<()>,
    leader: tokio::task::JoinHandle<Stopped>,
}

fn start(ledger: &Arc<MemoryLedger>, number: u64) -> Running {
    let bell = TestBell::default();
    let (tenure, term) = Tenure::begin(number, Instant::now() + LEASE);
    let (stop, stopped) = oneshot::channel::<()>();
    let leader = Leader::new(ledger.clone(), bell.clone(), Options::default());
    let shutdown = async {
        let _ = stopped.await;
    };
    Running {
        ledger: ledger.clone(),
        ring: bell.ring,
        tenure: Some(tenure),
        stop,
        leader: tokio::spawn(leader.run(term, shutdown)),
    }
}

impl Running {
    async fn stop(self) -> Stopped {
        // The leader may have stopped by itself.
        let _ = self.stop.send(());
        self.leader.await.expect("the leader panicked")
    }
}

/// Lets everything run that needs no time.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

/// Winds the clock of the test, which is paused, and lets everything run that is due by then.
async fn wind(time: Duration) {
    tokio::time::sleep(time).await;
}

#[tokio::test(start_paused = true)]
async fn a_ring_is_answered_at_once() {
    let ledger = Arc::new(MemoryLedger::new());
    let running = start(&ledger, 1);
    settle().await;
    let begun = Instant::now();
    let workflow = ledger.submit(&graph("a b<a"));
    for _ in 0..2 {
        running.ring.notify_one();
        settle().await;
        let jobs = ledger.claim(10);
        assert_eq!(jobs.len(), 1);
        ledger.end(jobs.into_iter().map(|job| (job, TaskOutcome::Completed)));
    }
    running.ring.notify_one();
    settle().await;
    assert_eq!(ledger.status(workflow), Some(WorkflowStatus::Completed));
    assert!(begun.elapsed() < Duration::from_millis(10));
    assert_eq!(running.stop().await, Stopped::Shutdown);
}

#[tokio::test(start_paused = true)]
async fn an_idle_leader_costs_one_call_a_second() {
    let ledger = Arc::new(MemoryLedger::new());
    let running = start(&ledger, 1);
    settle().await;
    let before = ledger.tally().calls;
    tokio::time::sleep(Duration::from_secs(300)).await;
    let calls = ledger.tally().calls - before;
    // A survey each second, and a short walk of the reconciler each half minute.
    assert!((300..=340).contains(&calls), "{calls}");
    assert_eq!(running.stop().await, Stopped::Shutdown);
}

#[tokio::test(start_paused = true)]
async fn a_sweep_of_lanes_does_not_wait_between_its_steps() {
    let ledger = Arc::new(MemoryLedger::new());
    let running = start(&ledger, 1);
    ledger.litter(1_000);
    let workflow = ledger.submit(&graph("a"));
    tokio::time::sleep(DEFAULT_RECONCILE_EVERY + Duration::from_secs(2)).await;
    assert_eq!(ledger.litter_left(), 0);
    // It ends: the walk after it comes in its time, and the others had theirs.
    let before = ledger.tally().calls;
    tokio::time::sleep(DEFAULT_RECONCILE_EVERY / 2).await;
    assert!(ledger.tally().calls - before < 40);
    assert_eq!(ledger.status(workflow), Some(WorkflowStatus::Running));
    assert_eq!(running.stop().await, Stopped::Shutdown);
}

#[tokio::test(start_paused = true)]
async fn what_nobody_rings_for_is_found_by_the_survey() {
    let ledger = Arc::new(MemoryLedger::new());
    let running = start(&ledger, 1);
    settle().await;
    let workflow = ledger.submit(&graph("@5s a"));
    ledger.delay(Duration::ZERO);
    ledger.arm(Duration::ZERO);
    ledger.arm(Duration::from_secs(5));
    ledger.collect(Duration::ZERO);
    ledger.age(250);
    ledger.register(NodeId::from_parts(1, ShardIndex(0), 1), Duration::ZERO, 250);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(ledger.status(workflow), Some(WorkflowStatus::Running));
    ledger.pass(Duration::from_secs(5));
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(ledger.status(workflow), Some(WorkflowStatus::Failed));
    assert!(
        ledger
            .log(workflow)
            .contains(&"workflow.timed_out".to_owned())
    );
    let (_tenure, term) = Tenure::begin(1, Instant::now() + LEASE);
    let survey = crate::ports::Overview::survey(&*ledger, &term)
        .await
        .expect("survey");
    assert_eq!(
        survey,
        crate::ports::Survey::default(),
        "nothing is left to do"
    );
    assert_eq!(running.stop().await, Stopped::Shutdown);
}

#[tokio::test(start_paused = true)]
async fn delayed_work_that_rings_is_moved_when_it_is_due() {
    let ledger = Arc::new(MemoryLedger::new());
    let running = start(&ledger, 1);
    tokio::time::sleep(Duration::from_millis(500)).await;
    ledger.delay(Duration::from_millis(100));
    running.ring.notify_one();
    settle().await;
    ledger.pass(Duration::from_millis(100));
    tokio::time::sleep(Duration::from_millis(125)).await;
    let (_tenure, term) = Tenure::begin(1, Instant::now() + LEASE);
    let survey = crate::ports::Overview::survey(&*ledger, &term)
        .await
        .expect("survey");
    assert_eq!(survey.next_due_in, None);
    assert_eq!(running.stop().await, Stopped::Shutdown);
}

#[tokio::test(start_paused = true)]
async fn a_group_is_flushed_when_it_is_due_without_being_asked_for_before() {
    let ledger = Arc::new(MemoryLedger::new());
    ledger.collect(Duration::from_secs(30));
    let running = start(&ledger, 1);
    settle().await;
    let before = ledger.tally().calls;
    tokio::time::sleep(Duration::from_millis(29_500)).await;
    ledger.pass(Duration::from_secs(30));
    let calls = ledger.tally().calls - before;
    assert!(
        calls <= 31,
        "{calls} calls, and a survey each second is enough"
    );
    tokio::time::sleep(Duration::from_millis(600)).await;
    let (_tenure, term) = Tenure::begin(1, Instant::now() + LEASE);
    let survey = crate::ports::Overview::survey(&*ledger, &term)
        .await
        .expect("survey");
    assert_eq!(survey.next_group_in, None);
    assert_eq!(running.stop().await, Stopped::Shutdown);
}

#[tokio::test(start_paused = true)]
async fn a_leader_stops_when_its_term_ends() {
    let ledger = Arc::new(MemoryLedger::new());
    let mut running = start(&ledger, 1);
    settle().await;
    running.tenure = None;
    settle().await;
    assert_eq!(running.leader.await.expect("leader"), Stopped::TermLost);

    let running = start(&ledger, 2);
    tokio::time::sleep(LEASE + Duration::from_secs(1)).await;
    assert_eq!(running.leader.await.expect("leader"), Stopped::TermLost);
}

#[tokio::test(start_paused = true)]
async fn an_older_leader_is_fenced_and_stops() {
    let ledger = Arc::new(MemoryLedger::new());
    let old = start(&ledger, 1);
    settle().await;
    let new = start(&ledger, 2);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(
        old.leader.await.expect("leader"),
        Stopped::Fenced { newest: 2 }
    );
    assert!(ledger.tally().fenced > 0);
    assert_eq!(new.stop().await, Stopped::Shutdown);
}

#[tokio::test(start_paused = true)]
async fn a_leader_goes_on_after_an_outage() {
    let ledger = Arc::new(MemoryLedger::new());
    let running = start(&ledger, 1);
    settle().await;
    ledger.set_down(true);
    let workflow = running.ledger.submit(&graph("a"));
    running.ring.notify_one();
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(ledger.status(workflow), Some(WorkflowStatus::Pending));
    let calls = ledger.tally().calls;
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(ledger.tally().calls - calls < 100, "it does not hammer");
    ledger.set_down(false);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(ledger.status(workflow), Some(WorkflowStatus::Running));
    assert_eq!(running.stop().await, Stopped::Shutdown);
}

#[tokio::test(start_paused = true)]
async fn others_run_while_the_leader_has_a_backlog() {
    let ledger = Arc::new(MemoryLedger::new());
    ledger.submit(&crate::graph::fan(9_998));
    let running = start(&ledger, 1);
    let seen = Arc::new(AtomicBool::new(false));
    let flag = seen.clone();
    tokio::spawn(async move { flag.store(true, Ordering::Relaxed) });
    settle().await;
    assert!(seen.load(Ordering::Relaxed));
    assert_eq!(running.stop().await, Stopped::Shutdown);
}
