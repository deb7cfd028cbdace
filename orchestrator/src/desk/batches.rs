//! The batches of a turn: found, advanced and drafted as its workflows are.
//!
//! They share the turn: one inbox, one limit of effects, one call to the ledger. What follows here is
//! only what differs: another instance, another cache.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use paceline_types::batch::{BatchPlan, BatchProgress};
use paceline_types::{BatchDefinition, BatchId};

use super::backlog::Backlog;
use super::unheard::unheard_of_batch;
use super::{Answers, MAX_BACKLOG, MAX_EFFECTS, Source, Work};
use crate::batch::{
    BatchCache, BatchDraft, BatchEffect, BatchEvent, BatchInstance, BatchRefusal, BatchTransition,
    HeldBatch, advance_batch,
};
use crate::ports::{
    BatchAlarm, BatchCommit, Batches, CommitOutcome, LedgerError, Parked, StoredBatch, Turn,
};
use crate::term::Term;

/// Memory for cached batches: 64 MiB, or the last one however large it is.
const CACHE_BYTES: usize = 64 << 20;

/// One event for one batch.
#[derive(Clone, Debug)]
pub(crate) struct BatchArrival {
    pub(crate) batch: BatchId,
    pub(crate) event: BatchEvent,
    pub(crate) source: Source,
}

/// A batch as a turn finds it.
enum Found {
    Here(HeldBatch),
    Missing,
    Broken { problem: String, revision: u64 },
}

/// The batches in hand, and what is left over of them.
#[derive(Debug)]
pub(super) struct BatchDesk {
    cache: BatchCache,
    backlog: Backlog<BatchId>,
}

/// The batches of one turn.
pub(super) struct BatchBench {
    found: BTreeMap<BatchId, Found>,
    drafts: BTreeMap<BatchId, BatchDraft>,
    /// Those of the backlog that this turn goes on with.
    backlog: Vec<BatchId>,
}

/// What must be known of a turn's commits once they are written.
pub(super) struct BatchMarks {
    /// Which batches, and whether work is left over of them.
    changed: Vec<(BatchId, bool)>,
    /// Those that lose their marks.
    unmarked: Vec<BatchId>,
}

impl BatchMarks {
    pub(super) fn of(turn: &Turn) -> BatchMarks {
        let changed = turn.batches.iter();
        let unmarked = turn.parked.iter().filter(|parked| parked.unmark);
        BatchMarks {
            changed: changed.map(|commit| (commit.batch, commit.more)).collect(),
            unmarked: unmarked.filter_map(|parked| parked.batch).collect(),
        }
    }
}

impl BatchDesk {
    pub(super) fn new() -> BatchDesk {
        BatchDesk {
            cache: BatchCache::new(CACHE_BYTES),
            backlog: Backlog::default(),
        }
    }

    pub(super) fn has_backlog(&self) -> bool {
        !self.backlog.is_empty()
    }

    pub(super) fn remember(&mut self, batch: BatchId) {
        self.backlog.push(batch);
    }

    /// The next batches of the backlog, for a turn that goes on with at most `max` instances.
    pub(super) fn waiting(&self, max: usize) -> Vec<BatchId> {
        self.backlog.first(max.min(MAX_BACKLOG))
    }

    /// After a turn that failed: if one of these is what fails, the others must not wait behind it.
    pub(super) fn defer(&mut self, backlog: Vec<BatchId>) {
        for batch in backlog {
            self.backlog.settle(batch, true);
        }
    }

    /// Looks at a batch, from the cache if it is there. None if it is missing or broken.
    pub(super) async fn look<L: Batches, T>(
        &mut self,
        ledger: &L,
        term: &Term,
        batch: BatchId,
        see: impl FnOnce(&BatchInstance) -> T,
    ) -> Result<Option<T>, LedgerError> {
        let mut found = self.find(ledger, term, [batch].into()).await?;
        match found.remove(&batch) {
            Some(Found::Here(held)) => {
                let seen = see(&held.instance);
                self.cache.put(held);
                Ok(Some(seen))
            }
            Some(Found::Missing | Found::Broken { .. }) | None => Ok(None),
        }
    }

    /// As [`BatchDesk::look`], of what is kept, with what its record says that it has not heard of.
    pub(super) async fn look_anew<L: Batches, T>(
        &mut self,
        ledger: &L,
        term: &Term,
        batch: BatchId,
        see: impl FnOnce(&BatchInstance) -> T,
    ) -> Result<Option<(T, Vec<BatchEvent>)>, LedgerError> {
        self.cache.take(batch);
        let stored = ledger.load_batches(term, &[batch]).await?;
        let Some(stored) = stored.into_iter().flatten().next() else {
            return Ok(None);
        };
        let (cancelled, retried) = (stored.cancelled.clone(), stored.retried);
        let Found::Here(held) = read(batch, stored) else {
            return Ok(None);
        };
        let unheard = unheard_of_batch(&held.instance, cancelled, retried);
        let seen = see(&held.instance);
        self.cache.put(held);
        Ok(Some((seen, unheard)))
    }

