//! The slots of one handler.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use super::Turned;
use crate::breaker::{Admits, Breaker, Circuit, Verdict};

/// The limit of a handler that has none.
const UNLIMITED: u32 = u32::MAX;

/// The slots of one handler, and its breaker.
#[derive(Debug)]
pub(super) struct Lot {
    limit: AtomicU32,
    /// Held by runs, or set aside for a claim.
    used: AtomicU32,
    circuit: Option<Mutex<Circuit>>,
}

impl Lot {
    pub(super) fn new(limit: Option<u32>, breaker: Option<Breaker>) -> Lot {
        Lot {
            limit: AtomicU32::new(limit.unwrap_or(UNLIMITED)),
            used: AtomicU32::new(0),
            circuit: breaker.map(|rule| Mutex::new(Circuit::new(rule))),
        }
    }

    pub(super) fn set_limit(&self, limit: Option<u32>) {
        self.limit
            .store(limit.unwrap_or(UNLIMITED), Ordering::SeqCst);
    }

    /// Runs that could begin now.
    pub(super) fn free(&self) -> u32 {
        let used = self.used.load(Ordering::SeqCst);
        let free = self.limit.load(Ordering::SeqCst).saturating_sub(used);
        match self.admits() {
            Admits::All => free,
            Admits::Probe => free.min(1),
            Admits::Nothing => 0,
        }
    }

    fn admits(&self) -> Admits {
        match self.circuit() {
            Some(circuit) => circuit.admits(Instant::now()),
            None => Admits::All,
        }
    }

    /// Takes up to `max`; when that is a probe, `probe` is called.
    pub(super) fn reserve(&self, max: u32, probe: impl FnOnce()) -> u32 {
        let limit = self.limit.load(Ordering::SeqCst);
        let Some(mut circuit) = self.circuit() else {
            return take(&self.used, limit, max);
        };
        match circuit.admits(Instant::now()) {
            Admits::All => take(&self.used, limit, max),
            Admits::Nothing => 0,
            Admits::Probe => {
                let taken = take(&self.used, limit, max.min(1));
                if taken > 0 {
                    circuit.begin_probe();
                    probe();
                }
                taken
            }
        }
    }

    pub(super) fn give_back(&self, count: u32) {
        self.used.fetch_sub(count, Ordering::SeqCst);
    }

    /// Whether a run that has a slot must not begin any more.
    pub(super) fn is_shut(&self, probe: bool) -> bool {
        self.limit.load(Ordering::SeqCst) == 0 || !probe && self.admits() != Admits::All
    }

    pub(super) fn end_probe(&self) {
        if let Some(mut circuit) = self.circuit() {
            circuit.end_probe();
        }
    }

    pub(super) fn judge(&self, verdict: Verdict, probe: bool) -> Option<Turned> {
        let mut circuit = self.circuit()?;
        let was_open = circuit.open_until().is_some();
        match circuit.ended(verdict, probe, Instant::now()) {
            Some(until) => Some(Turned::Open(until)),
            None if was_open && circuit.open_until().is_none() => Some(Turned::Closed),
            None => None,
        }
    }

    pub(super) fn open_until(&self) -> Option<Instant> {
        self.circuit()?.open_until()
    }

    fn circuit(&self) -> Option<MutexGuard<'_, Circuit>> {
        let circuit = self.circuit.as_ref()?;
        Some(circuit.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Takes up to `max` of what `limit` leaves. Returns how many.
pub(super) fn take(used: &AtomicU32, limit: u32, max: u32) -> u32 {
    let mut taken = 0;
    let _ = used.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |used| {
        taken = limit.saturating_sub(used).min(max);
        (taken > 0).then(|| used + taken)
    });
    taken
}
