//! What is kept of a batch beside its definition and its items: one header.

use serde::{Deserialize, Serialize};

use super::{BatchProgress, BatchStage, BatchStep, ItemRecord};
use crate::BatchId;

/// The place that the onetime task has among the jobs of a batch: no item comes so far.
pub const ONETIME_PLACE: u32 = u32::MAX - 7;

/// The place of what the onetime task came to, whichever start of it did: where items read it.
pub const ONETIME_RESULT_PLACE: u32 = u32::MAX - 6;

/// What the onetime task is called where items are.
pub const ONETIME_NAME: &str = "onetime";

/// Most attempts of a batch, those by hand included: an item's iteration is one byte.
pub const MAX_ATTEMPTS: u32 = 255;

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::BatchEnding;

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
