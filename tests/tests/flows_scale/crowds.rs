//! A thousand workflows at once.

use std::sync::atomic::Ordering;

use paceline_tests::{History, within};
use paceline_types::{EventKind, WorkflowDefinition, WorkflowStatus};
use serde_json::json;

use crate::{House, LARGE};

/// Each has a condition with two ways, a join, a map and a child; all are under way together.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_at_once_all_end_well() {
    const CROWD: usize = 1_000;
    let house = House::open(4).await;
    house.rounds.store(0, Ordering::SeqCst);
    let definition = json!({ "name": "one of many", "tasks": [
        { "name": "list", "task_type": "echo", "payload": ["a", "b", "c"] },
        { "name": "each", "type": "map", "task_type": "echo", "items": "{{tasks.list.output}}",
          "payload": { "item": "{{item}}", "place": "{{index}}" }, "depends_on": ["list"] },
        { "name": "many", "type": "condition", "condition": "tasks.list.output[2] eq c",
          "depends_on": ["list"], "condition_routes": { "0": "yes", "1": "no" } },
        { "name": "yes", "task_type": "nothing", "depends_on": ["many"] },
        { "name": "no", "task_type": "nothing", "depends_on": ["many"] },
        { "name": "child", "depends_on": ["yes", "no"], "payload": "{{tasks.yes.output}}",
          "child_workflow_def": { "name": "child", "tasks": [
              { "name": "inner", "task_type": "nothing" }] } },
        { "name": "end", "task_type": "echo", "depends_on": ["child", "each"],
          "result_from": "each", "payload": "done" },
    ]});
    let definition = WorkflowDefinition::from_json(&definition.to_string()).unwrap();
    let mut handles = Vec::new();
    for _ in 0..CROWD {
        let accepted = house.client.submit_workflow(definition.clone(), None).await;
        handles.push(accepted.unwrap());
    }
    let mut ids = Vec::new();
    for handle in &handles {
        let workflow = within("its end", LARGE, handle.wait()).await.unwrap();
        assert_eq!(
            workflow.status,
            WorkflowStatus::Completed,
            "{:?}",
            workflow.error
        );
        let output: serde_json::Value = serde_json::from_slice(&workflow.output.unwrap()).unwrap();
        assert_eq!(output["upstream"][2], json!({ "item": "c", "place": 2 }));
        ids.push(handle.id());
    }
    let history = History::read(&house.store).await;
    history.assert_workflows_ended(&ids);
    // list, three elements, yes, the child's one, end.
    assert_eq!(
        history.count(&EventKind::JobStarted),
        7 * CROWD,
        "each once"
    );
    assert_eq!(history.count(&EventKind::WorkflowCompleted), 2 * CROWD);
    house.node.stop().await;
}
