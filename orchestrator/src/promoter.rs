//! The service that moves delayed work to its lanes when it is due, by the server's clock.

use std::sync::Arc;
use std::time::Duration;

use crate::ports::{Delayed, LedgerError};
use crate::term::Term;

/// Jobs that are moved at once unless configured otherwise.
pub const DEFAULT_BATCH: usize = 100;

/// How delayed work is promoted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Most jobs of one tick; at least 1.
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
    /// Jobs that wait in their lanes now.
    pub moved: usize,
    /// When to tick again: at once if more is due already; none while nothing waits.
    pub again_in: Option<Duration>,
}

/// Promotes delayed work.
#[derive(Debug)]
pub struct Promoter<P> {
    port: Arc<P>,
    options: Options,
}

impl<P: Delayed> Promoter<P> {
    /// A service with these options.
    #[must_use]
    pub fn new(port: Arc<P>, options: Options) -> Promoter<P> {
        Promoter { port, options }
    }

    /// Moves what is due.
    ///
    /// # Errors
    /// When the port fails; what is still due is moved by the next tick.
    pub async fn tick(&mut self, term: &Term) -> Result<Report, LedgerError> {
        let promoted = self.port.promote(term, self.options.batch.max(1)).await?;
        Ok(Report {
            moved: promoted.moved,
            again_in: promoted.next_due_in,
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
    async fn what_is_due_is_moved_in_batches() {
        let ledger = Arc::new(MemoryLedger::new());
        let (_tenure, term) = Tenure::begin(1, Instant::now() + Duration::from_secs(3_600));
        let mut promoter = Promoter::new(ledger.clone(), Options { batch: 2 });
        assert_eq!(promoter.tick(&term).await.expect("tick"), Report::default());
        for millis in [0, 0, 0, 50] {
            ledger.delay(Duration::from_millis(millis));
        }
        for (moved, again_in) in [(2, Some(0)), (1, Some(50)), (0, Some(50))] {
            let report = promoter.tick(&term).await.expect("tick");
            assert_eq!(report.moved, moved);
            assert_eq!(report.again_in, again_in.map(Duration::from_millis));
        }
    }
}
