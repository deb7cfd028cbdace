//! Signals that fire once: a plain latch, and the one that tells a handler to end.
//!
//! Both are an atomic and a [`Notify`]: asking costs one load, so that a run which ends at its
//! first poll never touches a lock.

use std::sync::atomic::{AtomicU8, Ordering};

use tokio::sync::Notify;

/// Why a handler is asked to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelReason {
    /// The job was cancelled or requeued, or its `max_duration` is over.
    Requested,
    /// The handler ran longer than its timeout.
    TimedOut,
    /// The node stops, and the time for running handlers is over. The job goes back to its lane.
    Stopping,
    /// The node lost its lease, or the leader took the run for silent: another node may run the
    /// job, and nothing that this run still does counts.
    Fenced,
    /// The handler did not call [`Context::heartbeat`](crate::Context::heartbeat) for its job's
    /// heartbeat timeout.
    HeartbeatLost,
}

impl CancelReason {
    const ALL: [CancelReason; 5] = [
        CancelReason::Requested,
        CancelReason::TimedOut,
        CancelReason::Stopping,
        CancelReason::Fenced,
        CancelReason::HeartbeatLost,
    ];

    const fn code(self) -> u8 {
        match self {
            CancelReason::Requested => 1,
            CancelReason::TimedOut => 2,
            CancelReason::Stopping => 3,
            CancelReason::Fenced => 4,
            CancelReason::HeartbeatLost => 5,
        }
    }
}

/// Tells one run to end; the first reason stays.
#[derive(Debug, Default)]
pub(crate) struct CancelSignal {
    code: AtomicU8,
    notify: Notify,
}

impl CancelSignal {
    pub(crate) fn fire(&self, reason: CancelReason) {
        let first =
            self.code
                .compare_exchange(0, reason.code(), Ordering::AcqRel, Ordering::Acquire);
        if first.is_ok() {
            self.notify.notify_waiters();
        }
    }

    pub(crate) fn reason(&self) -> Option<CancelReason> {
        let code = self.code.load(Ordering::Acquire);
        CancelReason::ALL
            .into_iter()
            .find(|reason| reason.code() == code)
    }

    pub(crate) async fn fired(&self) -> CancelReason {
        loop {
            // Made before the check: it hears what fires from here on.
            let notified = self.notify.notified();
            if let Some(reason) = self.reason() {
                return reason;
            }
            notified.await;
        }
    }
}

/// Something that happens at most once.
#[derive(Debug, Default)]
pub(crate) struct Latch {
    fired: AtomicU8,
    notify: Notify,
}

impl Latch {
    /// Whether this call was the one that fired it.
    pub(crate) fn fire(&self) -> bool {
        let first = self.fired.swap(1, Ordering::AcqRel) == 0;
        if first {
            self.notify.notify_waiters();
        }
        first
    }

    pub(crate) fn is_fired(&self) -> bool {
        self.fired.load(Ordering::Acquire) != 0
    }

    pub(crate) async fn fired(&self) {
        loop {
            let notified = self.notify.notified();
            if self.is_fired() {
                return;
            }
            notified.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn the_first_reason_stays() {
        let signal = CancelSignal::default();
        assert_eq!(signal.reason(), None);
        for reason in CancelReason::ALL {
            signal.fire(reason);
            assert_eq!(signal.reason(), Some(CancelReason::Requested));
        }
    }

    #[tokio::test]
    async fn whoever_waits_is_told_and_whoever_comes_late_too() {
        let signal = Arc::new(CancelSignal::default());
        let waiting = tokio::spawn({
            let signal = Arc::clone(&signal);
            async move { signal.fired().await }
        });
        tokio::task::yield_now().await;
        signal.fire(CancelReason::Stopping);
        assert_eq!(waiting.await.expect("task"), CancelReason::Stopping);
        assert_eq!(signal.fired().await, CancelReason::Stopping);
    }

    #[tokio::test]
    async fn a_latch_fires_once() {
        let latch = Latch::default();
        assert!(!latch.is_fired());
        assert!(latch.fire());
        assert!(!latch.fire());
        latch.fired().await;
    }
}
