//! What large workflows cost: calls, turns and records for each task, and the leader's memory.

use serde_json::json;

use super::*;
use crate::theatre::{Troupe, check_over, definition};

/// What a run cost for each of `units`: calls, turns, records and events.
async fn cost_of(definition: &WorkflowDefinition, units: usize) -> [f64; 4] {
    let ledger = ledger();
    let workflow = ledger.submit(definition);
    Troupe::new(&ledger, 1).finish().await;
    check_over(&ledger);
    assert_eq!(ledger.status(workflow), Some(WorkflowStatus::Completed));
    let tally = ledger.tally();
    let written = tally.records + tally.history;
    [tally.calls, tally.turns, written, tally.events].map(|count| count as f64 / units as f64)
}

fn check_linear(what: &str, small: [f64; 4], large: [f64; 4]) {
    for (small, large) in small.into_iter().zip(large) {
        assert!(
            large <= small * 1.2,
            "{what}: {small} for each became {large}"
        );
    }
}

/// A map of so many elements, all at once.
fn map(count: usize) -> WorkflowDefinition {
    let items: Vec<usize> = (0..count).collect();
    definition(&json!({"name": "map", "tasks": [
        {"name": "each", "type": "map", "task_type": "t", "items": items, "window": 10_000},
        {"name": "end", "task_type": "t", "depends_on": ["each"], "result_from": "each"},
    ]}))
}

/// A loop of two tasks and its condition, which leads back until it was evaluated so often.
fn turns(count: usize) -> WorkflowDefinition {
    let mut answers = vec![json!({"ok": {"route": 0}}); count - 1];
    answers.push(json!({"ok": {"route": 1}}));
    definition(&json!({"name": "loop", "tasks": [
        {"name": "a", "task_type": "t"},
        {"name": "b", "task_type": "t", "depends_on": ["a"]},
        {"name": "c", "task_type": "t", "type": "condition", "depends_on": ["b"],
         "payload": {"answers": answers}, "max_iterations": count,
         "condition_routes": {"0": "a", "1": "end"}},
        {"name": "end", "task_type": "t", "depends_on": ["c"]},
    ]}))
}

/// So many conditions side by side, each with a way that is taken and one that is not.
fn forks(count: usize) -> WorkflowDefinition {
    let mut tasks = Vec::new();
    for n in 0..count {
        tasks.push(
            json!({"name": format!("c{n}"), "task_type": "t", "type": "condition",
            "payload": {"answers": [{"ok": {"route": n % 2}}]},
            "condition_routes": {"0": format!("x{n}"), "1": format!("y{n}")}}),
        );
        for way in ["x", "y"] {
            tasks.push(json!({"name": format!("{way}{n}"), "task_type": "t",
                "depends_on": [format!("c{n}")]}));
        }
    }
    definition(&json!({"name": "forks", "tasks": tasks}))
}

/// A subflow of so many tasks in a row of pairs.
fn subflow(count: usize) -> WorkflowDefinition {
    let tasks: Vec<_> = (0..count)
        .map(|n| match n % 2 {
            0 => json!({"name": format!("s{n}"), "task_type": "t"}),
            _ => json!({"name": format!("s{n}"), "task_type": "t",
                        "depends_on": [format!("s{}", n - 1)]}),
        })
        .collect();
    definition(&json!({"name": "subflow", "tasks": [
        {"name": "more", "type": "subflow", "task_type": "t",
         "payload": {"answers": [{"ok": {"tasks": tasks}}]}},
    ]}))
}

/// Row 88: what a task costs does not grow with their number.
#[tokio::test]
async fn maps_forks_and_subflows_of_10_000_cost_the_same_per_task_as_of_1_000() {
    for (what, of) in [
        ("a map", map as fn(usize) -> WorkflowDefinition),
        ("forks", forks),
        ("a subflow", subflow),
    ] {
        let small = cost_of(&of(1_000), 1_000).await;
        let large = cost_of(&of(9_900), 9_900).await;
        println!("{what}: calls, turns, records, events {small:.2?} {large:.2?}");
        check_linear(what, small, large);
    }
}

/// Rows 70 and 88.
#[tokio::test]
async fn a_loop_costs_the_same_in_its_thousandth_turn_as_in_its_first() {
    let small = cost_of(&turns(100), 100).await;
    let large = cost_of(&turns(1_000), 1_000).await;
    println!("a loop: calls, turns, records, events {small:.2?} {large:.2?}");
    check_linear("a loop", small, large);
}

/// Row 88: what is loaded and cached is bounded. The figures are those of the documentation.
#[tokio::test]
async fn a_leader_keeps_large_workflows_in_a_few_megabytes() {
    for (what, definition, most) in [
        ("10,000 tasks in layers of 10", layered(10, 1_000), 8 << 20),
        ("10,000 tasks side by side", fan(9_998), 8 << 20),
        ("a map of 10,000 elements", map(10_000), 8 << 20),
    ] {
        let ledger = ledger();
        ledger.submit(&definition);
        let mut troupe = Troupe::new(&ledger, 1);
        troupe.settle().await.expect("settled");
        well(&ledger, ledger.claim(1));
        troupe.settle().await.expect("settled");
        let bytes = troupe.desk.footprint();
        println!("{what}: {bytes} bytes");
        assert!(bytes > 100_000, "{what} is cached: {bytes}");
        assert!(bytes <= most, "{what}: {bytes} bytes");
    }
}

/// A loop around a map of so many elements, which leads back until it was evaluated so often.
fn rounds_of_a_map(count: usize, elements: usize) -> WorkflowDefinition {
    let mut answers = vec![json!({"ok": {"route": 0}}); count - 1];
    answers.push(json!({"ok": {"route": 1}}));
    let items: Vec<usize> = (0..elements).collect();
    definition(&json!({"name": "loop", "tasks": [
        {"name": "each", "type": "map", "task_type": "t", "items": items},
        {"name": "again", "task_type": "t", "type": "condition", "depends_on": ["each"],
         "payload": {"answers": answers}, "max_iterations": count,
         "condition_routes": {"0": "each", "1": "end"}},
        {"name": "end", "task_type": "t", "depends_on": ["again"]},
    ]}))
}

/// Rows 70 and 88: what a load reads does not grow with the iterations of a loop; what its tasks came
/// to in each of them stays.
#[tokio::test]
async fn a_record_does_not_grow_with_the_iterations_of_a_loop() {
    for count in [3, 300] {
        let ledger = ledger();
        let workflow = ledger.submit(&rounds_of_a_map(count, 20));
        Troupe::new(&ledger, 1).finish().await;
        check_over(&ledger);
        let (_, records) = ledger.kept(workflow).expect("kept");
        assert_eq!(records.len(), 20 + 3, "{count} iterations");
        assert_eq!(ledger.sections(workflow).len(), 1);
        assert_eq!(ledger.history(workflow).len(), (20 + 2) * (count - 1));
        assert_eq!(ledger.tally().dropped, 20 * (count as u64 - 1));
    }
}

/// What one turn puts away is bounded, however many instances drop a section at once: the ledger looks.
#[tokio::test]
async fn sections_that_are_dropped_at_once_are_put_away_in_several_turns() {
    let ledger = ledger();
    for _ in 0..5 {
        ledger.submit(&rounds_of_a_map(3, 60));
    }
    Troupe::new(&ledger, 1).finish().await;
    check_over(&ledger);
    assert_eq!(ledger.tally().dropped, 5 * 60 * 2);
}
