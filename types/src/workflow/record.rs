//! What is kept of an instance beside its definition: one header, and one record for each task
//! that was dispatched or ended.
//!
//! A task without a record waits or is ready, which follows from the records of the tasks that
//! it depends on; so a completion writes the records that it changed and nothing else, however
//! large the workflow is. Once the header says that the instance ends, a task without a record
//! is one that will never run, and reads as cancelled.

use serde::{Deserialize, Serialize};

use super::WorkflowStatus;
use crate::{JobStatus, TaskName, WorkflowId};

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
    /// Begun; the hook `on_init` has not ended, and nothing else is dispatched.
    Opening,
    /// Tasks are dispatched as they become ready.
    Running,
    /// Nothing new is dispatched; left when every dispatched task has ended.
    Ending(Ending),
    /// Failed, and waits until the retry policy lets it try again.
    Resting(Ending),
    /// Tried again: what did not end well is being reset; left when all of it is.
    Restarting,
    /// Every task is done. Final.
    Completed,
    /// Ended for the cause that it names. Final, unless it is retried by hand.
    Ended(Ending),
    /// Ended well, and goes on as a new instance. Final.
    Continued {
        /// The new instance.
        to: WorkflowId,
    },
}

impl Stage {
    /// The status of the public model, of an instance that is not suspended.
    #[must_use]
    pub fn status(&self) -> WorkflowStatus {
        match self {
            Stage::Pending => WorkflowStatus::Pending,
            Stage::Opening
            | Stage::Running
            | Stage::Ending(_)
            | Stage::Resting(_)
            | Stage::Restarting => WorkflowStatus::Running,
            Stage::Completed => WorkflowStatus::Completed,
            Stage::Ended(ending) => ending.status(),
            Stage::Continued { .. } => WorkflowStatus::Continued,
        }
    }

    /// Why it ends or ended, unless it completes. While it waits for its next attempt: why the last
    /// one failed.
    #[must_use]
    pub fn ending(&self) -> Option<&Ending> {
        match self {
            Stage::Pending
            | Stage::Opening
            | Stage::Running
            | Stage::Restarting
            | Stage::Completed
            | Stage::Continued { .. } => None,
            Stage::Ending(ending) | Stage::Resting(ending) | Stage::Ended(ending) => Some(ending),
        }
    }

    /// Whether it has come to its outcome. Hooks may still run.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        match self {
            Stage::Pending
            | Stage::Opening
            | Stage::Running
            | Stage::Ending(_)
            | Stage::Resting(_)
            | Stage::Restarting => false,
            Stage::Completed | Stage::Ended(_) | Stage::Continued { .. } => true,
        }
    }
}

/// What is kept once per instance and changes as it goes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Header {
    /// Where it stands.
    pub stage: Stage,
    /// How often it was tried, from 1; 0 before it began.
    #[serde(default)]
    pub attempt: u32,
    /// How many tasks were numbered so far; those of the definition come first. 0 as long as no
    /// task was added.
    #[serde(default)]
    pub numbered: u32,
    /// The number of the newest signal that was taken in; they are numbered from 1.
    #[serde(default)]
    pub signals: u64,
    /// How many shards there were when it began: says where its children live. 0 before.
    #[serde(default)]
    pub shards: u16,
}

impl Header {
    /// The header of an instance that was just accepted.
    pub const NEW: Header = Header {
        stage: Stage::Pending,
        attempt: 0,
        numbered: 0,
        signals: 0,
        shards: 0,
    };
}

