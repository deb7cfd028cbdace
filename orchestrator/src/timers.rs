//! The service that sees to jobs which did not start or end in time, or whose runs are silent, by
//! the server's clock.

use std::sync::Arc;
use std::time::Duration;

use crate::ports::{LedgerError, Timers};
use crate::term::Term;

/// Timers that are seen to at once unless configured otherwise.
pub const DEFAULT_BATCH: usize = 100;

/// How timers are seen to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Most timers of one tick; at least 1.
    pub batch: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            batch: DEFAULT_BATCH,
        }
    }
}

/// What one tick did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Timers that had passed.
    pub seen: usize,
    /// When to tick again: at once if more have passed already; none while none runs.
    pub again_in: Option<Duration>,
}

/// Sees to the timers of jobs.
#[derive(Debug)]
pub struct Timekeeper<P> {
    port: Arc<P>,
    options: Options,
}

impl<P: Timers> Timekeeper<P> {
    /// A service with these options.
    #[must_use]
    pub fn new(port: Arc<P>, options: Options) -> Timekeeper<P> {
        Timekeeper { port, options }
    }

    /// Sees to what has passed.
    ///
    /// # Errors
    /// When the port fails; what has passed is seen to by the next tick.
    pub async fn tick(&mut self, term: &Term) -> Result<Report, LedgerError> {
        let expired = self
            .port
            .expire_jobs(term, self.options.batch.max(1))
            .await?;
        Ok(Report {
            seen: expired.seen,
            again_in: expired.next_in,
        })
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;
    use crate::memory::MemoryLedger;
    use crate::term::Tenure;

    #[tokio::test]
    async fn what_has_passed_is_seen_to_in_batches() {
        let ledger = Arc::new(MemoryLedger::new());
        let (_tenure, term) = Tenure::begin(1, Instant::now() + Duration::from_secs(3_600));
        let mut timers = Timekeeper::new(ledger.clone(), Options { batch: 2 });
        assert_eq!(timers.tick(&term).await.expect("tick"), Report::default());
        for millis in [0, 0, 0, 50] {
            ledger.arm(Duration::from_millis(millis));
        }
        for (seen, again_in) in [(2, Some(0)), (1, Some(50)), (0, Some(50))] {
            let report = timers.tick(&term).await.expect("tick");
            assert_eq!(report.seen, seen);
            assert_eq!(report.again_in, again_in.map(Duration::from_millis));
        }
    }
}
