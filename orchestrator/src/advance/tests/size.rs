//! What large workflows cost, counted in records and steps.

use std::collections::VecDeque;

use paceline_types::WorkflowDefinition;
use serde_json::json;

use super::*;
use crate::graph::{fan, graph, layered};
use crate::ports::TaskOutcome;

/// Runs a workflow to its end; records written (those of the history included) and transitions.
/// `answer` is what the job of a task answers.
fn run_all(
    definition: &WorkflowDefinition,
    answer: impl Fn(&str, u32) -> String,
) -> (usize, usize, usize) {
    let plan = definition.validate(64 << 10).expect("a plan");
    let mut instance = Instance::new(
        paceline_types::WorkflowId::from_parts(1, paceline_types::ShardIndex(0), 1),
        std::sync::Arc::new(plan),
    );
    let (mut records, mut history, mut transitions) = (0, 0, 0);
    let mut facts = Facts::new();
    let mut answers = std::collections::HashMap::new();
    let mut events = VecDeque::from([Event::Start { shards: 1 }]);
    while let Some(event) = events.pop_front() {
        let transition = advance(&mut instance, &event, &facts, ALL).expect("applied");
        records += transition.tasks.len();
        history += transition.history.len();
        transitions += 1;
        assert!(transition.effects.len() <= ALL + 4);
        assert!(transition.tasks.len() <= ALL + 4 && transition.history.len() <= ALL);
        assert!(transition.wanted.len() <= MAX_WANTED);
        if transition.more {
            events.push_front(Event::Continue);
        }
        // Facts are of one turn.
        facts = Facts::new();
        for job in transition.wanted {
            facts.learn(job, answers.get(&job).cloned());
        }
        for effect in transition.effects {
            if let Effect::Dispatch(job) = effect {
                let result = answer(job.task.as_str(), job.iteration);
                answers.insert(job.job, bytes::Bytes::from(result));
                events.push_back(Event::TaskEnded {
                    task: job.task,
                    iteration: job.iteration,
                    job: job.job,
                    outcome: TaskOutcome::Completed,
                });
            }
        }
    }
    assert_eq!(instance.stage(), &Stage::Completed);
    (records, history, transitions)
}

/// Row 88, W36: a workflow costs two records a task, however large it is.
#[test]
fn large_workflows_cost_the_same_per_task_as_small_ones() {
    for definition in [fan(98), fan(9_998), layered(100, 1), layered(100, 100)] {
        let tasks = definition.tasks.len();
        let (records, _, transitions) = run_all(&definition, |_, _| String::new());
        assert_eq!(records, tasks * 2);
        assert!(
            transitions <= tasks + tasks / ALL + 2,
            "{transitions} for {tasks}"
        );
    }
}

/// Row 70: a loop of a thousand iterations costs the same in each.
#[test]
fn long_loops_cost_the_same_in_each_iteration() {
    for rounds in [10, 1_000] {
        let line = format!("a b<a c>a,d*{}<b d<c", rounds + 1);
        let route = |task: &str, iteration: u32| match task {
            "c" => json!({"route": u32::from(iteration >= rounds)}).to_string(),
            _ => "null".to_owned(),
        };
        let (records, history, transitions) = run_all(&graph(&line), route);
        let rounds = rounds as usize;
        assert_eq!(history, rounds * 3);
        // Dispatched and ended, of three tasks a round; the condition's answer is looked at, and
        // it is reset.
        assert!(records <= (rounds + 1) * 12, "{records}");
        assert!(transitions <= (rounds + 1) * 5, "{transitions}");
    }
}

/// Row 89: a map of ten thousand elements costs two records an element, and is put together from
/// results that are read a hundred at a time.
#[test]
fn large_maps_cost_the_same_per_element() {
    for count in [100, 10_000] {
        let mut definition = graph("m[]");
        let items: Vec<usize> = (0..count).collect();
        let items = serde_json::value::to_raw_value(&items).expect("json");
        definition.tasks[0].items = Some(items);
        let (records, _, transitions) = run_all(&definition, |_, _| "1".to_owned());
        assert!(records <= count * 2 + 4, "{records}");
        assert!(transitions <= count + count / ALL * 2 + 8, "{transitions}");
    }
}
