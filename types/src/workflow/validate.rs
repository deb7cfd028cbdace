//! From a definition to a plan: every mistake at once, each with its place.
//!
//! One pass reads names and edges, so that a stored definition becomes a plan again by the same
//! code; validation adds the rules that only a new definition must meet. A rule that was added
//! later therefore never keeps an accepted workflow from being loaded.
//!
//! Linear in tasks and dependencies: duplicates are found by a stamp for each task.

mod cycles;

use std::collections::{BTreeSet, HashMap};

use bytes::Bytes;

use crate::nearest::nearest;

use super::plan::{Plan, PlannedTask, UpstreamTasks};
use super::{DefinitionError, ResultFrom, TaskDefinition, WorkflowDefinition};
use crate::{NameError, Priority, TaskName, TaskType, Version};

/// Most tasks of one workflow: 100,000. The state of an instance stays below about 50 MB.
pub const MAX_TASKS: usize = 100_000;

/// Most dependencies of one workflow, over all of its tasks: 10,000,000.
pub const MAX_DEPENDENCIES: usize = 10_000_000;

/// Longest name of a workflow, in bytes.
const MAX_NAME: usize = 256;

/// Mistakes that are told one by one; the rest is counted in one more.
const MAX_MISTAKES: usize = 1_000;

/// Mistakes that are given a suggestion: each costs a comparison with every name.
const MAX_SUGGESTIONS: usize = 20;

impl WorkflowDefinition {
    /// Checks the definition and indexes it. `max_payload` is the largest payload of a task, in
    /// bytes.
    ///
    /// # Errors
    /// Every mistake, in the order of the definition, cycles last; beyond 1,000 mistakes the
    /// rest is counted in one more.
    pub fn validate(&self, max_payload: usize) -> Result<Plan, Vec<DefinitionError>> {
        if self.tasks.len() > MAX_TASKS {
            let problem = format!(
                "{} tasks, at most {MAX_TASKS} are allowed; split the workflow",
                self.tasks.len()
            );
            return Err(vec![mistake("tasks", problem)]);
        }
        let mut reader = Reader::new(self);
        reader.check_workflow();
        let tasks = reader.read_tasks(Some(max_payload));
        reader.check_cycles();
        reader.finish(tasks)
    }
}

impl Plan {
    /// Makes a plan of a definition that was validated when it was accepted.
    ///
    /// Only what a plan cannot do without is looked at again: limits may have changed since.
    ///
    /// # Errors
    /// When the definition cannot be the one that was accepted: a name that does not parse or
    /// occurs twice, or a dependency that is not there.
    pub fn restore(definition: &WorkflowDefinition) -> Result<Plan, Vec<DefinitionError>> {
        let mut reader = Reader::new(definition);
        let tasks = reader.read_tasks(None);
        reader.finish(tasks)
    }
}

fn mistake(path: impl Into<String>, problem: impl Into<String>) -> DefinitionError {
    DefinitionError {
        path: path.into(),
        problem: problem.into(),
    }
}

/// One reading of a definition, and what it found wrong.
struct Reader<'a> {
    definition: &'a WorkflowDefinition,
    /// The first place of each name.
    places: HashMap<&'a str, u32>,
    /// Equal task types share one allocation.
    types: HashMap<&'a str, TaskType>,
    /// `(task, dependency)`, in the order of the tasks.
    edges: Vec<(u32, u32)>,
    /// Which task named this one as its dependency last, plus 1.
    stamps: Vec<u32>,
    mistakes: Vec<DefinitionError>,
    untold: usize,
    suggestions: usize,
}

