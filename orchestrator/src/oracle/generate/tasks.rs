//! The tasks of a random definition, or of a random section.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use paceline_types::workflow::{Precondition, ResultFrom, ResultReuse, TaskDefinition, TaskKind};
use serde_json::{Value, json};

use super::super::chance::Chance;
use super::super::script;
use super::routes::{mend, route};
use super::{TASK_TYPE, Wish, raw, workflow};

/// What the tasks have in common.
pub(super) struct Style {
    pub(super) seed: u64,
    pub(super) prefix: String,
    /// The generator of a section.
    pub(super) outside: Option<String>,
    pub(super) steady: bool,
    pub(super) in_memory: bool,
    pub(super) by_hand: bool,
    pub(super) risk: u32,
    pub(super) continues: bool,
    pub(super) children: u32,
    pub(super) subflows: u32,
}

/// So many random tasks: names, edges, and what they are.
pub(super) fn tasks(chance: &mut Chance, size: usize, style: &Style) -> Vec<TaskDefinition> {
    let mut names: Vec<String> = (0..size)
        .map(|place| format!("{}{}{place}", style.prefix, chance.pick(&["a", "b", "c"])))
        .collect();
    if chance.percent(50) {
        names.sort_unstable();
    }
    let mut tasks: Vec<TaskDefinition> = Vec::new();
    let spread = 1 + chance.below(4);
    for place in 0..size {
        let mut on = BTreeSet::new();
        if place > 0 && !chance.percent(15) {
            for _ in 0..=chance.below(3) {
                // Mostly what is near, so that there are chains as well as joins.
                let back = 1 + chance.below(spread * 2).min(place - 1);
                on.insert(place - back);
            }
        }
        let mut depends_on: Vec<String> = on.into_iter().map(|on| names[on].clone()).collect();
        chance.shuffle(&mut depends_on);
        tasks.push(TaskDefinition {
            name: names[place].clone(),
            depends_on,
            allow_failure: chance.percent(15),
            priority: [0, 0, 0, 1, 5, 9][chance.below(6)],
            ..TaskDefinition::default()
        });
        let kind = chance.below(100);
        become_what(chance, &mut tasks, place, kind, style);
    }
    for place in 0..size {
        if tasks[place].kind == TaskKind::Condition {
            route(chance, &mut tasks, place, style);
        }
    }
    mend(chance, &mut tasks);
    for task in &mut tasks {
        finish(chance, task, style);
    }
    if chance.percent(30) {
        chance.shuffle(&mut tasks);
    }
    tasks
}

fn become_what(
    chance: &mut Chance,
    tasks: &mut [TaskDefinition],
    place: usize,
    kind: usize,
    style: &Style,
) {
    let on = tasks[place].depends_on.clone();
    // What a value can be taken from: an expression leaves none that is agreed on.
    let sources: Vec<String> = tasks
        .iter()
        .filter(|task| on.contains(&task.name) && task.condition.is_none())
        .map(|task| task.name.clone())
        .collect();
    let task = &mut tasks[place];
    TASK_TYPE.clone_into(&mut task.task_type);
    match kind {
        0..18 => task.kind = TaskKind::Condition,
        18..24 => {
            task.kind = TaskKind::Condition;
            task.task_type.clear();
            task.condition = Some(expression(chance, &sources));
        }
        24..31 if style.subflows > 0 => task.kind = TaskKind::Subflow,
        31..38 => make_map(chance, task, &sources),
        38..43 if style.children > 0 => {
            task.task_type.clear();
            let wish = Wish {
                size: 4,
                depth: style.children - 1,
                in_memory: style.in_memory,
            };
            let steady = chance.percent(20) && style.in_memory;
            task.child_workflow_def = Some(Box::new(workflow(chance, wish, steady)));
            task.payload =
                raw(&json!({ "gen": chance.below(2), "n": 1, "given": payload(chance, &sources) }));
        }
        43..48 => {
            task.kind = TaskKind::Signal;
            task.task_type.clear();
            // Those of one name come to all that wait, or to none.
            let name = *chance.pick(&["given", "given", "other", "never"]);
            task.signal = Some(name.to_owned());
            if name == "never" || chance.percent(20) {
                task.timeout = Some(Duration::from_millis(if name == "never" {
                    30
                } else {
                    3_600_000
                }));
            }
        }
        _ => {
            task.payload = chance
                .percent(60)
                .then(|| payload(chance, &sources))
                .as_ref()
                .and_then(raw)
        }
    }
    let takes = task.kind != TaskKind::Signal
        && task.kind != TaskKind::Map
        && task.condition.is_none()
        && chance.percent(25);
    if takes && !sources.is_empty() {
        task.result_from = Some(if chance.percent(50) {
            ResultFrom::One(chance.pick(&sources).clone())
        } else {
            ResultFrom::Many(sources.clone())
        });
    }
    if chance.percent(12) && !sources.is_empty() {
        task.preconditions.push(Precondition {
            kind: "upstream_output".to_owned(),
            task: chance.pick(&sources).clone(),
            path: (*chance.pick(&["$.s", "s", "v", "list[0].v", "deep.of[0]", "error"])).to_owned(),
            expected: (*chance.pick(&["yes", "no", "1", "", "1.5"])).to_owned(),
        });
    }
}

