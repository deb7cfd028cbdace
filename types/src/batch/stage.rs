//! Where a batch is on its way from start to end.

use serde::{Deserialize, Serialize};

use super::BatchStatus;

/// Why a batch ends otherwise than by completing. The first cause stays.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BatchEnding {
    /// An item failed, and the policy is to fail fast.
    ItemFailed {
        /// The first such item; empty where it is not known.
        item: String,
        /// Why.
        error: String,
    },
    /// All items have ended, and some of them not well.
    ItemsFailed {
        /// How many.
        failed: u32,
    },
    /// The onetime task failed: no item began.
    OnetimeFailed {
        /// Why.
        error: String,
    },
    /// A caller cancelled the batch.
    Cancelled {
        /// The caller's words; may be empty.
        reason: String,
    },
    /// The execution timeout passed.
    TimedOut,
}

impl BatchEnding {
    /// The final status that it leads to.
    #[must_use]
    pub fn status(&self) -> BatchStatus {
        match self {
            BatchEnding::ItemFailed { .. }
            | BatchEnding::ItemsFailed { .. }
            | BatchEnding::OnetimeFailed { .. }
            | BatchEnding::TimedOut => BatchStatus::Failed,
            BatchEnding::Cancelled { .. } => BatchStatus::Cancelled,
        }
    }

    /// Whether the retry policy of the batch is about it: neither a wish to stop nor a timeout is
    /// answered with another attempt.
    #[must_use]
    pub fn is_failure(&self) -> bool {
        match self {
            BatchEnding::ItemFailed { .. }
            | BatchEnding::ItemsFailed { .. }
            | BatchEnding::OnetimeFailed { .. } => true,
            BatchEnding::Cancelled { .. } | BatchEnding::TimedOut => false,
        }
    }
}

impl std::fmt::Display for BatchEnding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            BatchEnding::ItemFailed { item, error } => write!(f, "item {item} failed: {error}"),
            BatchEnding::ItemsFailed { failed: 1 } => f.write_str("1 item failed"),
            BatchEnding::ItemsFailed { failed } => write!(f, "{failed} items failed"),
            BatchEnding::OnetimeFailed { error } => write!(f, "the onetime task failed: {error}"),
            BatchEnding::Cancelled { reason } if reason.is_empty() => f.write_str("cancelled"),
            BatchEnding::Cancelled { reason } => write!(f, "cancelled: {reason}"),
            BatchEnding::TimedOut => f.write_str("execution timed out"),
        }
    }
}

/// Where a batch stands, with what belongs to that state.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BatchStage {
    /// Accepted. Left by the leader's start, or by an end before it.
    Pending,
    /// The onetime task has not ended; no item is dispatched.
    Preparing,
    /// Items are dispatched as the window has room.
    Processing,
    /// Nothing new is dispatched; left when every dispatched job has ended.
    Ending(BatchEnding),
    /// Failed, and waits until the retry policy lets it try again.
    Resting(BatchEnding),
    /// Every item ended well. Final.
    Completed,
    /// Over, for this cause. Final, but for a retry by hand.
    Ended(BatchEnding),
}

impl BatchStage {
    /// The status of the public model.
    #[must_use]
    pub fn status(&self) -> BatchStatus {
        match self {
            BatchStage::Pending => BatchStatus::Pending,
            BatchStage::Preparing
            | BatchStage::Processing
            | BatchStage::Ending(_)
            | BatchStage::Resting(_) => BatchStatus::Running,
            BatchStage::Completed => BatchStatus::Completed,
            BatchStage::Ended(ending) => ending.status(),
        }
    }

    /// Why it ends or ended, unless it completes. While it waits for its next attempt: why the
    /// last one failed.
    #[must_use]
    pub fn ending(&self) -> Option<&BatchEnding> {
        match self {
            BatchStage::Pending
            | BatchStage::Preparing
            | BatchStage::Processing
            | BatchStage::Completed => None,
            BatchStage::Ending(ending)
            | BatchStage::Resting(ending)
            | BatchStage::Ended(ending) => Some(ending),
        }
    }

    /// Whether it has come to its outcome.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        match self {
            BatchStage::Completed | BatchStage::Ended(_) => true,
            BatchStage::Pending
            | BatchStage::Preparing
            | BatchStage::Processing
            | BatchStage::Ending(_)
            | BatchStage::Resting(_) => false,
        }
    }
}
