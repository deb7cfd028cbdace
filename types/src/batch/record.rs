//! What is kept of a batch beside its definition and its items: one header, and two bytes an item.

use serde::{Deserialize, Serialize};

use super::{BatchProgress, BatchStatus, BatchStep};
use crate::BatchId;

/// The place that the onetime task has among the jobs of a batch: no item comes so far.
pub const ONETIME_PLACE: u32 = u32::MAX - 7;

/// The place of what the onetime task came to, whichever start of it did: where items read it.
pub const ONETIME_RESULT_PLACE: u32 = u32::MAX - 6;

/// What the onetime task is called where items are.
pub const ONETIME_NAME: &str = "onetime";

/// Most attempts of a batch, those by hand included: an item's iteration is one byte.
pub const MAX_ATTEMPTS: u32 = 255;

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

/// Where a start of the onetime task stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnetimeState {
    /// Its job was made and has not ended.
    Dispatched,
    /// Its job was asked to stop and has not ended.
    Cancelling,
    /// Well.
    Completed,
    /// Well: there was nothing to do, so its result is null.
    Skipped,
    /// It failed.
    Dead {
        /// Why.
        error: String,
    },
    /// It was cancelled.
    Cancelled,
}

/// The newest start of the onetime task.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct OnetimeRecord {
    /// Which start, from 0.
    pub iteration: u32,
    /// Where it stands.
    pub state: OnetimeState,
}

impl OnetimeRecord {
    /// Whether its job has not ended.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(
            self.state,
            OnetimeState::Dispatched | OnetimeState::Cancelling
        )
    }

    /// Whether it ended well, so that items may begin.
    #[must_use]
    pub fn is_done(&self) -> bool {
        matches!(self.state, OnetimeState::Completed | OnetimeState::Skipped)
    }
}

/// What is kept once per batch and changes as it goes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BatchHeader {
    /// Where it stands.
    pub stage: BatchStage,
    /// How often it was tried, from 1; 0 before it began.
    pub attempt: u32,
    /// Whether this attempt keeps the items whose last start completed, in whichever attempt.
    #[serde(default)]
    pub failed_only: bool,
    /// Items before this place were dispatched in this attempt, or are kept.
    pub next: u32,
    /// Items that ended well, kept ones included.
    pub completed: u32,
    /// Items that ended otherwise in this attempt: dead, or cancelled.
    pub failed: u32,
    /// The newest start of the onetime task; none before its first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub onetime: Option<OnetimeRecord>,
}

impl BatchHeader {
    /// The header of a batch that was just accepted.
    pub const NEW: BatchHeader = BatchHeader {
        stage: BatchStage::Pending,
        attempt: 0,
        failed_only: false,
        next: 0,
        completed: 0,
        failed: 0,
        onetime: None,
    };

    /// Items that have ended in this attempt or are kept.
    #[must_use]
    pub fn done(&self) -> u32 {
        self.completed + self.failed
    }

    /// How far the batch is.
    #[must_use]
    pub fn progress(&self, batch_id: BatchId, total: u32) -> BatchProgress {
        let step = match &self.stage {
            BatchStage::Pending | BatchStage::Preparing => match &self.onetime {
                Some(onetime) if onetime.is_done() => BatchStep::Processing,
                Some(_) | None => BatchStep::Onetime,
            },
            BatchStage::Processing | BatchStage::Ending(_) | BatchStage::Resting(_) => {
                BatchStep::Processing
            }
            BatchStage::Completed | BatchStage::Ended(_) => BatchStep::Done,
        };
        BatchProgress {
            batch_id,
            done: self.done(),
            total,
            failed: self.failed,
            step,
        }
    }

    /// Whether the item at a place is still to be started in this attempt, whatever an earlier one
    /// came to.
    #[must_use]
    pub fn is_ahead(&self, place: u32, record: ItemRecord) -> bool {
        !self.stage.is_closed()
            && place >= self.next
            && !(self.failed_only && record.state.is_completed())
    }
}

/// Where an item stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ItemState {
    /// It was never started.
    #[default]
    Waiting,
    /// Its job was enqueued and has not ended.
    Dispatched,
    /// Its job was asked to stop and has not ended.
    Cancelling,
    /// It ended well.
    Completed,
    /// It ended well: there was nothing to do.
    Skipped,
    /// It failed.
    Dead,
    /// Its job was cancelled.
    Cancelled,
}

