//! Run slots: how many jobs a node runs at once, in all and per handler.
//!
//! Shared by the pumps of all shards. A pump reserves slots before it claims and returns what
//! it was not given, so the node never holds a job that it has no room for. Counting is atomic
//! and without locks; only pumps that found no slot wait, in one line, so that a busy shard
//! cannot keep the slots from the others.

mod line;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use paceline_types::ShardIndex;
use tokio::sync::watch;

use line::Line;

/// The slots of a node.
#[derive(Debug)]
pub(crate) struct Slots {
    total: u32,
    free: AtomicU32,
    /// Slots that a run holds; neither free nor set aside for a claim.
    running: AtomicU32,
    /// Per handler; none where only the total limits it.
    handlers: Box<[Option<AtomicU32>]>,
    line: Line,
    freed: watch::Sender<()>,
}

impl Slots {
    /// `total` slots; `limits` per handler, in the order of the registry.
    pub(crate) fn new(total: u32, limits: impl IntoIterator<Item = Option<u32>>) -> Slots {
        Slots {
            total,
            free: AtomicU32::new(total),
            running: AtomicU32::new(0),
            handlers: limits
                .into_iter()
                .map(|limit| limit.map(AtomicU32::new))
                .collect(),
            line: Line::default(),
            freed: watch::Sender::new(()),
        }
    }

    pub(crate) fn total(&self) -> u32 {
        self.total
    }

    pub(crate) fn free(&self) -> u32 {
        self.free.load(Ordering::SeqCst)
    }

    /// Jobs that run now.
    pub(crate) fn running(&self) -> u32 {
        self.running.load(Ordering::SeqCst)
    }

    /// Whether a job of this handler could be started now, by whichever pump is next in line.
    pub(crate) fn has_room(&self, handler: usize) -> bool {
        self.free() > 0 && self.handler_free(handler) > 0
    }

    /// Jobs that this pump could start now, if they were of the right types.
    pub(crate) fn room(&self, pump: ShardIndex) -> u32 {
        let yields = self
            .line
            .ahead_of(pump, |handler| self.handler_free(handler) > 0);
        if yields.everything {
            return 0;
        }
        let of_handlers = (0..self.handlers.len())
            .filter(|handler| !yields.handlers.contains(handler))
            .map(|handler| self.handler_free(handler))
            .fold(0, u32::saturating_add);
        self.free().min(of_handlers)
    }

    /// Whether this pump could start a job of one of these handlers now.
    pub(crate) fn has_room_for(&self, pump: ShardIndex, handlers: &[usize]) -> bool {
        let yields = self
            .line
            .ahead_of(pump, |handler| self.handler_free(handler) > 0);
        !yields.everything
            && handlers
                .iter()
                .any(|handler| !yields.handlers.contains(handler) && self.has_room(*handler))
    }

    fn handler_free(&self, handler: usize) -> u32 {
        match self.handlers.get(handler) {
            Some(Some(free)) => free.load(Ordering::SeqCst),
            Some(None) => u32::MAX,
            None => 0,
        }
    }

    /// Takes up to `max` slots for a pump, to be spread over the handlers as jobs come; none of
    /// those that a pump ahead of it in the line waits for.
    pub(crate) fn reserve(self: &Arc<Self>, pump: ShardIndex, max: u32) -> Reservation {
        let yields = self
            .line
            .ahead_of(pump, |handler| self.handler_free(handler) > 0);
        let left = if yields.everything {
            0
        } else {
            take(&self.free, max)
        };
        let mut missed = Vec::new();
        let handlers = self
            .handlers
            .iter()
            .enumerate()
            .map(|(index, free)| {
                let taken = match free {
                    _ if yields.handlers.contains(&index) => 0,
                    Some(free) => take(free, left),
                    None => left,
                };
                if taken == 0 && left > 0 {
                    missed.push(index);
                }
                taken
            })
            .collect();
        Reservation {
            slots: Arc::clone(self),
            left,
            handlers,
            missed,
        }
    }

    /// Lets a pump wait for slots in line: for any at all, or for those of some handlers.
    pub(crate) fn stand_in_line(
        self: &Arc<Self>,
        pump: ShardIndex,
        any: bool,
        handlers: &[usize],
    ) -> Place {
        self.line.stand(pump, any, handlers);
        Place {
            slots: Arc::clone(self),
            pump,
        }
    }

    /// Returns the slot of one run.
    fn release(&self, handler: usize) {
        self.running.fetch_sub(1, Ordering::SeqCst);
        if let Some(Some(free)) = self.handlers.get(handler) {
            free.fetch_add(1, Ordering::SeqCst);
        }
        self.give_back(1);
    }

    fn give_back(&self, count: u32) {
        self.free.fetch_add(count, Ordering::SeqCst);
        self.tell();
    }

    fn tell(&self) {
        if !self.line.is_empty() {
            self.freed.send_replace(());
        }
    }

    /// Waits until slots were returned after this call, to whoever stands in line.
    ///
    /// Callers stand in line and look at the slots again between making and awaiting this future;
    /// a release in between is not missed.
    pub(crate) fn freed(&self) -> impl Future<Output = ()> + use<> {
        let mut freed = self.freed.subscribe();
        async move {
            if freed.changed().await.is_err() {
                // The slots are gone, and with them whoever could be told.
                std::future::pending().await
            }
        }
    }
}

