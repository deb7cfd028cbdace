//! What a task is, and which of its fields mean something for that.

use super::routes::Way;
use super::{MAX_ROUTES, Reader};
use crate::SignalName;
use crate::value::Expression;
use crate::workflow::plan::{Route, Routes, Work};
use crate::workflow::{TaskDefinition, TaskKind};

/// What a task is, by its type and by what stands in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Job,
    Child,
    Condition,
    Expression,
    Subflow,
    Map,
    Signal,
}

impl Form {
    fn of(task: &TaskDefinition) -> Form {
        match task.kind {
            TaskKind::Static if task.child_workflow_def.is_some() => Form::Child,
            TaskKind::Static => Form::Job,
            TaskKind::Condition if task.condition.is_some() => Form::Expression,
            TaskKind::Condition => Form::Condition,
            TaskKind::Subflow => Form::Subflow,
            TaskKind::Map => Form::Map,
            TaskKind::Signal => Form::Signal,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Form::Job => "a task without a type",
            Form::Child => "a child workflow",
            Form::Condition => "a condition",
            Form::Expression => "a condition with an expression",
            Form::Subflow => "a subflow",
            Form::Map => "a map",
            Form::Signal => "a task that waits for a signal",
        }
    }

    /// Whether a field means something for it.
    fn takes(self, field: Field) -> bool {
        match field {
            Field::Options => !matches!(self, Form::Child | Form::Expression | Form::Signal),
            Field::Timeout => !matches!(self, Form::Child | Form::Expression),
            Field::Payload => !matches!(self, Form::Expression | Form::Signal),
            Field::Routes => matches!(self, Form::Condition | Form::Expression),
            Field::Condition => self == Form::Expression,
            Field::Child => self == Form::Child,
            Field::Map => self == Form::Map,
            Field::Signal => self == Form::Signal,
        }
    }
}

/// Fields that mean something for the same forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    /// Options of a job.
    Options,
    Timeout,
    /// What it is given.
    Payload,
    Routes,
    Condition,
    Child,
    Map,
    Signal,
}

/// Every field that not all tasks take, and whether the task has it.
fn given(task: &TaskDefinition) -> [(&'static str, Field, bool); 20] {
    [
        ("task_type", Field::Options, !task.task_type.is_empty()),
        ("payload", Field::Payload, task.payload.is_some()),
        ("result_from", Field::Payload, task.result_from.is_some()),
        (
            "condition_routes",
            Field::Routes,
            !task.condition_routes.is_empty(),
        ),
        ("max_iterations", Field::Routes, task.max_iterations > 0),
        ("condition", Field::Condition, task.condition.is_some()),
        (
            "child_workflow_def",
            Field::Child,
            task.child_workflow_def.is_some(),
        ),
        ("items", Field::Map, task.items.is_some()),
        ("window", Field::Map, task.window > 0),
        ("signal", Field::Signal, task.signal.is_some()),
        ("retry_policy", Field::Options, task.retry_policy.is_some()),
        ("timeout", Field::Timeout, task.timeout.is_some()),
        (
            "schedule_to_start_timeout",
            Field::Options,
            task.schedule_to_start_timeout.is_some(),
        ),
        ("max_duration", Field::Options, task.max_duration.is_some()),
        (
            "heartbeat_timeout",
            Field::Options,
            task.heartbeat_timeout.is_some(),
        ),
        ("limits", Field::Options, !task.limits.is_empty()),
        ("tags", Field::Options, !task.tags.is_empty()),
        ("audited", Field::Options, task.audited),
        ("version", Field::Options, task.version.is_some()),
        ("headers", Field::Options, !task.headers.is_empty()),
    ]
}

impl<'a> Reader<'a> {
    /// A field that means nothing would be a wish that silently does not hold.
    pub(super) fn check_fields(&mut self, place: u32, task: &TaskDefinition) {
        let form = Form::of(task);
        for (name, field, is_given) in given(task) {
            if !is_given || form.takes(field) {
                continue;
            }
            let problem = match (form, name) {
                (Form::Child, "task_type") => {
                    "a task has a task_type or a child_workflow_def, not both; take one out"
                        .to_owned()
                }
                (Form::Expression, "task_type") => {
                    "a condition has a task_type or an expression, not both; take one out"
                        .to_owned()
                }
                _ => format!("{} has no {name}; take it out", form.as_str()),
            };
            self.wrong_in(place, name, problem);
        }
    }

    pub(super) fn read_work(&mut self, place: u32, task: &'a TaskDefinition) -> Option<Work> {
        match Form::of(task) {
            Form::Job => Some(Work::Job {
                task_type: self.read_type(place, task)?,
            }),
            Form::Subflow => Some(Work::Subflow {
                task_type: self.read_type(place, task)?,
            }),
            Form::Condition => {
                let routes = self.read_routes(place, task);
                let task_type = self.read_type(place, task)?;
                Some(Work::Condition { task_type, routes })
            }
            Form::Expression => {
                let routes = self.read_routes(place, task);
                let expression = self.read_expression(place, task)?;
                Some(Work::Expression {
                    expression: Box::new(expression),
                    routes,
                })
            }
            Form::Map => {
                let items = self.read_items(place, task);
                let task_type = self.read_type(place, task)?;
                Some(Work::Map {
                    task_type,
                    items: items?,
                    window: match task.window {
                        0 => super::maps::WINDOW,
                        window => window,
                    },
                })
            }
            Form::Child => self.read_child(place, task),
            Form::Signal => {
                let field = match task.signal {
                    Some(_) => "signal",
                    None => "name",
                };
                let name = SignalName::new(task.awaited_signal().unwrap_or_default());
                // A name that no task may have has been told as such.
                if field == "name" && name.is_err() {
                    return None;
                }
                let name = self.parsed(place, field, name)?;
                Some(Work::Signal { name })
            }
        }
    }

    fn read_expression(&mut self, place: u32, task: &'a TaskDefinition) -> Option<Expression> {
        let text = task.condition.as_deref()?;
        Expression::parse(text)
            .map_err(|problem| self.wrong_in(place, "condition", problem))
            .ok()
    }

    /// Every way is taken as one that leads forward until all of them are known.
    fn read_routes(&mut self, place: u32, task: &'a TaskDefinition) -> Routes {
        let mut routes = Routes {
            by_number: std::collections::BTreeMap::new(),
            max_iterations: match task.max_iterations {
                0 => Routes::MAX_ITERATIONS,
                most => most,
            },
        };
        if task.condition_routes.is_empty() {
            let problem = "a condition needs at least one route, such as {\"0\": \"ship\"}";
            self.wrong_in(place, "condition_routes", problem);
        }
        if self.routes.len() + task.condition_routes.len() > MAX_ROUTES {
            let problem = format!("more than {MAX_ROUTES} routes in all; split the workflow");
            self.wrong_in(place, "condition_routes", problem);
            return routes;
        }
        for (&number, name) in &task.condition_routes {
            if task.condition.is_some() && number > 1 {
                let problem =
                    "an expression takes route 0 if it holds, else route 1; take this out";
                self.wrong_in(place, &format!("condition_routes.{number}"), problem);
            }
            let Some(&target) = self.places.get(name.as_str()) else {
                let problem = self.unknown(name);
                self.wrong_in(place, &format!("condition_routes.{number}"), problem);
                self.doubtful.insert(place);
                continue;
            };
            self.routes.push(Way {
                condition: place,
                number,
                target,
            });
            let route = Route {
                target,
                back: false,
            };
            routes.by_number.insert(number, route);
        }
        routes
    }
}
