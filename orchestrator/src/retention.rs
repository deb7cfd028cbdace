//! The service that removes what was kept long enough.

use std::sync::Arc;

use crate::ports::{LedgerError, Purged, Retention};
use crate::term::Term;

/// Records that are removed at once unless configured otherwise.
pub const DEFAULT_BATCH: usize = 100;

/// How records are removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Most records of one tick; at least 1.
    pub batch: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            batch: DEFAULT_BATCH,
        }
    }
}

/// Removes what is past its time.
#[derive(Debug)]
pub struct Sweeper<P> {
    port: Arc<P>,
    options: Options,
}

impl<P: Retention> Sweeper<P> {
    /// A service with these options.
    #[must_use]
    pub fn new(port: Arc<P>, options: Options) -> Sweeper<P> {
        Sweeper { port, options }
    }

    /// Removes one batch; says whether more is past its time.
    ///
    /// # Errors
    /// When the port fails; the next tick goes on.
    pub async fn tick(&mut self, term: &Term) -> Result<Purged, LedgerError> {
        self.port.purge(term, self.options.batch.max(1)).await
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::*;
    use crate::memory::MemoryLedger;
    use crate::term::Tenure;

    #[tokio::test]
    async fn what_is_past_its_time_is_removed_in_batches() {
        let ledger = Arc::new(MemoryLedger::new());
        let (_tenure, term) = Tenure::begin(1, Instant::now() + Duration::from_secs(3_600));
        ledger.age(150);
        let mut sweeper = Sweeper::new(ledger, Options::default());
        for (removed, more) in [(100, true), (50, false), (0, false)] {
            let purged = sweeper.tick(&term).await.expect("tick");
            assert_eq!(purged, Purged { removed, more });
        }
    }
}
