//! Run slots: how many jobs a node runs at once, in all and per handler.
//!
//! Shared by the pumps of all shards. A pump reserves slots before it claims and returns what
//! it was not given, so the node never holds a job that it has no room for. Counting is atomic
//! and without locks; only a pump that found no slot waits, and only then does a release tell.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::sync::watch;

/// The slots of a node.
#[derive(Debug)]
pub(crate) struct Slots {
    total: u32,
    free: AtomicU32,
    /// Slots that a run holds; neither free nor set aside for a claim.
    running: AtomicU32,
    /// Per handler; none where only the total limits it.
    handlers: Box<[Option<AtomicU32>]>,
    starving: AtomicU32,
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
            starving: AtomicU32::new(0),
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

    /// Whether a job of this handler could be started now.
    pub(crate) fn has_room(&self, handler: usize) -> bool {
        self.free() > 0 && self.handler_free(handler) > 0
    }

    /// Jobs that could be started now, if they were of the right types.
    pub(crate) fn room(&self) -> u32 {
        let of_handlers = (0..self.handlers.len())
            .map(|handler| self.handler_free(handler))
            .fold(0, u32::saturating_add);
        self.free().min(of_handlers)
    }

    fn handler_free(&self, handler: usize) -> u32 {
        match self.handlers.get(handler) {
            Some(Some(free)) => free.load(Ordering::SeqCst),
            Some(None) => u32::MAX,
            None => 0,
        }
    }

    /// Takes up to `max` slots, to be spread over the handlers as jobs come.
    pub(crate) fn reserve(self: &Arc<Self>, max: u32) -> Reservation {
        let left = take(&self.free, max);
        let handlers = self
            .handlers
            .iter()
            .map(|free| match free {
                Some(free) => take(free, left),
                None => left,
            })
            .collect();
        Reservation {
            slots: Arc::clone(self),
            left,
            handlers,
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
        if self.starving.load(Ordering::SeqCst) > 0 {
            self.freed.send_replace(());
        }
    }

    /// Waits until slots were returned after this call.
    ///
    /// Callers look at the slots again between making and awaiting this future; a release in
    /// between is not missed.
    pub(crate) fn freed(&self) -> impl Future<Output = ()> + '_ {
        let hungry = Starving::new(&self.starving);
        let mut freed = self.freed.subscribe();
        async move {
            let _hungry = hungry;
            // The sender lives as long as `self`.
            let _ = freed.changed().await;
        }
    }
}

struct Starving<'a>(&'a AtomicU32);

impl<'a> Starving<'a> {
    fn new(count: &'a AtomicU32) -> Starving<'a> {
        count.fetch_add(1, Ordering::SeqCst);
        Starving(count)
    }
}

impl Drop for Starving<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
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

/// Slots that are set aside for the jobs of one claim; what is left returns when dropped.
#[derive(Debug)]
pub(crate) struct Reservation {
    slots: Arc<Slots>,
    left: u32,
    handlers: Box<[u32]>,
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

    #[test]
    fn what_is_reserved_returns() {
        let slots = Arc::new(Slots::new(10, [None, Some(3)]));
        let mut first = slots.reserve(8);
        assert_eq!(
            (first.left(), first.left_of(0), first.left_of(1)),
            (8, 8, 3)
        );
        let second = slots.reserve(8);
        assert_eq!((second.left(), second.left_of(1)), (2, 0));
        assert!(!slots.has_room(0));
        assert_eq!(slots.room(), 0);

        let run = first.slot(1).expect("slot");
        drop((first, second));
        assert_eq!(slots.free(), 9);
        assert_eq!(slots.reserve(100).left_of(1), 2);
        drop(run);
        assert_eq!(slots.free(), 10);
        assert_eq!(slots.reserve(100).left_of(1), 3);
    }

    #[test]
    fn no_more_slots_are_given_than_were_reserved() {
        let slots = Arc::new(Slots::new(2, [Some(1), None]));
        let mut claim = slots.reserve(5);
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
        let run = slots.reserve(1).slot(0);
        let freed = slots.freed();
        drop(run);
        freed.await;
        assert!(slots.has_room(0));
    }
}
