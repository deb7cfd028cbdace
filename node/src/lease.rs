//! How long a node may believe in its lease: a pure calculation on its own monotonic clock.
//!
//! The server counts the lease from when it received a beat, the node from before it sent it,
//! so the node's idea always ends first. It stops its handlers at 80 % of that, which leaves
//! them a fifth of the lease before another node may be given their jobs.

use std::time::Duration;

use tokio::time::Instant;

/// A beat is sent at least this often.
const LONGEST_INTERVAL: Duration = Duration::from_secs(1);

/// A beat is sent at most this often.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(200);

/// Time between two beats of a lease: a fifth of it, within 200 ms and 1 s.
pub(crate) fn beat_interval(lease: Duration) -> Duration {
    (lease / 5).clamp(SHORTEST_INTERVAL, LONGEST_INTERVAL)
}

/// A lease as its node sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lease {
    length: Duration,
    /// Before the last beat that succeeded was sent.
    renewed: Instant,
}

impl Lease {
    /// A lease that was granted by a call sent at `sent`.
    pub(crate) fn granted(length: Duration, sent: Instant) -> Lease {
        Lease {
            length,
            renewed: sent,
        }
    }

    /// A beat that was sent at `sent` succeeded. Replies may come out of order.
    pub(crate) fn renewed(&mut self, sent: Instant) {
        self.renewed = self.renewed.max(sent);
    }

    /// From here on, no other node may be kept waiting: the handlers are cancelled.
    pub(crate) fn fence_at(&self) -> Instant {
        self.renewed + self.length * 4 / 5
    }

    /// When the next beat is due, after `failures` of them in a row: sooner than usual, since
    /// the time that is left is short.
    pub(crate) fn next_beat(&self, now: Instant, failures: u32) -> Instant {
        let interval = beat_interval(self.length);
        if failures == 0 {
            (self.renewed + interval).max(now)
        } else {
            now + interval.min(SHORTEST_INTERVAL * failures.min(5))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(10);

    #[test]
    fn beats_come_every_second_or_five_times_a_lease() {
        let table = [
            (10_000, 1_000),
            (2_000, 400),
            (1_000, 200),
            (600_000, 1_000),
        ];
        for (lease, interval) in table {
            assert_eq!(
                beat_interval(Duration::from_millis(lease)),
                Duration::from_millis(interval)
            );
        }
    }

    #[test]
    fn the_fence_counts_from_before_the_last_good_beat() {
        let start = Instant::now();
        let mut lease = Lease::granted(LEASE, start);
        assert_eq!(lease.fence_at(), start + Duration::from_secs(8));
        lease.renewed(start + Duration::from_secs(3));
        lease.renewed(start + Duration::from_secs(1));
        assert_eq!(lease.fence_at(), start + Duration::from_secs(11));
    }

    #[test]
    fn a_failed_beat_is_repeated_sooner() {
        let start = Instant::now();
        let lease = Lease::granted(LEASE, start);
        assert_eq!(lease.next_beat(start, 0), start + Duration::from_secs(1));
        let late = start + Duration::from_secs(5);
        assert_eq!(lease.next_beat(late, 0), late);
        assert_eq!(lease.next_beat(late, 1), late + Duration::from_millis(200));
        assert_eq!(lease.next_beat(late, 99), late + Duration::from_secs(1));
    }
}
