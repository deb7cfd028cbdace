//! The leader's ports, on the store: translation of words, and nothing else.
//!
//! The orchestrator knows no Redis and the store knows no orchestrator; this folder knows both. Here
//! stands the port of workflows and turns; the others have files of their own.

mod batches;
mod ends;
mod post;
mod services;
mod shard;
mod translate;
mod wishes;

use bytes::Bytes;
use paceline_orchestrator::ports::{
    Alarm, CommitOutcome, Cursor, Delivery, JobPhase, Ledger, LedgerError, Page, Parked, ReadAhead,
    StoredInstance, Turn, TurnReply,
};
use paceline_orchestrator::term::Term;
use paceline_store::calls::commit::{Batch, Committed};
use paceline_types::{JobId, WorkflowId};

use ends::phase;
use shard::{refused, unavailable};
use translate::{alarm, commit, delivery, instance, stored_alarm};

pub use shard::ShardLedger;

fn parked(parked: &Parked) -> String {
    serde_json::json!({
        "workflow": parked.workflow,
        "batch": parked.batch,
        "event": parked.event,
        "state": parked.state,
        "reason": parked.reason,
    })
    .to_string()
}

impl Ledger for ShardLedger {
    async fn inbox(&self, _: &Term, ahead: ReadAhead) -> Result<Vec<Delivery>, LedgerError> {
        let after = ahead.after.as_ref().map(|entry| entry.0.as_str());
        let entries = self
            .store
            .inbox(self.shard, after, ahead.max)
            .await
            .map_err(unavailable)?;
        Ok(entries.into_iter().map(delivery).collect())
    }

    async fn load(
        &self,
        _: &Term,
        workflows: &[WorkflowId],
    ) -> Result<Vec<Option<StoredInstance>>, LedgerError> {
        let loaded = self
            .store
            .load_workflows(self.shard, workflows)
            .await
            .map_err(unavailable)?;
        let instances = loaded.into_iter();
        Ok(instances.map(|stored| stored.map(instance)).collect())
    }

    async fn commit(&self, term: &Term, turn: Turn) -> Result<TurnReply, LedgerError> {
        let batch = Batch {
            commits: turn.commits.iter().map(commit).collect::<Result<_, _>>()?,
            batches: turn.batches.iter().map(batches::commit).collect(),
            consumed: turn.consumed.iter().map(|entry| entry.0.as_str()).collect(),
            parked: turn.parked.iter().map(parked).collect(),
            unmarked: turn
                .parked
                .iter()
                .filter(|parked| parked.unmark)
                .filter_map(|parked| parked.workflow)
                .collect(),
            unmarked_batches: turn
                .parked
                .iter()
                .filter(|parked| parked.unmark)
                .filter_map(|parked| parked.batch)
                .collect(),
            read_ahead: turn.read_ahead.as_ref().map(|ahead| {
                (
                    ahead.after.as_ref().map(|entry| entry.0.as_str()),
                    ahead.max,
                )
            }),
        };
        let written = self
            .store
            .commit(self.shard, term.number(), &batch)
            .await
            .map_err(refused)?;
        let outcome = |outcome| match outcome {
            Committed::At(revision) => CommitOutcome::Committed { revision },
            Committed::Stale => CommitOutcome::Stale,
            Committed::Missing => CommitOutcome::Missing,
        };
        Ok(TurnReply {
            outcomes: written.outcomes.into_iter().map(outcome).collect(),
            batches: written.batches.into_iter().map(outcome).collect(),
            next: written.next.into_iter().map(delivery).collect(),
        })
    }

    async fn overdue(
        &self,
        term: &Term,
        max: usize,
    ) -> Result<Vec<(WorkflowId, Alarm)>, LedgerError> {
        let overdue = self
            .store
            .overdue_workflows(self.shard, term.number(), max)
            .await
            .map_err(refused)?;
        Ok(overdue
            .into_iter()
            .map(|(id, which)| (id, alarm(which)))
            .collect())
    }

    async fn armed(
        &self,
        _: &Term,
        moments: &[(WorkflowId, Alarm)],
    ) -> Result<Vec<bool>, LedgerError> {
        let moments: Vec<_> = moments
            .iter()
            .map(|(id, which)| (*id, stored_alarm(*which)))
            .collect();
        let armed = self.store.armed(self.shard, &moments).await;
        armed.map_err(unavailable)
    }

    fn shards(&self) -> u16 {
        self.store.shards()
    }

    async fn results(&self, _: &Term, jobs: &[JobId]) -> Result<Vec<Option<Bytes>>, LedgerError> {
        let results = self.store.results(self.shard, jobs).await;
        results.map_err(unavailable)
    }

    async fn unfinished(&self, _: &Term, max: usize) -> Result<Vec<WorkflowId>, LedgerError> {
        self.store
            .unfinished_workflows(self.shard, max)
            .await
            .map_err(unavailable)
    }

    async fn active(
        &self,
        _: &Term,
        from: Option<Cursor>,
        max: usize,
    ) -> Result<Page<WorkflowId>, LedgerError> {
        let position = from.map(|cursor| cursor.0).unwrap_or_default();
        let (items, next) = self
            .store
            .active_page(self.shard, &position, max)
            .await
            .map_err(unavailable)?;
        Ok(Page {
            items,
            next: next.map(Cursor),
        })
    }

    async fn job_phases(&self, _: &Term, jobs: &[JobId]) -> Result<Vec<JobPhase>, LedgerError> {
        let phases = self.store.task_phases(self.shard, jobs).await;
        let phases = phases.map_err(unavailable)?.into_iter();
        Ok(phases.map(phase).collect())
    }
}
