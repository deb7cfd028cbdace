//! Random definitions from a seed.

mod routes;
mod shrink;
mod tasks;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use paceline_types::RetryPolicy;
use paceline_types::workflow::{
    HookDefinition, TaskDefinition, TaskKind, WorkflowDefinition, WorkflowHooks,
};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};

use super::chance::Chance;
use super::script;

use tasks::Style;

pub use shrink::shrunk;

/// The task type of every generated job.
pub const TASK_TYPE: &str = "play";

/// What else a run of a definition needs.
#[derive(Clone, Debug)]
pub struct Generated {
    /// The definition; it may be invalid.
    pub definition: WorkflowDefinition,
    /// The input of the instance.
    pub input: Value,
    /// Whether outcomes of jobs follow from the attempt of the workflow.
    pub steady: bool,
}

/// What may be in a definition.
#[derive(Clone, Copy, Debug)]
pub struct Wish {
    /// Most tasks; at least 1.
    pub size: usize,
    /// How deep child workflows may still have children.
    pub depth: u32,
    /// Jobs may be cancelled by hand, and end by the attempt of their workflow: what a handler on a
    /// node cannot know or do.
    pub in_memory: bool,
}

/// A random definition.
#[must_use]
pub fn definition(seed: u64, wish: Wish) -> Generated {
    let mut chance = Chance::new(seed);
    let steady = chance.percent(15) && wish.in_memory;
    let definition = workflow(&mut chance, wish, steady);
    let input = json!({
        "gen": 0,
        "n": chance.below(5),
        "list": (0..chance.below(4)).collect::<Vec<_>>(),
        "s": chance.pick(&["yes", "no"]),
    });
    Generated {
        definition,
        input,
        steady,
    }
}

fn workflow(chance: &mut Chance, wish: Wish, steady: bool) -> WorkflowDefinition {
    let style = Style {
        seed: chance.number() >> 12,
        prefix: String::new(),
        outside: None,
        steady,
        in_memory: wish.in_memory,
        by_hand: wish.in_memory && !steady && chance.percent(20),
        risk: *chance.pick(&[0, 0, 0, 4, 15]),
        continues: chance.percent(8),
        children: wish.depth,
        subflows: 2,
    };
    let size = 1 + chance.below(wish.size);
    let tasks = tasks::tasks(chance, size, &style);
    let retry_policy = steady.then(|| RetryPolicy {
        max_attempts: u32::try_from(1 + chance.below(3)).unwrap_or(1),
        initial_delay: Duration::from_millis(*chance.pick(&[1, 20])),
        jitter: 0.5,
        ..RetryPolicy::default()
    });
    WorkflowDefinition {
        name: "random".to_owned(),
        tasks,
        execution_timeout: chance.percent(10).then(|| Duration::from_secs(3600)),
        default_priority: None,
        retry_policy,
        hooks: chance.percent(30).then(|| hooks(chance, style.seed)),
    }
}

fn hooks(chance: &mut Chance, seed: u64) -> WorkflowHooks {
    let mut hook = || {
        chance.percent(60).then(|| HookDefinition {
            task_type: TASK_TYPE.to_owned(),
            payload: raw(&json!({ "seed": seed })),
            timeout: None,
        })
    };
    WorkflowHooks {
        on_init: hook(),
        on_success: hook(),
        on_failure: hook(),
        on_exit: hook(),
    }
}

fn raw(value: &Value) -> Option<Box<RawValue>> {
    to_raw_value(value).ok()
}

/// A random result of a job.
#[must_use]
pub fn value(chance: &mut Chance) -> Value {
    let mut value = json!({
        "v": chance.below(6),
        "s": chance.pick(&["yes", "no"]),
        "list": (0..chance.below(4)).map(|n| json!({ "v": n })).collect::<Vec<_>>(),
    });
    if chance.percent(20) {
        value["deep"] = json!({ "of": [1.5, null, true] });
    }
    value
}

