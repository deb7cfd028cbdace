//! Where events meet instances: load, advance in memory, commit everything in one call.
//!
//! Every service that changes instances works through the one desk of its leader, so that they
//! share the cache and see each other's commits. A turn is one call to the ledger however many
//! instances it touches. What did not fit under the limit of effects is remembered in the
//! backlog, and marked in the ledger for the case that this leader does not come to it; each
//! turn keeps a share of its effects for the backlog, so that neither a large fan-out nor a busy
//! inbox holds the other up.

mod bench;
mod plans;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use paceline_types::WorkflowId;

use bench::{Bench, Found, read};
use plans::Plans;

use crate::cache::Cache;
use crate::draft::Draft;
use crate::instance::Instance;
use crate::ports::{
    CommitOutcome, Delivery, EntryId, Ledger, LedgerError, Parked, ReadAhead, Turn, TurnReply,
};
use crate::term::Term;
use crate::transition::Event;

/// Most dispatches and cancellations of one turn.
pub const MAX_EFFECTS: usize = 100;

/// Of these, how many are kept for the backlog while there is one.
const BACKLOG_SHARE: usize = 25;

/// Most events that are applied in one turn, and so most instances that it loads.
pub const MAX_EVENTS: usize = 100;

/// Most instances of the backlog that one turn goes on with.
pub(crate) const MAX_BACKLOG: usize = 20;

/// Memory for cached instances unless configured otherwise: 256 MiB.
pub const DEFAULT_CACHE_BYTES: usize = 256 << 20;

/// Where an event comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// An entry of the inbox.
    Inbox(EntryId),
    /// A mark in the ledger, which must be taken away even if the event comes late.
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

/// What a turn works on: at most [`MAX_EVENTS`] arrivals.
#[derive(Debug, Default)]
pub(crate) struct Work {
    pub(crate) arrivals: Vec<Arrival>,
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
    /// Dispatches and cancellations.
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
    backlog: Backlog,
}

/// Instances with work left over, in the order of their turn, each once.
#[derive(Debug, Default)]
struct Backlog {
    tickets: u64,
    by_ticket: BTreeMap<u64, WorkflowId>,
    waiting: BTreeMap<WorkflowId, u64>,
}

impl Backlog {
    /// To the end of the queue, unless it waits already.
    fn push(&mut self, workflow: WorkflowId) {
        if !self.waiting.contains_key(&workflow) {
            self.tickets += 1;
            self.waiting.insert(workflow, self.tickets);
            self.by_ticket.insert(self.tickets, workflow);
        }
    }

