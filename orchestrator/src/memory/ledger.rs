//! The ledger's own port, served from memory.

use std::collections::BTreeSet;

use bytes::Bytes;
use paceline_types::{JobId, WorkflowId};

use super::commit::{BOUND, check_turn};
use super::services::unavailable;
use super::{Fault, JobState, Kept, MemoryLedger, State};
use crate::ports::{
    Alarm, CommitOutcome, Cursor, Delivery, EntryId, JobPhase, Ledger, LedgerError, Page,
    ReadAhead, StoredInstance, Turn, TurnReply,
};
use crate::term::Term;

/// Shards of the namespace: children have ids of other ones, and live here all the same.
const SHARDS: u16 = 3;

impl State {
    fn read(&self, ahead: &ReadAhead) -> Vec<Delivery> {
        let after = ahead
            .after
            .as_ref()
            .and_then(|entry| entry.0.parse().ok())
            .unwrap_or(0_u64);
        let entries = self.inbox.range(after + 1..).take(ahead.max);
        entries
            .map(|(entry, items)| Delivery {
                entry: EntryId(entry.to_string()),
                items: items.clone(),
            })
            .collect()
    }

    fn consume(&mut self, entry: &EntryId) {
        let Ok(number) = entry.0.parse::<u64>() else {
            return;
        };
        let Some(items) = self.inbox.remove(&number) else {
            return;
        };
        if self.repeat && !self.repeated.contains(&number) {
            self.deliver(items);
            self.repeated.insert(self.entries);
        }
    }
}

fn stored_of(kept: &Kept) -> StoredInstance {
    let signals = kept.signals.iter();
    StoredInstance {
        definition: kept.definition.clone(),
        input: kept.input.clone(),
        origin: kept.origin.as_ref().map(|(origin, _)| *origin),
        continued_from: kept.continued_from,
        suspended: kept.suspended,
        cancelled: kept.cancelled.clone(),
        retried: kept.is_retried(),
        header: kept.header.clone(),
        revision: kept.revision,
        tasks: kept
            .tasks
            .iter()
            .map(|(task, record)| (*task, record.clone()))
            .collect(),
        sections: kept.sections.values().cloned().collect(),
        signals: signals
            .map(|(number, (name, _))| (*number, name.clone()))
            .collect(),
        last_signal: kept.last_signal,
    }
}

impl Ledger for MemoryLedger {
    async fn inbox(&self, term: &Term, ahead: ReadAhead) -> Result<Vec<Delivery>, LedgerError> {
        let mut state = self.state();
        state.admit(term)?;
        Ok(state.read(&ahead))
    }

    async fn load(
        &self,
        term: &Term,
        workflows: &[WorkflowId],
    ) -> Result<Vec<Option<StoredInstance>>, LedgerError> {
        assert!(workflows.len() <= BOUND, "too many ids");
        let mut state = self.state();
        state.admit(term)?;
        let stored = |id: &WorkflowId| state.workflows.get(id).map(stored_of);
        Ok(workflows.iter().map(stored).collect())
    }

    async fn commit(&self, term: &Term, turn: Turn) -> Result<TurnReply, LedgerError> {
        check_turn(&turn);
        let ids: BTreeSet<WorkflowId> = turn.commits.iter().map(|commit| commit.workflow).collect();
        let mut state = self.state();
        let fault = state.faults.pop_front();
        if fault == Some(Fault::Before) {
            return Err(unavailable("failed on purpose, before"));
        }
        state.admit(term)?;
        if ids.iter().any(|id| state.poisoned.contains(id)) {
            return Err(unavailable("poisoned on purpose"));
        }
        state.tally.turns += 1;
        let outcomes: Vec<CommitOutcome> = turn
            .commits
            .into_iter()
            .map(|commit| state.apply(commit))
            .collect();
        let batches: Vec<CommitOutcome> = turn
            .batches
            .into_iter()
            .map(|commit| state.apply_batch(commit))
            .collect();
        let stale = CommitOutcome::Stale;
        if !outcomes.contains(&stale) && !batches.contains(&stale) {
            for entry in &turn.consumed {
                state.consume(entry);
            }
            for parked in turn.parked {
                if parked.unmark
                    && let Some(workflow) = parked.workflow
                    && let Some(kept) = state.workflows.get_mut(&workflow)
                {
                    kept.unfinished = false;
                    kept.alarms.clear();
                }
                if let Some(batch) = parked.batch.filter(|_| parked.unmark) {
                    state.batches.unmark(batch);
                }
                state.parked.push(parked);
            }
        }
        let next = turn
            .read_ahead
            .map(|ahead| state.read(&ahead))
            .unwrap_or_default();
        match fault {
            Some(Fault::After) => Err(unavailable("failed on purpose, after")),
            Some(Fault::Before) | None => Ok(TurnReply {
                outcomes,
                batches,
                next,
            }),
        }
    }

