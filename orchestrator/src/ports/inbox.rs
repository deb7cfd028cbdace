//! What the ledger hands to the leader.

use bytes::Bytes;
use paceline_types::workflow::{Header, Origin, Section, TaskRecord};
use paceline_types::{BatchId, JobId, SignalName, TaskName, WorkflowId};

use super::BatchNews;

/// Names an entry of the inbox; later entries have later ids in the inbox's own order.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntryId(pub String);

/// One entry of the inbox: everything that one call told the orchestrator.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    /// Names the entry until it is consumed.
    pub entry: EntryId,
    /// In the order in which they happened.
    pub items: Vec<InboxItem>,
}

/// Something that happened to a workflow or a batch.
#[derive(Clone, Debug, PartialEq)]
pub enum InboxItem {
    /// A workflow was accepted.
    Start {
        /// Which.
        workflow: WorkflowId,
    },
    /// The job of a task ended.
    TaskEnded {
        /// The workflow that the job belongs to.
        workflow: WorkflowId,
        /// The task of that workflow.
        task: TaskName,
        /// Which start of the task, as it was dispatched.
        iteration: u32,
        /// The execution that ended it.
        attempt: u32,
        /// The job.
        job: JobId,
        /// How it ended.
        outcome: TaskOutcome,
    },
    /// A signal was accepted.
    Signal {
        /// By which workflow.
        workflow: WorkflowId,
        /// Its number.
        number: u64,
        /// Its name.
        name: SignalName,
    },
    /// A caller wants what failed of the workflow to be tried again; it is among the active ones.
    Retry {
        /// Which.
        workflow: WorkflowId,
    },
    /// The workflow was suspended or resumed: its record says so.
    Look {
        /// Which.
        workflow: WorkflowId,
    },
    /// A caller wants the workflow cancelled, or its parent ends.
    Cancel {
        /// Which.
        workflow: WorkflowId,
        /// The caller's words; may be empty.
        reason: String,
    },
    /// Something happened to a batch.
    Batch {
        /// Which.
        batch: BatchId,
        /// What.
        news: BatchNews,
    },
    /// Something that cannot be read: it is parked.
    Unreadable {
        /// What is there, for readers.
        text: String,
        /// Why it cannot be read.
        problem: String,
    },
}

/// How the job of a task ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TaskOutcome {
    /// Well; its result is in its record.
    Completed,
    /// Well, and its handler wants the workflow to go on as a new one; the result is the input.
    Continued,
    /// Well: there was nothing to do, so there is no result.
    Skipped {
        /// Why.
        reason: String,
    },
    /// It will not be tried again.
    Dead {
        /// Why.
        error: String,
    },
    /// It was cancelled.
    Cancelled,
}

/// An instance as it is kept.
#[derive(Clone, Debug)]
pub struct StoredInstance {
    /// The definition, as JSON, as it was accepted.
    pub definition: Bytes,
    /// What it was given, as JSON.
    pub input: Option<Bytes>,
    /// The task of another workflow that it is the child of.
    pub origin: Option<Origin>,
    /// The instance that went on as this one.
    pub continued_from: Option<WorkflowId>,
    /// Nothing new is to be dispatched.
    pub suspended: bool,
    /// Why somebody wanted it cancelled, since it was accepted or tried again by hand; may be empty.
    pub cancelled: Option<String>,
    /// Somebody wants it tried again, which its header does not say yet.
    pub retried: bool,
    /// What is kept once.
    pub header: Header,
    /// Grows with every commit.
    pub revision: u64,
    /// Records by task index, in any order; a task without one waits or is ready.
    pub tasks: Vec<(u32, TaskRecord)>,
    /// The newest section of each generator, in any order.
    pub sections: Vec<Section>,
    /// Signals that no task has taken, by number.
    pub signals: Vec<(u64, SignalName)>,
    /// The number of the newest signal that was accepted; 0 if none was. One that is not among
    /// [`signals`](Self::signals) was taken.
    pub last_signal: u64,
}

/// How the job of a task stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobPhase {
    /// There is no such job.
    Missing,
    /// It has not ended.
    Unfinished,
    /// It ended.
    Ended {
        /// How.
        outcome: TaskOutcome,
        /// The execution that ended it.
        attempt: u32,
    },
}
