//! Batches in the words of the leader: what it is told of them, what it writes.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use paceline_types::batch::{BatchHeader, BatchPlan, BatchProgress, ItemRecord};
use paceline_types::{BatchId, BatchStatus, EventKind, JobId, JobSpec};

use super::{Cancels, Cursor, LedgerError, Page, TaskOutcome};
use crate::term::Term;

/// Something that happened to a batch.
#[derive(Clone, Debug, PartialEq)]
pub enum BatchNews {
    /// It was accepted.
    Start,
    /// The job of an item, or of the onetime task, ended.
    JobEnded {
        /// Where the item stands in the definition;
        /// [`ONETIME_PLACE`](paceline_types::batch::ONETIME_PLACE) of the onetime task.
        place: u32,
        /// The item's id.
        item: Box<str>,
        /// Which start of it.
        iteration: u32,
        /// The job.
        job: JobId,
        /// How it ended.
        outcome: TaskOutcome,
    },
    /// A caller wants it cancelled.
    Cancel {
        /// The caller's words; may be empty.
        reason: String,
    },
    /// A caller wants it tried again; it is among the active ones.
    Retry {
        /// Only what has not completed.
        failed_only: bool,
    },
}

/// A batch as it is kept.
#[derive(Clone, Debug)]
pub struct StoredBatch {
    /// The definition without its items, as JSON, as it was accepted.
    pub definition: Bytes,
    /// What is kept once.
    pub header: BatchHeader,
    /// Grows with every commit.
    pub revision: u64,
    /// One record for each item.
    pub records: Vec<ItemRecord>,
    /// As of [`StoredInstance::cancelled`](super::StoredInstance::cancelled).
    pub cancelled: Option<String>,
    /// Somebody wants it tried again, which its header does not say yet: whether only what has not
    /// completed.
    pub retried: Option<bool>,
}

/// A moment that a batch waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum BatchAlarm {
    /// Its execution timeout.
    Deadline,
    /// It may be tried again.
    Retry,
}

/// An item whose job goes into its lane. Its record was made when the batch was submitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ItemStart {
    /// Where the item stands in the definition.
    pub place: u32,
    /// Which start of it.
    pub iteration: u8,
    /// The start before it, whose record this one's is a copy of; none of the first.
    pub from: Option<u8>,
}

/// The job of a batch that an event is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchJobEvent {
    /// Where the item stands in the definition, or the place of the onetime task.
    pub place: u32,
    /// The item's id; empty where it is not known.
    pub item: Box<str>,
    /// Which start of it.
    pub iteration: u32,
}

/// One event of a batch for the log. Time, shard and batch are added by the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchLogEvent {
    /// What happened.
    pub kind: EventKind,
    /// The item or the onetime task; none for the batch itself.
    pub job: Option<BatchJobEvent>,
    /// Why, where there is a why.
    pub error: Option<String>,
    /// Of `batch.progress`: how far it is.
    pub progress: Option<BatchProgress>,
}

/// The job of the onetime task, to be made.
#[derive(Clone, Debug, PartialEq)]
pub struct OnetimeJob {
    /// Its id. A job that has it already is this one.
    pub job: JobId,
    /// Which start of it.
    pub iteration: u32,
    /// What is asked for.
    pub spec: JobSpec,
}

/// The next state of one batch and what follows from it.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchCommit {
    /// Which batch.
    pub batch: BatchId,
    /// The revision that the decision rests on.
    pub expected: u64,
    /// What it carries out; none of a batch that is not there.
    pub plan: Option<Arc<BatchPlan>>,
    /// The header, if it changed.
    pub header: Option<BatchHeader>,
    /// Records that changed, by place, each place once.
    pub items: Vec<(u32, ItemRecord)>,
    /// The onetime task's job to make.
    pub onetime: Option<OnetimeJob>,
    /// What this start of the onetime task came to is what the items are given.
    pub keep_onetime: Option<u32>,
    /// Items to start, in the order of their turn. They come before the cancellations, which may
    /// name one of them.
    pub starts: Vec<ItemStart>,
    /// Jobs to cancel, as of a workflow.
    pub cancels: Option<Cancels>,
    /// For the event log, in this order.
    pub events: Vec<BatchLogEvent>,
    /// Whether there is work left over that the next turn goes on with.
    pub more: bool,
    /// Moments to wait for, counted by the server's clock from the commit, and those that are not
    /// waited for any more.
    pub alarms: Vec<(BatchAlarm, Option<Duration>)>,
    /// Set when the batch comes to its outcome: who waits for it is told, it leaves the list of
    /// active ones, and has no alarms.
    pub close: Option<BatchStatus>,
}

/// The kept state of batches. Their inbox and their commits are those of workflows: see
/// [`Ledger`](super::Ledger).
pub trait Batches: Send + Sync {
    /// The batches as they are kept, in the order of the ids; none where there is none.
    fn load_batches(
        &self,
        term: &Term,
        batches: &[BatchId],
    ) -> impl Future<Output = Result<Vec<Option<StoredBatch>>, LedgerError>> + Send;

    /// Moments that have passed by the server's clock, longest ago first, at most `max`.
    fn overdue_batches(
        &self,
        term: &Term,
        max: usize,
    ) -> impl Future<Output = Result<Vec<(BatchId, BatchAlarm)>, LedgerError>> + Send;

    /// Whether each moment is waited for, passed or not, in the order of the moments. At most 100.
    fn armed_batches(
        &self,
        term: &Term,
        moments: &[(BatchId, BatchAlarm)],
    ) -> impl Future<Output = Result<Vec<bool>, LedgerError>> + Send;

    /// Batches that are marked as having work left over, at most `max`, in any order.
    fn unfinished_batches(
        &self,
        term: &Term,
        max: usize,
    ) -> impl Future<Output = Result<Vec<BatchId>, LedgerError>> + Send;

    /// Batches that have not ended, from the start or from where the last step ended, about `max`
    /// of them. Each that is there during a whole walk is seen at least once.
    fn active_batches(
        &self,
        term: &Term,
        from: Option<Cursor>,
        max: usize,
    ) -> impl Future<Output = Result<Page<BatchId>, LedgerError>> + Send;
}
