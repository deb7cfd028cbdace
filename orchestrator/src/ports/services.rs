//! The ports of the services beside workflows, the look at everything, and the bell.

use std::future::Future;
use std::time::Duration;

use paceline_types::scheduled::{DueSchedules, Fired, FiringStep};
use paceline_types::{NodeId, ScheduleId, ShardIndex};

use super::{Cursor, Ledger, LedgerError, Outbox};
use crate::term::Term;

/// What a promotion did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Promoted {
    /// Jobs that were due and wait in their lanes now.
    pub moved: usize,
    /// When the next one is due, by the server's clock; zero if some are due already.
    pub next_due_in: Option<Duration>,
}

/// Work that waits for its time.
pub trait Delayed: Send + Sync {
    /// Moves what is due to its lanes, earliest first, at most `max`.
    fn promote(
        &self,
        term: &Term,
        max: usize,
    ) -> impl Future<Output = Result<Promoted, LedgerError>> + Send;
}

/// What a step over the timers of jobs did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JobsExpired {
    /// Timers that had passed, and were seen to.
    pub seen: usize,
    /// When the next one passes, by the server's clock; zero if one has already.
    pub next_in: Option<Duration>,
}

/// Moments by which something must have happened to a job.
pub trait Timers: Send + Sync {
    /// Sees to those that have passed, earliest first, at most `max`: such a job is dead or asked
    /// to stop, or its run is taken from its node. None is seen to twice.
    fn expire_jobs(
        &self,
        term: &Term,
        max: usize,
    ) -> impl Future<Output = Result<JobsExpired, LedgerError>> + Send;
}

/// What a flush of groups did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupsFlushed {
    /// Jobs that were made, one of each group.
    pub made: usize,
    /// When the next group is due, by the server's clock; zero if some are due already.
    pub next_due_in: Option<Duration>,
}

/// Groups, in which messages stand until they become a job.
pub trait Groups: Send + Sync {
    /// Makes one job of each group that is due, earliest first, of at most `max`. A message is
    /// in the group or in the job, at any moment in exactly one of them.
    fn flush_due(
        &self,
        term: &Term,
        max: usize,
    ) -> impl Future<Output = Result<GroupsFlushed, LedgerError>> + Send;
}

/// What a step of recovery did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Runs that another node may claim now.
    pub handed_on: usize,
    /// Jobs that crashed too often, and are dead now.
    pub buried: usize,
    /// Jobs whose cancellation was asked for, and that are cancelled now.
    pub cancelled: usize,
    /// Where to go on; none when no dead node holds anything any more.
    pub next: Option<Cursor>,
}

/// The leases of nodes, and what dead nodes held.
pub trait Nodes: Send + Sync {
    /// Ends the leases that ran out by the server's clock: those nodes are dead, and their
    /// settlements are refused from now on. Returns them.
    fn expire_nodes(
        &self,
        term: &Term,
    ) -> impl Future<Output = Result<Vec<NodeId>, LedgerError>> + Send;

    /// Takes at most `max` runs from dead nodes.
    fn recover(
        &self,
        term: &Term,
        from: Option<Cursor>,
        max: usize,
    ) -> impl Future<Output = Result<Recovered, LedgerError>> + Send;
}

/// What a step of retention did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Purged {
    /// Records that are gone.
    pub removed: usize,
    /// Whether more is past its time.
    pub more: bool,
}

/// What is kept for a while after its end.
pub trait Retention: Send + Sync {
    /// Removes what is past its time, oldest first, at most `max` records. A job of a workflow
    /// that has not ended stays: its result may still be asked for.
    fn purge(
        &self,
        term: &Term,
        max: usize,
    ) -> impl Future<Output = Result<Purged, LedgerError>> + Send;
}

/// What a step of checking lanes did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LanesChecked {
    /// Things that were looked at.
    pub seen: usize,
    /// Of them, those that stood still and move again.
    pub repaired: usize,
    /// There is more to do at once.
    pub more: bool,
    /// Where to go on; none at the end.
    pub next: Option<Cursor>,
}

