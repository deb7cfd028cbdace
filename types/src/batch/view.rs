//! How a batch and its items read.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::BatchDefinition;
use crate::job::as_optional_json;
use crate::{BatchId, JobId, JobStatus, UnixMillis};

/// Where a batch stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BatchStatus {
    /// Accepted; the leader has not begun it yet.
    Pending,
    /// The onetime task or items run, or it waits for its next attempt.
    Running,
    /// Every item ended well. Final.
    Completed,
    /// Items or the onetime task failed, or the execution timeout passed. Left only by a retry.
    Failed,
    /// Cancelled by a caller. Left only by a retry.
    Cancelled,
}

impl BatchStatus {
    /// Every status.
    pub const ALL: [BatchStatus; 5] = [
        BatchStatus::Pending,
        BatchStatus::Running,
        BatchStatus::Completed,
        BatchStatus::Failed,
        BatchStatus::Cancelled,
    ];

    /// Whether nothing happens to the batch any more, unless it is retried by hand.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        match self {
            BatchStatus::Pending | BatchStatus::Running => false,
            BatchStatus::Completed | BatchStatus::Failed | BatchStatus::Cancelled => true,
        }
    }

    /// The spelling of the public model.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            BatchStatus::Pending => "pending",
            BatchStatus::Running => "running",
            BatchStatus::Completed => "completed",
            BatchStatus::Failed => "failed",
            BatchStatus::Cancelled => "cancelled",
        }
    }
}

impl std::fmt::Display for BatchStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

impl std::str::FromStr for BatchStatus {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        BatchStatus::ALL
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or_else(|| {
                let known = BatchStatus::ALL.map(BatchStatus::as_str).join(", ");
                format!("`{text}` is not a batch status; use one of {known}")
            })
    }
}

/// What a batch is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BatchStep {
    /// The onetime task, or what comes before it.
    Onetime,
    /// The items.
    Processing,
    /// It has ended.
    Done,
}

impl BatchStep {
    /// The spelling of the public model.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            BatchStep::Onetime => "onetime",
            BatchStep::Processing => "processing",
            BatchStep::Done => "done",
        }
    }

    /// The step of a spelling.
    #[must_use]
    pub fn from_name(name: &str) -> Option<BatchStep> {
        [BatchStep::Onetime, BatchStep::Processing, BatchStep::Done]
            .into_iter()
            .find(|step| step.as_str() == name)
    }
}

/// How far a batch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchProgress {
    /// Which batch.
    pub batch_id: BatchId,
    /// Items that have ended, well or not.
    pub done: u32,
    /// Items in all.
    pub total: u32,
    /// Items that ended otherwise than well: dead, or cancelled.
    pub failed: u32,
    /// What it is at.
    pub step: BatchStep,
}

/// How the onetime task of a batch stands.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BatchOnetimeState {
    /// Its job, once it was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_id: Option<JobId>,
    /// Where it stands.
    pub status: JobStatus,
    /// What it came to.
    #[serde(
        serialize_with = "as_optional_json",
        skip_serializing_if = "Option::is_none"
    )]
    pub result_data: Option<Bytes>,
    /// Why it failed or was cancelled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// When its current or last run was claimed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<UnixMillis>,
    /// When its job ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<UnixMillis>,
}

/// How a batch stands. Its items are read a page at a time, as [`BatchItemResult`]s.
#[derive(Clone, Debug, Serialize)]
pub struct Batch {
    /// Its id.
    pub id: BatchId,
    /// The definition's name.
    pub name: String,
    /// Where it stands.
    pub status: BatchStatus,
    /// Why it failed or was cancelled; while it waits for its next attempt, why the last one failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What was asked for, without the items.
    pub definition: BatchDefinition,
    /// The onetime task, if there is one; without its job's details in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub onetime_state: Option<BatchOnetimeState>,
    /// Items in all.
    pub total_items: u32,
    /// Items that ended well.
    pub completed_items: u32,
    /// Items that ended otherwise: dead, or cancelled.
    pub failed_items: u32,
    /// Items that are dispatched and have not ended; never more than the definition's chunk size.
    pub running_items: u32,
    /// Items that have not begun in this attempt. Of a batch that has ended: that never will.
    pub pending_items: u32,
    /// The place of the next item to begin.
    pub next_chunk_index: u32,
    /// What it is at.
    pub step: BatchStep,
    /// How often it was tried, from 1; 0 before it began.
    pub attempt: u32,
    /// How often its retry policy lets it be tried.
    pub max_attempts: u32,
    /// When it was accepted.
    pub created_at: UnixMillis,
    /// When it times out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline: Option<UnixMillis>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<UnixMillis>,
}

impl Batch {
    /// How far it is.
    #[must_use]
    pub fn progress(&self) -> BatchProgress {
        BatchProgress {
            batch_id: self.id,
            done: self.completed_items + self.failed_items,
            total: self.total_items,
            failed: self.failed_items,
            step: self.step,
        }
    }
}

/// How one item of a batch stands, or what it came to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BatchItemResult {
    /// The batch.
    pub batch_id: BatchId,
    /// The item's id.
    pub item_id: String,
    /// Where the item stands in the definition, from 0.
    pub place: u32,
    /// The job of its newest start; none before its first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_id: Option<JobId>,
    /// Where it stands.
    pub status: JobStatus,
    /// It ended well.
    pub success: bool,
    /// Ended well because there was nothing to do.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub skipped: bool,
    /// What it came to, if it ended well.
    #[serde(
        serialize_with = "as_optional_json",
        skip_serializing_if = "Option::is_none"
    )]
    pub output: Option<Bytes>,
    /// Why it failed or was cancelled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A page of the results of a batch, in the order of the definition.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BatchResults {
    /// Items that were found.
    pub items: Vec<BatchItemResult>,
    /// The place to go on from; none at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<u32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_and_steps_read_back() {
        for status in BatchStatus::ALL {
            assert_eq!(status.as_str().parse(), Ok(status));
        }
        assert!("suspended".parse::<BatchStatus>().is_err());
        for step in [BatchStep::Onetime, BatchStep::Processing, BatchStep::Done] {
            assert_eq!(BatchStep::from_name(step.as_str()), Some(step));
        }
    }
}
