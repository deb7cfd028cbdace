//! How an instance stands: what is under way, and what there is to do without a further event.

use std::collections::BTreeSet;
use std::iter::Peekable;
use std::sync::Arc;
use std::time::Duration;

use paceline_types::workflow::{Hook, Plan, Stage, TaskRecord, Work};

use super::unit::{Body, Elements};
use super::{Instance, MapWork};

impl Instance {
    /// Whether every task of the definition counts as done.
    #[must_use]
    pub fn all_done(&self) -> bool {
        self.units.at(0).is_some_and(|unit| unit.all_done())
    }

    /// Whether something of a task (a job, a child, a wait for a signal), or the job of a hook that
    /// tasks wait for, has not ended.
    #[must_use]
    pub fn has_open_tasks(&self) -> bool {
        let opening = self.hook(Hook::Init).is_some_and(is_open);
        opening || !self.dispatched.is_empty() || !self.cancelling.is_empty()
    }

    /// Whether there is something to do without a further event. What waits for a result to be
    /// read counts as well.
    #[must_use]
    pub fn has_leftover(&self) -> bool {
        match self.stage() {
            Stage::Pending | Stage::Resting(_) => false,
            Stage::Opening => !self.suspended && self.hook(Hook::Init).is_none(),
            Stage::Running => {
                let launches = !self.suspended && (!self.ready.is_empty() || self.all_done());
                launches
                    || !self.returned.is_empty()
                    || !self.rewinding.is_empty()
                    || !self.gathering.is_empty()
                    || self.has_dropped()
                    || self.mailbox.has_deliverable()
            }
            Stage::Ending(_) => {
                let opening = self.hook(Hook::Init);
                let running = matches!(opening, Some(TaskRecord::Dispatched { .. }));
                running
                    || !self.dispatched.is_empty()
                    || !self.returned.is_empty()
                    || !self.rewinding.is_empty()
                    || !self.has_open_tasks()
            }
            Stage::Restarting => true,
            Stage::Completed | Stage::Ended(_) | Stage::Continued { .. } => {
                self.due_hook().is_some()
            }
        }
    }

    /// Whether an answer was not looked at, or a condition is rewinding.
    pub(crate) fn has_undecided(&self) -> bool {
        !self.returned.is_empty() || !self.rewinding.is_empty()
    }

    /// Tasks and hooks from `from` on whose jobs have not ended, by index, at most `max`, with the
    /// iteration. Children and waits for signals have no jobs.
    #[must_use]
    pub fn open_tasks(&self, from: u32, max: usize) -> Vec<(u32, u32)> {
        let has_job = |index: &u32| {
            self.planned(*index).is_some_and(|planned| {
                !matches!(planned.work, Work::Child { .. } | Work::Signal { .. })
            })
        };
        let of = |set: &BTreeSet<u32>| -> Vec<u32> {
            set.range(from..)
                .copied()
                .filter(has_job)
                .take(max)
                .collect()
        };
        let hooks = Hook::ALL.into_iter().filter_map(|hook| {
            let open = self.hook(hook).is_some_and(is_open);
            (open && hook.index() >= from).then(|| hook.index())
        });
        let (dispatched, cancelling) = (of(&self.dispatched), of(&self.cancelling));
        merged(dispatched.into_iter(), cancelling.into_iter())
            .chain(hooks)
            .take(max)
            .map(|index| {
                (
                    index,
                    self.record_of(index).map_or(0, TaskRecord::iteration),
                )
            })
            .collect()
    }

    /// The child workflows that are under way, as `(task, iteration)`, from `from` on, at most
    /// `max`.
    #[must_use]
    pub fn open_children(&self, from: u32, max: usize) -> Vec<(u32, u32)> {
        let child = |index: &u32| {
            self.planned(*index)
                .is_some_and(|planned| matches!(planned.work, Work::Child { .. }))
        };
        let of = |set: &BTreeSet<u32>| -> Vec<u32> {
            set.range(from..).copied().filter(child).take(max).collect()
        };
        let (dispatched, cancelling) = (of(&self.dispatched), of(&self.cancelling));
        merged(dispatched.into_iter(), cancelling.into_iter())
            .take(max)
            .map(|index| {
                (
                    index,
                    self.record_of(index).map_or(0, TaskRecord::iteration),
                )
            })
            .collect()
    }

    /// Tasks from `from` on that wait for a signal, and no longer than so long, as `(task,
    /// iteration, longest wait)`, at most `max`.
    #[must_use]
    pub fn open_waits(&self, from: u32, max: usize) -> Vec<(u32, u32, Duration)> {
        let bounded = |index: u32| {
            let planned = self.planned(index)?;
            let waits = matches!(planned.work, Work::Signal { .. });
            let iteration = self.record_of(index)?.iteration();
            Some((index, iteration, planned.timeout.filter(|_| waits)?))
        };
        let dispatched = self.dispatched.range(from..).copied();
        dispatched.filter_map(bounded).take(max).collect()
    }

