//! Random workflows against an interpreter that shares nothing with `advance`.
//!
//! The interpreter knows sets of names and looks at all tasks after every event. It has no
//! counters, no queue, no limits and no records.

use std::collections::{BTreeMap, BTreeSet};

use paceline_types::WorkflowDefinition;
use paceline_types::workflow::{ResultFrom, TaskDefinition};
use proptest::prelude::*;
use proptest::sample::Index;

use super::run::ended;
use super::*;
use crate::graph::{graph, task};

#[derive(Default)]
struct Simple {
    needs: BTreeMap<String, BTreeSet<String>>,
    lenient: BTreeSet<String>,
    begun: bool,
    running: BTreeSet<String>,
    over: BTreeMap<String, &'static str>,
    cause: Option<String>,
    verdict: Option<String>,
}

impl Simple {
    fn new(definition: &WorkflowDefinition) -> Simple {
        let tasks = definition.tasks.iter();
        Simple {
            needs: tasks
                .clone()
                .map(|task| (task.name.clone(), task.depends_on.iter().cloned().collect()))
                .collect(),
            lenient: tasks
                .filter(|t| t.allow_failure)
                .map(|task| task.name.clone())
                .collect(),
            ..Simple::default()
        }
    }

    fn tell(&mut self, event: &Event) {
        if self.verdict.is_some() {
            return;
        }
        match event {
            Event::Start { .. } => self.begun = true,
            Event::CancelRequested { reason } => {
                self.cause
                    .get_or_insert(format!("cancelled/cancelled: {reason}"));
            }
            Event::Rang(_) => {
                self.cause
                    .get_or_insert("failed/execution timed out".to_owned());
            }
            Event::TaskEnded { task, outcome, .. } => {
                let name = task.to_string();
                if !self.running.remove(&name) {
                    return;
                }
                let lenient = self.lenient.contains(&name);
                let (end, cause) = match outcome {
                    TaskOutcome::Completed
                    | TaskOutcome::Continued
                    | TaskOutcome::Skipped { .. } => ("well", None),
                    TaskOutcome::Dead { .. } if lenient => ("well", None),
                    TaskOutcome::Dead { error } => {
                        ("badly", Some(format!("failed/task {name} failed: {error}")))
                    }
                    TaskOutcome::Cancelled if lenient && self.cause.is_none() => ("well", None),
                    TaskOutcome::Cancelled => {
                        ("badly", Some(format!("failed/task {name} was cancelled")))
                    }
                };
                self.over.insert(name, end);
                if let Some(cause) = cause {
                    self.cause.get_or_insert(cause);
                }
            }
            Event::JobGone { .. }
            | Event::Signalled { .. }
            | Event::RetryRequested
            | Event::Continue => {}
        }
        if self.begun && self.cause.is_none() {
            for (name, needs) in &self.needs {
                let known = self.running.contains(name) || self.over.contains_key(name);
                if !known && needs.iter().all(|on| self.over.get(on) == Some(&"well")) {
                    self.running.insert(name.clone());
                }
            }
        }
        if self.running.is_empty() {
            self.verdict = match &self.cause {
                Some(cause) => Some(cause.clone()),
                None if self.over.len() == self.needs.len() => Some("completed/".to_owned()),
                None => None,
            };
        }
    }
}

fn definitions() -> impl Strategy<Value = WorkflowDefinition> {
    let each = (
        any::<bool>(),
        -2_i64..12,
        proptest::collection::vec(any::<Index>(), 0..4),
        any::<bool>(),
    );
    proptest::collection::vec(each, 1..12).prop_map(|tasks| {
        let mut definition = graph("@1m");
        for (place, (lenient, priority, on, from)) in tasks.into_iter().enumerate() {
            // Names do not follow the order of the definition, so that one cannot stand for it.
            let name = |place: usize| format!("t{}", (place * 7) % 12);
            let on: BTreeSet<usize> = match place {
                0 => BTreeSet::new(),
                place => on.into_iter().map(|index| index.index(place)).collect(),
            };
            let depends_on: Vec<String> = on.into_iter().map(name).collect();
            definition.tasks.push(TaskDefinition {
                result_from: from
                    .then(|| depends_on.first().cloned().map(ResultFrom::One))
                    .flatten(),
                depends_on,
                priority,
                allow_failure: lenient && place % 3 == 0,
                ..task(&name(place))
            });
        }
        definition
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]

    #[test]
    fn random_workflows_end_as_a_simple_interpreter_says(
        definition in definitions(),
        choices in proptest::collection::vec((any::<usize>(), 0_u8..40), 0..80),
        limit in 1_usize..4,
    ) {
        let mut run = Run::of(&definition).limited(limit);
        let mut simple = Simple::new(&definition);
        let mut event = Event::Start { shards: 1 };
        let mut choices = choices.into_iter();
        loop {
            simple.tell(&event);
            let mut next = Some(event);
            while let Some(event) = next.take() {
                let transition = run.apply(&event).expect("applied");
                if transition.more {
                    next = Some(Event::Continue);
                }
            }
            let instance = &run.instance;
            let open: BTreeSet<String> = instance
                .open_tasks(0, usize::MAX)
                .into_iter()
                .map(|(task, _)| instance.plan().task(task).name.to_string())
                .collect();
            prop_assert_eq!(&open, &simple.running);
            let error = instance.stage().ending().map(ToString::to_string).unwrap_or_default();
            let verdict = format!("{}/{error}", instance.stage().status());
            prop_assert_eq!(instance.stage().is_closed().then_some(verdict), simple.verdict.clone());
            if instance.stage().is_closed() {
                break;
            }
            let (which, what) = choices.next().unwrap_or((0, 0));
            let open: Vec<&String> = open.iter().collect();
            let task = open[which % open.len()].as_str();
            event = match what {
                38 if instance.stage() == &Stage::Running => Event::Rang(Alarm::Deadline),
                39 if instance.stage() == &Stage::Running => {
                    Event::CancelRequested { reason: "why".to_owned() }
                }
                30..=37 => ended(instance, task, 0, TaskOutcome::Dead { error: "boom".to_owned() }),
                28 | 29 => ended(instance, task, 0, TaskOutcome::Cancelled),
                20..=27 => ended(instance, task, 0, TaskOutcome::Skipped { reason: "nothing to do".to_owned() }),
                _ => ended(instance, task, 0, TaskOutcome::Completed),
            };
        }
    }
}
