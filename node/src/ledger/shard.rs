//! The shard that a ledger is of, and what the store's errors are to its leader.

use paceline_orchestrator::ports::LedgerError;
use paceline_store::{CallError, Fenced, Store, StoreError};
use paceline_types::ShardIndex;

/// One shard, as its leader sees it.
#[derive(Clone, Debug)]
pub struct ShardLedger {
    pub(super) store: Store,
    pub(super) shard: ShardIndex,
}

impl ShardLedger {
    /// The shard of a store.
    #[must_use]
    pub fn new(store: Store, shard: ShardIndex) -> ShardLedger {
        ShardLedger { store, shard }
    }
}

/// The store did not answer, or not as it should.
pub(super) fn unavailable(error: StoreError) -> LedgerError {
    LedgerError::Unavailable(Box::new(error))
}

/// The store did not do what the leader asked for.
pub(super) fn refused(error: CallError<Fenced>) -> LedgerError {
    match error {
        CallError::Refused(Fenced { newest }) => LedgerError::Fenced { newest },
        CallError::Store(error) => unavailable(error),
    }
}