/// What is kept of a task that was started, or that will not be.
///
/// `iteration` counts how often the task was started afresh, from 0; with the workflow's id and
/// the task's index it names the job: [`JobId::of_task`](crate::JobId::of_task). What has no job (a
/// child workflow, a map, a signal, an expression) leaves its result under that id all the same.
/// The index of a hook is [`Hook::index`](super::Hook::index), its iteration the attempt of the
/// workflow before it, from 0.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskRecord {
    /// Its job was made and has not ended; or its child workflow was, or it waits for a signal.
    Dispatched {
        /// Which start of the task.
        iteration: u32,
        /// Of a condition: how often it was evaluated before, since it, or what it is part of,
        /// began.
        evaluations: u32,
    },
    /// Its job, or its child, was asked to stop, because the workflow ends, and has not ended.
    Cancelling {
        /// Which start of the task.
        iteration: u32,
    },
    /// Its job completed, and what it answered has not been looked at: the route of a condition, the
    /// tasks of a subflow.
    Returned {
        /// Which start of the task.
        iteration: u32,
        /// Of a condition: how often it was evaluated before, since it, or what it is part of,
        /// began.
        evaluations: u32,
    },
    /// The tasks that it generated have not all ended.
    Expanded {
        /// Which start of the task.
        iteration: u32,
    },
    /// It completed. Final, until the task is started afresh.
    Completed {
        /// Which start of the task.
        iteration: u32,
        /// Its handler wants the workflow to go on as a new one, with its result as the input.
        continues: bool,
    },
    /// A condition completed. Final as above.
    Routed {
        /// Which start of the task.
        iteration: u32,
        /// The route that was taken; none where an expression has no route for its outcome.
        route: Option<u32>,
        /// How often it was evaluated since it, or what it is part of, began.
        evaluations: u32,
    },
    /// A condition that leads back: what lies between its target and it is being reset, itself at
    /// last.
    Rewinding {
        /// Which start of the task.
        iteration: u32,
        /// The route that was taken.
        route: u32,
        /// How often it was evaluated since it, or what it is part of, began.
        evaluations: u32,
    },
    /// Reset: it starts afresh when its turn comes.
    Again {
        /// Which start that will be.
        iteration: u32,
        /// Of a condition: how often it was evaluated since it, or what it is part of, began.
        evaluations: u32,
    },
    /// There was nothing to do: its handler said so, or a precondition. It has no result; its
    /// dependents run. Final as above.
    Skipped {
        /// Which start of the task.
        iteration: u32,
        /// Why.
        reason: String,
    },
    /// No way led here: another route was taken, or all tasks before it were passed by. Final as
    /// above.
    Bypassed {
        /// Which start of the task.
        iteration: u32,
    },
    /// It failed or its job was cancelled, which this task is allowed: done for its dependents.
    /// Final as above.
    FailedAllowed {
        /// Which start of the task.
        iteration: u32,
        /// Why.
        error: String,
    },
    /// It failed. Final as above.
    Dead {
        /// Which start of the task.
        iteration: u32,
        /// Why.
        error: String,
    },
    /// It was cancelled, by hand or because the workflow ends. Final as above.
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
            TaskRecord::Dispatched { iteration, .. }
            | TaskRecord::Cancelling { iteration }
            | TaskRecord::Returned { iteration, .. }
            | TaskRecord::Expanded { iteration }
            | TaskRecord::Completed { iteration, .. }
            | TaskRecord::Routed { iteration, .. }
            | TaskRecord::Rewinding { iteration, .. }
            | TaskRecord::Again { iteration, .. }
            | TaskRecord::Skipped { iteration, .. }
            | TaskRecord::Bypassed { iteration }
            | TaskRecord::FailedAllowed { iteration, .. }
            | TaskRecord::Dead { iteration, .. }
            | TaskRecord::Cancelled { iteration } => *iteration,
        }
    }

    /// The status of the task in the public model; none while its job says more.
    #[must_use]
    pub fn final_status(&self) -> Option<JobStatus> {
        match self {
            TaskRecord::Dispatched { .. }
            | TaskRecord::Cancelling { .. }
            | TaskRecord::Returned { .. }
            | TaskRecord::Expanded { .. }
            | TaskRecord::Rewinding { .. }
            | TaskRecord::Again { .. } => None,
            TaskRecord::Completed { .. }
            | TaskRecord::Routed { .. }
            | TaskRecord::Skipped { .. }
            | TaskRecord::Bypassed { .. } => Some(JobStatus::Completed),
            TaskRecord::FailedAllowed { .. } | TaskRecord::Dead { .. } => Some(JobStatus::Dead),
            TaskRecord::Cancelled { .. } => Some(JobStatus::Cancelled),
        }
    }

    /// Whether the task counts as done: its dependents may run, or be passed by as it was.
    #[must_use]
    pub fn is_done(&self) -> bool {
        match self {
            TaskRecord::Completed { .. }
            | TaskRecord::Routed { .. }
            | TaskRecord::Skipped { .. }
            | TaskRecord::Bypassed { .. }
            | TaskRecord::FailedAllowed { .. } => true,
            TaskRecord::Dispatched { .. }
            | TaskRecord::Cancelling { .. }
            | TaskRecord::Returned { .. }
            | TaskRecord::Expanded { .. }
            | TaskRecord::Rewinding { .. }
            | TaskRecord::Again { .. }
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
            | TaskRecord::Returned { .. }
            | TaskRecord::Expanded { .. }
            | TaskRecord::Completed { .. }
            | TaskRecord::Routed { .. }
            | TaskRecord::Rewinding { .. }
            | TaskRecord::Again { .. }
            | TaskRecord::Skipped { .. }
            | TaskRecord::Bypassed { .. }
            | TaskRecord::Cancelled { .. } => None,
        }
    }
}
