//! Children and alarms under the leader's loop.

use paceline_types::WorkflowId;
use serde_json::json;

use super::*;
use crate::theatre::{definition, work};

fn family() -> paceline_types::WorkflowDefinition {
    let child = json!({"name": "child", "tasks": [{"name": "c", "task_type": "t"}]});
    definition(&json!({"name": "parent", "tasks": [
        {"name": "one", "child_workflow_def": child},
        {"name": "two", "child_workflow_def": child},
    ]}))
}

fn children(ledger: &MemoryLedger) -> Vec<WorkflowId> {
    let workflows = ledger.workflows().into_iter();
    let children = workflows.filter(|(_, origin)| origin.is_some());
    children.map(|(id, _)| id).collect()
}

/// Row 74: what a commit posts is delivered at once, without a survey.
#[tokio::test(start_paused = true)]
async fn children_are_made_and_parents_told_at_once() {
    let ledger = Arc::new(MemoryLedger::new());
    let running = start(&ledger, 1);
    settle().await;
    let begun = Instant::now();
    let workflow = ledger.submit(&family());
    running.ring.notify_one();
    settle().await;
    assert_eq!(children(&ledger).len(), 2);
    // Where a post is delivered, the bell rings.
    running.ring.notify_one();
    settle().await;
    work(&ledger, ledger.claim(9));
    running.ring.notify_one();
    settle().await;
    running.ring.notify_one();
    settle().await;
    assert_eq!(ledger.status(workflow), Some(WorkflowStatus::Completed));
    assert_eq!(ledger.outbox(), []);
    assert!(begun.elapsed() < Duration::from_millis(10));
    assert_eq!(running.stop().await, Stopped::Shutdown);
}

/// Row 74: a leader takes up the outbox of the one before; what cannot be delivered costs little.
#[tokio::test(start_paused = true)]
async fn posts_that_cannot_be_delivered_are_tried_now_and_then() {
    let ledger = Arc::new(MemoryLedger::new());
    let workflow = ledger.submit(&family());
    for task in 0..2 {
        let child = WorkflowId::of_child(workflow, task, 0, ledger_shards(&ledger));
        ledger.set_unreachable(child, task == 0);
    }
    let first = start(&ledger, 1);
    settle().await;
    assert_eq!(children(&ledger).len(), 1, "the other one is made");
    assert_eq!(ledger.outbox().len(), 1);
    assert_eq!(first.stop().await, Stopped::Shutdown);

    let second = start(&ledger, 2);
    wind(Duration::from_secs(120)).await;
    let before = ledger.tally().calls;
    wind(Duration::from_secs(60)).await;
    let calls = ledger.tally().calls - before;
    assert!(calls < 60 + 40, "{calls} calls, and a survey each second");
    let stuck = WorkflowId::of_child(workflow, 0, 0, ledger_shards(&ledger));
    ledger.set_unreachable(stuck, false);
    wind(Duration::from_secs(20)).await;
    assert_eq!(children(&ledger).len(), 2);
    assert_eq!(ledger.outbox(), []);
    assert_eq!(second.stop().await, Stopped::Shutdown);
}

fn ledger_shards(ledger: &MemoryLedger) -> u16 {
    crate::ports::Ledger::shards(ledger)
}

/// Rows 82 and 84.
#[tokio::test(start_paused = true)]
async fn alarms_of_every_kind_ring() {
    let ledger = Arc::new(MemoryLedger::new());
    let running = start(&ledger, 1);
    let workflow = ledger.submit(&definition(&json!({
        "name": "alarms",
        "execution_timeout": 60_000_000_000_i64,
        "retry_policy": {"max_attempts": 2, "initial_delay": 1_000_000_000},
        "tasks": [{"name": "s", "type": "signal", "timeout": 5_000_000_000_i64}],
    })));
    for _ in 0..3 {
        wind(Duration::from_secs(2)).await;
        ledger.pass_to_next_alarm();
    }
    wind(Duration::from_secs(2)).await;
    assert_eq!(ledger.status(workflow), Some(WorkflowStatus::Failed));
    let log = ledger.full_log(workflow);
    let failed = |line: &&String| line.starts_with("workflow.task.failed s");
    assert_eq!(log.iter().filter(failed).count(), 2, "{log:?}");
    assert_eq!(running.stop().await, Stopped::Shutdown);
}
