//! The routes of a random list of tasks, and what depends on its conditions.

use std::collections::BTreeSet;

use paceline_types::workflow::{TaskDefinition, TaskKind};
use serde_json::json;

use super::super::chance::Chance;
use super::tasks::Style;
use super::{TASK_TYPE, raw};

/// Gives a condition routes, forward and back.
pub(super) fn route(
    chance: &mut Chance,
    tasks: &mut [TaskDefinition],
    place: usize,
    style: &Style,
) {
    let before = ancestors(tasks, place);
    let expression = tasks[place].condition.is_some();
    let numbers: &[u32] = if expression { &[0, 1] } else { &[0, 1, 2, 5] };
    let routes = 1 + chance.below(if expression { 2 } else { 3 });
    for number in numbers.iter().copied().take(routes) {
        let target = if !style.steady && chance.percent(30) {
            let mut before: Vec<usize> = before.iter().copied().collect();
            before.push(place);
            *chance.pick(&before)
        } else if place + 1 < tasks.len() {
            let ahead = tasks.len() - place - 1;
            place + 1 + chance.below(ahead.min(4))
        } else if style.steady {
            continue;
        } else {
            place
        };
        let name = tasks[target].name.clone();
        if target > place
            && chance.percent(50)
            && !tasks[target].depends_on.contains(&tasks[place].name)
        {
            let condition = tasks[place].name.clone();
            tasks[target].depends_on.push(condition);
        }
        tasks[place].condition_routes.insert(number, name);
    }
    tasks[place].max_iterations = [1, 2, 3, 4][chance.below(4)];
}

fn ancestors(tasks: &[TaskDefinition], place: usize) -> BTreeSet<usize> {
    let mut found = BTreeSet::new();
    let mut next = vec![place];
    while let Some(task) = next.pop() {
        for (other, definition) in tasks.iter().enumerate() {
            let leads = tasks[task].depends_on.contains(&definition.name);
            if leads && found.insert(other) {
                next.push(other);
            }
        }
    }
    found
}

/// A dependent of a condition becomes a target of it, or ceases to depend on it; a condition
/// without a route becomes a job.
pub(super) fn mend(chance: &mut Chance, tasks: &mut [TaskDefinition]) {
    for place in 0..tasks.len() {
        if tasks[place].kind != TaskKind::Condition {
            continue;
        }
        let condition = tasks[place].name.clone();
        let targets: BTreeSet<String> = tasks[place].condition_routes.values().cloned().collect();
        if targets.is_empty() {
            tasks[place].kind = TaskKind::Static;
            tasks[place].condition = None;
            tasks[place].max_iterations = 0;
            TASK_TYPE.clone_into(&mut tasks[place].task_type);
            continue;
        }
        for after in 0..tasks.len() {
            let is_target = targets.contains(&tasks[after].name);
            if !tasks[after].depends_on.contains(&condition) {
                continue;
            }
            let above: BTreeSet<String> = ancestors(tasks, after)
                .into_iter()
                .map(|task| tasks[task].name.clone())
                .collect();
            let joins = above.intersection(&targets).any(|name| *name != condition);
            if is_target || joins || chance.percent(5) {
                continue;
            }
            forget(&mut tasks[after], &condition);
        }
    }
}

/// Takes a dependency away, and all that rests on it.
pub(super) fn forget(task: &mut TaskDefinition, name: &str) {
    task.depends_on.retain(|on| on != name);
    let mentions = |text: &str| text.contains(&format!("tasks.{name}.output"));
    if task
        .result_from
        .as_ref()
        .is_some_and(|from| from.names().iter().any(|from| from == name))
    {
        task.result_from = None;
        if task.kind == TaskKind::Map {
            task.items = raw(&json!([1, 2]));
        }
    }
    task.preconditions
        .retain(|precondition| precondition.task != name);
    if task
        .payload
        .as_ref()
        .is_some_and(|payload| mentions(payload.get()))
    {
        task.payload = raw(&json!({ "gen": 1 }));
    }
    if task
        .items
        .as_ref()
        .is_some_and(|items| mentions(items.get()))
    {
        task.items = raw(&json!([1, 2]));
    }
    if task.condition.as_deref().is_some_and(mentions) {
        task.condition = Some("input.n gt 2".to_owned());
    }
}
