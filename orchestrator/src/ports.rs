//! What the leader needs of the world, in its own words.
//!
//! Each method says what is true once it returns `Ok`. On `Unavailable` the call may or may not
//! have taken effect; every call may be repeated, and does nothing the second time. Every write
//! carries the term, and an older one than the newest accepted is refused as `Fenced`, with
//! nothing changed.
//!
//! The ports are small and apart, so that a test can fail one of them; [`World`] is all of them.

mod batches;
mod inbox;
mod post;
mod services;
mod turn;
mod wishes;

use std::future::Future;

use bytes::Bytes;
use paceline_types::{JobId, WorkflowId};

use crate::term::Term;

pub use batches::{
    BatchAlarm, BatchCommit, BatchJobEvent, BatchLogEvent, BatchNews, Batches, ItemStart,
    OnetimeJob, StoredBatch,
};
pub use inbox::{Delivery, EntryId, InboxItem, JobPhase, StoredInstance, TaskOutcome};
pub use post::{Post, Spawn};
pub use services::{
    Bell, Delayed, Groups, GroupsFlushed, JobsExpired, Lanes, LanesChecked, Nodes, Overview,
    Promoted, Purged, Recovered, Retention, Schedules, StoredSchedule, Survey, Timers, Trails,
    World,
};
pub use turn::{
    Alarm, Cancels, Commit, CommitOutcome, Composition, ConcludedBy, Conclusion, LogEvent, Parked,
    ReadAhead, TaskEvent, TaskJob, Turn, TurnReply, Upstream, UpstreamJob,
};
pub use wishes::{BatchWish, Wish, Wishes};

/// Why a call of the leader failed.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// A newer term has written. Nothing was changed; the caller is not the leader any more.
    #[error("fenced: term {newest} leads the shard")]
    Fenced {
        /// The newest term that was accepted.
        newest: u64,
    },
    /// No answer, or an answer that makes no sense. **It may have taken effect**; repeat it.
    #[error("the ledger is not available")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Where a walk goes on; opaque, made by the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor(pub String);

/// One step of a walk.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    /// What was found.
    pub items: Vec<T>,
    /// Where to go on; none at the end.
    pub next: Option<Cursor>,
}

/// The kept state of workflows, and the inbox that they share with [batches](Batches).
///
/// A write of an older term than the newest is refused. A read may be refused as well, but need
/// not: nothing follows from what was read but a write.
pub trait Ledger: Batches + Wishes + Send + Sync {
    /// The oldest entries that have not been consumed, at most `ahead.max`, in order. An entry
    /// is returned again by every call until a turn consumes it.
    fn inbox(
        &self,
        term: &Term,
        ahead: ReadAhead,
    ) -> impl Future<Output = Result<Vec<Delivery>, LedgerError>> + Send;

    /// The instances as they are kept, in the order of the ids; none where there is none. At
    /// most 100 ids.
    fn load(
        &self,
        term: &Term,
        workflows: &[WorkflowId],
    ) -> impl Future<Output = Result<Vec<Option<StoredInstance>>, LedgerError>> + Send;

    /// Each commit is written whole, or is refused by its outcome. Entries are consumed and
    /// things parked, unless a commit was stale: then neither, and the entries come again.
    fn commit(
        &self,
        term: &Term,
        turn: Turn,
    ) -> impl Future<Output = Result<TurnReply, LedgerError>> + Send;

    /// Moments that have passed by the server's clock, longest ago first, at most `max`.
    fn overdue(
        &self,
        term: &Term,
        max: usize,
    ) -> impl Future<Output = Result<Vec<(WorkflowId, Alarm)>, LedgerError>> + Send;

    /// Whether each moment is waited for, passed or not, in the order of the moments. At most 100.
    fn armed(
        &self,
        term: &Term,
        moments: &[(WorkflowId, Alarm)],
    ) -> impl Future<Output = Result<Vec<bool>, LedgerError>> + Send;

    /// How many shards the namespace has.
    fn shards(&self) -> u16;

    /// What jobs left, in the order of the ids, as those that depend on them are given it: the result
    /// of one that completed, `{"error": …}` of one that failed, `null` of one that was skipped. None
    /// where the record is gone.
    fn results(
        &self,
        term: &Term,
        jobs: &[JobId],
    ) -> impl Future<Output = Result<Vec<Option<Bytes>>, LedgerError>> + Send;

    /// Instances that are marked as having work left over, at most `max`, in any order.
    fn unfinished(
        &self,
        term: &Term,
        max: usize,
    ) -> impl Future<Output = Result<Vec<WorkflowId>, LedgerError>> + Send;

    /// Instances that have not ended, from the start or from where the last step ended, about
    /// `max` of them. Each that is there during a whole walk is seen at least once.
    fn active(
        &self,
        term: &Term,
        from: Option<Cursor>,
        max: usize,
    ) -> impl Future<Output = Result<Page<WorkflowId>, LedgerError>> + Send;

    /// How jobs stand, in the order of the ids. At most 100 ids.
    fn job_phases(
        &self,
        term: &Term,
        jobs: &[JobId],
    ) -> impl Future<Output = Result<Vec<JobPhase>, LedgerError>> + Send;
}

/// How a child workflow stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChildPhase {
    /// There is no such workflow.
    Missing,
    /// It has not come to its outcome.
    Unfinished,
    /// It has: its parent was told, or is told again if it asks.
    Ended,
}

/// What instances must be told in other shards.
pub trait Outbox: Send + Sync {
    /// How children stand, wherever they live, in the order of the ids; of one that goes on as
    /// another, how that one stands. At most 100 ids.
    fn children(
        &self,
        term: &Term,
        children: &[WorkflowId],
    ) -> impl Future<Output = Result<Vec<ChildPhase>, LedgerError>> + Send;

    /// The oldest posts after that one, from the oldest without it, at most `max`, in order; each
    /// until it is delivered.
    fn posts(
        &self,
        term: &Term,
        after: Option<&EntryId>,
        max: usize,
    ) -> impl Future<Output = Result<Vec<(EntryId, Post)>, LedgerError>> + Send;

    /// Does what a post says, in the shard of whom it is for, and takes it out of the box. A
    /// cancellation of a child that goes on as one that is not there yet is `Unavailable`: it must
    /// come again.
    fn deliver(
        &self,
        term: &Term,
        entry: &EntryId,
        post: &Post,
    ) -> impl Future<Output = Result<(), LedgerError>> + Send;
}