fn expression(chance: &mut Chance, sources: &[String]) -> String {
    let reference = match sources {
        [] => *chance.pick(&["input.n", "input.s", "input.nothing"]),
        _ => "",
    };
    let reference = if reference.is_empty() {
        format!(
            "tasks.{}.output.{}",
            chance.pick(sources),
            chance.pick(&["v", "s", "list"])
        )
    } else {
        reference.to_owned()
    };
    let test = *chance.pick(&[
        "eq 1",
        "ne 2",
        "gt 2",
        "lte 3",
        "eq yes",
        "eq \"no\"",
        "in [1, 3, \"yes\"]",
        "contains ye",
    ]);
    format!("{reference} {test}")
}

fn make_map(chance: &mut Chance, task: &mut TaskDefinition, sources: &[String]) {
    task.kind = TaskKind::Map;
    task.window = u32::try_from(chance.below(4)).unwrap_or(0);
    if !sources.is_empty() && chance.percent(25) {
        task.result_from = Some(ResultFrom::One(chance.pick(sources).clone()));
    } else {
        task.items = raw(&match chance.below(10) {
            0 => json!([]),
            1 => json!("{{input.list}}"),
            2 if !sources.is_empty() => {
                json!(format!("{{{{tasks.{}.output}}}}", chance.pick(sources)))
            }
            3 | 4 if !sources.is_empty() => {
                json!(format!(
                    "{{{{tasks.{}.output.list}}}}",
                    chance.pick(sources)
                ))
            }
            5 => json!([{ "v": "{{input.n}}" }, 2]),
            _ => {
                let mut items = vec![
                    json!({ "v": 1 }),
                    json!({ "v": 2 }),
                    json!("three"),
                    json!(4),
                    Value::Null,
                ];
                items.truncate(1 + chance.below(5));
                items.into()
            }
        });
    }
    if chance.percent(50) {
        let payload = match chance.below(3) {
            0 => json!({ "of": "{{item}}", "at": "{{index}}" }),
            1 => json!("{{item}}"),
            _ => json!(["no. {{index}}", "{{input.s}}"]),
        };
        task.payload = raw(&payload);
    }
}

/// A payload that refers to these tasks and to the input.
fn payload(chance: &mut Chance, sources: &[String]) -> Value {
    let mut payload = json!({ "n": chance.below(9), "s": "text" });
    if chance.percent(30) {
        payload["input"] = json!(*chance.pick(&["{{input.n}}", "{{input}}", "is {{input.s}}!"]));
    }
    if !sources.is_empty() && chance.percent(50) {
        let source = chance.pick(sources);
        let reference = match chance.below(8) {
            0 => format!("{{{{tasks.{source}.output.v}}}}"),
            1 => format!("it is {{{{tasks.{source}.output.s}}}}, {{{{ tasks.{source}.output }}}}"),
            _ => format!("{{{{tasks.{source}.output}}}}"),
        };
        payload["of"] = json!([reference]);
    }
    payload
}

fn finish(chance: &mut Chance, task: &mut TaskDefinition, style: &Style) {
    if let Some(generator) = &style.outside
        && chance.percent(30)
    {
        task.depends_on.push(generator.clone());
    }
    if style.steady && chance.percent(15) {
        task.result_reuse = ResultReuse::Never;
    }
    if task.task_type.is_empty() {
        return;
    }
    let routes: Vec<String> = task.condition_routes.keys().map(u32::to_string).collect();
    let (kind, depth) = match task.kind {
        TaskKind::Condition => ("condition", 0),
        TaskKind::Subflow => ("subflow", style.subflows - 1),
        TaskKind::Static | TaskKind::Map | TaskKind::Signal => ("job", 0),
    };
    let steady = if task.allow_failure {
        script::ALWAYS
    } else {
        "yes"
    };
    let risk = style.risk + if task.allow_failure { 25 } else { 0 };
    let mut headers = BTreeMap::from([
        (script::SEED.to_owned(), style.seed.to_string()),
        (script::KIND.to_owned(), kind.to_owned()),
        (script::RISK.to_owned(), risk.to_string()),
    ]);
    let flags = [
        (script::ROUTES, !routes.is_empty(), routes.join(",")),
        (script::DEPTH, depth > 0, depth.to_string()),
        (script::STEADY, style.steady, steady.to_owned()),
        (script::IN_MEMORY, style.in_memory, "1".to_owned()),
        (script::BY_HAND, style.by_hand, "1".to_owned()),
        (
            script::CONTINUES,
            style.continues && kind == "job",
            "1".to_owned(),
        ),
    ];
    for (name, holds, value) in flags {
        if holds {
            headers.insert(name.to_owned(), value);
        }
    }
    task.headers = headers;
}
