//! What goes into [`advance_batch`](super::advance_batch), and what comes out.

use std::time::Duration;

use paceline_types::batch::{BatchHeader, ItemRecord};
use paceline_types::{BatchStatus, EventKind, JobId};

use crate::ports::{BatchAlarm, BatchJobEvent, ItemStart, TaskOutcome};
use crate::transition::Late;

/// Something that happened to one batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BatchEvent {
    /// It was accepted, and may begin.
    Start,
    /// The job of an item or of the onetime task ended.
    JobEnded {
        /// Where the item stands in the definition;
        /// [`ONETIME_PLACE`](paceline_types::batch::ONETIME_PLACE) of the onetime task.
        place: u32,
        /// The item's id; empty where it is not known.
        item: Box<str>,
        /// Which start of it.
        iteration: u32,
        /// The job, as it names itself.
        job: JobId,
        /// How it ended.
        outcome: TaskOutcome,
    },
    /// The reconciler found that the job of an item, or of the onetime task, is not there any more.
    /// It failed: whether the job ran cannot be known.
    JobGone {
        /// As of [`BatchEvent::JobEnded`].
        place: u32,
        /// Which start of it.
        iteration: u32,
    },
    /// A caller wants it cancelled.
    CancelRequested {
        /// The caller's words; may be empty.
        reason: String,
    },
    /// A caller wants it tried again, after it ended. The ledger has put it among the active ones.
    RetryRequested {
        /// Only what has not completed.
        failed_only: bool,
    },
    /// A moment passed that it waited for.
    Rang(BatchAlarm),
    /// Work may be left over from an earlier transition: go on with it.
    Continue,
}

/// What one event changes, and what must be made true with it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BatchTransition {
    /// The header, if it changed.
    pub header: Option<BatchHeader>,
    /// Items that changed; one that changed twice stands there twice, the newer behind.
    pub items: Vec<(u32, ItemRecord)>,
    /// What must happen, in this order.
    pub effects: Vec<BatchEffect>,
    /// What to tell, in this order: one event for each transition of the batch, its onetime task
    /// and its items.
    pub events: Vec<BatchHappening>,
    /// Whether work is left over that did not fit under the limit: [`BatchEvent::Continue`] goes on.
    pub more: bool,
}

/// What must happen with a transition.
#[derive(Clone, Debug, PartialEq)]
pub enum BatchEffect {
    /// Make the job of the onetime task.
    DispatchOnetime {
        /// Which start of it.
        iteration: u32,
    },
    /// What this start of the onetime task came to is what the items are given.
    KeepOnetime {
        /// Which start of it.
        iteration: u32,
    },
    /// Enqueue the job of an item.
    Dispatch(ItemStart),
    /// Cancel a job.
    Cancel(JobId),
    /// Report [`BatchEvent::Rang`] after this.
    Arm(BatchAlarm, Duration),
    /// The moment is not waited for any more.
    Disarm(BatchAlarm),
    /// The batch has come to its outcome.
    Close {
        /// Its final status.
        status: BatchStatus,
    },
}

/// An event for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchHappening {
    /// What happened.
    pub kind: EventKind,
    /// The item or the onetime task; none for the batch itself.
    pub job: Option<BatchJobEvent>,
    /// Why, where there is a why.
    pub error: Option<String>,
}

/// Why an event was not applied. The batch is unchanged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchRefusal {
    /// Expected now and then: drop it and count it.
    #[error("late: {0}")]
    Late(Late),
    /// Cannot happen: a fault of this program or of the data. Park it and report it.
    #[error("impossible: {0}")]
    Impossible(BatchImpossible),
}

/// Events that contradict what is kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchImpossible {
    /// The batch has no such item.
    #[error("the batch has no item at place {place}")]
    UnknownItem {
        /// The place.
        place: u32,
    },
    /// It was not started yet.
    #[error("the item at place {place} was never started")]
    NeverStarted {
        /// The place.
        place: u32,
    },
    /// It has not been started so often.
    #[error("the item at place {place} is at iteration {current}, not {iteration}")]
    FutureIteration {
        /// The place.
        place: u32,
        /// Its present iteration.
        current: u32,
        /// The event's.
        iteration: u32,
    },
    /// Another job claims to be this one.
    #[error("{job} is not the job of the item at place {place}, iteration {iteration}")]
    ForeignJob {
        /// The event's job.
        job: JobId,
        /// The place.
        place: u32,
        /// The event's iteration.
        iteration: u32,
    },
    /// The definition has no execution timeout.
    #[error("the batch has no execution timeout")]
    NoDeadline,
}
