//! Run slots: how many jobs a node runs at once, in all and per handler.
//!
//! Shared by the pumps of all shards. A pump reserves slots before it claims and returns what
//! it was not given, so the node never holds a job that it has no room for. Counting is atomic
//! and without locks; only pumps that found no slot wait, in one line, so that a busy shard
//! cannot keep the slots from the others.
//!
//! Whatever keeps a node from claiming is a matter of slots: a drained node and a paused handler
//! have none, an open breaker leaves none, a half open one. Limits may change while runs hold
//! slots: those end as they would have, and no others begin until there is room again.

mod line;
mod lot;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use paceline_types::ShardIndex;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::breaker::{Breaker, Verdict};
use line::{Line, Yields};
use lot::{Lot, take};

/// The slots of a node.
#[derive(Debug)]
pub(crate) struct Slots {
    total: AtomicU32,
    /// Set while the node claims nothing at all.
    closed: AtomicBool,
    used: AtomicU32,
    /// Slots that a run holds; neither free nor set aside for a claim.
    running: AtomicU32,
    handlers: Box<[Lot]>,
    line: Line,
    freed: watch::Sender<()>,
}

impl Slots {
    /// `total` slots; limits and breakers per handler, in the order of the registry.
    pub(crate) fn new(
        total: u32,
        handlers: impl IntoIterator<Item = (Option<u32>, Option<Breaker>)>,
    ) -> Slots {
        Slots {
            total: AtomicU32::new(total),
            closed: AtomicBool::new(false),
            used: AtomicU32::new(0),
            running: AtomicU32::new(0),
            handlers: handlers
                .into_iter()
                .map(|(limit, breaker)| Lot::new(limit, breaker))
                .collect(),
            line: Line::default(),
            freed: watch::Sender::new(()),
        }
    }

    pub(crate) fn total(&self) -> u32 {
        self.total.load(Ordering::SeqCst)
    }

    /// Slots that a claim may reserve now.
    pub(crate) fn free(&self) -> u32 {
        self.limit()
            .saturating_sub(self.used.load(Ordering::SeqCst))
    }

    /// Jobs that run now.
    pub(crate) fn running(&self) -> u32 {
        self.running.load(Ordering::SeqCst)
    }

    fn limit(&self) -> u32 {
        if self.closed.load(Ordering::SeqCst) {
            0
        } else {
            self.total()
        }
    }

    /// Changes how many there are; runs beyond that end as they would have.
    pub(crate) fn set_total(&self, total: u32) {
        self.total.store(total, Ordering::SeqCst);
        self.freed.send_replace(());
    }

    /// Keeps the node from claiming anything, or lets it claim again.
    pub(crate) fn set_closed(&self, closed: bool) {
        self.closed.store(closed, Ordering::SeqCst);
        self.freed.send_replace(());
    }

    /// Changes the limit of a handler: none, so many runs, or with 0 no new ones.
    pub(crate) fn set_limit(&self, handler: usize, limit: Option<u32>) {
        if let Some(lot) = self.handlers.get(handler) {
            lot.set_limit(limit);
            self.freed.send_replace(());
        }
    }

    /// Handlers whose breaker is not closed, and from when on one run may try.
    pub(crate) fn open_breakers(&self) -> impl Iterator<Item = (usize, Instant)> {
        let lots = self.handlers.iter().enumerate();
        lots.filter_map(|(handler, lot)| Some((handler, lot.open_until()?)))
    }

    /// Whether a job of this handler could be started now, by whichever pump is next in line.
    pub(crate) fn has_room(&self, handler: usize) -> bool {
        self.free() > 0 && self.handler_free(handler) > 0
    }

    /// Jobs that this pump could start now, if they were of the right types.
    pub(crate) fn room(&self, pump: ShardIndex) -> u32 {
        let yields = self.yields(pump);
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
        let yields = self.yields(pump);
        !yields.everything
            && handlers
                .iter()
                .any(|handler| !yields.handlers.contains(handler) && self.has_room(*handler))
    }

    /// What a pump leaves to those ahead of it in the line.
    fn yields(&self, pump: ShardIndex) -> Yields {
        self.line
            .ahead_of(pump, |handler| self.handler_free(handler) > 0)
    }

