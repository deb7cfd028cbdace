//! What callers want, of which the inbox never told: each is found by the second walk, from the record.

use bytes::Bytes;
use paceline_types::{JobId, SignalName, WorkflowId, WorkflowStatus};
use serde_json::{Value, json};

use super::lost::{play, walk_twice};
use crate::memory::MemoryLedger;
use crate::ports::InboxItem;
use crate::theatre::{Troupe, check_over, work};

fn signal(name: &str) -> SignalName {
    SignalName::new(name).expect("name")
}

fn count(ledger: &MemoryLedger, workflow: WorkflowId, told: &str) -> usize {
    let log = ledger.log(workflow);
    log.iter().filter(|line| line.starts_with(told)).count()
}

/// Two tasks, the second of which waits for a signal.
fn patient() -> Value {
    json!({"name": "patient", "tasks": [
        {"name": "a", "task_type": "t"},
        {"name": "go", "type": "signal", "depends_on": ["a"]},
        {"name": "b", "type": "signal", "depends_on": ["go"]},
    ]})
}

/// A task that fails at first.
fn unlucky() -> Value {
    json!({"name": "unlucky", "hooks": {"on_exit": {"task_type": "h"}}, "tasks": [
        {"name": "a", "task_type": "t", "payload": {"answers": [{"dead": "x"}, {"ok": 1}]}},
        {"name": "b", "task_type": "t", "depends_on": ["a"]},
    ]})
}

/// Lets it fail, its hook included.
async fn fail(ledger: &MemoryLedger, workflow: WorkflowId, troupe: &mut Troupe) {
    for _ in 0..2 {
        troupe.settle().await.expect("settled");
        work(ledger, ledger.claim(9));
    }
    troupe.settle().await.expect("settled");
    assert_eq!(ledger.status(workflow), Some(WorkflowStatus::Failed));
    assert!(ledger.retired(workflow));
}

async fn nothing_is_left_to_find(ledger: &MemoryLedger, troupe: &mut Troupe) {
    for _ in 0..3 {
        assert_eq!(troupe.walk().await, 0, "nothing is wrong any more");
    }
    assert_eq!(ledger.parked(), []);
}

/// Row 86.
#[tokio::test]
async fn a_cancellation_that_was_never_heard_of_is_found() {
    let (ledger, workflow, mut troupe) = play(&patient());
    troupe.settle().await.expect("settled");
    let running = ledger.claim(1);
    ledger.cancel(workflow, "enough");
    ledger.lose_inbox();
    assert_eq!(walk_twice(&mut troupe).await, 1);
    // It waits for what runs, and is cancelled no second time.
    nothing_is_left_to_find(&ledger, &mut troupe).await;
    work(&ledger, running);
    troupe.finish().await;
    check_over(&ledger);
    assert_eq!(ledger.status(workflow), Some(WorkflowStatus::Cancelled));
    let (header, _) = ledger.kept(workflow).expect("kept");
    let ending = header.stage.ending().expect("it ended").to_string();
    assert!(ending.contains("enough"), "{ending}");
}

/// Rows 84 and 86: one that rests is not tried again.
#[tokio::test]
async fn a_cancellation_of_what_rests_is_found() {
    let mut resting = unlucky();
    resting["retry_policy"] = json!({"max_attempts": 3, "initial_delay": 1_000_000_000});
    let (ledger, workflow, mut troupe) = play(&resting);
    troupe.settle().await.expect("settled");
    work(&ledger, ledger.claim(1));
    troupe.settle().await.expect("settled");
    ledger.cancel(workflow, "enough");
    ledger.lose_inbox();
    assert_eq!(walk_twice(&mut troupe).await, 1);
    troupe.finish().await;
    check_over(&ledger);
    assert_eq!(ledger.status(workflow), Some(WorkflowStatus::Cancelled));
}

/// Row 86: what is to be cancelled is not started first.
#[tokio::test]
async fn a_start_and_a_cancellation_that_were_never_heard_of_are_one() {
    let (ledger, workflow, mut troupe) = play(&patient());
    ledger.cancel(workflow, "enough");
    ledger.lose_inbox();
    assert_eq!(walk_twice(&mut troupe).await, 1);
    troupe.finish().await;
    check_over(&ledger);
    assert_eq!(ledger.status(workflow), Some(WorkflowStatus::Cancelled));
    assert_eq!(ledger.tally().dispatches, 0);
}

