//! One task of a definition.

use std::hash::Hash;

use bytes::Bytes;
use serde_json::value::RawValue;

use super::{Reader, Scope};
use crate::workflow::plan::{PlannedTask, element_of};
use crate::workflow::{HOOK_PREFIX, TaskDefinition, TaskKind};
use crate::{NameError, Priority, TaskName, TaskType, Version};

/// The payload of a task, or of a hook, as its handler is given it.
pub(super) fn bytes_of(payload: Option<&RawValue>) -> Bytes {
    payload.map_or(Bytes::from_static(b"null"), |payload| {
        Bytes::copy_from_slice(payload.get().as_bytes())
    })
}

impl<'a> Reader<'a> {
    /// None if it has a mistake that a plan cannot do with.
    pub(super) fn read_task(
        &mut self,
        place: u32,
        task: &'a TaskDefinition,
        default: Priority,
    ) -> Option<PlannedTask> {
        let name = self.read_name(place, task);
        if self.rules.is_some() {
            self.check_fields(place, task);
        }
        // The others look at what this one saw.
        self.read_dependencies(place, task);
        let work = self.read_work(place, task);
        let result_from = self.read_result_from(place, task);
        let preconditions = self.read_preconditions(place, task);
        let version = self.read_version(place, task);
        let values = self.read_values(place, task);
        if self.rules.is_some() {
            self.check_options(place, task);
        }
        let (priority, urgency) = match task.priority {
            0 => (default, i64::from(default.get())),
            number if number < 0 => (default, number),
            number => (Priority::new(number), number),
        };
        Some(PlannedTask {
            name: name?,
            work: work?,
            payload: bytes_of(task.payload.as_deref()),
            template: values.template,
            references: values.references,
            uses_input: values.uses_input,
            priority,
            urgency,
            allow_failure: task.allow_failure,
            result_from,
            preconditions,
            reuse: task.result_reuse,
            retry_policy: task.retry_policy.clone(),
            timeout: task.timeout,
            schedule_to_start_timeout: task.schedule_to_start_timeout,
            max_duration: task.max_duration,
            heartbeat_timeout: task.heartbeat_timeout,
            limits: each_once(&task.limits),
            tags: each_once(&task.tags),
            audited: task.audited,
            version,
            headers: task.headers.clone(),
        })
    }

    fn read_name(&mut self, place: u32, task: &'a TaskDefinition) -> Option<TaskName> {
        let name = task.name.as_str();
        let first = self.places[name];
        if first != place && !name.is_empty() {
            let problem = format!(
                "{name:?} is also the name of tasks[{first}]; give each task a name of its own"
            );
            self.wrong_in(place, "name", problem);
            return None;
        }
        let parsed = self.parsed(place, "name", TaskName::new(name))?;
        if self.rules.is_some() {
            self.check_name(place, name);
        }
        Some(parsed)
    }

    fn check_name(&mut self, place: u32, name: &str) {
        if name.starts_with(HOOK_PREFIX) {
            let problem = format!(
                "{name:?} begins with {HOOK_PREFIX}, as the tasks of hooks do; call it otherwise"
            );
            self.wrong_in(place, "name", problem);
        }
        let map = element_of(name).and_then(|map| self.places.get(map).copied());
        if map.is_some_and(|map| self.tasks[map as usize].kind == TaskKind::Map) {
            let problem = format!(
                "{name:?} is what an element of tasks[{}] may be called; call it otherwise",
                map.unwrap_or_default()
            );
            self.wrong_in(place, "name", problem);
        }
        if let Scope::Section { generator, taken } = self.scope
            && (name == generator || taken.is_some_and(|taken| taken.has_name(name)))
        {
            let problem = format!("the workflow has a task {name:?} already; call it otherwise");
            self.wrong_in(place, "name", problem);
        }
        if let Scope::Section { taken, .. } = self.scope
            && self.tasks[place as usize].kind == TaskKind::Map
            && let Some(element) = taken.and_then(|taken| taken.element_of(name))
        {
            let problem = format!(
                "an element of the map {name:?} may be called {:?}, and the workflow has a task of \
                 that name already; call the map otherwise",
                element.as_str()
            );
            self.wrong_in(place, "name", problem);
        }
    }

    pub(super) fn read_type(&mut self, place: u32, task: &'a TaskDefinition) -> Option<TaskType> {
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

    pub(super) fn parsed<T>(
        &mut self,
        place: u32,
        field: &str,
        name: Result<T, NameError>,
    ) -> Option<T> {
        name.map_err(|error| self.wrong_in(place, field, error.to_string()))
            .ok()
    }
}

fn each_once<T: Clone + Eq + Hash>(names: &[T]) -> Box<[T]> {
    let mut seen = std::collections::HashSet::new();
    let names = names.iter().filter(|name| seen.insert(*name));
    names.cloned().collect()
}
