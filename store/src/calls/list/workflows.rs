//! Listing workflows: those that have not ended, then those that have, newest first.

use paceline_types::{RetryPolicy, ShardIndex, WorkflowId, WorkflowStatus};

use super::walk::Walk;
use super::{ListError, PageRequest, WorkflowPage};
use crate::calls::commit::Alarm;
use crate::calls::workflow::{header_view, max_attempts};
use crate::calls::{CallError, Fenced, expect_ok};
use crate::script::{Invocation, Script};
use crate::wire::alarm;
use crate::wire::reply::Reply;
use crate::{Store, StoreError};

pub(crate) static OVERDUE: Script = script!("overdue");

impl Store {
    /// Workflows, without their tasks and outputs, a page at a time.
    ///
    /// # Errors
    /// A cursor of another list, or no answer.
    pub async fn list_workflows(
        &self,
        status: Option<WorkflowStatus>,
        page: &PageRequest,
    ) -> Result<WorkflowPage, ListError> {
        let mut walk = Walk::begin(page)?;
        while let Some(step) = walk.step(self.shards(), 2) {
            let (shard, position) = (step.shard, step.position.as_str());
            let slice = match step.source {
                0 => self.active_workflows(shard, position, step.want).await?,
                _ => self.ended(shard, &['w'], position, step.want).await?,
            };
            let scanned = slice.ids.len();
            let read = slice.ids.iter().zip(slice.behind);
            let (ids, places): (Vec<WorkflowId>, Vec<String>) = read
                .filter_map(|(bare, behind)| Some((WorkflowId::from_bare(bare).ok()?, behind)))
                .unzip();
            let found = self.load_workflows(shard, &ids).await?;
            let views = ids.into_iter().zip(found).zip(places);
            let views = views.filter_map(|((id, stored), behind)| {
                let stored = stored?;
                let head: Head = serde_json::from_slice(&stored.definition).unwrap_or_default();
                let mut view = header_view(id, &head.name, &stored);
                view.max_attempts = max_attempts(head.retry_policy.as_ref());
                status
                    .is_none_or(|status| view.status == status)
                    .then_some((view, behind))
            });
            walk.take(views, slice.next, scanned);
        }
        Ok(walk.page(self.shards()))
    }

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
        let slice = self.active_workflows(shard, position, limit).await?;
        let ids = slice
            .ids
            .iter()
            .filter_map(|bare| WorkflowId::from_bare(bare).ok())
            .collect();
        Ok((ids, slice.next))
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
        let mut command = redis::cmd("SRANDMEMBER");
        command
            .arg(&self.keys(shard)?.unfinished_workflows)
            .arg(max);
        let found = Reply::list("SRANDMEMBER", self.link.command(&command).await?)?;
        Ok(found
            .rest()?
            .iter()
            .filter_map(|bare| WorkflowId::from_bare(bare).ok())
            .collect())
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
        let names = [
            &keys.events,
            &keys.alarms,
            &keys.leader,
            &keys.active_workflows,
        ];
        let mut call = Invocation::new(&OVERDUE, &names);
        call.arg(term).arg(max);
        let found = expect_ok("overdue", self.link.call(&call).await?)?;
        Ok(found
            .rest()?
            .iter()
            .filter_map(|member| alarm::parse(member))
            .collect())
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
        if moments.is_empty() {
            return Ok(Vec::new());
        }
        let mut command = redis::cmd("ZMSCORE");
        command.arg(&self.keys(shard)?.alarms);
        for (workflow, which) in moments {
            command.arg(alarm::encode(*workflow, *which));
        }
        let found = Reply::list("ZMSCORE", self.link.command(&command).await?)?;
        Ok(found.all_present())
    }
}

/// The head alone: a definition may have thousands of tasks.
#[derive(Default, serde::Deserialize)]
struct Head {
    name: String,
    #[serde(default)]
    retry_policy: Option<RetryPolicy>,
}