/// What the handler of a subflow answers.
#[must_use]
pub fn answer(
    chance: &mut Chance,
    generator: &str,
    headers: &BTreeMap<String, String>,
    depth: u32,
) -> Value {
    let risky = headers.get(script::RISK).is_some_and(|risk| risk != "0");
    if risky && chance.percent(20) {
        return wrong_answer(chance, generator);
    }
    if chance.percent(10) {
        return json!({ "tasks": [] });
    }
    let style = Style {
        seed: chance.number() >> 12,
        prefix: format!("{generator}-"),
        outside: Some(generator.to_owned()),
        steady: headers.contains_key(script::STEADY),
        in_memory: headers.contains_key(script::IN_MEMORY),
        by_hand: headers.contains_key(script::BY_HAND),
        risk: if risky { *chance.pick(&[0, 0, 5]) } else { 0 },
        continues: false,
        children: depth.min(1),
        subflows: depth,
    };
    for _ in 0..8 {
        let size = 1 + chance.below(4);
        let tasks = tasks::tasks(chance, size, &style);
        if is_valid(&tasks, generator) {
            return json!({ "tasks": tasks });
        }
    }
    json!({ "tasks": [] })
}

/// Whether a list stands by itself, without what it says of its generator.
pub(super) fn is_valid(tasks: &[TaskDefinition], generator: &str) -> bool {
    let mut tasks = tasks.to_vec();
    for task in &mut tasks {
        task.depends_on.retain(|name| name != generator);
    }
    let definition = WorkflowDefinition {
        name: "section".to_owned(),
        tasks,
        ..WorkflowDefinition::default()
    };
    definition.validate(256 << 10).is_ok()
}

fn wrong_answer(chance: &mut Chance, generator: &str) -> Value {
    let a = format!("{generator}-a");
    let task =
        |name: &str, on: &[&str]| json!({ "name": name, "task_type": TASK_TYPE, "depends_on": on });
    match chance.below(7) {
        0 => json!({ "tasks": [task(&a, &[]), task(&a, &[])] }),
        1 => json!({ "tasks": [task("", &[])] }),
        2 => json!({ "tasks": [task(&a, &["nowhere"])] }),
        3 => json!({ "tasks": [task(&a, &["b"]), task("b", &[&a])] }),
        4 => json!({ "tasks": [task(generator, &[])] }),
        5 => json!({ "tasks": { "name": a } }),
        _ => json!(["tasks"]),
    }
}

/// The features of a definition, for counting.
#[must_use]
pub fn features(definition: &WorkflowDefinition) -> BTreeSet<&'static str> {
    let mut found = BTreeSet::new();
    let shape = super::shape::Shape::of(&definition.tasks);
    let mut note = |holds: bool, name| {
        if holds {
            found.insert(name);
        }
    };
    note(definition.hooks.is_some(), "hooks");
    note(definition.retry_policy.is_some(), "retry policy");
    note(!shape.bodies.is_empty(), "loops");
    note(shape.bodies.len() > 1, "several loops");
    let nested = shape.bodies.iter().any(|(way, body)| {
        shape
            .bodies
            .iter()
            .any(|(other, inner)| way != other && inner.is_subset(body))
    });
    note(nested, "nested loops");
    let overlapping = shape.bodies.values().any(|one| {
        shape.bodies.values().any(|other| {
            one.intersection(other).next().is_some()
                && !one.is_subset(other)
                && !other.is_subset(one)
        })
    });
    note(overlapping, "overlapping loops");
    for (place, task) in definition.tasks.iter().enumerate() {
        note(task.condition.is_some(), "expressions");
        note(
            task.kind == TaskKind::Condition && task.condition.is_none(),
            "conditions",
        );
        note(!shape.deciders[place].is_empty(), "forward routes");
        note(task.kind == TaskKind::Subflow, "subflows");
        note(task.kind == TaskKind::Map, "maps");
        note(task.kind == TaskKind::Signal, "signals");
        note(task.child_workflow_def.is_some(), "children");
        note(task.allow_failure, "allow_failure");
        note(!task.preconditions.is_empty(), "preconditions");
        note(task.result_from.is_some(), "result_from");
        note(shape.dependencies[place].len() > 1, "joins");
        let payload = task.payload.as_ref().map_or("", |payload| payload.get());
        note(payload.contains("{{"), "templates");
    }
    found
}
