//! The units of an instance: the tasks of the definition, and those of each section.
//!
//! Tasks are numbered through all units; each unit holds a stretch of numbers from its base on,
//! and knows its tasks by their place in it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use paceline_types::workflow::{Plan, TaskRecord};

/// A stretch of tasks.
#[derive(Clone, Debug)]
pub(crate) struct Unit {
    /// Index of the first task.
    pub(crate) base: u32,
    /// How many generators stand above it.
    pub(crate) depth: u32,
    /// The task that added it, and which start of that; none for those of the definition.
    pub(crate) generator: Option<(u32, u32)>,
    pub(crate) body: Body,
    /// Tasks of it that count as done.
    pub(crate) done: u32,
}

#[derive(Clone, Debug)]
pub(crate) enum Body {
    /// Tasks with edges.
    Graph { plan: Arc<Plan>, slots: Box<[Slot]> },
    /// Elements of a map.
    Elements(Elements),
}

/// Where one task of a graph stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) record: Option<TaskRecord>,
    /// Edges from tasks that are not done.
    pub(crate) waiting_on: u32,
}

/// Where the elements of a map stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Elements {
    pub(crate) records: Box<[Option<TaskRecord>]>,
    /// Places of those that wait for their turn.
    pub(crate) waiting: BTreeSet<u32>,
    /// How many are under way.
    pub(crate) open: u32,
    /// How many may be under way.
    pub(crate) window: u32,
}

impl Unit {
    /// The tasks of a graph, none of them begun.
    pub(crate) fn graph(
        base: u32,
        depth: u32,
        generator: Option<(u32, u32)>,
        plan: Arc<Plan>,
    ) -> Unit {
        let slot = |task| Slot {
            record: None,
            waiting_on: u32::try_from(plan.waits(task).len()).unwrap_or(u32::MAX),
        };
        let slots = (0..plan.task_count()).map(slot).collect();
        Unit {
            base,
            depth,
            generator,
            body: Body::Graph { plan, slots },
            done: 0,
        }
    }

    /// The elements of a map, none of them begun.
    pub(crate) fn elements(
        base: u32,
        depth: u32,
        generator: (u32, u32),
        count: u32,
        window: u32,
    ) -> Unit {
        let elements = Elements {
            records: vec![None; count as usize].into(),
            waiting: (0..count).collect(),
            open: 0,
            window,
        };
        Unit {
            base,
            depth,
            generator: Some(generator),
            body: Body::Elements(elements),
            done: 0,
        }
    }

    pub(crate) fn len(&self) -> u32 {
        let len = match &self.body {
            Body::Graph { slots, .. } => slots.len(),
            Body::Elements(elements) => elements.records.len(),
        };
        u32::try_from(len).unwrap_or(u32::MAX)
    }

    pub(crate) fn all_done(&self) -> bool {
        self.done == self.len()
    }

    pub(crate) fn plan(&self) -> Option<&Arc<Plan>> {
        match &self.body {
            Body::Graph { plan, .. } => Some(plan),
            Body::Elements(_) => None,
        }
    }

    pub(crate) fn record(&self, place: u32) -> Option<&TaskRecord> {
        match &self.body {
            Body::Graph { slots, .. } => slots[place as usize].record.as_ref(),
            Body::Elements(elements) => elements.records[place as usize].as_ref(),
        }
    }

    /// Puts a record in its place; the one before.
    pub(crate) fn put(&mut self, place: u32, record: TaskRecord) -> Option<TaskRecord> {
        let place = place as usize;
        match &mut self.body {
            Body::Graph { slots, .. } => slots[place].record.replace(record),
            Body::Elements(elements) => elements.records[place].replace(record),
        }
    }
}

/// Equal in what is kept and derived; of a plan, how many tasks it has.
impl PartialEq for Unit {
    fn eq(&self, other: &Unit) -> bool {
        let bodies = match (&self.body, &other.body) {
            (Body::Graph { slots, .. }, Body::Graph { slots: others, .. }) => slots == others,
            (Body::Elements(elements), Body::Elements(others)) => elements == others,
            (Body::Graph { .. }, Body::Elements(_)) | (Body::Elements(_), Body::Graph { .. }) => {
                false
            }
        };
        (self.base, self.depth, self.generator, self.done)
            == (other.base, other.depth, other.generator, other.done)
            && bodies
    }
}

/// Every unit by its base.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Units {
    by_base: BTreeMap<u32, Unit>,
    /// Bases by generator.
    sections: BTreeMap<u32, u32>,
    /// Tasks of all of them.
    tasks: u32,
}

impl Units {
    pub(crate) fn new(definition: Unit) -> Units {
        Units {
            tasks: definition.len(),
            by_base: BTreeMap::from([(0, definition)]),
            sections: BTreeMap::new(),
        }
    }

    /// How many tasks there are in all.
    pub(crate) fn tasks(&self) -> u32 {
        self.tasks
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Unit> {
        self.by_base.values()
    }

    /// The unit of a task, and the task's place in it.
    pub(crate) fn of(&self, index: u32) -> Option<(&Unit, u32)> {
        let (base, unit) = self.by_base.range(..=index).next_back()?;
        let place = index - base;
        (place < unit.len()).then_some((unit, place))
    }

    pub(crate) fn of_mut(&mut self, index: u32) -> Option<(&mut Unit, u32)> {
        let (base, unit) = self.by_base.range_mut(..=index).next_back()?;
        let place = index - base;
        (place < unit.len()).then_some((unit, place))
    }

    pub(crate) fn at(&self, base: u32) -> Option<&Unit> {
        self.by_base.get(&base)
    }

    pub(crate) fn section_of(&self, generator: u32) -> Option<&Unit> {
        self.at(*self.sections.get(&generator)?)
    }

    pub(crate) fn add(&mut self, section: Unit) {
        self.tasks = self.tasks.saturating_add(section.len());
        if let Some((generator, _)) = section.generator {
            self.sections.insert(generator, section.base);
        }
        self.by_base.insert(section.base, section);
    }

    /// Takes out the section of a generator.
    pub(crate) fn remove(&mut self, generator: u32) -> Option<Unit> {
        let base = self.sections.remove(&generator)?;
        let unit = self.by_base.remove(&base)?;
        self.tasks -= unit.len();
        Some(unit)
    }

    /// Tasks of a stretch that have sections of their own.
    pub(crate) fn generators_in(&self, base: u32, end: u32) -> Vec<u32> {
        let inside = self.sections.range(base..end);
        inside.map(|(&generator, _)| generator).collect()
    }
}