/// The lanes, and the index of those that have work.
pub trait Lanes: Send + Sync {
    /// Compares lanes, ready index and owners, and repairs what differs; looks at about `max`.
    fn check_lanes(
        &self,
        term: &Term,
        from: Option<Cursor>,
        max: usize,
    ) -> impl Future<Output = Result<LanesChecked, LedgerError>> + Send;
}

/// A definition as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredSchedule {
    /// Names this definition.
    pub revision: String,
    /// It, as JSON.
    pub definition: String,
}

/// Schedules, and the firings that wait for the end of a run.
pub trait Schedules: Send + Sync {
    /// The shard that they and their jobs live in.
    fn shard(&self) -> ShardIndex;

    /// Schedules that are due by the server's clock, longest first, at most `max`, and as many
    /// whose buffer may start.
    fn due_schedules(
        &self,
        term: &Term,
        max: usize,
    ) -> impl Future<Output = Result<DueSchedules, LedgerError>> + Send;

    /// Definitions, in the order of the ids; none where there is none. At most 100 ids.
    fn schedule_definitions(
        &self,
        term: &Term,
        ids: &[ScheduleId],
    ) -> impl Future<Output = Result<Vec<Option<StoredSchedule>>, LedgerError>> + Send;

    /// Carries out each step whole, or not at all when its schedule is not as the step says. A
    /// firing whose turn it is becomes a job, or does not, as the overlap policy has it: with what
    /// is true at that moment. At most 100 firings in all.
    fn fire(
        &self,
        term: &Term,
        steps: Vec<FiringStep>,
    ) -> impl Future<Output = Result<Fired, LedgerError>> + Send;
}

/// The audit trails of jobs that asked for one.
pub trait Trails: Send + Sync {
    /// Copies a bounded stretch of the event log to the trails, from where the last call ended.
    /// Says whether there is more; each event is copied once.
    fn copy_trails(&self, term: &Term) -> impl Future<Output = Result<bool, LedgerError>> + Send;
}

/// What waits for the leader of a shard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// The inbox is not empty.
    pub inbox: bool,
    /// An instance is marked as unfinished.
    pub unfinished: bool,
    /// A moment has passed that an instance waits for.
    pub overdue: bool,
    /// Another instance must be told something.
    pub posts: bool,
    /// When the next delayed job is due; zero if one is due already.
    pub next_due_in: Option<Duration>,
    /// When the next timer of a job passes; zero if one has already.
    pub next_timer_in: Option<Duration>,
    /// The lease of a node ran out, or a dead node still holds runs.
    pub dead_nodes: bool,
    /// Something is past its retention.
    pub purgeable: bool,
    /// When the next schedule is due; zero also when a firing that waited may start.
    pub next_firing_in: Option<Duration>,
    /// Something may have happened to an audited job.
    pub trails_due: bool,
    /// When the next group is due; zero if one is due already.
    pub next_group_in: Option<Duration>,
}

/// One look at everything.
pub trait Overview: Send + Sync {
    /// What there is to do now, in one cheap call.
    fn survey(&self, term: &Term) -> impl Future<Output = Result<Survey, LedgerError>> + Send;
}

/// Everything that the leader's loop needs.
pub trait World:
    Ledger
    + Outbox
    + Delayed
    + Schedules
    + Timers
    + Groups
    + Nodes
    + Retention
    + Lanes
    + Trails
    + Overview
{
}

impl<T> World for T where
    T: Ledger
        + Outbox
        + Delayed
        + Schedules
        + Timers
        + Groups
        + Nodes
        + Retention
        + Lanes
        + Trails
        + Overview
{
}

/// Wakes the leader.
///
/// Rung when an entry reaches the inbox, when a job becomes the earliest of those that wait
/// for their time, and when a group becomes due soon. A lost ring costs latency only: the loop also looks by itself.
pub trait Bell: Send {
    /// Returns after a ring, with true, or after about `at_most`, with false. A ring between two
    /// calls counts for the next one. Safe to drop before it returns.
    fn wait(&mut self, at_most: Duration) -> impl Future<Output = bool> + Send;
}
