//! The leader's ports, on the store: translation of words, and nothing else.
//!
//! The orchestrator knows no Redis and the store knows no orchestrator; this file knows both.

mod batches;
mod post;
mod translate;
mod wishes;

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use paceline_orchestrator::ports::{
    Alarm, CommitOutcome, Cursor, Delayed, Delivery, Groups, GroupsFlushed, JobPhase, JobsExpired,
    Lanes, LanesChecked, Ledger, LedgerError, Nodes, Overview, Page, Parked, Promoted, Purged,
    ReadAhead, Recovered, Retention, Schedules, StoredInstance, StoredSchedule, Survey, Timers,
    Trails, Turn, TurnReply,
};
use paceline_orchestrator::term::Term;
use paceline_store::calls::commit::{Batch, Committed};
use paceline_store::{CallError, Fenced, Store, StoreError};
use paceline_types::scheduled::{DueSchedules, Fired, FiringStep};
use paceline_types::{JobId, NodeId, ScheduleId, ShardIndex, UnixMillis, WorkflowId};

use translate::{alarm, commit, delivery, instance, phase, stored_alarm};

/// One shard, as its leader sees it.
#[derive(Clone, Debug)]
pub struct ShardLedger {
    store: Store,
    shard: ShardIndex,
}

impl ShardLedger {
    /// The shard of a store.
    #[must_use]
    pub fn new(store: Store, shard: ShardIndex) -> ShardLedger {
        ShardLedger { store, shard }
    }
}

fn unavailable(error: StoreError) -> LedgerError {
    LedgerError::Unavailable(Box::new(error))
}

fn refused(error: CallError<Fenced>) -> LedgerError {
    match error {
        CallError::Refused(Fenced { newest }) => LedgerError::Fenced { newest },
        CallError::Store(error) => unavailable(error),
    }
}

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

impl Delayed for ShardLedger {
    async fn promote(&self, term: &Term, max: usize) -> Result<Promoted, LedgerError> {
        let done = self
            .store
            .promote(self.shard, term.number(), max)
            .await
            .map_err(refused)?;
        Ok(Promoted {
            moved: done.moved,
            next_due_in: done.next_due_in,
        })
    }
}

impl Timers for ShardLedger {
    async fn expire_jobs(&self, term: &Term, max: usize) -> Result<JobsExpired, LedgerError> {
        let done = self
            .store
            .expire_jobs(self.shard, term.number(), max)
            .await
            .map_err(refused)?;
        Ok(JobsExpired {
            seen: done.seen,
            next_in: done.next_in,
        })
    }
}

/// Ids for jobs that follow one another.
fn new_job_ids(shard: ShardIndex, count: usize) -> Vec<JobId> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = UnixMillis::try_from(since.unwrap_or_default().as_millis()).unwrap_or(0);
    let first: u64 = rand::random();
    (0..)
        .map(|n| JobId::from_parts(now, shard, first.wrapping_add(n)))
        .take(count)
        .collect()
}

impl Groups for ShardLedger {
    async fn flush_due(&self, term: &Term, max: usize) -> Result<GroupsFlushed, LedgerError> {
        let ids = new_job_ids(self.shard, max);
        let done = self
            .store
            .flush_groups(self.shard, term.number(), &ids)
            .await
            .map_err(refused)?;
        Ok(GroupsFlushed {
            made: done.made,
            next_due_in: done.next_due_in,
        })
    }
}

impl Nodes for ShardLedger {
    async fn expire_nodes(&self, term: &Term) -> Result<Vec<NodeId>, LedgerError> {
        self.store
            .expire_nodes(self.shard, term.number())
            .await
            .map_err(refused)
    }

    async fn recover(
        &self,
        term: &Term,
        from: Option<Cursor>,
        max: usize,
    ) -> Result<Recovered, LedgerError> {
        let cursor = from.as_ref().map(|cursor| cursor.0.as_str());
        let done = self
            .store
            .recover(self.shard, term.number(), cursor, max)
            .await
            .map_err(refused)?;
        Ok(Recovered {
            handed_on: done.handed_on,
            buried: done.buried,
            cancelled: done.cancelled,
            next: done.next.map(Cursor),
        })
    }
}

impl Retention for ShardLedger {
    async fn purge(&self, term: &Term, max: usize) -> Result<Purged, LedgerError> {
        let (removed, more) = self
            .store
            .purge(self.shard, term.number(), max)
            .await
            .map_err(refused)?;
        Ok(Purged { removed, more })
    }
}

impl Lanes for ShardLedger {
    async fn check_lanes(
        &self,
        term: &Term,
        from: Option<Cursor>,
        max: usize,
    ) -> Result<LanesChecked, LedgerError> {
        let cursor = from.as_ref().map(|cursor| cursor.0.as_str());
        let done = self
            .store
            .check_lanes(self.shard, term.number(), cursor, max)
            .await
            .map_err(refused)?;
        Ok(LanesChecked {
            seen: done.seen,
            repaired: done.repaired,
            more: done.sweeping,
            next: done.next.map(Cursor),
        })
    }
}

impl Schedules for ShardLedger {
    fn shard(&self) -> ShardIndex {
        self.shard
    }

    async fn due_schedules(&self, _: &Term, max: usize) -> Result<DueSchedules, LedgerError> {
        let due = self.store.due_schedules(self.shard, max).await;
        due.map_err(unavailable)
    }

    async fn schedule_definitions(
        &self,
        _: &Term,
        ids: &[ScheduleId],
    ) -> Result<Vec<Option<StoredSchedule>>, LedgerError> {
        let found = self.store.schedule_definitions(self.shard, ids).await;
        let stored = |(revision, definition)| StoredSchedule {
            revision,
            definition,
        };
        let found = found.map_err(unavailable)?.into_iter();
        Ok(found.map(|found| found.map(stored)).collect())
    }

    async fn fire(&self, term: &Term, steps: Vec<FiringStep>) -> Result<Fired, LedgerError> {
        self.store
            .fire(self.shard, term.number(), &steps)
            .await
            .map_err(refused)
    }
}

impl Trails for ShardLedger {
    async fn copy_trails(&self, term: &Term) -> Result<bool, LedgerError> {
        let copied = self.store.copy_audit(self.shard, term.number()).await;
        Ok(copied.map_err(refused)?.more)
    }
}

impl Overview for ShardLedger {
    async fn survey(&self, term: &Term) -> Result<Survey, LedgerError> {
        let found = self
            .store
            .survey(self.shard, term.number())
            .await
            .map_err(refused)?;
        Ok(Survey {
            inbox: found.inbox > 0,
            unfinished: found.unfinished > 0,
            overdue: found.overdue,
            posts: found.outbox,
            next_due_in: found.next_due_in,
            next_timer_in: found.next_timer_in,
            dead_nodes: found.dead_nodes,
            purgeable: found.purgeable,
            next_firing_in: found.next_firing_in,
            trails_due: found.trails_due,
            next_group_in: found.next_group_in,
        })
    }
}
