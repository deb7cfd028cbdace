//! The leader's small calls: what there is to do, delayed work, removal, lanes. All carry the
//! term, and an older one than the newest is refused.

use std::time::Duration;

use paceline_types::{NodeId, ShardIndex};

use super::{CallError, Fenced, MAX_BATCH, expect_ok};
use crate::script::{Invocation, Script};
use crate::{Store, StoreError};

pub(crate) static SURVEY: Script = script!("survey");
pub(crate) static PROMOTE: Script = script!("promote");
pub(crate) static EXPIRE_NODES: Script = script!("expire_nodes");
pub(crate) static PURGE: Script = script!("purge");
pub(crate) static CHECK_LANES: Script = script!("check_lanes");

/// Dead letters that are kept for listing; the jobs themselves stay until their retention.
pub const MAX_DEAD_LETTERS: u64 = 10_000;

/// What there is to do in a shard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// Entries in the inbox.
    pub inbox: usize,
    /// Workflows with effects left over.
    pub unfinished: usize,
    /// A moment has passed that a workflow waits for.
    pub overdue: bool,
    /// Something waits to be told to other shards.
    pub outbox: bool,
    /// When the next delayed job is due, or a limit has its next token.
    pub next_due_in: Option<Duration>,
    /// A lease ran out, or a dead node still holds runs.
    pub dead_nodes: bool,
    /// Something is past its retention.
    pub purgeable: bool,
    /// When the next schedule is due; zero also when a firing that waited may start.
    pub next_firing_in: Option<Duration>,
    /// The event log has grown since the trails of audited jobs were last written.
    pub trails_due: bool,
    /// When the next timer of a job passes.
    pub next_timer_in: Option<Duration>,
    /// When the next group is due.
    pub next_group_in: Option<Duration>,
}

/// What a promotion did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Promoted {
    /// Jobs that wait in their lanes now, those that a limit lets go on included.
    pub moved: usize,
    /// When the next one is due; zero when more is due already.
    pub next_due_in: Option<Duration>,
}

/// One step of a check of lanes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LanesChecked {
    /// Lanes looked at.
    pub seen: usize,
    /// Of them, those that the ready index had wrong.
    pub repaired: usize,
    /// One of them is being swept of what has left it: the next step need not wait.
    pub sweeping: bool,
    /// Where to go on; none at the end.
    pub next: Option<String>,
}

pub(super) fn due_in(millis: i64) -> Option<Duration> {
    u64::try_from(millis).ok().map(Duration::from_millis)
}

impl Store {
    /// What there is to do in a shard, in one look.
    ///
    /// # Errors
    /// [`Fenced`], or no answer.
    pub async fn survey(&self, shard: ShardIndex, term: u64) -> Result<Survey, CallError<Fenced>> {
        let keys = self.keys(shard)?;
        let names = [
            &keys.events,
            &keys.inbox,
            &keys.unfinished_workflows,
            &keys.alarms,
            &keys.delayed,
            &keys.leases,
            &keys.ended,
            &keys.leader,
            &keys.recovering,
            &keys.audited,
            &keys.timers,
            &keys.groups_due,
            &keys.due_schedules,
            &keys.ended_schedules,
            &keys.outbox,
            &keys.unfinished_batches,
            &keys.batch_alarms,
        ];
        let mut call = Invocation::new(&SURVEY, &names);
        call.arg(term);
        let mut reply = expect_ok("survey", self.link.call(&call).await?)?;
        Ok(Survey {
            inbox: reply.count()?,
            unfinished: reply.count()?,
            overdue: reply.int()? == 1,
            next_due_in: due_in(reply.int()?),
            dead_nodes: reply.int()? == 1,
            purgeable: reply.int()? == 1,
            trails_due: reply.int()? == 1,
            next_timer_in: due_in(reply.int()?),
            next_group_in: due_in(reply.int()?),
            next_firing_in: due_in(reply.int()?),
            outbox: reply.int()? == 1,
        })
    }

