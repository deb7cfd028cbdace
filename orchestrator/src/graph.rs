//! Definitions in one line, for tests.

use std::collections::VecDeque;
use std::time::Duration;

use paceline_types::workflow::{
    HookDefinition, Precondition, ResultFrom, ResultReuse, TaskDefinition, TaskKind, WorkflowHooks,
};
use paceline_types::{RetryPolicy, WorkflowDefinition, duration};

/// A definition from a line, for tests.
///
/// Of the workflow: `@1m` is the execution timeout, `%3` allows three attempts (a second between
/// them), `#init,exit` has hooks.
///
/// Of a task: `name` with marks behind it, then what follows a sign, in this order.
/// - `?` allows failure, `~` keeps no result for a retry, `^9` is the priority.
/// - `[]` is a map, `[3]` one with a window; `()` a subflow; `{}` a child workflow of one task;
///   `!` a signal of its own name, `!go` of another, `!go/1h` with a longest wait.
/// - `&tasks.a.output.ok_eq_true`: the expression of a condition, with `_` for spaces.
/// - `|a.ok:yes`: a precondition, task and path, then what is expected.
/// - `>x,y`: a condition, with the targets of routes 0 and 1; `>,y` has no route 0; `*3` behind them
///   allows three evaluations.
/// - `<a,b`: dependencies. `=a`: whose result it is given.
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
        } else if let Some(attempts) = word.strip_prefix('%') {
            definition.retry_policy = Some(RetryPolicy {
                max_attempts: attempts.parse().expect("a number of attempts"),
                initial_delay: Duration::from_secs(1),
                jitter: 0.0,
                ..RetryPolicy::default()
            });
        } else if let Some(hooks) = word.strip_prefix('#') {
            definition.hooks = Some(hooks_of(hooks));
        } else {
            definition.tasks.push(task_of(word));
        }
    }
    definition
}

fn hooks_of(list: &str) -> WorkflowHooks {
    let has = |name: &str| {
        list.split(',')
            .any(|one| one == name)
            .then(|| HookDefinition {
                task_type: "hook".to_owned(),
                ..HookDefinition::default()
            })
    };
    WorkflowHooks {
        on_init: has("init"),
        on_success: has("success"),
        on_failure: has("failure"),
        on_exit: has("exit"),
    }
}

fn task_of(word: &str) -> TaskDefinition {
    let (word, from) = word.split_once('=').unwrap_or((word, ""));
    let (word, depends_on) = word.split_once('<').unwrap_or((word, ""));
    let (word, routes) = word.split_once('>').unwrap_or((word, ""));
    let (word, precondition) = word.split_once('|').unwrap_or((word, ""));
    let (word, expression) = word.split_once('&').unwrap_or((word, ""));
    let end = word.find(['?', '~', '^', '[', '(', '{', '!']);
    let (name, mut marks) = word.split_at(end.unwrap_or(word.len()));
    let mut from: VecDeque<String> = names(from).into();
    let mut task = TaskDefinition {
        depends_on: names(depends_on),
        result_from: match from.len() {
            0 => None,
            1 => from.pop_front().map(ResultFrom::One),
            _ => Some(ResultFrom::Many(from.into())),
        },
        ..task(name)
    };
    while let Some(mark) = marks.chars().next() {
        let end = marks[1..].find(['?', '~', '^', '[', '(', '{', '!']);
        let (this, rest) = marks.split_at(end.map_or(marks.len(), |end| end + 1));
        marks = rest;
        match mark {
            '?' => task.allow_failure = true,
            '~' => task.result_reuse = ResultReuse::Never,
            '^' => task.priority = this[1..].parse().expect("a priority"),
            '[' => {
                task.kind = TaskKind::Map;
                task.window = this.trim_matches(['[', ']']).parse().unwrap_or_default();
            }
            '(' => task.kind = TaskKind::Subflow,
            '{' => {
                task.task_type.clear();
                task.child_workflow_def = Some(Box::new(graph("only")));
            }
            _ => {
                task.task_type.clear();
                task.kind = TaskKind::Signal;
                let (signal, timeout) = this[1..].split_once('/').unwrap_or((&this[1..], ""));
                task.signal = (!signal.is_empty()).then(|| signal.to_owned());
                task.timeout = duration::parse(timeout).ok();
            }
        }
    }
    if !routes.is_empty() {
        let (routes, most) = routes.split_once('*').unwrap_or((routes, "0"));
        task.kind = TaskKind::Condition;
        task.max_iterations = most.parse().expect("a number of evaluations");
        let targets = (0..)
            .zip(routes.split(','))
            .filter(|(_, to)| !to.is_empty());
        task.condition_routes = targets.map(|(route, to)| (route, to.to_owned())).collect();
    }
    if !expression.is_empty() {
        task.task_type.clear();
        task.condition = Some(expression.replace('_', " "));
    }
    if !precondition.is_empty() {
        let (place, expected) = precondition.split_once(':').unwrap_or((precondition, ""));
        let (of, path) = place.split_once('.').unwrap_or((place, ""));
        task.preconditions.push(Precondition {
            kind: "upstream_output".to_owned(),
            task: of.to_owned(),
            path: path.to_owned(),
            expected: expected.to_owned(),
        });
    }
    task
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