impl ItemState {
    /// Whether its job has not ended.
    #[must_use]
    pub fn is_open(self) -> bool {
        matches!(self, ItemState::Dispatched | ItemState::Cancelling)
    }

    /// Whether it ended well.
    #[must_use]
    pub fn is_completed(self) -> bool {
        matches!(self, ItemState::Completed | ItemState::Skipped)
    }

    /// Whether it ended otherwise.
    #[must_use]
    pub fn is_failed(self) -> bool {
        matches!(self, ItemState::Dead | ItemState::Cancelled)
    }
}

/// What is kept of an item: where it stands, and which start of it that is about. With the
/// batch's id and its place it names the job: [`JobId::of_item`](crate::JobId::of_item).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ItemRecord {
    /// Where it stands.
    pub state: ItemState,
    /// Which start of it, from 0: one less than the attempt of the batch, unless it is the first.
    pub iteration: u8,
}

impl ItemRecord {
    /// Bytes of a record.
    pub const SIZE: usize = 2;

    /// As it is kept: a letter, then the iteration; zeros of an item that was never started.
    #[must_use]
    pub fn to_bytes(self) -> [u8; ItemRecord::SIZE] {
        let letter = match self.state {
            ItemState::Waiting => return [0, 0],
            ItemState::Dispatched => b'd',
            ItemState::Cancelling => b'x',
            ItemState::Completed => b'C',
            ItemState::Skipped => b'K',
            ItemState::Dead => b'D',
            ItemState::Cancelled => b'X',
        };
        [letter, self.iteration]
    }

    /// Reads what was kept; none when it is not a record.
    #[must_use]
    pub fn from_bytes([letter, iteration]: [u8; ItemRecord::SIZE]) -> Option<ItemRecord> {
        let state = match letter {
            0 => ItemState::Waiting,
            b'd' => ItemState::Dispatched,
            b'x' => ItemState::Cancelling,
            b'C' => ItemState::Completed,
            b'K' => ItemState::Skipped,
            b'D' => ItemState::Dead,
            b'X' => ItemState::Cancelled,
            _ => return None,
        };
        Some(ItemRecord { state, iteration })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_read_back_and_nothing_else_does() {
        for state in [
            ItemState::Waiting,
            ItemState::Dispatched,
            ItemState::Cancelling,
            ItemState::Completed,
            ItemState::Skipped,
            ItemState::Dead,
            ItemState::Cancelled,
        ] {
            let iteration = if state == ItemState::Waiting { 0 } else { 200 };
            let record = ItemRecord { state, iteration };
            assert_eq!(ItemRecord::from_bytes(record.to_bytes()), Some(record));
        }
        assert_eq!(ItemRecord::from_bytes([b'?', 0]), None);
    }

    #[test]
    fn a_header_reads_back() {
        let header = BatchHeader {
            stage: BatchStage::Resting(BatchEnding::ItemsFailed { failed: 2 }),
            attempt: 1,
            onetime: Some(OnetimeRecord {
                iteration: 0,
                state: OnetimeState::Dead { error: "x".into() },
            }),
            ..BatchHeader::NEW
        };
        let text = serde_json::to_string(&header).expect("json");
        assert_eq!(
            serde_json::from_str::<BatchHeader>(&text).ok(),
            Some(header)
        );
    }

    /// Row 97: the steps, and `done` counts what ended, failed included.
    #[test]
    fn progress_tells_the_step() {
        let id = BatchId::from_parts(1, crate::ShardIndex(0), 2);
        let mut header = BatchHeader {
            completed: 3,
            failed: 2,
            ..BatchHeader::NEW
        };
        for (stage, step) in [
            (BatchStage::Pending, BatchStep::Onetime),
            (BatchStage::Preparing, BatchStep::Onetime),
            (BatchStage::Processing, BatchStep::Processing),
            (
                BatchStage::Ending(BatchEnding::TimedOut),
                BatchStep::Processing,
            ),
            (BatchStage::Completed, BatchStep::Done),
            (BatchStage::Ended(BatchEnding::TimedOut), BatchStep::Done),
        ] {
            header.stage = stage;
            let progress = header.progress(id, 9);
            assert_eq!((progress.done, progress.failed, progress.total), (5, 2, 9));
            assert_eq!(progress.step, step, "{:?}", header.stage);
        }
    }
}
