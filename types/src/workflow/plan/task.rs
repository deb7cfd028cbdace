//! One task of a plan.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;

use crate::value::{Expression, Path, Template};
use crate::workflow::ResultReuse;
use crate::{LimitKey, Priority, RetryPolicy, SignalName, Tag, TaskName, TaskType, Version};

/// Whose results a task is given, by index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UpstreamTasks {
    /// The result itself.
    One(u32),
    /// An object of results by name, in this order.
    Many(Box<[u32]>),
}

impl UpstreamTasks {
    /// The tasks, in order.
    #[must_use]
    pub fn indices(&self) -> &[u32] {
        match self {
            UpstreamTasks::One(task) => std::slice::from_ref(task),
            UpstreamTasks::Many(tasks) => tasks,
        }
    }
}

/// What a task does when its turn comes.
#[derive(Clone, Debug)]
pub enum Work {
    /// A job, whose result is the task's.
    Job {
        /// Which handler runs it.
        task_type: TaskType,
    },
    /// A job that answers which route is taken.
    Condition {
        /// Which handler runs it.
        task_type: TaskType,
        /// Where it may lead.
        routes: Routes,
    },
    /// No job: route 0 if the expression holds, else route 1.
    Expression {
        /// What is asked.
        expression: Box<Expression>,
        /// Where it may lead: no other than 0 and 1.
        routes: Routes,
    },
    /// A job that answers with tasks, which become part of the instance.
    Subflow {
        /// Which handler runs it.
        task_type: TaskType,
    },
    /// A job for each element of an array.
    Map {
        /// Which handler runs each of them.
        task_type: TaskType,
        /// The array; without it, the result of [`PlannedTask::result_from`], which is one task.
        items: Option<MapItems>,
        /// Most elements that are under way at once, at least 1.
        window: u32,
    },
    /// A workflow of its own.
    Child {
        /// Its definition, as JSON.
        definition: Bytes,
        /// It lives in the shard of its parent, since jobs of it count against limits.
        beside: bool,
    },
    /// No job: waits for a signal.
    Signal {
        /// The signal's name.
        name: SignalName,
    },
}

impl Work {
    /// Which handler runs its jobs; none where nothing runs on a node.
    #[must_use]
    pub fn task_type(&self) -> Option<&TaskType> {
        match self {
            Work::Job { task_type }
            | Work::Condition { task_type, .. }
            | Work::Subflow { task_type }
            | Work::Map { task_type, .. } => Some(task_type),
            Work::Expression { .. } | Work::Child { .. } | Work::Signal { .. } => None,
        }
    }

    /// Where it may lead, if it is a condition.
    #[must_use]
    pub fn routes(&self) -> Option<&Routes> {
        match self {
            Work::Condition { routes, .. } | Work::Expression { routes, .. } => Some(routes),
            Work::Job { .. }
            | Work::Subflow { .. }
            | Work::Map { .. }
            | Work::Child { .. }
            | Work::Signal { .. } => None,
        }
    }

    pub(in crate::workflow) fn routes_mut(&mut self) -> Option<&mut Routes> {
        match self {
            Work::Condition { routes, .. } | Work::Expression { routes, .. } => Some(routes),
            Work::Job { .. }
            | Work::Subflow { .. }
            | Work::Map { .. }
            | Work::Child { .. }
            | Work::Signal { .. } => None,
        }
    }
}

/// The array of a map.
#[derive(Clone, Debug)]
pub enum MapItems {
    /// It stands in the definition: the JSON of an array.
    Given(Bytes),
    /// It must be rendered first. What comes of it may be something else than an array.
    Rendered(Box<Template>),
}

/// Where a condition may lead.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Routes {
    /// By the number that is answered.
    pub by_number: BTreeMap<u32, Route>,
    /// So many evaluations are allowed since it, or what it is part of, began; at least 1.
    pub max_iterations: u32,
}

impl Routes {
    /// How many evaluations are allowed where nothing is said.
    pub const MAX_ITERATIONS: u32 = 100;

    /// The route of a number.
    #[must_use]
    pub fn get(&self, number: u32) -> Option<Route> {
        self.by_number.get(&number).copied()
    }

    /// The numbers that may be answered, for messages: `0, 1`.
    #[must_use]
    pub fn numbers(&self) -> String {
        let numbers: Vec<_> = self.by_number.keys().map(u32::to_string).collect();
        numbers.join(", ")
    }
}