    /// Begins a turn with what arrives and what waits.
    pub(super) async fn begin<L: Batches>(
        &mut self,
        ledger: &L,
        term: &Term,
        work: &Work,
        backlog: Vec<BatchId>,
    ) -> Result<BatchBench, LedgerError> {
        for arrival in &work.batches {
            // The record was changed by another hand: what is cached is too old to judge it.
            if matches!(arrival.event, BatchEvent::RetryRequested { .. }) {
                self.cache.take(arrival.batch);
            }
        }
        let arriving = work.batches.iter().map(|arrival| arrival.batch);
        let armed = work.arms.iter().map(|(batch, ..)| *batch);
        let touched = arriving
            .chain(armed)
            .chain(backlog.iter().copied())
            .collect();
        Ok(BatchBench {
            found: self.find(ledger, term, touched).await?,
            drafts: BTreeMap::new(),
            backlog,
        })
    }

    async fn find<L: Batches>(
        &mut self,
        ledger: &L,
        term: &Term,
        batches: std::collections::BTreeSet<BatchId>,
    ) -> Result<BTreeMap<BatchId, Found>, LedgerError> {
        let mut found = BTreeMap::new();
        let mut unknown = Vec::new();
        for batch in batches {
            match self.cache.take(batch) {
                Some(held) => drop(found.insert(batch, Found::Here(held))),
                None => unknown.push(batch),
            }
        }
        if !unknown.is_empty() {
            let stored = ledger.load_batches(term, &unknown).await?;
            for (batch, stored) in unknown.into_iter().zip(stored) {
                let read = |stored: StoredBatch| read(batch, stored);
                found.insert(batch, stored.map_or(Found::Missing, read));
            }
        }
        Ok(found)
    }

    /// Takes in what became of the turn's commits.
    pub(super) fn settle(
        &mut self,
        bench: BatchBench,
        marks: BatchMarks,
        outcomes: &[CommitOutcome],
        answers: &mut Answers,
    ) {
        let mut found = bench.found;
        for ((batch, more), outcome) in marks.changed.into_iter().zip(outcomes) {
            let held = found.remove(&batch);
            match outcome {
                CommitOutcome::Committed { revision } => {
                    if let Some(Found::Here(mut held)) = held {
                        held.revision = *revision;
                        if !held.instance.stage().is_closed() {
                            self.cache.put(held);
                        }
                    }
                    self.backlog.settle(batch, more);
                }
                CommitOutcome::Stale => {
                    tracing::debug!(%batch, "stale: loading the batch again");
                    answers.stale += 1;
                }
                CommitOutcome::Missing => self.backlog.settle(batch, false),
            }
        }
        for batch in marks.unmarked {
            self.backlog.settle(batch, false);
        }
        for held in found.into_values() {
            if let Found::Here(held) = held {
                self.cache.put(held);
            }
        }
    }
}

impl BatchBench {
    /// Applies an event, and parks what cannot be.
    pub(super) fn apply(
        &mut self,
        arrival: BatchArrival,
        budget: usize,
        answers: &mut Answers,
        parked: &mut Vec<Parked>,
    ) {
        let BatchArrival {
            batch,
            event,
            source,
        } = arrival;
        let limit = budget.saturating_sub(answers.effects);
        let retries = matches!(event, BatchEvent::RetryRequested { .. });
        let problem = match self.found.get_mut(&batch) {
            // The walk was faster, and it has ended once more since.
            Some(Found::Here(held)) if retries && !held.retried => None,
            Some(Found::Here(held)) => {
                let before = progress(&held.instance);
                match advance_batch(&mut held.instance, &event, limit) {
                    Ok(transition) => {
                        held.retried &= !retries;
                        answers.applied += 1;
                        return self.note(batch, before, transition, answers);
                    }
                    Err(BatchRefusal::Late(_)) => None,
                    Err(BatchRefusal::Impossible(why)) => Some(why.to_string()),
                }
            }
            Some(Found::Broken { problem, .. }) => Some(problem.clone()),
            // Purged since, with all that it could still be told.
            Some(Found::Missing) | None => None,
        };
        if source == Source::Mark {
            self.restate(batch);
        }
        match problem {
            None => answers.late += 1,
            Some(reason) => {
                answers.impossible += 1;
                parked.push(self.parked(batch, &event, source, reason));
            }
        }
    }

    /// Has a batch that is there wait for a moment.
    pub(super) fn arm(
        &mut self,
        batch: BatchId,
        alarm: BatchAlarm,
        after: Duration,
        answers: &mut Answers,
    ) {
        if !matches!(self.found.get(&batch), Some(Found::Here(_))) {
            return;
        }
        answers.applied += 1;
        self.restate(batch);
        if let Some(draft) = self.drafts.get_mut(&batch) {
            draft.rearm(alarm, after);
        }
    }

