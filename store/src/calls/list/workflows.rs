//! Listing workflows: those that have not ended, then those that have, newest first.

use paceline_types::{ShardIndex, WorkflowId, WorkflowStatus};

use super::cursor::Cursor;
use super::{ListError, PageRequest, WorkflowPage};
use crate::calls::workflow::header_view;
use crate::script::{Invocation, Script};
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
        let limit = page.limit();
        let mut cursor = match &page.cursor {
            Some(text) => text.parse()?,
            None => Cursor::default(),
        };
        let mut items = Vec::new();
        let mut reads = 0;
        while cursor.shard < self.shards() {
            let shard = ShardIndex(cursor.shard);
            if cursor.source > 1 {
                cursor = Cursor {
                    shard: cursor.shard + 1,
                    ..Cursor::default()
                };
                continue;
            }
            if items.len() >= limit || reads >= 20 {
                return Ok(WorkflowPage {
                    items,
                    next: Some(cursor.to_string()),
                });
            }
            reads += 1;
            let want = limit - items.len();
            let slice = match cursor.source {
                0 => self.active_workflows(shard, &cursor.position, want).await?,
                _ => self.ended(shard, &['w'], &cursor.position, want).await?,
            };
            let ids: Vec<WorkflowId> = slice
                .ids
                .iter()
                .filter_map(|bare| WorkflowId::from_bare(bare).ok())
                .collect();
            let found = self.load_workflows(shard, &ids).await?;
            for (id, stored) in ids.into_iter().zip(found) {
                let Some(stored) = stored else { continue };
                let view = header_view(id, &name_of(&stored.definition), &stored);
                if status.is_none_or(|status| view.status == status) {
                    items.push(view);
                }
            }
            match slice.next {
                Some(position) => cursor.position = position,
                None => {
                    cursor.source += 1;
                    cursor.position.clear();
                }
            }
        }
        Ok(WorkflowPage { items, next: None })
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

    /// Workflows of a shard whose deadline has passed by the server's clock, longest overdue first, at most
    /// `max`.
    ///
    /// # Errors
    /// When there was no answer.
    pub async fn overdue_workflows(
        &self,
        shard: ShardIndex,
        max: usize,
    ) -> Result<Vec<WorkflowId>, StoreError> {
        let keys = self.keys(shard)?;
        let mut call = Invocation::new(&OVERDUE, &[&keys.events, &keys.deadlines]);
        call.arg(max);
        let found = Reply::list("overdue", self.link.call(&call).await?)?;
        Ok(found
            .rest()?
            .iter()
            .filter_map(|bare| WorkflowId::from_bare(bare).ok())
            .collect())
    }
}

/// The name alone: a definition may have thousands of tasks.
fn name_of(definition: &[u8]) -> String {
    #[derive(serde::Deserialize)]
    struct Name {
        name: String,
    }
    serde_json::from_slice::<Name>(definition)
        .map(|name| name.name)
        .unwrap_or_default()
}