/// Row 86: one that comes while it fails, and would not be tried again, is late.
#[tokio::test]
async fn a_cancellation_that_comes_late_is_left_alone() {
    let (ledger, workflow, mut troupe) = play(&json!({"name": "w", "tasks": [
        {"name": "a", "task_type": "t", "payload": {"answers": [{"dead": "x"}]}},
        {"name": "b", "task_type": "t"},
    ]}));
    troupe.settle().await.expect("settled");
    let running = ledger.claim(2);
    work(&ledger, [running[0]]);
    troupe.settle().await.expect("settled");
    ledger.cancel(workflow, "enough");
    ledger.lose_inbox();
    nothing_is_left_to_find(&ledger, &mut troupe).await;
    work(&ledger, [running[1]]);
    troupe.finish().await;
    check_over(&ledger);
    assert_eq!(ledger.status(workflow), Some(WorkflowStatus::Failed));
}

/// Rows 82 and 83: in their order, also with some that were heard of between them.
#[tokio::test]
async fn signals_that_were_never_heard_of_are_found() {
    let (ledger, workflow, mut troupe) = play(&patient());
    troupe.settle().await.expect("settled");
    work(&ledger, ledger.claim(1));
    troupe.settle().await.expect("settled");
    for n in 1..=2 {
        assert!(ledger.signal(workflow, &signal("go"), Bytes::from(n.to_string())));
    }
    ledger.lose_inbox();
    assert_eq!(walk_twice(&mut troupe).await, 2);
    let go = JobId::of_task(workflow, 1, 0);
    assert_eq!(ledger.result(go).as_deref(), Some(&b"1"[..]));
    assert_eq!(ledger.pending_signals(workflow), 1);
    nothing_is_left_to_find(&ledger, &mut troupe).await;

    // The entry of the one is lost, that of a later one is not.
    assert!(ledger.signal(workflow, &signal("b"), Bytes::from_static(b"7")));
    ledger.lose_inbox();
    assert!(ledger.signal(workflow, &signal("other"), Bytes::from_static(b"8")));
    troupe.settle().await.expect("settled");
    assert_eq!(ledger.status(workflow), Some(WorkflowStatus::Running));
    troupe.walk().await;
    troupe.finish().await;
    check_over(&ledger);
    assert_eq!(ledger.status(workflow), Some(WorkflowStatus::Completed));
    let b = JobId::of_task(workflow, 2, 0);
    assert_eq!(ledger.result(b).as_deref(), Some(&b"7"[..]));
}

/// More than one turn takes.
#[tokio::test]
async fn however_many_signals_were_never_heard_of_they_are_found() {
    let (ledger, workflow, mut troupe) = play(&patient());
    troupe.settle().await.expect("settled");
    work(&ledger, ledger.claim(1));
    troupe.settle().await.expect("settled");
    for _ in 0..250 {
        assert!(ledger.signal(workflow, &signal("other"), Bytes::from_static(b"0")));
    }
    assert!(ledger.signal(workflow, &signal("go"), Bytes::from_static(b"1")));
    ledger.lose_inbox();
    let mut found = walk_twice(&mut troupe).await;
    for _ in 0..2 {
        assert_eq!(ledger.status(workflow), Some(WorkflowStatus::Running));
        found += troupe.walk().await;
    }
    assert_eq!(found, 251);
    nothing_is_left_to_find(&ledger, &mut troupe).await;
    assert_eq!(count(&ledger, workflow, "workflow.task.completed go"), 1);
}

/// Row 87: what failed is tried again, once.
#[tokio::test]
async fn a_retry_that_was_never_heard_of_is_found() {
    let (ledger, workflow, mut troupe) = play(&unlucky());
    fail(&ledger, workflow, &mut troupe).await;
    assert!(ledger.retry(workflow));
    ledger.lose_inbox();
    assert_eq!(walk_twice(&mut troupe).await, 1);
    nothing_is_left_to_find(&ledger, &mut troupe).await;
    troupe.finish().await;
    check_over(&ledger);
    assert_eq!(ledger.status(workflow), Some(WorkflowStatus::Completed));
    assert_eq!(count(&ledger, workflow, "workflow.retrying"), 1);
}

