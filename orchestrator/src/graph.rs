//! Definitions in one line, for tests.

use std::collections::VecDeque;

use paceline_types::WorkflowDefinition;
use paceline_types::duration;
use paceline_types::workflow::{ResultFrom, TaskDefinition};

/// A definition from a line such as `@1m a b?<a c^9<a d<b,c=b,c`: tasks with their dependencies
/// behind `<`, what they take results from behind `=`, priority behind `^`; `?` allows failure,
/// `@` is the execution timeout.
///
/// # Panics
/// When the line does not read.
#[must_use]
pub fn graph(line: &str) -> WorkflowDefinition {
    let mut definition = WorkflowDefinition {
        name: "graph".to_owned(),
        ..WorkflowDefinition::default()
    };
    for word in line.split_whitespace() {
        if let Some(timeout) = word.strip_prefix('@') {
            definition.execution_timeout = duration::parse(timeout).ok();
            assert!(
                definition.execution_timeout.is_some(),
                "{word} is not a timeout"
            );
            continue;
        }
        let (word, from) = word.split_once('=').unwrap_or((word, ""));
        let (word, depends_on) = word.split_once('<').unwrap_or((word, ""));
        let allow_failure = word.ends_with('?');
        let (name, priority) = word
            .trim_end_matches('?')
            .split_once('^')
            .unwrap_or((word, "0"));
        let mut from: VecDeque<String> = names(from).into();
        definition.tasks.push(TaskDefinition {
            depends_on: names(depends_on),
            priority: priority.parse().unwrap_or_default(),
            allow_failure,
            result_from: match from.len() {
                0 => None,
                1 => from.pop_front().map(ResultFrom::One),
                _ => Some(ResultFrom::Many(from.into())),
            },
            ..task(name.trim_end_matches('?'))
        });
    }
    definition
}

/// A task with nothing but a name.
#[must_use]
pub fn task(name: &str) -> TaskDefinition {
    TaskDefinition {
        name: name.to_owned(),
        task_type: "test".to_owned(),
        ..TaskDefinition::default()
    }
}

/// `layers` layers of `width` tasks, each of which depends on the whole layer before.
#[must_use]
pub fn layered(width: usize, layers: usize) -> WorkflowDefinition {
    let name = |layer: usize, place: usize| format!("t{layer}-{place}");
    let mut definition = graph("");
    for layer in 0..layers {
        let before = match layer {
            0 => Vec::new(),
            layer => (0..width).map(|place| name(layer - 1, place)).collect(),
        };
        for place in 0..width {
            definition.tasks.push(TaskDefinition {
                depends_on: before.clone(),
                ..task(&name(layer, place))
            });
        }
    }
    definition
}

/// One task, `width` tasks that depend on it, and one that depends on all of those.
#[must_use]
pub fn fan(width: usize) -> WorkflowDefinition {
    let mut definition = graph("first");
    let middle: Vec<String> = (0..width).map(|place| format!("m{place}")).collect();
    for name in &middle {
        definition.tasks.push(TaskDefinition {
            depends_on: vec!["first".to_owned()],
            ..task(name)
        });
    }
    definition.tasks.push(TaskDefinition {
        depends_on: middle,
        ..task("last")
    });
    definition
}

fn names(list: &str) -> Vec<String> {
    list.split(',')
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}
