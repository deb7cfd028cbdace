//! What the leader hands to the ledger, in one call, and what it is told.

use std::time::Duration;

use bytes::Bytes;
use paceline_types::workflow::{Header, Section, TaskRecord};
use paceline_types::{
    BatchId, EventKind, JobId, JobSpec, TaskName, TaskType, WorkflowId, WorkflowStatus,
};

use super::{BatchCommit, Delivery, EntryId, Post};

/// What one turn of the leader writes, in one call.
///
/// Bounded: at most 100 commits; 100 dispatches, cancellations and posts that make or cancel
/// children in all; 100 starts for the history, 100 that are dropped, and 300 task records.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Turn {
    /// At most one for each workflow.
    pub commits: Vec<Commit>,
    /// At most one for each batch. Items that they start and jobs that they cancel count among the
    /// 100, as do the commits.
    pub batches: Vec<BatchCommit>,
    /// Inbox entries that the commits of this turn, and of earlier ones, make done with.
    pub consumed: Vec<EntryId>,
    /// What could not be applied, kept for a person to look at.
    pub parked: Vec<Parked>,
    /// Asks for further deliveries with the reply.
    pub read_ahead: Option<ReadAhead>,
}

/// Which deliveries to return.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadAhead {
    /// Entries after this one; from the oldest without it.
    pub after: Option<EntryId>,
    /// At most so many entries.
    pub max: usize,
}

/// The next state of one instance and what follows from it.
#[derive(Clone, Debug, PartialEq)]
pub struct Commit {
    /// Which instance.
    pub workflow: WorkflowId,
    /// The revision that the decision rests on.
    pub expected: u64,
    /// The header, if it changed.
    pub header: Option<Header>,
    /// Records that changed, by task index, each index once.
    pub tasks: Vec<(u32, TaskRecord)>,
    /// Starts that are over because their task was reset, kept beside `tasks`: each `(index,
    /// iteration)` once.
    pub history: Vec<(u32, TaskRecord)>,
    /// Tasks that were added; one replaces an older one of the same generator.
    pub sections: Vec<Section>,
    /// Tasks that went with their section, after all that this commit writes of them: the record of
    /// the newest start goes to the history, and the section that it added is removed. What is gone
    /// already stays so.
    pub dropped: Vec<u32>,
    /// Results of what ran on no node. A value takes the place of what a job answered that is of no
    /// use; anything else that is there already stays.
    pub conclusions: Vec<Conclusion>,
    /// What other instances must be told, in this order; kept until it is delivered.
    pub posts: Vec<Post>,
    /// Jobs to make. They come before the cancellations, which may name one of them.
    pub dispatches: Vec<TaskJob>,
    /// Jobs to cancel: queued ones at once, running ones by asking. One that has ended, or is
    /// missing, is left as it is.
    pub cancels: Option<Cancels>,
    /// For the event log, in this order.
    pub events: Vec<LogEvent>,
    /// Whether there is work left over that the next turn goes on with. Marks the instance as
    /// unfinished, or takes the mark away.
    pub more: bool,
    /// Moments to wait for, counted by the server's clock from the commit, and those that are not
    /// waited for any more.
    pub alarms: Vec<(Alarm, Option<Duration>)>,
    /// Set when the instance comes to its outcome with this commit: who waits for it is told.
    pub close: Option<WorkflowStatus>,
    /// Nothing of it is under way any more: it leaves the list of active ones, and has no alarms.
    pub retire: bool,
}

/// A task's job to be made.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskJob {
    /// Its id, a function of workflow, index and iteration. A job that has it already is this
    /// one: it is left as it is.
    pub job: JobId,
    /// The task's index in the plan.
    pub index: u32,
    /// The task's name.
    pub task: TaskName,
    /// Which start of the task; comes back with [`InboxItem::TaskEnded`](super::InboxItem::TaskEnded).
    pub iteration: u32,
    /// What is asked for; due at once, without unique and idempotency key.
    pub spec: JobSpec,
    /// What its payload is composed of.
    pub composition: Composition,
}

