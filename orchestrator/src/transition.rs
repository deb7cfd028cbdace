//! What goes into `advance`, and what comes out.

use std::time::Duration;

use paceline_types::workflow::{Header, Section, TaskRecord};
use paceline_types::{EventKind, JobId, SignalName, TaskName, WorkflowId, WorkflowStatus};

use crate::ports::{Alarm, Conclusion, Spawn, TaskEvent, TaskJob, TaskOutcome};

/// Something that happened to one instance.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// It was accepted, and may begin.
    Start {
        /// How many shards there are.
        shards: u16,
    },
    /// The job of a task or of a hook ended, or its child workflow did.
    TaskEnded {
        /// The task.
        task: TaskName,
        /// Which start of it.
        iteration: u32,
        /// The job, as it names itself; of a child, what the job of its task would be.
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
    /// A signal was accepted.
    Signalled {
        /// Its number: each is one more than the one before.
        number: u64,
        /// Its name.
        name: SignalName,
    },
    /// A caller wants it cancelled, or its parent ends.
    CancelRequested {
        /// The caller's words; may be empty.
        reason: String,
    },
    /// A caller wants what failed to be tried again. The ledger has put it among the active ones.
    RetryRequested,
    /// A moment passed that it waited for.
    Rang(Alarm),
    /// Work may be left over from an earlier transition, or it was resumed: go on with it.
    Continue,
}

/// What one event changes, and what must be made true with it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Transition {
    /// The header, if it changed.
    pub header: Option<Header>,
    /// Records that changed, each task once.
    pub tasks: Vec<(u32, TaskRecord)>,
    /// Records of starts that are over because their task was reset: kept beside the new ones.
    pub history: Vec<(u32, TaskRecord)>,
    /// Tasks that were added.
    pub sections: Vec<Section>,
    /// Tasks that went with their section: their records go to the history.
    pub dropped: Vec<u32>,
    /// What must happen, in this order.
    pub effects: Vec<Effect>,
    /// What to tell, in this order: exactly one event for each transition of the instance and
    /// of its tasks.
    pub events: Vec<Happening>,
    /// Whether work is left over that did not fit under the limit: [`Event::Continue`] goes on.
    pub more: bool,
    /// Results that a decision waits for: [`Event::Continue`] goes on once they are among the
    /// [`Facts`](crate::facts::Facts). `more` is set as well.
    pub wanted: Vec<JobId>,
}

/// What must happen with a transition.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Make the job of a task, an element of a map, or a hook.
    Dispatch(Box<TaskJob>),
    /// Cancel the job of a task or a hook.
    CancelJob(JobId),
    /// Make a child workflow.
    Spawn(Box<Spawn>),
    /// Cancel a child workflow.
    CancelChild {
        /// Which.
        child: WorkflowId,
    },
    /// What ran on no node leaves its result where the job of the task would have.
    Conclude(Conclusion),
    /// Report [`Event::Rang`] after this.
    Arm(Alarm, Duration),
    /// The moment is not waited for any more.
    Disarm(Alarm),
    /// The instance goes on as a new one with the same definition.
    Succeed {
        /// Its id.
        to: WorkflowId,
        /// Whose result is its input.
        job: JobId,
    },
    /// The instance has come to its outcome.
    Close {
        /// Its final status.
        status: WorkflowStatus,
    },
    /// Nothing of it is under way any more, its hooks included: it leaves the active ones.
    Retire,
}

/// An event for the log, of the instance or of one of its tasks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Happening {
    /// What happened.
    pub kind: EventKind,
    /// The task, its job and its iteration; none for the instance itself.
    pub task: Option<TaskEvent>,
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
    /// The task was added by a start of another one that is over: it is no part of the workflow any
    /// more.
    #[error("the task went with the one that had added it")]
    Dropped,
    /// There is nothing left over.
    #[error("nothing is left over")]
    NothingLeft,
    /// The signal was taken in already.
    #[error("the signal is known already")]
    SignalKnown,
    /// Nothing waits for that moment any more.
    #[error("nothing waits for that moment any more")]
    Disarmed,
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
