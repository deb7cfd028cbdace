//! Batches that have not ended, those with work left over, and moments that passed.

use paceline_types::id::ID_LEN;
use paceline_types::{BatchId, ShardIndex};

use crate::calls::list::OVERDUE;
use crate::calls::{CallError, Fenced, expect_ok};
use crate::script::Invocation;
use crate::wire::reply::Reply;
use crate::{Store, StoreError};

/// A moment that a batch waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchAlarm {
    /// Its execution timeout.
    Deadline,
    /// Its next attempt.
    Retry,
}

impl Store {
    /// Batches of a shard that have not ended, from a position on; none at the end. For the reconciler.
    ///
    /// # Errors
    /// When there was no answer.
    pub async fn active_batch_page(
        &self,
        shard: ShardIndex,
        position: &str,
        limit: usize,
    ) -> Result<(Vec<BatchId>, Option<String>), StoreError> {
        let (bare, next) = self.active_batches(shard, position, limit).await?;
        let ids = bare.iter().filter_map(|bare| BatchId::from_bare(bare).ok());
        Ok((ids.collect(), next))
    }

    /// Batches of a shard with effects left over, at most `max`.
    ///
    /// # Errors
    /// When there was no answer.
    pub async fn unfinished_batches(
        &self,
        shard: ShardIndex,
        max: usize,
    ) -> Result<Vec<BatchId>, StoreError> {
        let mut command = redis::cmd("SRANDMEMBER");
        command.arg(&self.keys(shard)?.unfinished_batches).arg(max);
        let found = Reply::list("SRANDMEMBER", self.link.command(&command).await?)?;
        let found = found.rest()?;
        Ok(found
            .iter()
            .filter_map(|bare| BatchId::from_bare(bare).ok())
            .collect())
    }

    /// Moments that batches of a shard wait for and that have passed by the server's clock, longest
    /// overdue first, at most `max`.
    ///
    /// # Errors
    /// [`Fenced`], or no answer.
    pub async fn overdue_batches(
        &self,
        shard: ShardIndex,
        term: u64,
        max: usize,
    ) -> Result<Vec<(BatchId, BatchAlarm)>, CallError<Fenced>> {
        let keys = self.keys(shard)?;
        let names = [
            &keys.events,
            &keys.batch_alarms,
            &keys.leader,
            &keys.active_batches,
        ];
        let mut call = Invocation::new(&OVERDUE, &names);
        call.arg(term).arg(max);
        let found = expect_ok("overdue", self.link.call(&call).await?)?;
        Ok(found
            .rest()?
            .iter()
            .filter_map(|member| parse_alarm(member))
            .collect())
    }

    /// Whether each moment is waited for, passed or not, in their order.
    ///
    /// # Errors
    /// When there was no answer.
    pub async fn armed_batches(
        &self,
        shard: ShardIndex,
        moments: &[(BatchId, BatchAlarm)],
    ) -> Result<Vec<bool>, StoreError> {
        if moments.is_empty() {
            return Ok(Vec::new());
        }
        let mut command = redis::cmd("ZMSCORE");
        command.arg(&self.keys(shard)?.batch_alarms);
        for (batch, which) in moments {
            command.arg(encode_alarm(*batch, *which));
        }
        let found = Reply::list("ZMSCORE", self.link.command(&command).await?)?;
        Ok(found.all_present())
    }
}

fn encode_alarm(batch: BatchId, alarm: BatchAlarm) -> String {
    let mut buffer = [0; ID_LEN];
    let id = batch.bare(&mut buffer);
    match alarm {
        BatchAlarm::Deadline => id.to_owned(),
        BatchAlarm::Retry => format!("{id} retry"),
    }
}

fn parse_alarm(member: &str) -> Option<(BatchId, BatchAlarm)> {
    let (id, alarm) = match member.split_once(' ') {
        None => (member, BatchAlarm::Deadline),
        Some((id, "retry")) => (id, BatchAlarm::Retry),
        Some(_) => return None,
    };
    Some((BatchId::from_bare(id).ok()?, alarm))
}
