//! A thousand iterations.

use std::sync::atomic::Ordering;

use paceline_tests::History;
use paceline_types::{EventKind, WorkflowStatus};
use serde_json::{Value, json};

use crate::House;

/// Two tasks and the condition behind them, which leads back `rounds` times.
fn looping() -> Value {
    json!({ "name": "loop", "tasks": [
        { "name": "fetch", "task_type": "nothing" },
        { "name": "work", "task_type": "nothing", "depends_on": ["fetch"] },
        { "name": "enough", "task_type": "again", "type": "condition", "depends_on": ["work"],
          "max_iterations": 2_000, "condition_routes": { "0": "fetch", "1": "done" } },
        { "name": "done", "task_type": "nothing", "depends_on": ["enough"] },
    ]})
}

/// Row 70: a loop of 1,000 iterations is linear.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_iterations_cost_what_a_hundred_do() {
    let house = House::open(1).await;
    let mut costs = Vec::new();
    for rounds in [10, 100, 1_000] {
        house.rounds.store(rounds, Ordering::SeqCst);
        let before = house.cost().await;
        let workflow = house.run(looping()).await;
        assert_eq!(workflow.status, WorkflowStatus::Completed, "{workflow:?}");
        let tasks = u32::try_from(3 * (rounds + 1) + 1).unwrap();
        costs.push(house.cost().await.of_each(before, tasks));
    }
    costs[2].assert_grown_little(costs[1]);
    let history = History::read(&house.store).await;
    let started = history.count(&EventKind::JobStarted);
    assert_eq!(started, 3 * (11 + 101 + 1_001) + 3, "each start once");
    house.node.stop().await;
}
