//! Where events meet instances: load, advance in memory, commit everything in one call.
//!
//! Every service that changes instances works through the one desk of its leader, so that they
//! share the cache and see each other's commits. A turn is one call to the ledger however many
//! instances it touches. What did not fit under the limit of effects is remembered in the
//! backlog, and marked in the ledger for the case that this leader does not come to it; each
//! turn keeps a share of its effects for the backlog, so that neither a large fan-out nor a busy
//! inbox holds the other up.

//!
//! Some decisions rest on what jobs left: the route of a condition, the elements of a map. Within
//! a turn these results are fetched and the instances gone on with, for a few rounds; what is
//! still missing then belongs to the backlog.

mod again;
mod backlog;
mod batches;
mod bench;
mod plans;
mod sheets;
mod turn;
mod unheard;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use paceline_types::{BatchId, WorkflowId};

use backlog::Backlog;
pub(crate) use batches::BatchArrival;
use batches::BatchDesk;
use bench::{Found, read};
use plans::Plans;
use sheets::Sheets;

use crate::batch::BatchInstance;
use crate::cache::Cache;
use crate::instance::{Instance, Limits};
use crate::ports::{
    Alarm, BatchAlarm, Delivery, EntryId, Ledger, LedgerError, Parked, Post, ReadAhead,
    StoredInstance,
};
use crate::term::Term;
use crate::transition::Event;

/// Most dispatches, cancellations, resets and the like of one turn.
pub const MAX_EFFECTS: usize = 100;

/// Of these, how many are kept for the backlog while there is one.
const BACKLOG_SHARE: usize = 25;

/// Most events that are applied in one turn, and so most instances that it loads.
pub const MAX_EVENTS: usize = 100;

/// Most rounds of fetching results in one turn.
pub(crate) const MAX_ROUNDS: usize = 16;

/// Most instances of the backlog that one turn goes on with.
pub(crate) const MAX_BACKLOG: usize = 20;

/// Memory for cached instances unless configured otherwise: 256 MiB.
pub const DEFAULT_CACHE_BYTES: usize = 256 << 20;

/// Where an event comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// An entry of the inbox.
    Inbox(EntryId),
    /// A mark in the ledger (unfinished, or an alarm), which must be taken away even if the event
    /// comes late.
    Mark,
    /// The reconciler.
    Walk,
}

/// One event for one instance.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    pub(crate) workflow: WorkflowId,
    pub(crate) event: Event,
    pub(crate) source: Source,
}

/// Something that is to be true of an instance whatever happened to it.
#[derive(Clone, Debug)]
pub(crate) enum Mend {
    /// It waits for this moment.
    Arm(Alarm, Duration),
    /// Another instance is told this once more.
    Post(Post),
}

/// What a turn works on: at most [`MAX_EVENTS`] arrivals.
#[derive(Debug, Default)]
pub(crate) struct Work {
    pub(crate) arrivals: Vec<Arrival>,
    /// Those for batches; they count among the arrivals.
    pub(crate) batches: Vec<BatchArrival>,
    pub(crate) mends: Vec<(WorkflowId, Mend)>,
    /// Moments that batches are to wait for, whatever happened to them.
    pub(crate) arms: Vec<(BatchId, BatchAlarm, Duration)>,
    pub(crate) consumed: Vec<EntryId>,
    pub(crate) parked: Vec<Parked>,
    pub(crate) read_ahead: Option<ReadAhead>,
    /// Instances of the backlog to go on with, at most [`MAX_BACKLOG`].
    pub(crate) backlog: usize,
}

/// What became of a turn's events.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answers {
    /// Events that changed an instance.
    pub applied: usize,
    /// Events that came twice or after their time.
    pub late: usize,
    /// Events that were parked.
    pub impossible: usize,
    /// Commits that were refused because the instance had changed; their events come again.
    pub stale: usize,
    /// Dispatches, cancellations, resets and the like.
    pub effects: usize,
    /// What was read ahead.
    pub(crate) next: Vec<Delivery>,
}

