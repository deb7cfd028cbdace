//! Taking a record in: the one function by which an instance changes, live or when it is loaded.
//!
//! What a record brings about does not depend on the order in which records are taken in: a task
//! counts the edges from tasks that are not done, up and down, and whatever else is derived is
//! worked out from what stands there afterwards.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::ops::Bound;

use paceline_types::workflow::{Hook, Plan, ResultReuse, Stage, TaskRecord, Work};

use super::unit::Body;
use super::{Instance, Turn};

impl Instance {
    /// Takes in what is, or is to be, kept of a task, and everything that follows from it. A task
    /// that is not there any more (its section was dropped) is passed over.
    ///
    /// A section is dropped when its generator is at another start than the one that added it.
    pub(crate) fn take(&mut self, index: u32, record: TaskRecord) {
        if let Some(hook) = Hook::of_index(index) {
            if let Some(place) = Hook::ALL.into_iter().position(|other| other == hook) {
                self.hooks[place] = Some(record);
            }
            return;
        }
        let stays = matches!(self.units.section_of(index), Some(section)
            if section.generator == Some((index, record.iteration())));
        if !stays {
            self.drop_section(index);
        }
        let Some((unit, place)) = self.units.of_mut(index) else {
            return;
        };
        let base = unit.base;
        let is_done = record.is_done();
        let old = unit.put(place, record.clone());
        let was_done = old.as_ref().is_some_and(TaskRecord::is_done);
        match (was_done, is_done) {
            (false, true) => unit.done += 1,
            (true, false) => unit.done -= 1,
            (false, false) | (true, true) => {}
        }
        if let Some(old) = &old {
            self.leave(index, old);
        }
        self.join(index, &record);
        if was_done != is_done {
            self.tell_waiters(base, place, is_done);
        }
        self.requeue(index);
        if let Some(section) = self.units.section_of(index).map(|section| section.base) {
            self.requeue_elements(section);
        }
        if matches!(self.stage(), Stage::Restarting) {
            if matches!(record, TaskRecord::Again { .. }) {
                self.find_stale(index);
            }
            if !matches!(record, TaskRecord::Bypassed { .. }) {
                self.stale.remove(&index);
            }
        }
    }

    fn leave(&mut self, index: u32, old: &TaskRecord) {
        if let Some(set) = self.set_of(index, old) {
            set.remove(&index);
        }
        if matches!(old, TaskRecord::Expanded { .. }) {
            self.gathering.remove(&index);
        }
        if let Some(name) = self.waits_for(index, old) {
            self.mailbox.wait_no_more(index, &name);
        }
        if let Some((Body::Elements(elements), place)) = self.body_mut(index) {
            match old {
                TaskRecord::Dispatched { .. } | TaskRecord::Cancelling { .. } => {
                    elements.open -= 1;
                }
                TaskRecord::Again { .. } => {
                    elements.waiting.remove(&place);
                }
                _ => {}
            }
        }
    }

    fn join(&mut self, index: u32, record: &TaskRecord) {
        if let Some(set) = self.set_of(index, record) {
            set.insert(index);
        }
        if let Some(name) = self.waits_for(index, record) {
            self.mailbox.wait(index, name);
        }
        if let Some((Body::Elements(elements), place)) = self.body_mut(index) {
            elements.waiting.remove(&place);
            match record {
                TaskRecord::Dispatched { .. } | TaskRecord::Cancelling { .. } => {
                    elements.open += 1;
                }
                TaskRecord::Again { .. } => {
                    elements.waiting.insert(place);
                }
                _ => {}
            }
        }
    }

    fn body_mut(&mut self, index: u32) -> Option<(&mut Body, u32)> {
        let (unit, place) = self.units.of_mut(index)?;
        Some((&mut unit.body, place))
    }

    /// The signal that a task waits for, if it does.
    fn waits_for(&self, index: u32, record: &TaskRecord) -> Option<paceline_types::SignalName> {
        let TaskRecord::Dispatched { .. } = record else {
            return None;
        };
        match &self.planned(index)?.work {
            Work::Signal { name } => Some(name.clone()),
            _ => None,
        }
    }

