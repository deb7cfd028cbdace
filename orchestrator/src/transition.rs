//! What goes into `advance`, and what comes out.

use std::time::Duration;

use paceline_types::workflow::{Header, TaskRecord};
use paceline_types::{EventKind, JobId, TaskName, WorkflowStatus};

use crate::ports::TaskOutcome;

/// Something that happened to one instance.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// It was accepted, and may begin.
    Start,
    /// The job of a task ended.
    TaskEnded {
        /// The task.
        task: TaskName,
        /// Which start of it.
        iteration: u32,
        /// The job, as it names itself.
        job: JobId,
        /// How it ended.
        outcome: TaskOutcome,
    },
    /// The reconciler found that the job of a dispatched task is not there any more. The task
    /// failed: whether the job ran cannot be known, and running it again would not be once per
    /// iteration.
    JobGone {
        /// The task.
        task: TaskName,
        /// Which start of it.
        iteration: u32,
    },
    /// A caller wants it cancelled.
    CancelRequested {
        /// The caller's words; may be empty.
        reason: String,
    },
    /// Its execution timeout passed.
    DeadlinePassed,
    /// Work may be left over from an earlier transition: go on with it.
    Continue,
}

/// What one event changes, and what must be made true with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transition {
    /// The header, if it changed.
    pub header: Option<Header>,
    /// Records that changed, each task once.
    pub tasks: Vec<(u32, TaskRecord)>,
    /// What must happen, in this order.
    pub effects: Vec<Effect>,
    /// What to tell, in this order: exactly one event for each transition of the instance and
    /// of its tasks.
    pub events: Vec<Happening>,
    /// Whether work is left over that did not fit under the limit: [`Event::Continue`] goes on.
    pub more: bool,
}

/// What must happen with a transition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Make the job of a task.
    Dispatch {
        /// Index of the task.
        task: u32,
        /// Which start of it.
        iteration: u32,
    },
    /// Cancel the job of a task.
    CancelJob {
        /// Index of the task.
        task: u32,
        /// Which start of it.
        iteration: u32,
    },
    /// Report [`Event::DeadlinePassed`] after this.
    ArmDeadline {
        /// The execution timeout.
        after: Duration,
    },
    /// There is no deadline any more.
    DisarmDeadline,
    /// The instance has ended.
    Close {
        /// Its final status.
        status: WorkflowStatus,
    },
}

/// An event for the log, of the instance or of one of its tasks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Happening {
    /// What happened.
    pub kind: EventKind,
    /// Index and iteration of the task; none for the instance itself.
    pub task: Option<(u32, u32)>,
    /// Why, where there is a why.
    pub error: Option<String>,
}

/// Why an event was not applied. The instance is unchanged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Expected now and then: drop it and count it.
    #[error("late: {0}")]
    Late(Late),
    /// Cannot happen: a fault of this program or of the data. Park it and report it.
    #[error("impossible: {0}")]
    Impossible(Impossible),
}

/// Events that come twice, or after their time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Late {
    /// The instance has ended.
    #[error("the workflow has ended")]
    Closed,
    /// The instance has begun already.
    #[error("the workflow has started already")]
    Started,
    /// The instance ends for an earlier cause, which stays.
    #[error("the workflow is ending already")]
    Ending,
    /// This start of the task has ended already.
    #[error("the task has ended already")]
    TaskEnded,
    /// The task was started afresh since.
    #[error("the task was started again since, as iteration {current}")]
    Superseded {
        /// Its present iteration.
        current: u32,
    },
    /// There is nothing left over.
    #[error("nothing is left over")]
    NothingLeft,
}

/// Events that contradict what is kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Impossible {
    /// The definition has no such task.
    #[error("the workflow has no task {task}")]
    UnknownTask {
        /// The name.
        task: TaskName,
    },
    /// The task has no job yet.
    #[error("task {task} was never dispatched")]
    NeverDispatched {
        /// Its name.
        task: TaskName,
    },
    /// The task has not been started so often.
    #[error("task {task} is at iteration {current}, not {iteration}")]
    FutureIteration {
        /// Its name.
        task: TaskName,
        /// Its present iteration.
        current: u32,
        /// The event's.
        iteration: u32,
    },
    /// Another job claims to be this one.
    #[error("{job} is not the job of task {task}, iteration {iteration}")]
    ForeignJob {
        /// The event's job.
        job: JobId,
        /// The task's name.
        task: TaskName,
        /// The event's iteration.
        iteration: u32,
    },
    /// The definition has no execution timeout.
    #[error("the workflow has no execution timeout")]
    NoDeadline,
}
