//! What a task does when its turn has come: jobs, subflows, maps, children, signals.

use paceline_types::WorkflowStatus;
use paceline_types::workflow::{ResultFrom, TaskDefinition, TaskKind};
use serde_json::{Value, json};

use super::super::chance::Chance;
use super::super::generate;
use super::super::script::{self, Act, Call};
use super::super::values;
use super::{CANCELLED, End, Kind, Machine, Unfit, signal_payload, tell};

impl Machine<'_> {
    pub(super) fn work(&mut self, task: usize, order: &mut Chance) -> Result<(), Unfit> {
        if self.is_map(task) {
            self.map(task);
            return Ok(());
        }
        let definition = self.tasks[task].definition.clone();
        if definition.child_workflow_def.is_some() {
            return self.child(task, &definition, order);
        }
        if definition.kind == TaskKind::Signal {
            self.signal(task, &definition);
            return Ok(());
        }
        let Some(result) = self.job(task) else {
            return Ok(());
        };
        if definition.kind == TaskKind::Subflow {
            self.expand(task, result);
        } else {
            self.end(task, Kind::Completed, result, None);
        }
        Ok(())
    }

    /// Runs the job of a task; its result, or none if that was the end of the task.
    pub(super) fn job(&mut self, task: usize) -> Option<Value> {
        let start = self.start(task);
        self.told.made.insert(start);
        let payload = match self.payload(task) {
            Ok(payload) => payload,
            Err(error) => {
                self.fail(task, Kind::Dead, error);
                return None;
            }
        };
        let name = self.tasks[task].definition.name.clone();
        match self.act(task, &name, self.tasks[task].iteration) {
            Act::Value(value) => Some(value),
            Act::Echo => Some(payload),
            Act::Continue(value) => {
                self.tasks[task].continues = true;
                Some(value)
            }
            Act::Skip(reason) => {
                self.end(task, Kind::Skipped, Value::Null, Some(reason));
                None
            }
            Act::Dead(error) | Act::Panic(error) => {
                self.fail(task, Kind::Dead, error);
                None
            }
            Act::Cancel => {
                self.fail(task, Kind::Cancelled, CANCELLED.to_owned());
                None
            }
        }
    }

    fn act(&self, task: usize, name: &str, iteration: u32) -> Act {
        script::act(&Call {
            headers: &self.tasks[task].definition.headers,
            task: name,
            iteration,
            attempt: self.told.attempts,
            input: self.input,
        })
    }

    fn start(&self, task: usize) -> (String, u32) {
        (self.tasks[task].key.clone(), self.tasks[task].iteration)
    }

    /// What a handler or a child is given.
    fn payload(&self, task: usize) -> Result<Value, String> {
        let definition = &self.tasks[task].definition;
        let written = definition
            .payload
            .as_ref()
            .map_or("null", |payload| payload.get());
        let written: Value = serde_json::from_str(written).unwrap_or(Value::Null);
        let payload = values::render(&written, &|root: &str| self.root(task, root))
            .map_err(|reference| format!("payload: {reference} is not there"))?;
        let upstream = |name: &String| {
            let upstream = self.sibling(task, name);
            upstream.map_or(Value::Null, |upstream| self.value_of(upstream))
        };
        let upstream = match &definition.result_from {
            None => return Ok(payload),
            Some(ResultFrom::One(name)) => upstream(name),
            Some(ResultFrom::Many(names)) => names
                .iter()
                .map(|name| (name.clone(), upstream(name)))
                .collect::<serde_json::Map<_, _>>()
                .into(),
        };
        Ok(json!({ "upstream": upstream, "original": payload }))
    }

    fn expand(&mut self, task: usize, answer: Value) {
        let Some(list) = self.section_of(task, &answer) else {
            // Which words it is told in is not said.
            return self.fail(task, Kind::Dead, " ".to_owned());
        };
        let scope = self.add(list, Some(task));
        self.tasks[task].expanded = Some((scope, answer));
    }

    /// The tasks of a subflow's answer, if it is one.
    fn section_of(&self, task: usize, answer: &Value) -> Option<Vec<TaskDefinition>> {
        let list = answer.get("tasks")?.clone();
        // By way of the text, since payloads are kept as they were written.
        let list: Vec<TaskDefinition> = serde_json::from_str(&list.to_string()).ok()?;
        let is_taken = |name: &str| {
            let mut tasks = self.tasks.iter();
            tasks.any(|task| task.definition.name == name && self.is_alive(task.scope))
        };
        if list.iter().any(|task| is_taken(&task.name)) {
            return None;
        }
        let generator = &self.tasks[task].definition.name;
        (list.is_empty() || generate::is_valid(&list, generator)).then_some(list)
    }

    fn map(&mut self, task: usize) {
        let definition = self.tasks[task].definition.clone();
        let name = &definition.name;
        let root = |root: &str| self.root(task, root);
        let items = match (&definition.items, &definition.result_from) {
            (Some(items), _) => {
                let items = serde_json::from_str(items.get()).unwrap_or(Value::Null);
                values::render(&items, &root)
            }
            (None, Some(from)) => Ok(match from.names() {
                [one] => root(&format!("tasks.{one}.output")).unwrap_or(Value::Null),
                _ => json!({}),
            }),
            (None, None) => Ok(Value::Null),
        };
        let items = match items {
            Ok(Value::Array(items)) => items,
            Ok(_) => return self.fail(task, Kind::Dead, format!("map \"{name}\": its items are ")),
            Err(reference) => {
                return self.fail(task, Kind::Dead, format!("items: {reference} is not there"));
            }
        };
        let (key, iteration) = self.start(task);
        let mut results = Vec::new();
        let mut failed = false;
        for (place, item) in items.into_iter().enumerate() {
            let element = format!("{name}#{place}");
            let payload = match &definition.payload {
                None => Ok(item),
                Some(payload) => {
                    let written = serde_json::from_str(payload.get()).unwrap_or(Value::Null);
                    let put_in = |root: &str| match root {
                        "item" => Some(item.clone()),
                        "index" => Some(json!(place)),
                        root => self.root(task, root),
                    };
                    values::render(&written, &put_in)
                }
            };
            let act = match &payload {
                Ok(_) => self.act(task, &element, 0),
                Err(reference) => Act::Dead(format!("payload: {reference} is not there")),
            };
            let is_made = payload.is_ok();
            let (kind, value, error) = match act {
                Act::Value(value) | Act::Continue(value) => (Kind::Completed, value, None),
                Act::Echo => (Kind::Completed, payload.unwrap_or_default(), None),
                Act::Skip(reason) => (Kind::Skipped, Value::Null, Some(reason)),
                Act::Dead(error) | Act::Panic(error) => (Kind::Dead, Value::Null, Some(error)),
                Act::Cancel => (Kind::Cancelled, Value::Null, Some(CANCELLED.to_owned())),
            };
            let kind = if kind.is_done() {
                kind
            } else if definition.allow_failure {
                Kind::FailedAllowed
            } else {
                failed = true;
                self.told.fatals.insert(
                    format!("{key}@{iteration}/{element}"),
                    error.clone().unwrap_or_default(),
                );
                kind
            };
            let start = (format!("{key}@{iteration}/{element}"), 0);
            results.push(value.clone());
            let value = match kind {
                Kind::FailedAllowed => json!({ "error": error }),
                _ => value,
            };
            if is_made {
                self.told.made.insert(start.clone());
            }
            self.told
                .ends
                .insert(start.clone(), End { kind, value, error });
            self.tasks[task].elements.push(start);
        }
        // Which of the elements fails first is a matter of time.
        match failed {
            true => self.fail(task, Kind::Dead, "element ".to_owned()),
            false => self.end(task, Kind::Completed, results.into(), None),
        }
    }

    fn child(
        &mut self,
        task: usize,
        definition: &TaskDefinition,
        order: &mut Chance,
    ) -> Result<(), Unfit> {
        let Some(child) = definition.child_workflow_def.as_deref() else {
            return Ok(());
        };
        let input = match self.payload(task) {
            Ok(input) => input,
            Err(error) => {
                self.fail(task, Kind::Dead, error);
                return Ok(());
            }
        };
        let start = self.start(task);
        self.told.made.insert(start.clone());
        let told = tell(child, &input, order)?;
        self.told.steps += told.steps;
        let mut last = &told;
        while let Some(next) = &last.next {
            last = next;
        }
        if last.status == WorkflowStatus::Completed {
            let output = last.output.clone();
            self.end(task, Kind::Completed, output, None);
        } else {
            self.fail(task, Kind::Dead, "child workflow ".to_owned());
        }
        self.told.children.insert(start, told);
        Ok(())
    }

    fn signal(&mut self, task: usize, definition: &TaskDefinition) {
        let name = definition.signal.as_ref().unwrap_or(&definition.name);
        if name == "never" {
            self.fail(
                task,
                Kind::Dead,
                format!("no signal \"{name}\" came within "),
            );
        } else {
            self.end(task, Kind::Completed, signal_payload(name), None);
        }
    }
}
