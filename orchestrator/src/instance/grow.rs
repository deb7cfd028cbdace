//! Sections that are added and dropped.

use std::cmp::Reverse;

use paceline_types::workflow::{TaskRecord, Work};

use super::take::turn;
use super::unit::{Body, Unit};
use super::{Instance, Turn};

impl Instance {
    /// Adds a section; the record of its generator says already that it is there.
    pub(super) fn add_unit(&mut self, unit: Unit) {
        let base = unit.base;
        if let Body::Graph { plan, .. } = &unit.body {
            let names = (base..).zip(plan.tasks());
            self.names
                .extend(names.map(|(index, task)| (task.name.clone(), index)));
        }
        self.units.add(unit);
        self.queue_roots(base);
    }

    /// Queues what waits for nothing of a unit that was just added.
    pub(super) fn queue_roots(&mut self, base: u32) {
        let Some(unit) = self.units.at(base) else {
            return;
        };
        match &unit.body {
            Body::Graph { slots, .. } => {
                let free = (base..).zip(slots).filter(|(_, slot)| slot.waiting_on == 0);
                let free: Vec<u32> = free.map(|(index, _)| index).collect();
                for index in free {
                    self.requeue(index);
                }
            }
            Body::Elements(_) => self.requeue_elements(base),
        }
    }

    pub(super) fn drop_section(&mut self, generator: u32) {
        let Some(unit) = self.units.remove(generator) else {
            return;
        };
        let (base, end) = (unit.base, unit.base + unit.len());
        for (index, place) in (base..end).zip(0..) {
            if unit.record(place).is_some() {
                self.dropped.insert(index);
            }
        }
        for inner in self.units.generators_in(base, end) {
            self.drop_section(inner);
        }
        match &unit.body {
            Body::Graph { plan, slots } => {
                for ((index, place), (task, slot)) in
                    (base..).zip(0..).zip(plan.tasks().iter().zip(slots))
                {
                    self.names.remove(&task.name);
                    self.ready.remove(&turn(base, plan, place));
                    if let (Work::Signal { name }, Some(TaskRecord::Dispatched { .. })) =
                        (&task.work, &slot.record)
                    {
                        self.mailbox.wait_no_more(index, name);
                    }
                }
            }
            Body::Elements(_) => {
                if let Some(planned) = self.planned(generator) {
                    let urgency = Reverse(planned.urgency);
                    let rank = 0;
                    self.ready.remove(&Turn {
                        urgency,
                        base,
                        rank,
                    });
                }
                self.cache.maps.remove(&base);
            }
        }
        for set in [
            &mut self.dispatched,
            &mut self.cancelling,
            &mut self.returned,
            &mut self.expanded,
            &mut self.gathering,
            &mut self.rewinding,
            &mut self.reset,
            &mut self.failed,
            &mut self.unkept,
            &mut self.stale,
        ] {
            let inside: Vec<u32> = set.range(base..end).copied().collect();
            for index in inside {
                set.remove(&index);
            }
        }
    }

    /// A task whose record is kept still although its section is gone.
    pub(super) fn find_dropped(&mut self, index: u32) {
        self.dropped.insert(index);
    }

    /// Whether records of dropped tasks are kept still.
    pub(crate) fn has_dropped(&self) -> bool {
        !self.dropped.is_empty()
    }

    /// The next dropped task whose record is to go, which is taken to be gone then.
    pub(crate) fn next_dropped(&mut self) -> Option<u32> {
        self.dropped.pop_first()
    }
}
