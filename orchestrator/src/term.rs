//! A term: one leadership of one shard, as code that writes must hold it.
//!
//! The election holds the [`Tenure`] and prolongs it with every good beat; the leader's loop
//! and every port call hold the [`Term`], which only a tenure gives out. Dropping the tenure
//! ends the term at once, so no path out of the election can leave a leader behind. The term
//! says when to stop trusting oneself; what makes a stale write harmless is its number, which
//! Redis compares.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// The election's end of a term. Ends it when dropped.
#[derive(Debug)]
pub struct Tenure {
    trusted_until: watch::Sender<Instant>,
}

impl Tenure {
    /// Begins a term. Only for an election that has just won `number` with a beat that was sent
    /// at least two thirds of a lease before `trusted_until`, and for tests.
    #[must_use]
    pub fn begin(number: u64, trusted_until: Instant) -> (Tenure, Term) {
        let (sender, receiver) = watch::channel(trusted_until);
        let term = Term {
            number,
            trusted_until: receiver,
        };
        let tenure = Tenure {
            trusted_until: sender,
        };
        (tenure, term)
    }

    /// Prolongs the term after a good beat; `until` counts from before the beat was sent. An
    /// earlier moment than the present one changes nothing.
    pub fn prolong(&self, until: Instant) {
        self.trusted_until.send_if_modified(|trusted| {
            let later = until > *trusted;
            if later {
                *trusted = until;
            }
            later
        });
    }
}

/// The right to write as leader of a shard. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Term {
    number: u64,
    trusted_until: watch::Receiver<Instant>,
}

impl Term {
    /// The number that every write carries; it only grows from one leadership to the next.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Whether the holder may still take itself for the leader.
    #[must_use]
    pub fn is_trusted(&self, now: Instant) -> bool {
        // A sender that is gone has given the term up.
        self.trusted_until.has_changed().is_ok() && now < *self.trusted_until.borrow()
    }

    /// How long the term is trusted from `now`, unless it is prolonged.
    #[must_use]
    pub fn remaining(&self, now: Instant) -> Duration {
        match self.is_trusted(now) {
            true => self.trusted_until.borrow().saturating_duration_since(now),
            false => Duration::ZERO,
        }
    }

    /// Returns when the term is over: given up, or not prolonged in time.
    pub async fn ended(&self) {
        let mut trusted_until = self.trusted_until.clone();
        loop {
            let until = *trusted_until.borrow_and_update();
            tokio::select! {
                changed = trusted_until.changed() => if changed.is_err() { return },
                () = tokio::time::sleep_until(until) => {
                    if !trusted_until.has_changed().unwrap_or(false) {
                        return;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(3);

    #[tokio::test(start_paused = true)]
    async fn a_term_ends_when_it_is_not_prolonged() {
        let begun = Instant::now();
        let (tenure, term) = Tenure::begin(7, begun + LEASE);
        assert_eq!((term.number(), term.remaining(begun)), (7, LEASE));
        tenure.prolong(begun + LEASE * 2);
        tenure.prolong(begun + LEASE);
        term.ended().await;
        assert_eq!(begun.elapsed(), LEASE * 2);
        assert!(!term.is_trusted(Instant::now()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_term_ends_at_once_when_the_tenure_is_dropped() {
        let begun = Instant::now();
        let (tenure, term) = Tenure::begin(7, begun + LEASE);
        assert!(term.is_trusted(begun));
        drop(tenure);
        assert!(!term.is_trusted(begun));
        assert_eq!(term.remaining(begun), Duration::ZERO);
        term.ended().await;
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }
}
