//! What is lost, and found by the second walk that misses it.

use std::sync::Arc;

use paceline_types::{JobId, WorkflowId, WorkflowStatus};
use serde_json::{Value, json};

use crate::graph::fan;
use crate::memory::MemoryLedger;
use crate::ports::{Alarm, Post};
use crate::theatre::{Troupe, check_over, definition, work};

pub(super) fn play(value: &Value) -> (Arc<MemoryLedger>, WorkflowId, Troupe) {
    let ledger = Arc::new(MemoryLedger::new());
    let workflow = ledger.submit(&definition(value));
    let troupe = Troupe::new(&ledger, 1);
    (ledger, workflow, troupe)
}

fn parent() -> Value {
    let child = json!({"name": "child", "tasks": [
        {"name": "c", "task_type": "t", "payload": {"answers": [{"ok": 7}]}},
    ]});
    json!({"name": "parent", "tasks": [
        {"name": "p", "task_type": "t", "payload": {"answers": [{"ok": {"n": 5}}]}},
        {"name": "inner", "child_workflow_def": child, "depends_on": ["p"],
         "payload": {"n": "{{tasks.p.output.n}}"}},
    ]})
}

fn child_of(ledger: &MemoryLedger) -> WorkflowId {
    let mut workflows = ledger.workflows().into_iter();
    let child = workflows.find(|(_, origin)| origin.is_some());
    child.expect("a child").0
}

/// Only the inbox: posts stay where they are.
async fn tick(troupe: &mut Troupe) {
    for _ in 0..1_000 {
        let report = troupe.workflows.tick(&mut troupe.desk, &troupe.term).await;
        if !report.expect("a tick").busy && troupe.ledger.inbox_len() == 0 {
            return;
        }
    }
    panic!("it does not settle");
}

/// The child is asked for, and nobody hears of it.
async fn lose_child(troupe: &mut Troupe) {
    let ledger = troupe.ledger.clone();
    troupe.settle().await.expect("settled");
    work(&ledger, ledger.claim(1));
    tick(troupe).await;
    assert!(matches!(ledger.outbox()[..], [Post::Spawn(_)]));
    ledger.lose_posts();
}

/// The child has ended, and its parent is not told.
async fn lose_end_of_child(troupe: &mut Troupe) {
    let ledger = troupe.ledger.clone();
    for _ in 0..2 {
        troupe.settle().await.expect("settled");
        work(&ledger, ledger.claim(1));
    }
    tick(troupe).await;
    assert!(matches!(ledger.outbox()[..], [Post::Ended { .. }]));
    ledger.lose_posts();
}

/// The first walk suspects, the second repairs.
pub(super) async fn walk_twice(troupe: &mut Troupe) -> usize {
    assert_eq!(troupe.walk().await, 0, "it may be on its way");
    troupe.walk().await
}

/// Row 74: what was asked for is asked for once more, the input included.
#[tokio::test]
async fn a_child_that_was_never_made_is_made() {
    let (ledger, workflow, mut troupe) = play(&parent());
    lose_child(&mut troupe).await;
    assert_eq!(walk_twice(&mut troupe).await, 1);
    troupe.finish().await;
    check_over(&ledger);
    assert_eq!(
        ledger.input(child_of(&ledger)).as_deref(),
        Some(&b"{\"n\":5}"[..])
    );
    assert_eq!(ledger.status(workflow), Some(WorkflowStatus::Completed));
}

/// Row 74.
#[tokio::test]
async fn a_parent_that_was_not_told_is_told() {
    let (ledger, workflow, mut troupe) = play(&parent());
    lose_end_of_child(&mut troupe).await;
    assert_eq!(walk_twice(&mut troupe).await, 1);
    troupe.finish().await;
    check_over(&ledger);
    assert_eq!(ledger.status(workflow), Some(WorkflowStatus::Completed));
    let result = ledger.result(JobId::of_task(workflow, 1, 0));
    assert_eq!(result.as_deref(), Some(&b"7"[..]));
}