/// Row 87: its entry may come after all, when the workflow has failed once more.
#[tokio::test]
async fn a_retry_that_was_found_is_not_heard_of_again() {
    let mut always = unlucky();
    always["tasks"][0]["payload"] = json!({"answers": [{"dead": "x"}]});
    let (ledger, workflow, mut troupe) = play(&always);
    fail(&ledger, workflow, &mut troupe).await;
    assert!(ledger.retry(workflow));
    ledger.lose_inbox();
    assert_eq!(walk_twice(&mut troupe).await, 1);
    fail(&ledger, workflow, &mut troupe).await;
    ledger.deliver(vec![InboxItem::Retry { workflow }]);
    troupe.finish().await;
    check_over(&ledger);
    assert_eq!(count(&ledger, workflow, "workflow.retrying"), 1);
}

/// Rows 86 and 87: a cancellation behind it is found next.
#[tokio::test]
async fn a_retry_and_a_cancellation_that_were_never_heard_of_are_found() {
    let (ledger, workflow, mut troupe) = play(&unlucky());
    fail(&ledger, workflow, &mut troupe).await;
    assert!(ledger.retry(workflow));
    ledger.cancel(workflow, "enough");
    ledger.lose_inbox();
    assert_eq!(walk_twice(&mut troupe).await, 1);
    assert_eq!(walk_twice(&mut troupe).await, 1);
    troupe.finish().await;
    check_over(&ledger);
    assert_eq!(ledger.status(workflow), Some(WorkflowStatus::Cancelled));
}

/// Whoever is cancelled before a retry has nothing to fear of the words from before it.
#[tokio::test]
async fn a_cancellation_from_before_a_retry_is_over() {
    let (ledger, workflow, mut troupe) = play(&patient());
    troupe.settle().await.expect("settled");
    ledger.cancel(workflow, "enough");
    troupe.finish().await;
    assert_eq!(ledger.status(workflow), Some(WorkflowStatus::Cancelled));
    assert!(ledger.retry(workflow));
    troupe.settle().await.expect("settled");
    nothing_is_left_to_find(&ledger, &mut troupe).await;
    assert_eq!(ledger.status(workflow), Some(WorkflowStatus::Running));
}

/// Row 85.
#[tokio::test]
async fn a_resumption_that_was_never_heard_of_is_found() {
    let (ledger, workflow, mut troupe) = play(&json!({"name": "w", "tasks": [
        {"name": "a", "task_type": "t"},
        {"name": "b", "task_type": "t", "depends_on": ["a"]},
    ]}));
    troupe.settle().await.expect("settled");
    assert!(ledger.suspend(workflow));
    ledger.lose_inbox();
    work(&ledger, ledger.claim(1));
    troupe.settle().await.expect("settled");
    assert_eq!(
        ledger.claim(1),
        [],
        "whoever was not told of it holds to it"
    );
    troupe.walk().await;
    assert!(ledger.resume(workflow));
    ledger.lose_inbox();
    troupe.settle().await.expect("settled");
    troupe.walk().await;
    troupe.finish().await;
    check_over(&ledger);
    assert_eq!(ledger.status(workflow), Some(WorkflowStatus::Completed));
}

/// A walk of what is as it should be loads nothing.
#[tokio::test]
async fn what_lacks_nothing_is_not_loaded_again() {
    let (ledger, workflow, mut troupe) = play(&patient());
    troupe.settle().await.expect("settled");
    work(&ledger, ledger.claim(1));
    assert!(ledger.signal(workflow, &signal("other"), Bytes::from_static(b"0")));
    assert!(ledger.suspend(workflow));
    troupe.settle().await.expect("settled");
    troupe.walk().await;
    let before = ledger.tally().calls;
    troupe.walk().await;
    // A page and what is wanted of it, the batches, the lanes.
    assert_eq!(ledger.tally().calls - before, 4);
}