    /// Whether a handler has no slot left, whatever the node has.
    pub(crate) fn is_full(&self, handler: usize) -> bool {
        self.handler_free(handler) == 0
    }

    fn handler_free(&self, handler: usize) -> u32 {
        self.handlers.get(handler).map_or(0, Lot::free)
    }

    /// Takes up to `max` slots for a pump, to be spread over the handlers as jobs come; none of
    /// those that a pump ahead of it in the line waits for.
    pub(crate) fn reserve(self: &Arc<Self>, pump: ShardIndex, max: u32) -> Reservation {
        let yields = self.yields(pump);
        let left = if yields.everything {
            0
        } else {
            take(&self.used, self.limit(), max)
        };
        let (mut missed, mut probes) = (Vec::new(), Vec::new());
        let handlers = self
            .handlers
            .iter()
            .enumerate()
            .map(|(index, lot)| {
                if left == 0 {
                    return 0;
                }
                let taken = if yields.handlers.contains(&index) {
                    0
                } else {
                    lot.reserve(left, || probes.push(index))
                };
                if taken == 0 {
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
            probes,
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

    fn give_back(&self, count: u32) {
        self.used.fetch_sub(count, Ordering::SeqCst);
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

    /// Tells those in line when a breaker lets one run try.
    fn tell_at(self: &Arc<Self>, moment: Instant) {
        let slots = Arc::downgrade(self);
        tokio::spawn(async move {
            tokio::time::sleep_until(moment).await;
            if let Some(slots) = slots.upgrade() {
                slots.tell();
            }
        });
    }
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
    /// Handlers whose one slot is for the probe of their breaker.
    probes: Vec<usize>,
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

    /// The slot of one job; none when the claim brought more than was reserved, or when nothing
    /// may begin any more since it was sent: the node is drained, the handler paused, its breaker
    /// open.
    pub(crate) fn slot(&mut self, handler: usize) -> Option<Slot> {
        let of_handler = self.handlers.get_mut(handler)?;
        if *of_handler == 0 || self.left == 0 {
            return None;
        }
        let probe = self.probes.iter().position(|probe| *probe == handler);
        let lot = self.slots.handlers.get(handler)?;
        if self.slots.closed.load(Ordering::SeqCst) || lot.is_shut(probe.is_some()) {
            return None;
        }
        *of_handler -= 1;
        self.left -= 1;
        if let Some(probe) = probe {
            self.probes.swap_remove(probe);
        }
        self.slots.running.fetch_add(1, Ordering::SeqCst);
        Some(Slot {
            slots: Arc::clone(&self.slots),
            handler,
            probe: probe.is_some(),
        })
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut rest = self.left;
        for (lot, left) in self.slots.handlers.iter().zip(&self.handlers) {
            if *left > 0 {
                lot.give_back(*left);
                rest = rest.max(*left);
            }
        }
        for handler in &self.probes {
            self.slots.handlers[*handler].end_probe();
        }
        if rest > 0 {
            self.slots.give_back(self.left);
        }
    }
}

/// The slot of one run; returned when dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    slots: Arc<Slots>,
    handler: usize,
    /// It is the one run that tries whether a handler works again.
    probe: bool,
}

impl Slot {
    /// Tells the breaker of the handler, if it has one, what the run says. Returns what became
    /// of it, if that changed.
    pub(crate) fn judge(&mut self, verdict: Verdict) -> Option<Turned> {
        let lot = self.slots.handlers.get(self.handler)?;
        let turned = lot.judge(verdict, std::mem::take(&mut self.probe))?;
        if let Turned::Open(until) = turned {
            self.slots.tell_at(until);
        }
        Some(turned)
    }
}

/// What became of a breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turned {
    /// It is open until then.
    Open(Instant),
    /// It is closed again.
    Closed,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.slots.running.fetch_sub(1, Ordering::SeqCst);
        if let Some(lot) = self.slots.handlers.get(self.handler) {
            if self.probe {
                lot.end_probe();
            }
            lot.give_back(1);
        }
        self.slots.give_back(1);
    }
}
