//! What a leader goes by: workflows and batches that have not ended, those with effects left over,
//! and moments that passed.

use paceline_types::id::IdError;
use paceline_types::{BatchId, ShardIndex, WorkflowId};

use crate::calls::{CallError, Fenced, expect_ok};
use crate::script::{Invocation, Script};
use crate::wire::alarm::{self, Alarm, BatchAlarm};
use crate::wire::reply::Reply;
use crate::{Store, StoreError};

static OVERDUE: Script = script!("overdue");

impl Store {
    /// Workflows of a shard that have not ended, from a position on; none at the end. For the
    /// reconciler.
    ///
    /// # Errors
    /// When there was no answer.
    pub async fn active_page(
        &self,
        shard: ShardIndex,
        position: &str,
        limit: usize,
    ) -> Result<(Vec<WorkflowId>, Option<String>), StoreError> {
        let key = &self.keys(shard)?.active_workflows;
        self.active(key, position, limit, WorkflowId::from_bare)
            .await
    }

    /// Batches of a shard that have not ended, from a position on; none at the end. For the
    /// reconciler.
    ///
    /// # Errors
    /// When there was no answer.
    pub async fn active_batch_page(
        &self,
        shard: ShardIndex,
        position: &str,
        limit: usize,
    ) -> Result<(Vec<BatchId>, Option<String>), StoreError> {
        let key = &self.keys(shard)?.active_batches;
        self.active(key, position, limit, BatchId::from_bare).await
    }

    async fn active<T>(
        &self,
        key: &str,
        position: &str,
        limit: usize,
        id: fn(&str) -> Result<T, IdError>,
    ) -> Result<(Vec<T>, Option<String>), StoreError> {
        let slice = self.ranked(key, true, position, limit).await?;
        let ids = slice.ids.iter().filter_map(|bare| id(bare).ok());
        Ok((ids.collect(), slice.next))
    }

    /// Workflows of a shard with effects left over, at most `max`.
    ///
    /// # Errors
    /// When there was no answer.
    pub async fn unfinished_workflows(
        &self,
        shard: ShardIndex,
        max: usize,
    ) -> Result<Vec<WorkflowId>, StoreError> {
        let key = &self.keys(shard)?.unfinished_workflows;
        self.unfinished(key, max, WorkflowId::from_bare).await
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
        let key = &self.keys(shard)?.unfinished_batches;
        self.unfinished(key, max, BatchId::from_bare).await
    }

    async fn unfinished<T>(
        &self,
        key: &str,
        max: usize,
        id: fn(&str) -> Result<T, IdError>,
    ) -> Result<Vec<T>, StoreError> {
        let mut command = redis::cmd("SRANDMEMBER");
        command.arg(key).arg(max);
        let found = Reply::list("SRANDMEMBER", self.link.command(&command).await?)?;
        let found = found.rest()?;
        Ok(found.iter().filter_map(|bare| id(bare).ok()).collect())
    }

    /// Moments that workflows of a shard wait for and that have passed by the server's clock, longest
    /// ago first, at most `max`. Those of workflows that are over are not told, and are gone.
    ///
    /// # Errors
    /// [`Fenced`], or no answer.
    pub async fn overdue_workflows(
        &self,
        shard: ShardIndex,
        term: u64,
        max: usize,
    ) -> Result<Vec<(WorkflowId, Alarm)>, CallError<Fenced>> {
        let keys = self.keys(shard)?;
        let sets = [&keys.alarms, &keys.active_workflows];
        self.overdue(shard, term, max, sets, alarm::parse).await
    }

    /// The same of batches.
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
        let sets = [&keys.batch_alarms, &keys.active_batches];
        self.overdue(shard, term, max, sets, alarm::parse_batch)
            .await
    }

    /// Of the moments in one set, those of what is in the other.
    async fn overdue<T>(
        &self,
        shard: ShardIndex,
        term: u64,
        max: usize,
        [alarms, active]: [&String; 2],
        parse: fn(&str) -> Option<T>,
    ) -> Result<Vec<T>, CallError<Fenced>> {
        let keys = self.keys(shard)?;
        let names = [&keys.events, alarms, &keys.leader, active];
        let mut call = Invocation::new(&OVERDUE, &names);
        call.arg(term).arg(max);
        let found = expect_ok("overdue", self.link.call(&call).await?)?;
        let found = found.rest()?;
        Ok(found.iter().filter_map(|member| parse(member)).collect())
    }

    /// Whether each moment is waited for, passed or not, in their order.
    ///
    /// # Errors
    /// When there was no answer.
    pub async fn armed(
        &self,
        shard: ShardIndex,
        moments: &[(WorkflowId, Alarm)],
    ) -> Result<Vec<bool>, StoreError> {
        let member = |&(workflow, which): &(WorkflowId, Alarm)| alarm::encode(workflow, which);
        let members: Vec<String> = moments.iter().map(member).collect();
        self.among(&self.keys(shard)?.alarms, &members).await
    }

    /// The same of batches.
    ///
    /// # Errors
    /// When there was no answer.
    pub async fn armed_batches(
        &self,
        shard: ShardIndex,
        moments: &[(BatchId, BatchAlarm)],
    ) -> Result<Vec<bool>, StoreError> {
        let member = |&(batch, which): &(BatchId, BatchAlarm)| alarm::encode_batch(batch, which);
        let members: Vec<String> = moments.iter().map(member).collect();
        self.among(&self.keys(shard)?.batch_alarms, &members).await
    }

    async fn among(&self, alarms: &str, members: &[String]) -> Result<Vec<bool>, StoreError> {
        if members.is_empty() {
            return Ok(Vec::new());
        }
        let mut command = redis::cmd("ZMSCORE");
        command.arg(alarms).arg(members);
        let found = Reply::list("ZMSCORE", self.link.command(&command).await?)?;
        Ok(found.all_present())
    }
}
