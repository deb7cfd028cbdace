//! Tasks of an instance by their index and their name.

use std::ops::Bound;

use paceline_types::TaskName;
use paceline_types::workflow::{Hook, PlannedTask, TakenNames, TaskRecord, Work, element_of};

use super::unit::{Body, Slot};
use super::{Instance, TaskPhase};

impl Instance {
    /// Where a task stands; none if it has no task of this index.
    #[must_use]
    pub fn phase(&self, index: u32) -> Option<TaskPhase<'_>> {
        if let Some(hook) = Hook::of_index(index) {
            return self.hook(hook).map(TaskPhase::Recorded);
        }
        let (unit, place) = self.units.of(index)?;
        Some(match &unit.body {
            Body::Graph { slots, .. } => match &slots[place as usize] {
                Slot {
                    record: Some(record),
                    ..
                } => TaskPhase::Recorded(record),
                Slot { waiting_on: 0, .. } => TaskPhase::Ready,
                Slot { waiting_on, .. } => TaskPhase::Blocked {
                    waiting_on: *waiting_on,
                },
            },
            Body::Elements(elements) => match &elements.records[place as usize] {
                Some(record) => TaskPhase::Recorded(record),
                None => TaskPhase::Ready,
            },
        })
    }

    /// The record of a task or a hook, if it has one.
    #[must_use]
    pub fn record_of(&self, index: u32) -> Option<&TaskRecord> {
        if let Some(hook) = Hook::of_index(index) {
            return self.hook(hook);
        }
        let (unit, place) = self.units.of(index)?;
        unit.record(place)
    }

    /// The records of all tasks that have one, by index; hooks come last.
    pub fn records(&self) -> impl Iterator<Item = (u32, &TaskRecord)> {
        let tasks = self.units.iter().flat_map(|unit| {
            (0..unit.len()).filter_map(|place| Some((unit.base + place, unit.record(place)?)))
        });
        let hooks = Hook::ALL
            .into_iter()
            .filter_map(|hook| Some((hook.index(), self.hook(hook)?)));
        tasks.chain(hooks)
    }

    /// Signals that no task has taken, in the order of their names.
    pub fn signals(&self) -> impl Iterator<Item = (u64, &paceline_types::SignalName)> {
        self.mailbox.signals()
    }

    /// The index of a task's name: of the definition, of a section, of an element, or of a hook.
    #[must_use]
    pub fn index_of(&self, name: &str) -> Option<u32> {
        let exact = || self.plan.index_of(name);
        let section = || self.names.get(name).copied();
        let element = || {
            let (map, place) = name.rsplit_once('#')?;
            let canonical = place.parse::<u32>().ok()?;
            let generator = self.plan.index_of(map).or(self.names.get(map).copied())?;
            let unit = self.units.section_of(generator)?;
            let counted = matches!(unit.body, Body::Elements(_)) && canonical < unit.len();
            (counted && place == canonical.to_string()).then(|| unit.base + canonical)
        };
        exact()
            .or_else(section)
            .or_else(element)
            .or_else(|| Hook::of_task_name(name).map(Hook::index))
    }

    /// The name of a task; none if it has no task of this index.
    #[must_use]
    pub fn task_name(&self, index: u32) -> Option<TaskName> {
        if let Some(hook) = Hook::of_index(index) {
            return TaskName::new(&hook.task_name()).ok();
        }
        let (unit, place) = self.units.of(index)?;
        match (&unit.body, unit.generator) {
            (Body::Graph { plan, .. }, _) => Some(plan.task(place).name.clone()),
            (Body::Elements(_), Some((map, _))) => {
                let map = self.task_name(map)?;
                TaskName::new(&format!("{map}#{place}")).ok()
            }
            (Body::Elements(_), None) => None,
        }
    }

    /// What is planned of a task; of an element of a map, what is planned of the map.
    #[must_use]
    pub fn planned(&self, index: u32) -> Option<&PlannedTask> {
        let (unit, place) = self.units.of(index)?;
        match (&unit.body, unit.generator) {
            (Body::Graph { plan, .. }, _) => Some(plan.task(place)),
            (Body::Elements(_), Some((map, _))) => self.planned(map),
            (Body::Elements(_), None) => None,
        }
    }

    /// The record of a hook.
    pub(crate) fn hook(&self, hook: Hook) -> Option<&TaskRecord> {
        let place = Hook::ALL.into_iter().position(|other| other == hook)?;
        self.hooks[place].as_ref()
    }
}

/// The names of the definition's tasks, of those that were added, and of all that elements of maps
/// among them may be called, however many there are.
impl TakenNames for Instance {
    fn has_name(&self, name: &str) -> bool {
        let added = |name: &str| self.names.get(name).copied();
        let is_map = |index| {
            let planned = self.planned(index);
            planned.is_some_and(|planned| matches!(planned.work, Work::Map { .. }))
        };
        self.plan.has_name(name)
            || added(name).is_some()
            || element_of(name).and_then(added).is_some_and(is_map)
    }

    fn element_of(&self, map: &str) -> Option<TaskName> {
        let first = format!("{map}#");
        let added = || {
            let names = self
                .names
                .range::<str, _>((Bound::Included(first.as_str()), Bound::Unbounded));
            names
                .map(|(name, _)| name)
                .take_while(|name| name.as_str().starts_with(&first))
                .find(|name| element_of(name.as_str()) == Some(map))
        };
        self.plan.element_of(map).or_else(added).cloned()
    }
}