/// Rows 74 and 85: to ask for a child that has ended begins nothing.
#[tokio::test]
async fn a_suspended_parent_that_was_not_told_is_told() {
    let (ledger, workflow, mut troupe) = play(&parent());
    lose_end_of_child(&mut troupe).await;
    assert!(ledger.suspend(workflow));
    troupe.settle().await.expect("settled");
    assert_eq!(walk_twice(&mut troupe).await, 1);
    troupe.settle().await.expect("settled");
    let completed = |line: &&String| line.starts_with("workflow.task.completed inner");
    assert_eq!(ledger.log(workflow).iter().filter(completed).count(), 1);
    assert_eq!(ledger.status(workflow), Some(WorkflowStatus::Suspended));
    assert!(ledger.resume(workflow));
    troupe.finish().await;
    check_over(&ledger);
    assert_eq!(ledger.status(workflow), Some(WorkflowStatus::Completed));
}

/// Rows 74 and 85.
#[tokio::test]
async fn a_child_that_was_never_made_waits_until_its_parent_is_resumed() {
    let (ledger, workflow, mut troupe) = play(&parent());
    lose_child(&mut troupe).await;
    assert!(ledger.suspend(workflow));
    troupe.settle().await.expect("settled");
    for _ in 0..4 {
        assert_eq!(troupe.walk().await, 0);
    }
    assert_eq!(ledger.workflows().len(), 1, "it is not made");
    assert!(ledger.resume(workflow));
    troupe.settle().await.expect("settled");
    // The walks before have suspected it already.
    assert_eq!(troupe.walk().await, 1);
    troupe.finish().await;
    check_over(&ledger);
    assert_eq!(ledger.status(workflow), Some(WorkflowStatus::Completed));
}

/// Row 74: how it ended does not depend on what it was given.
#[tokio::test]
async fn a_parent_is_told_though_what_its_child_was_given_is_gone() {
    let (ledger, workflow, mut troupe) = play(&parent());
    lose_end_of_child(&mut troupe).await;
    ledger.lose_job(JobId::of_task(workflow, 0, 0));
    assert_eq!(walk_twice(&mut troupe).await, 1);
    troupe.finish().await;
    check_over(&ledger);
    assert_eq!(ledger.status(workflow), Some(WorkflowStatus::Completed));
}

/// Row 74: each result that their inputs rest on is read once for all of them.
#[tokio::test]
async fn many_children_that_were_never_made_are_made() {
    let mut tasks = vec![json!({"name": "p", "task_type": "t",
        "payload": {"answers": [{"ok": {"n": 5}}]}})];
    for number in 0..40 {
        let child = json!({"name": "child", "tasks": [{"name": "c", "task_type": "t"}]});
        tasks.push(
            json!({"name": format!("c{number}"), "child_workflow_def": child,
            "depends_on": ["p"], "payload": {"n": "{{tasks.p.output.n}}"}}),
        );
    }
    let (ledger, workflow, mut troupe) = play(&json!({"name": "parent", "tasks": tasks}));
    troupe.settle().await.expect("settled");
    work(&ledger, ledger.claim(1));
    tick(&mut troupe).await;
    assert_eq!(ledger.outbox().len(), 40);
    ledger.lose_posts();
    assert_eq!(troupe.walk().await, 0, "they may be on their way");
    let before = ledger.tally();
    assert_eq!(troupe.walk().await, 40);
    let after = ledger.tally();
    assert_eq!(after.results - before.results, 1);
    troupe.finish().await;
    check_over(&ledger);
    assert_eq!(ledger.workflows().len(), 41);
    assert_eq!(ledger.status(workflow), Some(WorkflowStatus::Completed));
}

