//! The service that makes jobs of groups that are due, by the server's clock.

use std::sync::Arc;
use std::time::Duration;

use crate::ports::{Groups, LedgerError};
use crate::term::Term;

/// Groups that are flushed at once unless configured otherwise.
pub const DEFAULT_BATCH: usize = 20;

/// How groups are flushed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Most groups of one tick, 1 to 100: each may be a mebibyte of messages.
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
    /// Jobs that were made.
    pub made: usize,
    /// When to tick again: at once if more is due already; none while no group stands.
    pub again_in: Option<Duration>,
}

/// Flushes groups.
#[derive(Debug)]
pub struct Flusher<P> {
    port: Arc<P>,
    options: Options,
}

impl<P: Groups> Flusher<P> {
    /// A service with these options.
    #[must_use]
    pub fn new(port: Arc<P>, options: Options) -> Flusher<P> {
        let batch = options.batch.clamp(1, 100);
        Flusher {
            port,
            options: Options { batch },
        }
    }

    /// Makes jobs of the groups that are due.
    ///
    /// # Errors
    /// When the port fails; what is still due is flushed by the next tick.
    pub async fn tick(&mut self, term: &Term) -> Result<Report, LedgerError> {
        let flushed = self.port.flush_due(term, self.options.batch).await?;
        Ok(Report {
            made: flushed.made,
            again_in: flushed.next_due_in,
        })
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;
    use crate::memory::MemoryLedger;
    use crate::term::Tenure;

    fn term(number: u64) -> (Tenure, Term) {
        Tenure::begin(number, Instant::now() + Duration::from_secs(3_600))
    }

    #[tokio::test]
    async fn what_is_due_is_flushed_in_batches() {
        let ledger = Arc::new(MemoryLedger::new());
        let (_tenure, term) = term(1);
        let mut flusher = Flusher::new(ledger.clone(), Options { batch: 2 });
        assert_eq!(flusher.tick(&term).await.expect("tick"), Report::default());
        for millis in [0, 0, 0, 50] {
            ledger.collect(Duration::from_millis(millis));
        }
        for (made, again_in) in [(2, 0), (1, 50), (0, 50)] {
            let again_in = Some(Duration::from_millis(again_in));
            let report = flusher.tick(&term).await.expect("tick");
            assert_eq!(report, Report { made, again_in });
        }
    }

    #[tokio::test]
    async fn an_older_term_flushes_nothing() {
        let ledger = Arc::new(MemoryLedger::new());
        let ((_before, old), (_now, new)) = (term(1), term(2));
        ledger.collect(Duration::ZERO);
        let flusher = |term: Term| {
            let mut flusher = Flusher::new(ledger.clone(), Options::default());
            async move { flusher.tick(&term).await }
        };
        assert_eq!(flusher(new.clone()).await.expect("tick").made, 1);
        ledger.collect(Duration::ZERO);
        let refused = flusher(old).await;
        assert!(matches!(refused, Err(LedgerError::Fenced { newest: 2 })));
        assert_eq!(flusher(new).await.expect("tick").made, 1);
    }
}
