//! What is kept of an instance, and what it says of what happened.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use paceline_types::workflow::{
    Ending, Header, Hook, Plan, Section, SectionBody, TaskKind, TaskRecord, Work,
};
use paceline_types::{JobId, SignalName, WorkflowId, WorkflowStatus};
use serde_json::{Value, json};

use super::interpret::{End, Kind, Start};
use super::judge::{Seen, bare};

/// Everything that is kept of an instance.
#[derive(Clone, Debug)]
pub struct Picture {
    /// Which.
    pub id: WorkflowId,
    /// Its plan.
    pub plan: Arc<Plan>,
    /// What is kept once.
    pub header: Header,
    /// Records of tasks.
    pub tasks: BTreeMap<u32, TaskRecord>,
    /// Starts that are over.
    pub history: BTreeMap<(u32, u32), TaskRecord>,
    /// Sections, older ones first; those that were dropped may be missing.
    pub sections: Vec<Section>,
}

impl Picture {
    fn section_of(&self, index: u32) -> Option<&Section> {
        let mut sections = self.sections.iter();
        sections.find(|section| (section.base..section.base + section.len()).contains(&index))
    }

    /// Whether a task is part of the instance: the generators above it are at the starts that made
    /// it.
    #[must_use]
    pub fn is_live(&self, index: u32) -> bool {
        if index < self.plan.task_count() {
            return true;
        }
        let Some(section) = self.section_of(index) else {
            return false;
        };
        let made_it = self.tasks.get(&section.generator).is_some_and(|record| {
            record.iteration() == section.iteration && !matches!(record, TaskRecord::Again { .. })
        });
        made_it && self.is_live(section.generator)
    }

    /// The newest section of each generator, as a ledger keeps them.
    #[must_use]
    pub fn newest_sections(&self) -> Vec<Section> {
        let mut newest: BTreeMap<u32, Section> = BTreeMap::new();
        for section in &self.sections {
            newest.insert(section.generator, section.clone());
        }
        newest.into_values().collect()
    }

    /// What a task is; none of an element of a map, or of a task that is gone.
    #[must_use]
    pub fn work(&self, index: u32) -> Option<Work> {
        if index < self.plan.task_count() {
            return Some(self.plan.task(index).work.clone());
        }
        let section = self.section_of(index)?;
        let SectionBody::Subflow(tasks) = &section.body else {
            return None;
        };
        let task = &tasks[(index - section.base) as usize];
        let name = task.signal.as_ref().unwrap_or(&task.name);
        match task.kind {
            TaskKind::Signal => SignalName::new(name).ok().map(|name| Work::Signal { name }),
            _ => None,
        }
    }

    /// The keys of all tasks that are known, by index.
    #[must_use]
    pub fn keys(&self) -> BTreeMap<u32, String> {
        let plan = self.plan.tasks().iter();
        let mut keys: BTreeMap<u32, String> =
            (0..).zip(plan.map(|task| task.name.to_string())).collect();
        for section in &self.sections {
            let Some(generator) = keys.get(&section.generator).cloned() else {
                continue;
            };
            for (place, index) in (section.base..).take(section.len() as usize).enumerate() {
                let name = match &section.body {
                    SectionBody::Subflow(tasks) => tasks[place].name.clone(),
                    SectionBody::Map { .. } => format!("{}#{place}", bare(&generator)),
                };
                keys.insert(index, format!("{generator}@{}/{name}", section.iteration));
            }
        }
        keys
    }

    /// A task of the instance that is under way, if there is one. One that was reset and whose turn
    /// has not come is as one without a record.
    #[must_use]
    pub fn open(&self) -> Option<(u32, &TaskRecord)> {
        let mut tasks = self.tasks.iter().map(|(index, record)| (*index, record));
        tasks.find(|(index, record)| {
            Hook::of_index(*index).is_none()
                && record.final_status().is_none()
                && !matches!(record, TaskRecord::Again { .. })
                && self.is_live(*index)
        })
    }