/// Rows 74 and 86.
#[tokio::test]
async fn a_child_that_was_not_told_to_stop_is_told() {
    let (ledger, workflow, mut troupe) = play(&parent());
    troupe.settle().await.expect("settled");
    work(&ledger, ledger.claim(1));
    troupe.settle().await.expect("settled");
    let running = ledger.claim(1);
    assert_eq!(running.len(), 1, "the child runs");
    ledger.cancel(workflow, "enough");
    tick(&mut troupe).await;
    assert!(matches!(ledger.outbox()[..], [Post::Cancel { .. }]));
    ledger.lose_posts();
    assert_eq!(walk_twice(&mut troupe).await, 0, "it may be about to end");
    troupe.settle().await.expect("settled");
    work(&ledger, running);
    troupe.finish().await;
    check_over(&ledger);
    for (workflow, _) in ledger.workflows() {
        assert_eq!(ledger.status(workflow), Some(WorkflowStatus::Cancelled));
    }
}

/// Rows 74 and 86.
#[tokio::test]
async fn nobody_waits_for_a_child_that_never_was_and_is_to_stop() {
    let (ledger, workflow, mut troupe) = play(&parent());
    troupe.settle().await.expect("settled");
    work(&ledger, ledger.claim(1));
    tick(&mut troupe).await;
    ledger.cancel(workflow, "enough");
    tick(&mut troupe).await;
    ledger.lose_posts();
    assert_eq!(walk_twice(&mut troupe).await, 1);
    troupe.finish().await;
    check_over(&ledger);
    assert_eq!(ledger.workflows().len(), 1, "it is not made");
    assert_eq!(ledger.status(workflow), Some(WorkflowStatus::Cancelled));
}

/// Row 74.
#[tokio::test]
async fn children_that_cannot_be_looked_at_do_not_stop_the_walk() {
    let (ledger, _, mut troupe) = play(&parent());
    troupe.settle().await.expect("settled");
    work(&ledger, ledger.claim(1));
    troupe.settle().await.expect("settled");
    ledger.set_unreachable(child_of(&ledger), true);
    let other = ledger.submit(&fan(3));
    troupe.settle().await.expect("settled");
    let own = |job: &JobId| ledger.job(*job).is_some_and(|job| job.workflow == other);
    let jobs: Vec<JobId> = ledger.claim(9).into_iter().filter(own).collect();
    work(&ledger, jobs);
    ledger.lose_inbox();
    assert_eq!(walk_twice(&mut troupe).await, 1);
}

/// Rows 82, 83 and 84.
#[tokio::test]
async fn moments_that_nobody_would_ring_for_are_found() {
    let (ledger, workflow, mut troupe) = play(&json!({
        "name": "moments",
        "execution_timeout": 60_000_000_000_i64,
        "retry_policy": {"max_attempts": 2, "initial_delay": 1_000_000_000},
        "tasks": [
            {"name": "a", "task_type": "t", "payload": {"answers": [{"dead": "x"}, {"ok": 1}]}},
            {"name": "s", "type": "signal", "depends_on": ["a"], "timeout": 10_000_000_000_i64},
        ],
    }));
    troupe.settle().await.expect("settled");
    assert_eq!(ledger.alarms(workflow), [Alarm::Deadline]);
    ledger.lose_alarms(workflow);
    assert_eq!(walk_twice(&mut troupe).await, 1);
    assert_eq!(ledger.alarms(workflow), [Alarm::Deadline], "armed again");

    work(&ledger, ledger.claim(1));
    troupe.settle().await.expect("settled");
    assert_eq!(ledger.alarms(workflow), [Alarm::Retry]);
    ledger.lose_alarms(workflow);
    assert_eq!(walk_twice(&mut troupe).await, 1);
    troupe.settle().await.expect("settled");
    work(&ledger, ledger.claim(1));
    troupe.settle().await.expect("settled");
    let signal = Alarm::Signal {
        task: 1,
        iteration: 0,
    };
    assert_eq!(ledger.alarms(workflow), [Alarm::Deadline, signal]);
    ledger.lose_alarms(workflow);
    assert_eq!(walk_twice(&mut troupe).await, 2);
    assert_eq!(ledger.alarms(workflow), [Alarm::Deadline, signal]);
    assert_eq!(troupe.walk().await, 0, "nothing is wrong any more");
    troupe.finish().await;
    check_over(&ledger);
    assert_eq!(ledger.status(workflow), Some(WorkflowStatus::Failed));
}

