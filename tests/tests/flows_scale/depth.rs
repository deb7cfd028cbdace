//! Children of children.

use paceline_types::WorkflowStatus;
use serde_json::{Value, json};

use crate::House;

/// A workflow with `depth` descendants, one in another.
fn nested(depth: u32) -> Value {
    if depth == 0 {
        return json!({ "name": "leaf", "tasks": [
            { "name": "only", "task_type": "echo", "payload": "{{input}}" },
        ]});
    }
    json!({ "name": format!("depth {depth}"), "tasks": [
        { "name": "child", "payload": { "at": depth }, "child_workflow_def": nested(depth - 1) },
    ]})
}

/// Row 74, W22, W25: sixteen generations over four shards end well and hand their output up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixteen_generations_hand_their_output_up() {
    let house = House::open(4).await;
    let workflow = house.run(nested(16)).await;
    assert_eq!(
        workflow.status,
        WorkflowStatus::Completed,
        "{:?}",
        workflow.error
    );
    let output: Value = serde_json::from_slice(&workflow.output.unwrap()).unwrap();
    assert_eq!(output, json!({ "at": 1 }));
    house.node.stop().await;
}

/// Row 74: one generation more is refused before anything is stored.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_seventeenth_generation_is_refused() {
    let house = House::open(1).await;
    let definition =
        paceline_types::WorkflowDefinition::from_json(&nested(17).to_string()).unwrap();
    let refused = house.client.submit_workflow(definition, None).await;
    let error = refused.expect_err("refused").to_string();
    assert!(error.contains("16"), "{error}");
    house.node.stop().await;
}
