//! Why a batch was not accepted, or not changed.

use std::time::Duration;

use paceline_store::StoreError;
use paceline_types::BatchId;
use paceline_types::batch::{BatchStatus, MAX_ATTEMPTS};
use paceline_types::workflow::DefinitionError;

use crate::mistakes::Listed;

/// Why a batch was not accepted. Nothing of it will run, unless
/// [`BatchSubmitError::maybe_stored`] says so.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BatchSubmitError {
    /// The definition is wrong. Nothing was sent.
    #[error("the batch is not valid: {}", Listed(.0))]
    Invalid(Vec<DefinitionError>),
    /// Redis did not take it. It says itself whether **the batch may have been stored**. Items that
    /// were stored of a batch that was not are removed after an hour.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl BatchSubmitError {
    /// Whether the batch may have been stored although it was not acknowledged.
    #[must_use]
    pub fn maybe_stored(&self) -> bool {
        match self {
            BatchSubmitError::Store(error) => error.maybe_stored(),
            BatchSubmitError::Invalid(_) => false,
        }
    }
}

/// Why a batch was not cancelled. Nothing was changed, unless [`CancelBatchError::Store`] says that
/// the call may have been carried out.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CancelBatchError {
    /// There is no record of it.
    #[error("{batch} is not known: its retention is over, or its id is from another cluster")]
    Unknown {
        /// The batch.
        batch: BatchId,
    },
    /// It has ended already.
    #[error("{batch} cannot be cancelled: it is {status}")]
    Ended {
        /// The batch.
        batch: BatchId,
        /// How it ended.
        status: BatchStatus,
    },
    /// Redis did not carry it out.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a batch was not tried again. Nothing was changed, unless [`RetryBatchError::Store`] says that
/// the call may have been carried out.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RetryBatchError {
    /// There is no record of it.
    #[error("{batch} is not known: its retention is over, or its id is from another cluster")]
    Unknown {
        /// The batch.
        batch: BatchId,
    },
    /// It has not ended.
    #[error("{batch} cannot be retried: it has not ended; wait for its end, or cancel it")]
    NotEnded {
        /// The batch.
        batch: BatchId,
    },
    /// Every item of it ended well.
    #[error("{batch} cannot be retried: it is completed; submit it again to run it again")]
    Completed {
        /// The batch.
        batch: BatchId,
    },
    /// It was tried as often as a batch may be.
    #[error("{batch} cannot be retried: it was tried {MAX_ATTEMPTS} times; submit it again")]
    TooOften {
        /// The batch.
        batch: BatchId,
    },
    /// Redis did not carry it out.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why waiting for a batch brought no answer. The batch itself is not affected by it.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WaitBatchError {
    /// There is no record of it.
    #[error("{batch} is not known: its retention is over, or its id is from another cluster")]
    Unknown {
        /// The batch.
        batch: BatchId,
    },
    /// It had not ended when the time was over. It goes on.
    #[error("{batch} has not ended within {waited:?}; it goes on, and may be waited for again")]
    TimedOut {
        /// The batch.
        batch: BatchId,
        /// How long.
        waited: Duration,
    },
    /// Redis could not be asked.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The runtime that the client was connected in has ended.
    #[error(
        "the runtime of this client has ended: connect the client in a runtime that outlives its \
         use"
    )]
    Stopped,
}