    /// Moves delayed jobs that are due to their lanes, at most `max` (up to [`MAX_BATCH`]), and lets jobs
    /// go on that a limit has tokens for by now.
    ///
    /// # Errors
    /// [`Fenced`], or no answer: call again.
    pub async fn promote(
        &self,
        shard: ShardIndex,
        term: u64,
        max: usize,
    ) -> Result<Promoted, CallError<Fenced>> {
        let keys = self.keys(shard)?;
        let mut call = Invocation::new(&PROMOTE, &[&keys.events, &keys.delayed, &keys.leader]);
        call.arg(term)
            .arg(self.shared.event_cap)
            .arg(max.min(MAX_BATCH));
        let mut reply = expect_ok("promote", self.link.call(&call).await?)?;
        Ok(Promoted {
            moved: reply.count()?,
            next_due_in: due_in(reply.int()?),
        })
    }

    /// Declares nodes dead whose lease ran out by the server's clock. Returns them.
    ///
    /// # Errors
    /// [`Fenced`], or no answer: call again; nodes that were declared dead are not named again.
    pub async fn expire_nodes(
        &self,
        shard: ShardIndex,
        term: u64,
    ) -> Result<Vec<NodeId>, CallError<Fenced>> {
        let keys = self.keys(shard)?;
        let names = [&keys.events, &keys.leases, &keys.nodes, &keys.leader];
        let mut call = Invocation::new(&EXPIRE_NODES, &names);
        call.arg(term).arg(self.shared.event_cap).arg(MAX_BATCH);
        let reply = expect_ok("expire_nodes", self.link.call(&call).await?)?;
        reply
            .rest()?
            .iter()
            .map(|bare| {
                NodeId::from_bare(bare)
                    .map_err(|_| StoreError::protocol("expire_nodes", "a node", bare).into())
            })
            .collect()
    }

    /// Removes what is past its retention, one packet: at most `max` records. Returns how many,
    /// and whether there is more.
    ///
    /// # Errors
    /// [`Fenced`], or no answer: call again.
    pub async fn purge(
        &self,
        shard: ShardIndex,
        term: u64,
        max: usize,
    ) -> Result<(usize, bool), CallError<Fenced>> {
        let keys = self.keys(shard)?;
        let mut call = Invocation::new(&PURGE, &[&keys.events, &keys.ended, &keys.leader]);
        call.arg(term)
            .arg(self.shared.event_cap)
            .arg(max.min(MAX_BATCH))
            .arg(MAX_DEAD_LETTERS);
        let mut reply = expect_ok("purge", self.link.call(&call).await?)?;
        Ok((reply.count()?, reply.int()? == 1))
    }

    /// Compares lanes with the index of those that have work, about `max` of them from `cursor`, and
    /// sweeps those in which many places were left by jobs that were cancelled.
    ///
    /// # Errors
    /// [`Fenced`], or no answer: call again.
    pub async fn check_lanes(
        &self,
        shard: ShardIndex,
        term: u64,
        cursor: Option<&str>,
        max: usize,
    ) -> Result<LanesChecked, CallError<Fenced>> {
        let keys = self.keys(shard)?;
        let mut call = Invocation::new(&CHECK_LANES, &[&keys.events, &keys.lanes, &keys.leader]);
        call.arg(term)
            .arg(cursor.unwrap_or("0"))
            .arg(max.min(MAX_BATCH));
        let mut reply = expect_ok("check_lanes", self.link.call(&call).await?)?;
        let next = reply.text()?;
        let (seen, repaired) = (reply.count()?, reply.count()?);
        let sweeping = reply.int()? == 1;
        Ok(LanesChecked {
            seen,
            repaired,
            sweeping,
            // A step that is not done is repeated, also if it was the first.
            next: (sweeping || next != "0").then_some(next),
        })
    }
}