/// What the payload of a job is composed of when it runs, beside what its spec says.
///
/// First what stands in the payload as `{{...}}` is put in, then it is wrapped as `result_from` has
/// it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Composition {
    /// The payload refers to other values.
    pub template: bool,
    /// It refers to the input of the workflow.
    pub input: bool,
    /// Tasks that it refers to.
    pub references: Vec<UpstreamJob>,
    /// Whose results the payload is wrapped with.
    pub upstream: Upstream,
}

/// Whose results a job is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Upstream {
    /// None: the payload is not wrapped.
    #[default]
    None,
    /// The result itself.
    One(UpstreamJob),
    /// An object of results by name, in this order.
    Many(Vec<UpstreamJob>),
}

/// Where the result of an upstream task is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamJob {
    /// The upstream task.
    pub task: TaskName,
    /// The job to read: its result, or its error if it is not completed. None: the task was
    /// skipped or passed by, and the result is `null`.
    pub job: Option<JobId>,
}

/// The result of what ran on no node: a child workflow's parent task needs none of these, as the
/// delivery of its end leaves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conclusion {
    /// Under which job it is kept; its state record alone is made, and it is in no list.
    pub job: JobId,
    /// The task's name.
    pub task: TaskName,
    /// Which start of the task.
    pub iteration: u32,
    /// What.
    pub result: ConcludedBy,
}

/// Where a concluded result comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConcludedBy {
    /// It is this JSON.
    Value(Bytes),
    /// It is the payload of a signal, which is taken from the queue with it.
    Signal {
        /// Its number.
        number: u64,
    },
}

/// A moment that an instance waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Alarm {
    /// Its execution timeout.
    Deadline,
    /// It may be tried again.
    Retry,
    /// The longest wait of a task for its signal.
    Signal {
        /// Index of the task.
        task: u32,
        /// Which start of it.
        iteration: u32,
    },
}

/// Jobs to cancel, for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cancels {
    /// Which.
    pub jobs: Vec<JobId>,
    /// Kept as their last error.
    pub reason: String,
}

/// One event for the log. Time, shard and workflow are added by the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEvent {
    /// What happened.
    pub kind: EventKind,
    /// The task that it is about; none for the workflow itself.
    pub task: Option<TaskEvent>,
    /// Why, where there is a why.
    pub error: Option<String>,
}

/// The task of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskEvent {
    /// Its name.
    pub task: TaskName,
    /// Its task type; none where it runs on no node.
    pub task_type: Option<TaskType>,
    /// Its job.
    pub job: JobId,
    /// Which start of the task.
    pub iteration: u32,
}

/// Something that could not be applied: an error of this program or of the data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parked {
    /// The entry that it came with, if it came with one.
    pub entry: Option<EntryId>,
    /// The workflow, if it is known.
    pub workflow: Option<WorkflowId>,
    /// The batch, if it is one.
    pub batch: Option<BatchId>,
    /// Whether to take away the marks of the workflow or batch as unfinished and overdue: they brought this
    /// about, and would again.
    pub unmark: bool,
    /// What happened, for readers.
    pub event: String,
    /// How the instance stood, for readers.
    pub state: String,
    /// Why it could not be applied.
    pub reason: String,
}

/// What became of one commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitOutcome {
    /// Written, all of it.
    Committed {
        /// The instance's new revision.
        revision: u64,
    },
    /// The instance has another revision than expected; nothing of this commit was written.
    Stale,
    /// There is no such instance; nothing of this commit was written, and marks (unfinished,
    /// overdue) that were left of it are taken away.
    Missing,
}

/// What became of a turn.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TurnReply {
    /// One for each commit of a workflow, in order.
    pub outcomes: Vec<CommitOutcome>,
    /// One for each commit of a batch, in order.
    pub batches: Vec<CommitOutcome>,
    /// The deliveries that were asked for.
    pub next: Vec<Delivery>,
}
