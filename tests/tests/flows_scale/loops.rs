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

/// A map of twenty elements and the condition behind it, which leads back `rounds` times.
fn looping_map() -> Value {
    let items: Vec<u32> = (0..20).collect();
    json!({ "name": "loop", "tasks": [
        { "name": "each", "type": "map", "task_type": "echo", "items": items },
        { "name": "enough", "task_type": "again", "type": "condition", "depends_on": ["each"],
          "max_iterations": 2_000, "condition_routes": { "0": "each", "1": "done" } },
        { "name": "done", "task_type": "nothing", "depends_on": ["enough"] },
    ]})
}

/// Rows 70 and 88: what a leader loads of a workflow does not grow with the iterations of a loop; what
/// the map came to in each of them can be read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_record_of_a_loop_around_a_map_does_not_grow() {
    let house = House::open(1).await;
    for rounds in [3, 100] {
        house.rounds.store(rounds, Ordering::SeqCst);
        let workflow = house.run(looping_map()).await;
        assert_eq!(workflow.status, WorkflowStatus::Completed, "{workflow:?}");
        let record = house.record(workflow.id).await;
        let bytes: usize = record
            .iter()
            .map(|(field, text)| field.len() + text.len())
            .sum();
        let tasks = record.keys().filter(|field| field.starts_with('t')).count();
        println!("{rounds} rounds: {} fields, {bytes} bytes", record.len());
        assert_eq!(tasks, 20 + 3, "{record:?}");
        assert!(bytes < 2_500, "{bytes} bytes");
        let last = u32::try_from(rounds).unwrap();
        for iteration in [0, last / 2, last] {
            let result = house
                .store
                .task_result(workflow.id, "each", Some(iteration));
            let result = result.await.unwrap().unwrap().result.unwrap();
            let elements: Vec<u32> = serde_json::from_slice(&result).unwrap();
            assert!(elements.into_iter().eq(0..20), "of iteration {iteration}");
        }
    }
    house.node.stop().await;
}
