//! What a link has done so far.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of one [`Link`](super::Link) and all its clones, since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkStats {
    /// Calls begun, each once however often it was sent.
    pub calls: u64,
    /// Further attempts of calls.
    pub retries: u64,
    /// Attempts that got no reply in time.
    pub timeouts: u64,
    /// Connections opened in place of one that had failed.
    pub rebuilds: u64,
    /// Times that the map of the cluster was read again.
    pub refreshes: u64,
    /// Scripts loaded because a server did not know them.
    pub script_loads: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    calls: AtomicU64,
    retries: AtomicU64,
    timeouts: AtomicU64,
    rebuilds: AtomicU64,
    refreshes: AtomicU64,
    script_loads: AtomicU64,
}

impl Counters {
    pub(super) fn called(&self) {
        self.calls.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn retried(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn timed_out(&self) {
        self.timeouts.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn rebuilt(&self) {
        self.rebuilds.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn refreshed(&self) {
        self.refreshes.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn loaded(&self) {
        self.script_loads.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> LinkStats {
        LinkStats {
            calls: self.calls.load(Ordering::Relaxed),
            retries: self.retries.load(Ordering::Relaxed),
            timeouts: self.timeouts.load(Ordering::Relaxed),
            rebuilds: self.rebuilds.load(Ordering::Relaxed),
            refreshes: self.refreshes.load(Ordering::Relaxed),
            script_loads: self.script_loads.load(Ordering::Relaxed),
        }
    }
}