/// The instances in hand, and what is left over of them.
#[derive(Debug)]
pub struct Desk<L> {
    ledger: Arc<L>,
    cache: Cache,
    plans: Plans,
    backlog: Backlog<WorkflowId>,
    batches: BatchDesk,
    sheets: Sheets,
    limits: Limits,
    /// How many results are asked for at once.
    results_at_once: usize,
    /// Whether posts may have been written since that was asked last.
    posted: bool,
}

impl<L: Ledger> Desk<L> {
    /// A desk that caches instances of at most `cache_bytes` in all.
    #[must_use]
    pub fn new(ledger: Arc<L>, cache_bytes: usize) -> Desk<L> {
        Desk {
            ledger,
            cache: Cache::new(cache_bytes),
            plans: Plans::default(),
            backlog: Backlog::default(),
            batches: BatchDesk::new(),
            sheets: Sheets::default(),
            limits: Limits::default(),
            results_at_once: turn::MAX_RESULTS,
            posted: false,
        }
    }

    /// With these sizes in place of the usual ones.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Desk<L> {
        Desk { limits, ..self }
    }

    /// The ledger that it works on.
    #[must_use]
    pub fn ledger(&self) -> &L {
        &self.ledger
    }

    /// Whether work is left over.
    #[must_use]
    pub fn has_backlog(&self) -> bool {
        !self.backlog.is_empty() || self.batches.has_backlog()
    }

    /// Whether a commit may have written posts since the last call: they can be delivered.
    #[must_use]
    pub fn take_posted(&mut self) -> bool {
        std::mem::take(&mut self.posted)
    }

    /// Bytes that cached instances take, about.
    #[must_use]
    pub fn footprint(&self) -> usize {
        self.cache.size()
    }

    /// Puts an instance at the end of the backlog, once.
    pub(crate) fn remember(&mut self, workflow: WorkflowId) {
        self.backlog.push(workflow);
    }

    /// Puts a batch at the end of the backlog, once.
    pub(crate) fn remember_batch(&mut self, batch: BatchId) {
        self.batches.remember(batch);
    }

    /// Looks at a batch, from the cache if it is there. None if it is missing or broken.
    pub(crate) async fn look_at_batch<T>(
        &mut self,
        term: &Term,
        batch: BatchId,
        see: impl FnOnce(&BatchInstance) -> T,
    ) -> Result<Option<T>, LedgerError> {
        self.batches.look(&*self.ledger, term, batch, see).await
    }

    /// Drops what is cached of an instance, as another hand may have changed it.
    pub(crate) fn doubt(&mut self, workflow: WorkflowId) {
        self.cache.take(workflow);
    }

    /// Looks at an instance and its revision, from the cache if it is there. None if it is missing or
    /// broken.
    pub(crate) async fn look<T>(
        &mut self,
        term: &Term,
        workflow: WorkflowId,
        see: impl FnOnce(&Instance, u64) -> T,
    ) -> Result<Option<T>, LedgerError> {
        let mut found = self.find(term, &[workflow]).await?;
        match found.remove(&workflow) {
            Some(Found::Here(held)) => {
                let seen = see(&held.instance, held.revision);
                self.cache.put(*held);
                Ok(Some(seen))
            }
            Some(Found::Missing | Found::Broken { .. }) | None => Ok(None),
        }
    }

    async fn find(
        &mut self,
        term: &Term,
        workflows: &[WorkflowId],
    ) -> Result<BTreeMap<WorkflowId, Found>, LedgerError> {
        let mut found = BTreeMap::new();
        let mut unknown = Vec::new();
        for &workflow in workflows {
            match self.cache.take(workflow) {
                Some(held) => {
                    found.insert(workflow, Found::Here(Box::new(held)));
                }
                None => unknown.push(workflow),
            }
        }
        if !unknown.is_empty() {
            let stored = self.ledger.load(term, &unknown).await?;
            for (workflow, stored) in unknown.into_iter().zip(stored) {
                let (plans, limits) = (&mut self.plans, self.limits);
                let read = |stored: StoredInstance| read(plans, limits, workflow, stored);
                found.insert(workflow, stored.map_or(Found::Missing, read));
            }
        }
        Ok(found)
    }
}
