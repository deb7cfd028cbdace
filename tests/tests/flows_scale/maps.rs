//! Maps of thousands.

use paceline_tests::History;
use paceline_types::{EventKind, WorkflowStatus};
use serde_json::{Value, json};

use crate::House;

fn mapped(count: u32) -> Value {
    let items: Vec<u32> = (0..count).collect();
    json!({ "name": "map", "tasks": [
        { "name": "each", "type": "map", "task_type": "echo", "items": items, "window": 500 },
    ]})
}

/// Row 89: a map is linear, and its results are in order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_thousand_elements_cost_what_five_hundred_do() {
    let house = House::open(1).await;
    let mut costs = Vec::new();
    for count in [50, 500, 5_000] {
        let before = house.cost().await;
        let workflow = house.run(mapped(count)).await;
        assert_eq!(
            workflow.status,
            WorkflowStatus::Completed,
            "{:?}",
            workflow.error
        );
        costs.push(house.cost().await.of_each(before, count));
        let output: Vec<u32> = serde_json::from_slice(&workflow.output.unwrap()).unwrap();
        assert!(output.into_iter().eq(0..count), "in order");
    }
    costs[2].assert_grown_little(costs[1]);
    let history = History::read(&house.store).await;
    assert_eq!(history.count(&EventKind::JobStarted), 5_550, "each once");
    house.node.stop().await;
}