    async fn overdue(
        &self,
        term: &Term,
        max: usize,
    ) -> Result<Vec<(WorkflowId, Alarm)>, LedgerError> {
        let mut state = self.state();
        state.admit(term)?;
        let mut overdue = Vec::new();
        for (id, kept) in &state.workflows {
            let passed = kept.alarms.iter().filter(|(_, due)| **due <= state.now);
            overdue.extend(passed.map(|(alarm, due)| (*due, *id, *alarm)));
        }
        overdue.sort_unstable();
        let overdue = overdue.into_iter().take(max);
        Ok(overdue.map(|(_, id, alarm)| (id, alarm)).collect())
    }

    async fn armed(
        &self,
        term: &Term,
        moments: &[(WorkflowId, Alarm)],
    ) -> Result<Vec<bool>, LedgerError> {
        assert!(moments.len() <= BOUND, "too many moments");
        let mut state = self.state();
        state.admit(term)?;
        let armed = |(id, alarm): &(WorkflowId, Alarm)| {
            let kept = state.workflows.get(id);
            kept.is_some_and(|kept| kept.alarms.contains_key(alarm))
        };
        Ok(moments.iter().map(armed).collect())
    }

    fn shards(&self) -> u16 {
        SHARDS
    }

    async fn results(
        &self,
        term: &Term,
        jobs: &[JobId],
    ) -> Result<Vec<Option<Bytes>>, LedgerError> {
        assert!(jobs.len() <= BOUND, "too many ids");
        let mut state = self.state();
        state.admit(term)?;
        state.tally.reads += 1;
        state.tally.results += jobs.len() as u64;
        Ok(jobs.iter().map(|&job| state.result(job)).collect())
    }

    async fn unfinished(&self, term: &Term, max: usize) -> Result<Vec<WorkflowId>, LedgerError> {
        let mut state = self.state();
        state.admit(term)?;
        let marked = state.workflows.iter().filter(|(_, kept)| kept.unfinished);
        Ok(marked.take(max).map(|(id, _)| *id).collect())
    }

    async fn active(
        &self,
        term: &Term,
        from: Option<Cursor>,
        max: usize,
    ) -> Result<Page<WorkflowId>, LedgerError> {
        let mut state = self.state();
        state.admit(term)?;
        let after = from.and_then(|cursor| cursor.0.parse::<WorkflowId>().ok());
        let active = state.workflows.iter().filter(|(_, kept)| !kept.retired);
        let items: Vec<WorkflowId> = active
            .map(|(id, _)| *id)
            .filter(|id| after.is_none_or(|after| *id > after))
            .take(max)
            .collect();
        let next = items.last().filter(|_| items.len() == max);
        Ok(Page {
            next: next.map(|id| Cursor(id.to_string())),
            items,
        })
    }

    async fn job_phases(&self, term: &Term, jobs: &[JobId]) -> Result<Vec<JobPhase>, LedgerError> {
        assert!(jobs.len() <= BOUND, "too many ids");
        let mut state = self.state();
        state.admit(term)?;
        let known = |id: &JobId| state.jobs.get(id).map(|job| &job.state);
        let phase = |id: &JobId| match known(id).or_else(|| state.batches.phase(*id)) {
            None => JobPhase::Missing,
            Some(JobState::Waiting | JobState::Running | JobState::CancelRequested) => {
                JobPhase::Unfinished
            }
            Some(JobState::Ended(outcome)) => JobPhase::Ended {
                outcome: outcome.clone(),
                attempt: 1,
            },
        };
        Ok(jobs.iter().map(phase).collect())
    }
}
