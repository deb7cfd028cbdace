//! Random definitions.

use std::fmt::Write as _;

use paceline_types::WorkflowDefinition;
use paceline_types::workflow::{ResultFrom, ResultReuse, TaskDefinition, TaskKind};
use serde_json::json;
use serde_json::value::RawValue;

use crate::graph::{graph, task};

/// A small generator of numbers, so that a seed names a walk.
#[derive(Clone, Debug)]
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from((self.0 >> 11) % most.max(1) as u64).unwrap_or(0)
    }

    /// True in so many of a hundred cases.
    pub(super) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

fn raw(value: &serde_json::Value) -> Option<Box<RawValue>> {
    RawValue::from_string(value.to_string()).ok()
}

/// Tasks that most often hold; `prefix` keeps the names of sections apart.
pub(super) fn tasks(dice: &mut Dice, prefix: &str, nests: bool) -> Vec<TaskDefinition> {
    let count = 1 + dice.below(8);
    let name = |place: usize| format!("{prefix}{place}");
    let mut tasks: Vec<TaskDefinition> = Vec::new();
    for place in 0..count {
        let mut on: Vec<usize> = Vec::new();
        for _ in 0..dice.below(4) {
            if place > 0 {
                on.push(dice.below(place));
            }
        }
        on.sort_unstable();
        on.dedup();
        let mut this = TaskDefinition {
            depends_on: on.iter().map(|&on| name(on)).collect(),
            priority: i64::try_from(dice.below(4)).unwrap_or(0),
            allow_failure: dice.chance(20),
            ..task(&name(place))
        };
        if dice.chance(10) {
            this.result_reuse = ResultReuse::Never;
        }
        match dice.below(20) {
            0..=3 => {
                this.kind = TaskKind::Condition;
                this.max_iterations = 1 + u32::try_from(dice.below(3)).unwrap_or(0);
                if dice.chance(40) && place > 0 {
                    // Back to one before it: only an ancestor holds.
                    this.condition_routes.insert(0, name(dice.below(place + 1)));
                }
                if dice.chance(30)
                    && let Some(first) = this.depends_on.first()
                {
                    this.task_type.clear();
                    this.condition = Some(format!("tasks.{first}.output.n gte 2"));
                }
            }
            4 | 5 => {
                this.kind = TaskKind::Map;
                this.window = u32::try_from(dice.below(3)).unwrap_or(0);
                match (this.depends_on.first(), dice.chance(40)) {
                    (Some(first), true) => this.result_from = Some(ResultFrom::One(first.clone())),
                    _ => {
                        let items: Vec<usize> = (0..dice.below(5)).collect();
                        this.items = raw(&json!(items));
                    }
                }
            }
            6 | 7 if nests => this.kind = TaskKind::Subflow,
            8 => {
                this.kind = TaskKind::Signal;
                this.task_type.clear();
                this.signal = Some(format!("s{}", dice.below(2)));
                if dice.chance(50) {
                    this.timeout = Some(std::time::Duration::from_secs(60));
                }
            }
            9 => {
                this.task_type.clear();
                this.child_workflow_def = Some(Box::new(graph("only")));
            }
            _ => {}
        }
        if dice.chance(10)
            && let Some(first) = this.depends_on.first()
        {
            this.preconditions = vec![paceline_types::workflow::Precondition {
                kind: "upstream_output".to_owned(),
                task: first.clone(),
                path: "n".to_owned(),
                expected: "1".to_owned(),
            }];
        }
        // Whoever depends on a condition is led to by it.
        let led = on.iter().copied();
        for condition in led.chain(dice.chance(10).then_some(place / 2)) {
            let Some(condition) = tasks.get_mut(condition) else {
                continue;
            };
            if condition.kind == TaskKind::Condition {
                let routes = &mut condition.condition_routes;
                let free = (0..).find(|number| !routes.contains_key(number));
                routes.insert(free.unwrap_or(0), name(place));
            }
        }
        tasks.push(this);
    }
    for task in &mut tasks {
        if task.kind == TaskKind::Condition && task.condition_routes.is_empty() {
            let own = task.name.clone();
            task.condition_routes.insert(1, own);
        }
    }
    tasks
}

pub(super) fn definition(dice: &mut Dice) -> WorkflowDefinition {
    let mut line = String::new();
    for (mark, percent) in [
        ("@1h", 30),
        ("%2", 30),
        ("#init", 10),
        ("#success,exit", 15),
    ] {
        if dice.chance(percent) {
            let _ = write!(line, "{mark} ");
        }
    }
    if dice.chance(15) {
        line.push_str("#init,success,failure,exit");
    }
    WorkflowDefinition {
        tasks: tasks(dice, "t", true),
        ..graph(&line)
    }
}
