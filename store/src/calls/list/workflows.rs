//! Listing workflows: those that have not ended, then those that have, newest first.

use paceline_types::{RetryPolicy, WorkflowId, WorkflowStatus};

use super::walk::Walk;
use super::{ListError, PageRequest, WorkflowPage};
use crate::Store;
use crate::calls::workflow::{header_view, max_attempts};

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
                0 => {
                    let key = &self.keys(shard)?.active_workflows;
                    self.ranked(key, true, position, step.want).await?
                }
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
}

/// The head alone: a definition may have thousands of tasks.
#[derive(Default, serde::Deserialize)]
struct Head {
    name: String,
    #[serde(default)]
    retry_policy: Option<RetryPolicy>,
}
