//! The ports of the services beside workflows, and the look at everything.

use std::time::{SystemTime, UNIX_EPOCH};

use paceline_orchestrator::ports::{
    Cursor, Delayed, Groups, GroupsFlushed, JobsExpired, Lanes, LanesChecked, LedgerError, Nodes,
    Overview, Promoted, Purged, Recovered, Retention, Schedules, StoredSchedule, Survey, Timers,
    Trails,
};
use paceline_orchestrator::term::Term;
use paceline_types::scheduled::{DueSchedules, Fired, FiringStep};
use paceline_types::{JobId, NodeId, ScheduleId, ShardIndex, UnixMillis};

use super::shard::{ShardLedger, refused, unavailable};

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