    /// Goes on with those of the backlog.
    pub(super) fn go_on(&mut self, answers: &mut Answers, parked: &mut Vec<Parked>) {
        for batch in self.backlog.clone() {
            let limit = MAX_EFFECTS.saturating_sub(answers.effects);
            match self.found.get_mut(&batch) {
                // With nothing to spare it would only be written for nothing.
                Some(Found::Here(held)) if limit > 0 => {
                    let before = progress(&held.instance);
                    match advance_batch(&mut held.instance, &BatchEvent::Continue, limit) {
                        Ok(transition) => self.note(batch, before, transition, answers),
                        // Its events of this turn have done it, or another leader's.
                        Err(_) => self.restate(batch),
                    }
                }
                Some(Found::Here(_)) => {}
                Some(Found::Missing) | None => self.restate(batch),
                Some(Found::Broken { problem, .. }) => {
                    let reason = problem.clone();
                    answers.impossible += 1;
                    let event = BatchEvent::Continue;
                    parked.push(self.parked(batch, &event, Source::Mark, reason));
                }
            }
        }
    }

    /// The commits.
    pub(super) fn finish(&mut self) -> Vec<BatchCommit> {
        let drafts = std::mem::take(&mut self.drafts);
        drafts
            .into_iter()
            .map(|(batch, draft)| {
                draft.finish(match self.found.get(&batch) {
                    Some(Found::Here(held)) => Some(&held.instance),
                    Some(Found::Missing | Found::Broken { .. }) | None => None,
                })
            })
            .collect()
    }

    fn note(
        &mut self,
        batch: BatchId,
        before: BatchProgress,
        transition: BatchTransition,
        answers: &mut Answers,
    ) {
        answers.effects += transition.effects.iter().filter(is_job).count();
        if let Some(Found::Here(held)) = self.found.get(&batch) {
            let draft = self.drafts.entry(batch);
            draft
                .or_insert_with(|| BatchDraft::changing(batch, held.revision, Some(before)))
                .add(transition);
        }
    }

    /// A commit that states the marks as they should be, if there is none yet.
    fn restate(&mut self, batch: BatchId) {
        let draft = || match self.found.get(&batch) {
            Some(Found::Here(held)) => BatchDraft::restating(&held.instance, held.revision),
            Some(Found::Broken { revision, .. }) => BatchDraft::changing(batch, *revision, None),
            Some(Found::Missing) | None => BatchDraft::absent(batch),
        };
        self.drafts.entry(batch).or_insert_with(draft);
    }

    fn parked(&self, batch: BatchId, event: &BatchEvent, source: Source, reason: String) -> Parked {
        let state = match self.found.get(&batch) {
            Some(Found::Here(held)) => {
                let header = held.instance.header();
                format!("{header:?} at revision {}", held.revision)
            }
            Some(Found::Missing | Found::Broken { .. }) | None => "unreadable".to_owned(),
        };
        let (entry, unmark) = match source {
            Source::Inbox(entry) => (Some(entry), false),
            Source::Mark => (None, true),
            Source::Walk => (None, false),
        };
        let event = format!("{event:?}");
        tracing::error!(%batch, event, state, reason, "an event that cannot be applied is parked");
        Parked {
            entry,
            workflow: None,
            batch: Some(batch),
            unmark,
            event,
            state,
            reason,
        }
    }
}

fn progress(batch: &BatchInstance) -> BatchProgress {
    batch.header().progress(batch.id(), batch.plan().total)
}

fn is_job(effect: &&BatchEffect) -> bool {
    match effect {
        BatchEffect::DispatchOnetime { .. } | BatchEffect::Dispatch(_) | BatchEffect::Cancel(_) => {
            true
        }
        BatchEffect::KeepOnetime { .. }
        | BatchEffect::Arm(..)
        | BatchEffect::Disarm(_)
        | BatchEffect::Close { .. } => false,
    }
}

/// A batch of what is kept.
fn read(batch: BatchId, stored: StoredBatch) -> Found {
    let (revision, retried) = (stored.revision, stored.retried.is_some());
    let broken = |what: &str, problem: String| Found::Broken {
        problem: format!("the kept {what} is broken: {problem}"),
        revision,
    };
    let total = u32::try_from(stored.records.len()).unwrap_or(u32::MAX);
    let text = String::from_utf8_lossy(&stored.definition);
    let plan = BatchDefinition::from_json(&text)
        .and_then(|definition| BatchPlan::restore(&definition, total));
    let plan = match plan {
        Ok(plan) => Arc::new(plan),
        Err(problem) => return broken("definition", problem.to_string()),
    };
    match BatchInstance::restore(batch, plan, stored.header, stored.records) {
        Ok(instance) => Found::Here(HeldBatch {
            instance,
            revision,
            retried,
        }),
        Err(problem) => broken("batch", problem.to_string()),
    }
}