/// One way that a condition may lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The task.
    pub target: u32,
    /// The condition waits for the target: taking the route begins the tasks between them anew.
    pub back: bool,
}

/// Something that must be true when a task's turn comes.
#[derive(Clone, Debug)]
pub struct PlannedPrecondition {
    /// Whose result is looked at.
    pub task: u32,
    /// Where in it.
    pub path: Path,
    /// What must stand there, as [`text_of`](crate::value::text_of) has it.
    pub expected: String,
    /// The path as it is written.
    pub text: String,
}

/// One task of a plan.
#[derive(Clone, Debug)]
pub struct PlannedTask {
    /// Unique in the plan.
    pub name: TaskName,
    /// What it does.
    pub work: Work,
    /// Given to the handler; `null` when the definition has none. If there is a template, it is
    /// the text of that, or `null` where a map has none.
    pub payload: Bytes,
    /// What becomes the payload, if there is something to render in it. Of a map: what each
    /// element is given; a map without a payload has a template that is the element itself.
    pub template: Option<Box<Template>>,
    /// Tasks whose results the payload, the items or the expression refer to, each once. All of
    /// them are among its dependencies.
    pub references: Box<[u32]>,
    /// Whether any of them refers to the input of the workflow.
    pub uses_input: bool,
    /// Priority of its jobs.
    pub priority: Priority,
    /// Among ready tasks, higher ones are dispatched first: the number in the definition as it
    /// stands there, or the workflow's default.
    pub urgency: i64,
    /// What failed counts as done.
    pub allow_failure: bool,
    /// Whose results it is given. Of a map without items: whose result is the array.
    pub result_from: Option<UpstreamTasks>,
    /// All must be true, or it is skipped.
    pub preconditions: Box<[PlannedPrecondition]>,
    /// Whether what it came to is kept when the workflow is tried again.
    pub reuse: ResultReuse,
    /// In place of the handler's policy.
    pub retry_policy: Option<RetryPolicy>,
    /// Longest execution of one attempt. Of a signal: longest wait.
    pub timeout: Option<Duration>,
    /// Longest wait of a job before its first run.
    pub schedule_to_start_timeout: Option<Duration>,
    /// Longest time from the start of a job's first run to its end.
    pub max_duration: Option<Duration>,
    /// Longest silence of a run.
    pub heartbeat_timeout: Option<Duration>,
    /// Limits that its jobs count against, each once.
    pub limits: Box<[LimitKey]>,
    /// Labels of its jobs, each once.
    pub tags: Box<[Tag]>,
    /// Keeps a trail of what happens to its jobs.
    pub audited: bool,
    /// Only nodes that serve this version of the handler run it.
    pub version: Option<Version>,
    /// Seen by the handler.
    pub headers: BTreeMap<String, String>,
}

impl PlannedTask {
    /// Which handler runs its jobs; none where nothing runs on a node.
    #[must_use]
    pub fn task_type(&self) -> Option<&TaskType> {
        self.work.task_type()
    }

    /// Bytes that it takes in memory, about.
    pub(super) fn footprint(&self) -> usize {
        let headers = self.headers.iter();
        let headers: usize = headers
            .map(|(key, value)| key.len() + value.len() + 64)
            .sum();
        let work = match &self.work {
            Work::Child { definition, .. } => definition.len(),
            Work::Map { items, .. } => match items {
                Some(MapItems::Given(items)) => items.len(),
                Some(MapItems::Rendered(template)) => template.footprint(),
                None => 0,
            },
            Work::Condition { routes, .. } | Work::Expression { routes, .. } => {
                256 + routes.by_number.len() * 32
            }
            Work::Job { .. } | Work::Subflow { .. } | Work::Signal { .. } => 0,
        };
        let template = self.template.as_ref();
        let preconditions = self.preconditions.iter();
        size_of::<PlannedTask>()
            + self.payload.len()
            + self.name.as_str().len()
            + headers
            + work
            + template.map_or(0, |template| template.footprint())
            + self.references.len() * 4
            + (self.limits.len() + self.tags.len()) * 48
            + preconditions
                .map(|one| 128 + 2 * one.text.len() + one.expected.len())
                .sum::<usize>()
    }
}