/// A wait, a generator and a child have no job that could be missing.
#[tokio::test]
async fn what_has_no_job_is_not_missed() {
    let child = json!({"name": "child", "tasks": [{"name": "s", "type": "signal"}]});
    let (ledger, workflow, mut troupe) = play(&json!({"name": "waits", "tasks": [
        {"name": "s", "type": "signal"},
        {"name": "m", "type": "map", "task_type": "t", "items": [1, 2]},
        {"name": "c", "child_workflow_def": child},
        {"name": "more", "type": "subflow", "task_type": "t",
         "payload": {"answers": [{"ok": {"tasks": [{"name": "inner", "type": "signal"}]}}]}},
    ]}));
    troupe.settle().await.expect("settled");
    work(&ledger, ledger.claim(9));
    troupe.settle().await.expect("settled");
    for _ in 0..4 {
        assert_eq!(troupe.walk().await, 0);
    }
    let failed = |line: &String| line.contains("failed");
    assert!(!ledger.log(workflow).iter().any(failed));
    assert_eq!(ledger.status(workflow), Some(WorkflowStatus::Running));
}

/// Row 81.
#[tokio::test]
async fn a_hook_whose_job_is_gone_holds_nothing_up() {
    let (ledger, workflow, mut troupe) = play(&json!({
        "name": "hooks",
        "hooks": {"on_init": {"task_type": "h"}, "on_exit": {"task_type": "h"}},
        "tasks": [{"name": "a", "task_type": "t"}],
    }));
    for last in [false, true] {
        troupe.settle().await.expect("settled");
        let hook = ledger.claim(1)[0];
        ledger.lose_job(hook);
        assert_eq!(walk_twice(&mut troupe).await, 1);
        troupe.settle().await.expect("settled");
        if !last {
            work(&ledger, ledger.claim(1));
        }
    }
    check_over(&ledger);
    assert_eq!(ledger.status(workflow), Some(WorkflowStatus::Completed));
}

#[tokio::test]
async fn what_a_leader_before_left_over_is_found_without_a_mark() {
    let ledger = Arc::new(MemoryLedger::new());
    let workflow = ledger.submit(&fan(400));
    let mut first = Troupe::new(&ledger, 1);
    first.settle().await.expect("settled");
    work(&ledger, ledger.claim(1));
    let report = first.workflows.tick(&mut first.desk, &first.term).await;
    assert!(report.expect("a tick").busy);
    ledger.lose_marks();
    let mut second = Troupe::new(&ledger, 2);
    second.settle().await.expect("settled");
    assert!(ledger.tally().dispatches < 400);
    second.walk().await;
    second.finish().await;
    check_over(&ledger);
    assert_eq!(ledger.status(workflow), Some(WorkflowStatus::Completed));
}

/// Row 85.
#[tokio::test]
async fn a_workflow_that_was_resumed_unnoticed_goes_on() {
    let (ledger, workflow, mut troupe) = play(&json!({"name": "w", "tasks": [
        {"name": "a", "task_type": "t"},
        {"name": "b", "task_type": "t", "depends_on": ["a"]},
    ]}));
    troupe.settle().await.expect("settled");
    assert!(ledger.suspend(workflow));
    troupe.settle().await.expect("settled");
    work(&ledger, ledger.claim(1));
    troupe.settle().await.expect("settled");
    assert!(ledger.resume(workflow));
    ledger.lose_inbox();
    troupe.settle().await.expect("settled");
    assert_eq!(ledger.claim(1), []);
    troupe.walk().await;
    troupe.finish().await;
    check_over(&ledger);
    assert_eq!(ledger.status(workflow), Some(WorkflowStatus::Completed));
}
