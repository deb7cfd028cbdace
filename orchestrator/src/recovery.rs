//! The service that ends the leases of dead nodes and hands their runs on.

use std::sync::Arc;

use paceline_types::NodeId;

use crate::ports::{Cursor, LedgerError, Nodes};
use crate::term::Term;

/// Runs that are taken from dead nodes at once unless configured otherwise.
pub const DEFAULT_BATCH: usize = 100;

/// How dead nodes are recovered from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Most runs of one tick; at least 1.
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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Nodes whose lease ended.
    pub expired: Vec<NodeId>,
    /// Runs that another node may claim.
    pub handed_on: usize,
    /// Jobs that crashed too often.
    pub buried: usize,
    /// Jobs whose cancellation was waiting.
    pub cancelled: usize,
    /// Whether dead nodes still hold runs.
    pub busy: bool,
}

/// Recovers from dead nodes.
#[derive(Debug)]
pub struct Recovery<P> {
    port: Arc<P>,
    options: Options,
    cursor: Option<Cursor>,
}

impl<P: Nodes> Recovery<P> {
    /// A service with these options.
    #[must_use]
    pub fn new(port: Arc<P>, options: Options) -> Recovery<P> {
        Recovery {
            port,
            options,
            cursor: None,
        }
    }

    /// Ends leases that ran out, and takes one batch of runs from dead nodes.
    ///
    /// # Errors
    /// When the port fails; the next tick goes on where this one was.
    pub async fn tick(&mut self, term: &Term) -> Result<Report, LedgerError> {
        let expired = self.port.expire_nodes(term).await?;
        for node in &expired {
            tracing::warn!(%node, "the lease of a node ended; its runs are handed on");
        }
        let cursor = self.cursor.clone();
        let recovered = self
            .port
            .recover(term, cursor, self.options.batch.max(1))
            .await?;
        self.cursor = recovered.next;
        Ok(Report {
            expired,
            handed_on: recovered.handed_on,
            buried: recovered.buried,
            cancelled: recovered.cancelled,
            busy: self.cursor.is_some(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use paceline_types::ShardIndex;
    use tokio::time::Instant;

    use super::*;
    use crate::memory::MemoryLedger;
    use crate::term::Tenure;

    #[tokio::test]
    async fn the_runs_of_dead_nodes_are_handed_on_in_batches() {
        let ledger = Arc::new(MemoryLedger::new());
        let (_tenure, term) = Tenure::begin(1, Instant::now() + Duration::from_secs(3_600));
        let node = |n| NodeId::from_parts(1, ShardIndex(0), n);
        ledger.register(node(1), Duration::from_secs(5), 150);
        ledger.register(node(2), Duration::from_secs(9), 1);
        let mut recovery = Recovery::new(ledger.clone(), Options::default());
        assert_eq!(recovery.tick(&term).await.expect("tick"), Report::default());
        ledger.pass(Duration::from_secs(5));
        let first = recovery.tick(&term).await.expect("tick");
        assert_eq!(
            (first.expired, first.handed_on, first.busy),
            (vec![node(1)], 100, true)
        );
        let second = recovery.tick(&term).await.expect("tick");
        assert_eq!((second.handed_on, second.busy), (50, false));
    }
}
