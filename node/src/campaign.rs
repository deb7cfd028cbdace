//! Whether to take the lock of a shard: a pure decision on one's own monotonic clock.
//!
//! The lock has no time to live, since those follow the wall clock. Its holder raises the beat;
//! whoever sees the beat stand still for a whole lease may take over. A lock that nobody holds
//! is taken at once.

use std::time::Duration;

use paceline_store::calls::leadership::Lock;
use paceline_types::NodeId;
use tokio::time::Instant;

/// What to do about the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Take it, if it is still as it was seen.
    Take,
    /// Its holder lives, as far as can be known.
    Wait,
}

/// What a challenger knows of the lock.
#[derive(Debug)]
pub(crate) struct Campaign {
    me: NodeId,
    lease: Duration,
    seen: Option<(Lock, Instant)>,
}

impl Campaign {
    pub(crate) fn new(me: NodeId, lease: Duration) -> Campaign {
        Campaign {
            me,
            lease,
            seen: None,
        }
    }

    /// Judges the lock as it stood at `now`, after the reply came: a lock that is seen late
    /// only seems to live longer.
    pub(crate) fn judge(&mut self, lock: Option<Lock>, now: Instant) -> Verdict {
        let Some(lock) = lock else {
            self.seen = None;
            return Verdict::Take;
        };
        // Held by oneself without knowing: the reply to an earlier attempt was lost.
        if lock.holder.is_none_or(|holder| holder == self.me) {
            return Verdict::Take;
        }
        match self.seen {
            Some((seen, since)) if seen == lock => {
                if now.saturating_duration_since(since) >= self.lease {
                    Verdict::Take
                } else {
                    Verdict::Wait
                }
            }
            _ => {
                self.seen = Some((lock, now));
                Verdict::Wait
            }
        }
    }

    /// When to look again after `now`: often enough to notice soon, and just when a lease that
    /// stands still would end.
    pub(crate) fn next_look(&self, now: Instant) -> Instant {
        let regular = now + (self.lease / 3).min(LONGEST_LOOK);
        match self.seen {
            Some((_, since)) if since + self.lease > now => regular.min(since + self.lease),
            _ => regular,
        }
    }
}

/// Longest time between two looks: a lock that was given back is taken within it.
const LONGEST_LOOK: Duration = Duration::from_secs(1);

/// How long a holder may trust itself after it sent a good beat.
pub(crate) fn trust(lease: Duration) -> Duration {
    lease * 2 / 3
}

/// How long to hold back before taking a lock, so that many shards spread over the nodes: the
/// more of them a node leads, the longer; a little more by chance of the names, so that nodes do
/// not collide.
pub(crate) fn reserve(shards: u16, leads: usize, me: NodeId, shard: u16) -> Duration {
    if shards <= 1 {
        return Duration::ZERO;
    }
    let leads = u32::try_from(leads).unwrap_or(u32::MAX).min(20);
    // An odd factor spreads neighbouring shards.
    let hash = (me.random() ^ u64::from(shard)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    Duration::from_millis(100) * leads + Duration::from_millis(hash % 100)
}

#[cfg(test)]
mod tests {
    use paceline_types::ShardIndex;

    use super::*;

    const LEASE: Duration = Duration::from_secs(5);

    fn node(number: u64) -> NodeId {
        NodeId::from_parts(1, ShardIndex(0), number)
    }

    fn lock(holder: Option<u64>, beat: u64) -> Lock {
        Lock {
            holder: holder.map(node),
            term: 7,
            beat,
        }
    }

    #[test]
    fn a_lock_is_taken_when_its_beat_stood_still_for_a_lease() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut campaign = Campaign::new(node(1), LEASE);
        let steps = [
            (0, Some(lock(Some(2), 1)), Verdict::Wait),
            (1_600, Some(lock(Some(2), 2)), Verdict::Wait),
            (6_500, Some(lock(Some(2), 2)), Verdict::Wait),
            (6_599, Some(lock(Some(2), 2)), Verdict::Wait),
            (6_600, Some(lock(Some(2), 2)), Verdict::Take),
            (6_700, Some(lock(Some(3), 2)), Verdict::Wait),
            (6_800, Some(lock(None, 2)), Verdict::Take),
            (6_900, Some(lock(Some(1), 2)), Verdict::Take),
            (7_000, None, Verdict::Take),
        ];
        for (millis, lock, verdict) in steps {
            assert_eq!(campaign.judge(lock, at(millis)), verdict, "at {millis}");
        }
    }

    #[test]
    fn the_next_look_meets_the_end_of_the_lease() {
        let start = Instant::now();
        let mut campaign = Campaign::new(node(1), LEASE);
        assert_eq!(campaign.next_look(start), start + LONGEST_LOOK);
        campaign.judge(Some(lock(Some(2), 1)), start);
        let late = start + Duration::from_millis(4_900);
        assert_eq!(campaign.next_look(late), start + LEASE);
        assert_eq!(
            campaign.next_look(start + LEASE),
            start + LEASE + LONGEST_LOOK
        );
    }

    #[test]
    fn whoever_leads_less_comes_first() {
        assert_eq!(reserve(1, 5, node(1), 0), Duration::ZERO);
        for shard in 0..16 {
            let (idle, busy) = (
                reserve(16, 0, node(1), shard),
                reserve(16, 1, node(2), shard),
            );
            assert!(idle < busy, "{shard}");
        }
        assert!(reserve(64, 1_000, node(1), 3) < Duration::from_secs(3));
    }
}