fn take(free: &AtomicU32, max: u32) -> u32 {
    let mut taken = 0;
    let _ = free.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |free| {
        taken = free.min(max);
        (taken > 0).then(|| free - taken)
    });
    taken
}

/// The place of a pump in the line; given up when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    slots: Arc<Slots>,
    pump: ShardIndex,
}

impl Place {
    /// Waits for this as well, at the same place.
    pub(crate) fn also_for(&self, any: bool, handlers: &[usize]) {
        self.slots.line.stand(self.pump, any, handlers);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.slots.line.leave(self.pump);
        // What it kept from those behind it is theirs now.
        self.slots.tell();
    }
}

/// Slots that are set aside for the jobs of one claim; what is left returns when dropped.
#[derive(Debug)]
pub(crate) struct Reservation {
    slots: Arc<Slots>,
    left: u32,
    handlers: Box<[u32]>,
    missed: Vec<usize>,
}

impl Reservation {
    /// Jobs that may still be taken, of any handler.
    pub(crate) fn left(&self) -> u32 {
        self.left
    }

    /// Jobs that may still be taken of one handler.
    pub(crate) fn left_of(&self, handler: usize) -> u32 {
        let of_handler = self.handlers.get(handler).copied().unwrap_or(0);
        of_handler.min(self.left)
    }

    /// Handlers that a claim with these slots has no room for, though it has some for others.
    pub(crate) fn missed(&self) -> &[usize] {
        &self.missed
    }

    /// The slot of one job; none when the claim brought more than was reserved.
    pub(crate) fn slot(&mut self, handler: usize) -> Option<Slot> {
        let of_handler = self.handlers.get_mut(handler)?;
        if *of_handler == 0 || self.left == 0 {
            return None;
        }
        *of_handler -= 1;
        self.left -= 1;
        self.slots.running.fetch_add(1, Ordering::SeqCst);
        Some(Slot {
            slots: Arc::clone(&self.slots),
            handler,
        })
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        for (free, left) in self.slots.handlers.iter().zip(&self.handlers) {
            if let Some(free) = free {
                free.fetch_add(*left, Ordering::SeqCst);
            }
        }
        if self.left > 0 || self.slots.handlers.iter().any(Option::is_some) {
            self.slots.give_back(self.left);
        }
    }
}

/// The slot of one run; returned when dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    slots: Arc<Slots>,
    handler: usize,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.slots.release(self.handler);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: ShardIndex = ShardIndex(1);
    const TWO: ShardIndex = ShardIndex(2);

    #[test]
    fn what_is_reserved_returns() {
        let slots = Arc::new(Slots::new(10, [None, Some(3)]));
        let mut first = slots.reserve(ONE, 8);
        assert_eq!(
            (first.left(), first.left_of(0), first.left_of(1)),
            (8, 8, 3)
        );
        let second = slots.reserve(ONE, 8);
        assert_eq!((second.left(), second.left_of(1)), (2, 0));
        assert!(!slots.has_room(0));
        assert_eq!(slots.room(ONE), 0);

        let run = first.slot(1).expect("slot");
        drop((first, second));
        assert_eq!(slots.free(), 9);
        assert_eq!(slots.reserve(ONE, 100).left_of(1), 2);
        drop(run);
        assert_eq!(slots.free(), 10);
        assert_eq!(slots.reserve(ONE, 100).left_of(1), 3);
    }

    #[test]
    fn no_more_slots_are_given_than_were_reserved() {
        let slots = Arc::new(Slots::new(2, [Some(1), None]));
        let mut claim = slots.reserve(ONE, 5);
        let one = claim.slot(0);
        assert!(one.is_some());
        assert!(claim.slot(0).is_none());
        let two = claim.slot(1);
        assert!(two.is_some());
        assert!(claim.slot(1).is_none());
        assert!(claim.slot(7).is_none());
        drop(claim);
        assert_eq!(slots.free(), 0);
    }

    #[tokio::test]
    async fn a_starving_pump_hears_of_a_release() {
        let slots = Arc::new(Slots::new(1, [None]));
        let run = slots.reserve(ONE, 1).slot(0);
        let freed = slots.freed();
        let _place = slots.stand_in_line(TWO, true, &[]);
        drop(run);
        freed.await;
        assert!(slots.has_room(0));
    }

    #[test]
    fn who_waits_first_is_served_first() {
        let slots = Arc::new(Slots::new(2, [Some(1), None]));
        let run = slots.reserve(ONE, 2).slot(0);
        assert_eq!(slots.reserve(TWO, 2).missed(), [0]);
        let place = slots.stand_in_line(TWO, false, &[0]);
        // The one that is busy may go on with everything else.
        assert_eq!(slots.reserve(ONE, 2).left_of(1), 1);
        drop(run);
        // Now the other one may start: the busy one leaves it the slots that this takes.
        assert_eq!(slots.reserve(ONE, 2).left(), 0);
        assert_eq!(slots.room(ONE), 0);
        assert!(slots.has_room_for(TWO, &[0]));
        assert_eq!(slots.reserve(TWO, 2).left_of(0), 1);
        drop(place);
        assert_eq!(slots.reserve(ONE, 2).left_of(0), 1);
    }
}