    /// The set that a task with this record is in.
    fn set_of(&mut self, index: u32, record: &TaskRecord) -> Option<&mut BTreeSet<u32>> {
        match record {
            TaskRecord::Dispatched { .. } => Some(&mut self.dispatched),
            TaskRecord::Cancelling { .. } => Some(&mut self.cancelling),
            TaskRecord::Returned { .. } => Some(&mut self.returned),
            TaskRecord::Expanded { .. } => Some(&mut self.expanded),
            TaskRecord::Rewinding { .. } => Some(&mut self.rewinding),
            TaskRecord::Again { .. } => Some(&mut self.reset),
            TaskRecord::Dead { .. } | TaskRecord::Cancelled { .. } => Some(&mut self.failed),
            TaskRecord::Completed { .. } | TaskRecord::Routed { .. } => {
                let (unit, place) = self.units.of(index)?;
                let reuse = unit.plan()?.task(place).reuse;
                (reuse == ResultReuse::Never).then_some(&mut self.unkept)
            }
            TaskRecord::Skipped { .. }
            | TaskRecord::Bypassed { .. }
            | TaskRecord::FailedAllowed { .. } => None,
        }
    }

    fn tell_waiters(&mut self, base: u32, place: u32, done: bool) {
        let Some(unit) = self.units.at(base) else {
            return;
        };
        let Some(plan) = unit.plan().cloned() else {
            return;
        };
        for &waiter in plan.waiters(place) {
            let Some((Body::Graph { slots, .. }, waiter)) = self.body_mut(base + waiter) else {
                return;
            };
            let waiting_on = &mut slots[waiter as usize].waiting_on;
            match done {
                true => *waiting_on -= 1,
                false => *waiting_on += 1,
            }
            // Only these can have come to their turn, or have lost it.
            if *waiting_on <= 1 {
                self.requeue(base + waiter);
            }
        }
    }

    /// Puts a task of a graph in the queue or takes it out, as it stands.
    pub(super) fn requeue(&mut self, index: u32) {
        let Some((unit, place)) = self.units.of(index) else {
            return;
        };
        let Body::Graph { plan, slots } = &unit.body else {
            let base = unit.base;
            return self.requeue_elements(base);
        };
        let slot = &slots[place as usize];
        let begins = matches!(slot.record, None | Some(TaskRecord::Again { .. }));
        let turn = turn(unit.base, plan, place);
        if begins && slot.waiting_on == 0 {
            self.ready.insert(turn);
        } else {
            self.ready.remove(&turn);
        }
    }

    /// Puts the elements of a map in the queue or takes them out, as they stand; when all have
    /// ended, their results are to be gathered.
    pub(super) fn requeue_elements(&mut self, base: u32) {
        let Some(unit) = self.units.at(base) else {
            return;
        };
        let (Body::Elements(elements), Some((map, _))) = (&unit.body, unit.generator) else {
            return;
        };
        let expanded = matches!(self.record_of(map), Some(TaskRecord::Expanded { .. }));
        let next = elements.open < elements.window && !elements.waiting.is_empty();
        let gathers = expanded && unit.all_done();
        let Some(planned) = self.planned(map) else {
            return;
        };
        let turn = Turn {
            urgency: Reverse(planned.urgency),
            base,
            rank: 0,
        };
        if expanded && next {
            self.ready.insert(turn);
        } else {
            self.ready.remove(&turn);
        }
        if gathers {
            self.gathering.insert(map);
        } else {
            self.gathering.remove(&map);
        }
    }

    /// While restarting: what was passed by behind a task that was reset is reset as well.
    pub(super) fn find_stale(&mut self, index: u32) {
        let Some((unit, place)) = self.units.of(index) else {
            return;
        };
        let Body::Graph { plan, slots } = &unit.body else {
            return;
        };
        let passed = |&&waiter: &&u32| {
            let record = slots[waiter as usize].record.as_ref();
            matches!(record, Some(TaskRecord::Bypassed { .. }))
        };
        let base = unit.base;
        let found: Vec<u32> = plan.waiters(place).iter().filter(passed).copied().collect();
        self.stale
            .extend(found.into_iter().map(|waiter| base + waiter));
    }

    /// What is dispatched next, behind a place in the queue.
    pub(crate) fn next_turn(&self, after: Option<Turn>) -> Option<Turn> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.ready.range((from, Bound::Unbounded)).next().copied()
    }

    /// The task of a turn: of a map's elements, the first that waits.
    pub(crate) fn task_at(&self, turn: Turn) -> Option<u32> {
        let unit = self.units.at(turn.base)?;
        let place = match &unit.body {
            Body::Graph { plan, .. } => plan.at_rank(turn.rank),
            Body::Elements(elements) => *elements.waiting.first()?,
        };
        Some(turn.base + place)
    }
}

pub(super) fn turn(base: u32, plan: &Plan, place: u32) -> Turn {
    Turn {
        urgency: Reverse(plan.task(place).urgency),
        base,
        rank: plan.rank(place),
    }
}