    /// What happened. `read` is what jobs left; nothing is said of hooks, children and successors.
    #[must_use]
    pub fn seen(&self, read: &dyn Fn(JobId) -> Option<Value>) -> Seen {
        let keys = self.keys();
        let mut ends = BTreeMap::new();
        let mut last = BTreeSet::new();
        let history = self
            .history
            .iter()
            .map(|((index, _), record)| (*index, record));
        let present = self.tasks.iter().map(|(index, record)| (*index, record));
        for (index, record) in history.chain(present) {
            let Some(key) = keys.get(&index) else {
                continue;
            };
            let read = || {
                let job = JobId::of_task(self.id, index, record.iteration());
                read(job).unwrap_or(json!("gone"))
            };
            if let Some(end) = end_of(record, &read) {
                ends.insert((key.clone(), record.iteration()), end);
            }
        }
        for (index, record) in &self.tasks {
            if let Some(key) = keys.get(index)
                && self.is_live(*index)
                && record.final_status().is_some()
            {
                last.insert((key.clone(), record.iteration()));
            }
        }
        Seen {
            status: self.header.stage.status(),
            cause: self.cause(),
            ends,
            last,
            made: None,
            hooks: Vec::new(),
            output: None,
            attempts: self.header.attempt,
            children: BTreeMap::new(),
            next: None,
        }
    }

    fn cause(&self) -> Option<String> {
        match self.header.stage.ending()? {
            Ending::TaskFailed { task, .. } | Ending::TaskCancelled { task } => {
                Some(task.to_string())
            }
            Ending::Cancelled { .. } | Ending::TimedOut => None,
        }
    }

    /// The start of an index, by its key.
    #[must_use]
    pub fn start(keys: &BTreeMap<u32, String>, (index, iteration): (u32, u32)) -> Start {
        let key = keys.get(&index).cloned();
        (key.unwrap_or_else(|| format!("?{index}")), iteration)
    }

    /// The output, if the instance completed.
    #[must_use]
    pub fn output(&self, read: &dyn Fn(JobId) -> Option<bytes::Bytes>) -> Option<bytes::Bytes> {
        if self.header.stage.status() != WorkflowStatus::Completed {
            return None;
        }
        let leaves = self.plan.leaves().iter();
        let results: Vec<Option<bytes::Bytes>> = leaves
            .map(|&leaf| match self.tasks.get(&leaf)? {
                TaskRecord::Completed { iteration, .. }
                | TaskRecord::Routed { iteration, .. }
                | TaskRecord::FailedAllowed { iteration, .. } => {
                    read(JobId::of_task(self.id, leaf, *iteration))
                }
                _ => None,
            })
            .collect();
        Some(self.plan.output(&results))
    }
}

/// What a record says of an end.
fn end_of(record: &TaskRecord, read: &dyn Fn() -> Value) -> Option<End> {
    let (kind, value, error) = match record {
        TaskRecord::Completed { .. } => (Kind::Completed, read(), None),
        TaskRecord::Routed { route, .. } => (Kind::Routed(*route), read(), None),
        TaskRecord::Rewinding { route, .. } => (Kind::Routed(Some(*route)), read(), None),
        TaskRecord::Skipped { reason, .. } => (Kind::Skipped, Value::Null, Some(reason)),
        TaskRecord::Bypassed { .. } => (Kind::Bypassed, Value::Null, None),
        TaskRecord::FailedAllowed { error, .. } => (Kind::FailedAllowed, read(), Some(error)),
        TaskRecord::Dead { error, .. } => (Kind::Dead, Value::Null, Some(error)),
        TaskRecord::Cancelled { .. } => (Kind::Cancelled, Value::Null, None),
        TaskRecord::Dispatched { .. }
        | TaskRecord::Cancelling { .. }
        | TaskRecord::Returned { .. }
        | TaskRecord::Expanded { .. }
        | TaskRecord::Again { .. } => return None,
    };
    let error = error.cloned();
    Some(End { kind, value, error })
}