impl<'a> Reader<'a> {
    fn new(definition: &'a WorkflowDefinition) -> Reader<'a> {
        let mut places = HashMap::with_capacity(definition.tasks.len());
        for (place, task) in (0..).zip(&definition.tasks) {
            places.entry(task.name.as_str()).or_insert(place);
        }
        Reader {
            definition,
            places,
            types: HashMap::new(),
            edges: Vec::new(),
            stamps: vec![0; definition.tasks.len()],
            mistakes: Vec::new(),
            untold: 0,
            suggestions: 0,
        }
    }

    fn wrong(&mut self, path: impl Into<String>, problem: impl Into<String>) {
        if self.mistakes.len() < MAX_MISTAKES {
            self.mistakes.push(mistake(path, problem));
        } else {
            self.untold += 1;
        }
    }

    fn finish(mut self, tasks: Vec<PlannedTask>) -> Result<Plan, Vec<DefinitionError>> {
        if self.untold > 0 {
            let problem = format!("{} more mistakes; mend these first", self.untold);
            self.mistakes.push(mistake("definition", problem));
        }
        // A task that could not be read has left a mistake.
        if !self.mistakes.is_empty() {
            return Err(self.mistakes);
        }
        let definition = self.definition;
        Ok(Plan::assemble(
            definition.name.clone(),
            definition.execution_timeout,
            tasks,
            &self.edges,
        ))
    }

    fn check_workflow(&mut self) {
        let definition = self.definition;
        let name = &definition.name;
        if name.trim().is_empty() {
            self.wrong("name", "the workflow has no name; give it one");
        } else if name.len() > MAX_NAME {
            let problem = format!(
                "the workflow's name has {} bytes, at most {MAX_NAME} are allowed; shorten it",
                name.len()
            );
            self.wrong("name", problem);
        } else if let Some(character) = name.chars().find(|character| character.is_control()) {
            let problem =
                format!("the workflow's name contains {character:?}; use printable characters");
            self.wrong("name", problem);
        }
        if definition
            .execution_timeout
            .is_some_and(|timeout| timeout.is_zero())
        {
            let problem = "must be longer than zero; leave it out for no timeout";
            self.wrong("execution_timeout", problem);
        }
        if definition.tasks.is_empty() {
            self.wrong("tasks", "the workflow has no tasks; give it at least one");
        }
    }

    /// Reads every task; with a payload limit, checks what only a new definition must meet.
    fn read_tasks(&mut self, max_payload: Option<usize>) -> Vec<PlannedTask> {
        let definition = self.definition;
        let default = definition.default_priority.unwrap_or_default();
        let mut tasks = Vec::with_capacity(definition.tasks.len());
        for (place, task) in (0..).zip(&definition.tasks) {
            let name = self.read_name(place, task);
            let task_type = self.read_type(place, task);
            self.read_dependencies(place, task);
            let result_from = self.read_result_from(place, task);
            let version = self.read_version(place, task);
            if let Some(max_payload) = max_payload {
                self.check_task(place, task, max_payload);
            }
            let (Some(name), Some(task_type)) = (name, task_type) else {
                continue;
            };
            let (priority, urgency) = match task.priority {
                0 => (default, i64::from(default.get())),
                number if number < 0 => (default, number),
                number => (Priority::new(number), number),
            };
            let payload = task
                .payload
                .as_ref()
                .map_or(Bytes::from_static(b"null"), |payload| {
                    Bytes::copy_from_slice(payload.get().as_bytes())
                });
            tasks.push(PlannedTask {
                name,
                task_type,
                payload,
                priority,
                allow_failure: task.allow_failure,
                result_from,
                retry_policy: task.retry_policy.clone(),
                timeout: task.timeout,
                version,
                headers: task.headers.clone(),
                urgency,
            });
        }
        tasks
    }

    fn read_name(&mut self, place: u32, task: &'a TaskDefinition) -> Option<TaskName> {
        let first = self.places[task.name.as_str()];
        if first != place && !task.name.is_empty() {
            let problem = format!(
                "{:?} is also the name of tasks[{first}]; give each task a name of its own",
                task.name
            );
            self.wrong(format!("tasks[{place}].name"), problem);
            return None;
        }
        self.parsed(place, "name", TaskName::new(&task.name))
    }

    fn read_type(&mut self, place: u32, task: &'a TaskDefinition) -> Option<TaskType> {
        if let Some(known) = self.types.get(task.task_type.as_str()) {
            return Some(known.clone());
        }
        let task_type = self.parsed(place, "task_type", TaskType::new(&task.task_type))?;
        self.types.insert(&task.task_type, task_type.clone());
        Some(task_type)
    }

    fn read_version(&mut self, place: u32, task: &'a TaskDefinition) -> Option<Version> {
        let version = task.version.as_deref()?;
        self.parsed(place, "version", Version::new(version))
    }

    fn parsed<T>(&mut self, place: u32, field: &str, name: Result<T, NameError>) -> Option<T> {
        name.map_err(|error| self.wrong(format!("tasks[{place}].{field}"), error.to_string()))
            .ok()
    }

    fn read_dependencies(&mut self, place: u32, task: &'a TaskDefinition) {
        if self.edges.len() + task.depends_on.len() > MAX_DEPENDENCIES {
            let problem = format!(
                "more than {MAX_DEPENDENCIES} dependencies in all; let tasks depend on one that \
                 joins the others"
            );
            self.wrong(format!("tasks[{place}].depends_on"), problem);
            return;
        }
        for (index, name) in task.depends_on.iter().enumerate() {
            let path = || format!("tasks[{place}].depends_on[{index}]");
            match self.places.get(name.as_str()) {
                None => {
                    let problem = self.unknown(name);
                    self.wrong(path(), problem);
                }
                Some(&on) if on == place => {
                    let problem = format!("task {name:?} depends on itself; take this out");
                    self.wrong(path(), problem);
                }
                Some(&on) if self.stamps[on as usize] == place + 1 => {
                    self.wrong(path(), format!("{name:?} is named twice; take one out"));
                }
                Some(&on) => {
                    self.stamps[on as usize] = place + 1;
                    self.edges.push((place, on));
                }
            }
        }
    }

    /// Must follow [`Reader::read_dependencies`] of the same task, whose stamps it reads.
    fn read_result_from(&mut self, place: u32, task: &'a TaskDefinition) -> Option<UpstreamTasks> {
        let from = task.result_from.as_ref()?;
        let mut sources = Vec::with_capacity(from.names().len());
        for (index, name) in from.names().iter().enumerate() {
            let path = match from {
                ResultFrom::One(_) => format!("tasks[{place}].result_from"),
                ResultFrom::Many(_) => format!("tasks[{place}].result_from[{index}]"),
            };
            match self.places.get(name.as_str()).copied() {
                None => {
                    let problem = self.unknown(name);
                    self.wrong(path, problem);
                }
                Some(on) if self.stamps[on as usize] != place + 1 => {
                    let problem = format!("{name:?} is not in depends_on; add it there");
                    self.wrong(path, problem);
                }
                Some(on) => sources.push(on),
            }
        }
        match from {
            ResultFrom::One(_) => sources.pop().map(UpstreamTasks::One),
            ResultFrom::Many(names) => {
                let path = || format!("tasks[{place}].result_from");
                let distinct: BTreeSet<_> = names.iter().collect();
                if names.is_empty() {
                    self.wrong(path(), "names no task; name one, or leave it out");
                } else if distinct.len() < names.len() {
                    self.wrong(path(), "names a task twice; take one out");
                }
                Some(UpstreamTasks::Many(sources.into()))
            }
        }
    }

    fn check_task(&mut self, place: u32, task: &'a TaskDefinition, max_payload: usize) {
        let size = task
            .payload
            .as_ref()
            .map_or(0, |payload| payload.get().len());
        if size > max_payload {
            let problem = format!(
                "{size} bytes, at most {max_payload} are allowed; pass a reference to the data, \
                 or raise the limit"
            );
            self.wrong(format!("tasks[{place}].payload"), problem);
        }
        for error in task.retry_policy.iter().flat_map(crate::RetryPolicy::check) {
            let path = format!("tasks[{place}].retry_policy.{}", error.field);
            self.wrong(path, error.problem);
        }
        if task.timeout.is_some_and(|timeout| timeout.is_zero()) {
            let problem = "must be longer than zero; leave it out for the handler's own";
            self.wrong(format!("tasks[{place}].timeout"), problem);
        }
    }

    fn unknown(&mut self, name: &str) -> String {
        let mut problem = format!("no task is named {name:?}");
        self.suggestions += 1;
        let names = self.definition.tasks.iter().map(|task| task.name.as_str());
        match nearest(name, names).filter(|_| self.suggestions <= MAX_SUGGESTIONS) {
            Some(meant) => problem.push_str(&format!("; did you mean {meant:?}?")),
            None => problem.push_str("; name a task of this workflow"),
        }
        problem
    }
}

#[cfg(test)]
mod tests;
