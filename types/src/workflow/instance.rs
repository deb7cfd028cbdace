//! How an instance of a workflow stands: one reading of its record.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::job::as_optional_json;
use crate::{JobId, JobStatus, SignalName, TaskName, TaskType, UnixMillis, WorkflowId};

/// Where a workflow stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WorkflowStatus {
    /// Accepted; the leader has not begun it yet.
    Pending,
    /// Tasks are dispatched as they become ready.
    Running,
    /// Every task ended well. Final.
    Completed,
    /// A task failed fatally, or the execution timeout passed. Final.
    Failed,
    /// Cancelled by a caller. Final.
    Cancelled,
    /// Nothing new is dispatched until it is resumed.
    Suspended,
    /// Ended well, and goes on as a new instance. Final.
    Continued,
}

impl WorkflowStatus {
    /// Every status.
    pub const ALL: [WorkflowStatus; 7] = [
        WorkflowStatus::Pending,
        WorkflowStatus::Running,
        WorkflowStatus::Completed,
        WorkflowStatus::Failed,
        WorkflowStatus::Cancelled,
        WorkflowStatus::Suspended,
        WorkflowStatus::Continued,
    ];

    /// Whether nothing happens to the workflow any more.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        match self {
            WorkflowStatus::Pending | WorkflowStatus::Running | WorkflowStatus::Suspended => false,
            WorkflowStatus::Completed
            | WorkflowStatus::Failed
            | WorkflowStatus::Cancelled
            | WorkflowStatus::Continued => true,
        }
    }

    /// The spelling of the public model.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            WorkflowStatus::Pending => "pending",
            WorkflowStatus::Running => "running",
            WorkflowStatus::Completed => "completed",
            WorkflowStatus::Failed => "failed",
            WorkflowStatus::Cancelled => "cancelled",
            WorkflowStatus::Suspended => "suspended",
            WorkflowStatus::Continued => "continued",
        }
    }
}

impl std::fmt::Display for WorkflowStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

impl std::str::FromStr for WorkflowStatus {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        WorkflowStatus::ALL
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or_else(|| {
                let known: Vec<_> = WorkflowStatus::ALL
                    .iter()
                    .map(|status| status.as_str())
                    .collect();
                format!(
                    "`{text}` is not a workflow status; use one of {}",
                    known.join(", ")
                )
            })
    }
}

/// A signal that was sent to a workflow and that no task has taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WorkflowSignal {
    /// To which workflow.
    pub workflow_id: WorkflowId,
    /// Its place among those of the workflow, from 1.
    pub number: u64,
    /// What it is called; tasks wait for a name.
    pub name: SignalName,
    /// What it brings.
    #[serde(
        serialize_with = "as_optional_json",
        skip_serializing_if = "Option::is_none"
    )]
    pub payload: Option<Bytes>,
    /// When it was accepted.
    pub sent_at: UnixMillis,
}

/// How one task of an instance stands.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TaskState {
    /// Unique in the workflow.
    pub name: TaskName,
    /// Which handler runs it; none where nothing runs on a node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_type: Option<TaskType>,
    /// Where it stands; `pending` also while it waits for its dependencies.
    pub status: JobStatus,
    /// Its job, once dispatched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_id: Option<JobId>,
    /// Names of the tasks that it waits for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<TaskName>,
    /// Why it failed or was cancelled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Executions so far.
    pub attempt: u32,
    /// When its current or last run was claimed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<UnixMillis>,
    /// When its job ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<UnixMillis>,
    /// Completed because there was nothing to do.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub skipped: bool,
}

/// How an instance stands.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Workflow {
    /// Its id.
    pub id: WorkflowId,
    /// The definition's name.
    pub workflow_name: String,
    /// Where it stands.
    pub status: WorkflowStatus,
    /// Why it failed or was cancelled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Tasks in the order of the definition; empty in lists.
    pub tasks: Vec<TaskState>,
    /// What it was given.
    #[serde(
        serialize_with = "as_optional_json",
        skip_serializing_if = "Option::is_none"
    )]
    pub input: Option<Bytes>,
    /// What it came to: the one leaf's result, or an object of the leaves' results by name.
    #[serde(
        serialize_with = "as_optional_json",
        skip_serializing_if = "Option::is_none"
    )]
    pub output: Option<Bytes>,
    /// When it was accepted.
    pub created_at: UnixMillis,
    /// When it times out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline: Option<UnixMillis>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<UnixMillis>,
}