    pub(crate) fn first_dispatched(&self) -> Option<u32> {
        self.dispatched.first().copied()
    }

    pub(crate) fn returned_after(&self, after: Option<u32>) -> Option<u32> {
        next(&self.returned, after)
    }

    pub(crate) fn gathering_after(&self, after: Option<u32>) -> Option<u32> {
        next(&self.gathering, after)
    }

    pub(crate) fn first_rewinding(&self) -> Option<u32> {
        self.rewinding.first().copied()
    }

    pub(crate) fn last_expanded(&self) -> Option<u32> {
        self.expanded.last().copied()
    }

    /// While restarting: what is to be reset next.
    pub(crate) fn next_to_reset(&self) -> Option<u32> {
        let sets = [&self.failed, &self.unkept, &self.stale];
        sets.iter().find_map(|set| set.first().copied())
    }

    /// Whether the section of a generator is there.
    pub(crate) fn has_section(&self, generator: u32) -> bool {
        self.units.section_of(generator).is_some()
    }

    /// Whether every task of a generator's section counts as done.
    pub(crate) fn section_done(&self, generator: u32) -> bool {
        let section = self.units.section_of(generator);
        section.is_some_and(|unit| unit.all_done())
    }

    /// The first task and the elements of a map that is under way.
    pub(crate) fn elements_of(&self, map: u32) -> Option<(u32, &Elements)> {
        let unit = self.units.section_of(map)?;
        match &unit.body {
            Body::Elements(elements) => Some((unit.base, elements)),
            Body::Graph { .. } => None,
        }
    }

    /// The map of an element, and the element's place.
    pub(crate) fn element(&self, index: u32) -> Option<(u32, u32)> {
        let (unit, place) = self.units.of(index)?;
        match (&unit.body, unit.generator) {
            (Body::Elements(_), Some((map, _))) => Some((map, place)),
            (Body::Elements(_) | Body::Graph { .. }, _) => None,
        }
    }

    /// The plan that a task stands in, the index of its first task, and the task's place in it;
    /// elements of maps stand in none.
    pub(crate) fn place(&self, index: u32) -> Option<(&Arc<Plan>, u32, u32)> {
        let (unit, place) = self.units.of(index)?;
        Some((unit.plan()?, unit.base, place))
    }

    /// The generator that added a task.
    pub(crate) fn generator_of(&self, index: u32) -> Option<u32> {
        let (unit, _) = self.units.of(index)?;
        unit.generator.map(|(generator, _)| generator)
    }

    /// How many generators stand above a task.
    pub(crate) fn depth_of(&self, index: u32) -> u32 {
        self.units.of(index).map_or(0, |(unit, _)| unit.depth)
    }

    /// Tasks in all.
    pub(crate) fn task_count(&self) -> u32 {
        self.units.tasks()
    }

    /// The task that a route of a condition leads to.
    pub(crate) fn route_target(&self, condition: u32, route: u32) -> Option<u32> {
        let (unit, place) = self.units.of(condition)?;
        let routes = unit.plan()?.task(place).work.routes()?;
        Some(unit.base + routes.get(route)?.target)
    }

    /// What is known of a map, by its index.
    pub(crate) fn map_work(&mut self, map: u32) -> &mut MapWork {
        let base = self.units.section_of(map).map_or(0, |unit| unit.base);
        self.cache.maps.entry(base).or_default()
    }

    /// Forgets what is known of a map.
    pub(crate) fn forget_map(&mut self, map: u32) {
        if let Some(unit) = self.units.section_of(map) {
            let base = unit.base;
            self.cache.maps.remove(&base);
        }
    }
}

pub(super) fn is_open(record: &TaskRecord) -> bool {
    matches!(
        record,
        TaskRecord::Dispatched { .. } | TaskRecord::Cancelling { .. }
    )
}

fn next(set: &BTreeSet<u32>, after: Option<u32>) -> Option<u32> {
    let from = after.map_or(0, |after| after.saturating_add(1));
    set.range(from..).next().copied()
}

/// Two ascending lists as one.
fn merged(
    one: impl Iterator<Item = u32>,
    other: impl Iterator<Item = u32>,
) -> impl Iterator<Item = u32> {
    let (mut one, mut other): (Peekable<_>, Peekable<_>) = (one.peekable(), other.peekable());
    std::iter::from_fn(move || match (one.peek(), other.peek()) {
        (Some(a), Some(b)) if b < a => other.next(),
        (Some(_), _) => one.next(),
        (None, _) => other.next(),
    })
}
