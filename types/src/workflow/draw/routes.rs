//! Which routes lead back. Pure, and of definitions that need not be valid.

use std::collections::{BTreeSet, HashMap};

use crate::workflow::TaskDefinition;

/// The routes of all conditions that lead back: `(condition, target)`, by index.
///
/// A route leads back if its condition waits for its target, directly or not.
pub(super) fn back_routes(
    tasks: &[TaskDefinition],
    places: &HashMap<&str, usize>,
) -> BTreeSet<(usize, usize)> {
    let mut back = BTreeSet::new();
    for (condition, task) in tasks.iter().enumerate() {
        if task.condition_routes.is_empty() {
            continue;
        }
        let before = before(condition, tasks, places);
        let targets = task.condition_routes.values();
        for target in targets.filter_map(|name| places.get(name.as_str()).copied()) {
            if before.contains(&target) {
                back.insert((condition, target));
            }
        }
    }
    back
}

/// The task itself, and all that it waits for.
fn before(task: usize, tasks: &[TaskDefinition], places: &HashMap<&str, usize>) -> BTreeSet<usize> {
    let mut seen = BTreeSet::from([task]);
    let mut open = vec![task];
    while let Some(at) = open.pop() {
        let Some(definition) = tasks.get(at) else {
            continue;
        };
        for name in &definition.depends_on {
            let Some(&on) = places.get(name.as_str()) else {
                continue;
            };
            if seen.insert(on) {
                open.push(on);
            }
        }
    }
    seen
}