    fn remove(&mut self, workflow: WorkflowId) {
        if let Some(ticket) = self.waiting.remove(&workflow) {
            self.by_ticket.remove(&ticket);
        }
    }
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
        }
    }

    /// The ledger that it works on.
    #[must_use]
    pub fn ledger(&self) -> &L {
        &self.ledger
    }

    /// Whether work is left over.
    #[must_use]
    pub fn has_backlog(&self) -> bool {
        !self.backlog.waiting.is_empty()
    }

    /// Puts an instance at the end of the backlog, once.
    pub(crate) fn remember(&mut self, workflow: WorkflowId) {
        self.backlog.push(workflow);
    }

    /// Looks at an instance, from the cache if it is there. None if it is missing or broken.
    pub(crate) async fn look<T>(
        &mut self,
        term: &Term,
        workflow: WorkflowId,
        see: impl FnOnce(&Instance) -> T,
    ) -> Result<Option<T>, LedgerError> {
        let mut found = self.find(term, &[workflow]).await?;
        match found.remove(&workflow) {
            Some(Found::Here(held)) => {
                let seen = see(&held.instance);
                self.cache.put(held);
                Ok(Some(seen))
            }
            Some(Found::Missing | Found::Broken(_)) | None => Ok(None),
        }
    }

    /// Applies events, goes on with the backlog, and commits all of it in one call.
    ///
    /// # Errors
    /// When the ledger fails; nothing is known of the turn then, and every event may be applied
    /// again.
    pub(crate) async fn turn(&mut self, term: &Term, work: Work) -> Result<Answers, LedgerError> {
        let backlog: Vec<WorkflowId> = self
            .backlog
            .by_ticket
            .values()
            .take(work.backlog)
            .copied()
            .collect();
        let answers = self.turn_with(term, work, &backlog).await;
        if answers.is_err() {
            // If one of these is what fails, the others must not wait behind it.
            for workflow in backlog {
                self.settle_backlog(workflow, true);
            }
        }
        answers
    }

    async fn turn_with(
        &mut self,
        term: &Term,
        work: Work,
        backlog: &[WorkflowId],
    ) -> Result<Answers, LedgerError> {
        let arriving = work.arrivals.iter().map(|arrival| arrival.workflow);
        let touched: BTreeSet<WorkflowId> = arriving.chain(backlog.iter().copied()).collect();
        let touched: Vec<WorkflowId> = touched.into_iter().collect();
        let mut bench = Bench {
            found: self.find(term, &touched).await?,
            drafts: BTreeMap::new(),
            answers: Answers::default(),
            parked: work.parked,
        };
        bench.answers.impossible = bench.parked.len();

        let events = work.arrivals.len();
        let reserve = if backlog.is_empty() { 0 } else { BACKLOG_SHARE };
        for arrival in work.arrivals {
            bench.apply(arrival, MAX_EFFECTS - reserve);
        }
        for &workflow in backlog {
            bench.go_on(workflow);
        }
        self.commit(term, bench, work.consumed, work.read_ahead, events)
            .await
    }

    async fn commit(
        &mut self,
        term: &Term,
        bench: Bench,
        consumed: Vec<EntryId>,
        read_ahead: Option<ReadAhead>,
        events: usize,
    ) -> Result<Answers, LedgerError> {
        let Bench {
            mut found,
            drafts,
            mut answers,
            parked,
        } = bench;
        let finish = |(workflow, draft): (WorkflowId, Draft)| {
            draft.finish(match found.get(&workflow) {
                Some(Found::Here(held)) => Some(&held.instance),
                Some(Found::Missing | Found::Broken(_)) | None => None,
            })
        };
        let commits: Vec<_> = drafts.into_iter().map(finish).collect();
        let changed: Vec<(WorkflowId, bool)> = commits
            .iter()
            .map(|commit| (commit.workflow, commit.more))
            .collect();
        let unmarked: Vec<WorkflowId> = parked
            .iter()
            .filter(|parked| parked.unmark)
            .flat_map(|parked| parked.workflow)
            .collect();
        let empty = commits.is_empty() && consumed.is_empty() && parked.is_empty();
        let turn = Turn {
            commits,
            consumed,
            parked,
            read_ahead,
        };
        if !empty || turn.read_ahead.is_some() {
            metrics::histogram!("paceline_orchestrator_turn_events").record(events as f64);
            metrics::histogram!("paceline_orchestrator_turn_commits").record(changed.len() as f64);
            metrics::histogram!("paceline_orchestrator_turn_effects")
                .record(answers.effects as f64);
        }
        let reply = if empty && turn.read_ahead.is_none() {
            TurnReply::default()
        } else {
            // What is dropped here on an error is loaded again: whether it was written is unknown.
            self.ledger.commit(term, turn).await?
        };

        for ((workflow, more), outcome) in changed.into_iter().zip(&reply.outcomes) {
            let held = found.remove(&workflow);
            match outcome {
                CommitOutcome::Committed { revision } => {
                    if let Some(Found::Here(mut held)) = held {
                        held.revision = *revision;
                        if !held.instance.stage().is_closed() {
                            self.cache.put(held);
                        }
                    }
                    self.settle_backlog(workflow, more);
                }
                CommitOutcome::Stale => {
                    tracing::debug!(%workflow, "stale: loading the instance again");
                    answers.stale += 1;
                }
                CommitOutcome::Missing => self.settle_backlog(workflow, false),
            }
        }
        for workflow in unmarked {
            self.backlog.remove(workflow);
        }
        for held in found.into_values() {
            if let Found::Here(held) = held {
                self.cache.put(held);
            }
        }
        answers.next = reply.next;
        count(&answers);
        Ok(answers)
    }

    /// After a commit: an instance with work left over goes to the end of the queue.
    fn settle_backlog(&mut self, workflow: WorkflowId, more: bool) {
        self.backlog.remove(workflow);
        if more {
            self.backlog.push(workflow);
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
                    found.insert(workflow, Found::Here(held));
                }
                None => unknown.push(workflow),
            }
        }
        if !unknown.is_empty() {
            let stored = self.ledger.load(term, &unknown).await?;
            for (workflow, stored) in unknown.into_iter().zip(stored) {
                found.insert(
                    workflow,
                    stored.map_or(Found::Missing, |stored| {
                        read(&mut self.plans, workflow, stored)
                    }),
                );
            }
        }
        Ok(found)
    }
}

fn count(answers: &Answers) {
    for (answer, events) in [
        ("applied", answers.applied),
        ("late", answers.late),
        ("impossible", answers.impossible),
    ] {
        if events > 0 {
            metrics::counter!("paceline_orchestrator_events_total", "answer" => answer)
                .increment(events as u64);
        }
    }
}
