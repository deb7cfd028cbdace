//! How an instance of a workflow stands: one reading of its record.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::task::TaskKind;
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
    /// What it is.
    #[serde(rename = "type", skip_serializing_if = "TaskKind::is_static")]
    pub kind: TaskKind,
    /// Which handler runs it; none where nothing runs (expressions, signals, child workflows).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_type: Option<TaskType>,
    /// Where it stands; `pending` also while it waits for its dependencies.
    pub status: JobStatus,
    /// How often it was started afresh, by loops and by retries of the workflow.
    pub iteration: u32,
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
    /// When its job ended, or its result was there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<UnixMillis>,
    /// Completed because there was nothing to do, or because no route led here.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub skipped: bool,
    /// Why it was skipped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skip_reason: Option<String>,
    /// Of a condition that completed: the route that it took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub condition_route: Option<u32>,
    /// Of a condition: how often it was evaluated since it, or the loop that it is part of, began.
    #[serde(skip_serializing_if = "is_none")]
    pub condition_iterations: u32,
    /// Of a task that waits for a signal: the signal's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signal: Option<SignalName>,
    /// The workflow that it is, once that was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub child_workflow_id: Option<WorkflowId>,
    /// Of a subflow: the tasks that its newest start added.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub subflow_tasks: Vec<TaskName>,
    /// Of a map whose array is known: how far its elements are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub elements: Option<MapProgress>,
    /// The subflow or map that added it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generated_by: Option<TaskName>,
}

impl TaskState {
    /// One that has not begun.
    #[must_use]
    pub fn new(name: TaskName, kind: TaskKind, status: JobStatus) -> TaskState {
        TaskState {
            name,
            kind,
            task_type: None,
            status,
            iteration: 0,
            job_id: None,
            depends_on: Vec::new(),
            error: None,
            attempt: 0,
            started_at: None,
            finished_at: None,
            skipped: false,
            skip_reason: None,
            condition_route: None,
            condition_iterations: 0,
            signal: None,
            child_workflow_id: None,
            subflow_tasks: Vec::new(),
            elements: None,
            generated_by: None,
        }
    }
}

/// How far the elements of a map are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MapProgress {
    /// Elements of its array.
    pub total: u32,
    /// Under way.
    pub running: u32,
    /// Ended, those that failed or were cancelled included.
    pub done: u32,
    /// Failed.
    pub failed: u32,
}

/// What one start of a task came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TaskResult {
    /// The task.
    pub task: TaskName,
    /// Which start of it, from 0.
    pub iteration: u32,
    /// Where that start stands.
    pub status: JobStatus,
    /// What it left; none as long as it has not completed, and of one that was skipped.
    #[serde(
        serialize_with = "as_optional_json",
        skip_serializing_if = "Option::is_none"
    )]
    pub result: Option<Bytes>,
    /// Why it failed, was cancelled or was skipped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// There was nothing to do, or no route led here.
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
    /// Why it failed or was cancelled; while it waits for its next attempt, why the last one failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Tasks in the order of the definition, then those that were added, in their order; elements of
    /// maps only when they were asked for. Empty in lists.
    pub tasks: Vec<TaskState>,
    /// Hooks that were dispatched, by the field of the definition that names them, such as `on_exit`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub hook_states: BTreeMap<String, TaskState>,
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
    /// How often it was tried; 0 before it began.
    pub attempt: u32,
    /// How often it is tried at most by its policy; by hand it may be tried more often.
    pub max_attempts: u32,
    /// Signals that no task has taken.
    #[serde(skip_serializing_if = "is_none")]
    pub signals_pending: u32,
    /// The workflow that it is a task of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_workflow_id: Option<WorkflowId>,
    /// Which task of that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_task_name: Option<TaskName>,
    /// The instance that went on as this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub continued_from: Option<WorkflowId>,
    /// The instance that this one went on as.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub continued_to: Option<WorkflowId>,
    /// When it was accepted.
    pub created_at: UnixMillis,
    /// When it times out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline: Option<UnixMillis>,
    /// When it was suspended, if it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspended_at: Option<UnixMillis>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<UnixMillis>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the form that serde calls"
)]
fn is_none(value: &u32) -> bool {
    *value == 0
}
