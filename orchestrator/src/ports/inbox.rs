//! What the ledger hands to the leader.

use bytes::Bytes;
use paceline_types::workflow::{Header, TaskRecord};
use paceline_types::{JobId, TaskName, WorkflowId};

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

/// Something that happened to a workflow.
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
    /// A caller wants the workflow cancelled.
    Cancel {
        /// Which.
        workflow: WorkflowId,
        /// The caller's words; may be empty.
        reason: String,
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
    Completed {
        /// There was nothing to do, so there is no result.
        skipped: bool,
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
#[derive(Clone, Debug, PartialEq)]
pub struct StoredInstance {
    /// The definition, as JSON, as it was accepted.
    pub definition: Bytes,
    /// What is kept once.
    pub header: Header,
    /// Grows with every commit.
    pub revision: u64,
    /// Records by task index, in any order; a task without one waits or is ready.
    pub tasks: Vec<(u32, TaskRecord)>,
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
