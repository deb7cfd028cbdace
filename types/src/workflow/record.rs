//! What is kept of an instance beside its definition: one header, and one record for each task
//! that was dispatched or ended.
//!
//! A task without a record waits or is ready, which follows from the records of the tasks that
//! it depends on; so a completion writes the records that it changed and nothing else, however
//! large the workflow is. Once the header says that the instance ends, a task without a record
//! is one that will never run, and reads as cancelled.

use serde::{Deserialize, Serialize};

use super::WorkflowStatus;
use crate::{JobStatus, TaskName};

/// Why an instance ends otherwise than by completing. The first cause stays.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// A task failed whose failure is not allowed.
    TaskFailed {
        /// The first such task.
        task: TaskName,
        /// Why its job is dead.
        error: String,
    },
    /// The job of a task was cancelled by hand.
    TaskCancelled {
        /// The first such task.
        task: TaskName,
    },
    /// A caller cancelled the workflow.
    Cancelled {
        /// The caller's words; may be empty.
        reason: String,
    },
    /// The execution timeout passed.
    TimedOut,
}

impl Ending {
    /// The final status that it leads to.
    #[must_use]
    pub fn status(&self) -> WorkflowStatus {
        match self {
            Ending::TaskFailed { .. } | Ending::TaskCancelled { .. } | Ending::TimedOut => {
                WorkflowStatus::Failed
            }
            Ending::Cancelled { .. } => WorkflowStatus::Cancelled,
        }
    }
}

impl std::fmt::Display for Ending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Ending::TaskFailed { task, error } => write!(f, "task {task} failed: {error}"),
            Ending::TaskCancelled { task } => write!(f, "task {task} was cancelled"),
            Ending::Cancelled { reason } if reason.is_empty() => f.write_str("cancelled"),
            Ending::Cancelled { reason } => write!(f, "cancelled: {reason}"),
            Ending::TimedOut => f.write_str("execution timed out"),
        }
    }
}

/// Where an instance stands, with what belongs to that state.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Accepted. Left by the leader's start, or by an end before it.
    Pending,
    /// Tasks are dispatched as they become ready.
    Running,
    /// Nothing new is dispatched; left when every dispatched task has ended.
    Ending(Ending),
    /// Every task is done. Final.
    Completed,
    /// Ended for the cause that it names. Final.
    Ended(Ending),
}

impl Stage {
    /// The status of the public model.
    #[must_use]
    pub fn status(&self) -> WorkflowStatus {
        match self {
            Stage::Pending => WorkflowStatus::Pending,
            Stage::Running | Stage::Ending(_) => WorkflowStatus::Running,
            Stage::Completed => WorkflowStatus::Completed,
            Stage::Ended(ending) => ending.status(),
        }
    }

    /// Why it ends or ended, unless it completes.
    #[must_use]
    pub fn ending(&self) -> Option<&Ending> {
        match self {
            Stage::Pending | Stage::Running | Stage::Completed => None,
            Stage::Ending(ending) | Stage::Ended(ending) => Some(ending),
        }
    }

    /// Whether nothing happens to the instance any more.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        match self {
            Stage::Pending | Stage::Running | Stage::Ending(_) => false,
            Stage::Completed | Stage::Ended(_) => true,
        }
    }
}

/// What is kept once per instance and changes as it goes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Header {
    /// Where it stands.
    pub stage: Stage,
}

impl Header {
    /// The header of an instance that was just accepted.
    pub const NEW: Header = Header {
        stage: Stage::Pending,
    };
}

/// What is kept of a task that was dispatched or ended.
///
/// `iteration` counts how often the task was started afresh, from 0; with the workflow's id and
/// the task's index it names the job: [`JobId::of_task`](crate::JobId::of_task).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskRecord {
    /// Its job was made and has not ended.
    Dispatched {
        /// Which start of the task.
        iteration: u32,
    },
    /// Its job was asked to stop, because the workflow ends, and has not ended.
    Cancelling {
        /// Which start of the task.
        iteration: u32,
    },
    /// Its job completed. Final, until the task is started afresh.
    Completed {
        /// Which start of the task.
        iteration: u32,
    },
    /// Its job completed with nothing to do; it has no result. Final as above.
    Skipped {
        /// Which start of the task.
        iteration: u32,
    },
    /// Its job is dead or was cancelled, which this task is allowed: done for its dependents.
    /// Final as above.
    FailedAllowed {
        /// Which start of the task.
        iteration: u32,
        /// Why.
        error: String,
    },
    /// Its job is dead. Final as above.
    Dead {
        /// Which start of the task.
        iteration: u32,
        /// Why.
        error: String,
    },
    /// Its job was cancelled, by hand or because the workflow ends. Final as above.
    Cancelled {
        /// Which start of the task.
        iteration: u32,
    },
}

impl TaskRecord {
    /// Which start of the task the record is about.
    #[must_use]
    pub fn iteration(&self) -> u32 {
        match self {
            TaskRecord::Dispatched { iteration }
            | TaskRecord::Cancelling { iteration }
            | TaskRecord::Completed { iteration }
            | TaskRecord::Skipped { iteration }
            | TaskRecord::FailedAllowed { iteration, .. }
            | TaskRecord::Dead { iteration, .. }
            | TaskRecord::Cancelled { iteration } => *iteration,
        }
    }

    /// The status of the task in the public model; none while its job says more.
    #[must_use]
    pub fn final_status(&self) -> Option<JobStatus> {
        match self {
            TaskRecord::Dispatched { .. } | TaskRecord::Cancelling { .. } => None,
            TaskRecord::Completed { .. } | TaskRecord::Skipped { .. } => Some(JobStatus::Completed),
            TaskRecord::FailedAllowed { .. } | TaskRecord::Dead { .. } => Some(JobStatus::Dead),
            TaskRecord::Cancelled { .. } => Some(JobStatus::Cancelled),
        }
    }

    /// Whether the task counts as done: its dependents may run.
    #[must_use]
    pub fn is_done(&self) -> bool {
        match self {
            TaskRecord::Completed { .. }
            | TaskRecord::Skipped { .. }
            | TaskRecord::FailedAllowed { .. } => true,
            TaskRecord::Dispatched { .. }
            | TaskRecord::Cancelling { .. }
            | TaskRecord::Dead { .. }
            | TaskRecord::Cancelled { .. } => false,
        }
    }

    /// Why it failed, if it did.
    #[must_use]
    pub fn error(&self) -> Option<&str> {
        match self {
            TaskRecord::FailedAllowed { error, .. } | TaskRecord::Dead { error, .. } => Some(error),
            TaskRecord::Dispatched { .. }
            | TaskRecord::Cancelling { .. }
            | TaskRecord::Completed { .. }
            | TaskRecord::Skipped { .. }
            | TaskRecord::Cancelled { .. } => None,
        }
    }
}
