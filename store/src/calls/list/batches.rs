//! Listing batches: those that have not ended, then those that have, newest first.

use paceline_types::{Batch, BatchId, BatchStatus};

use super::walk::Walk;
use super::{BatchPage, ListError, PageRequest};
use crate::Store;

impl Store {
    /// Batches, without what their items say, a page at a time.
    ///
    /// # Errors
    /// A cursor of another list, or no answer.
    pub async fn list_batches(
        &self,
        status: Option<BatchStatus>,
        page: &PageRequest,
    ) -> Result<BatchPage, ListError> {
        let mut walk = Walk::begin(page)?;
        while let Some(step) = walk.step(self.shards(), 2) {
            let (shard, position) = (step.shard, step.position.as_str());
            let slice = match step.source {
                0 => {
                    let key = &self.keys(shard)?.active_batches;
                    self.ranked(key, true, position, step.want).await?
                }
                _ => self.ended(shard, &['b'], position, step.want).await?,
            };
            let scanned = slice.ids.len();
            let read = slice.ids.iter().zip(slice.behind);
            let (ids, places): (Vec<BatchId>, Vec<String>) = read
                .filter_map(|(bare, behind)| Some((BatchId::from_bare(bare).ok()?, behind)))
                .unzip();
            let found = self.read_batches(shard, &ids, false).await?;
            let mut views: Vec<(Batch, String)> = Vec::with_capacity(ids.len());
            for ((id, stored), behind) in ids.into_iter().zip(found).zip(places) {
                // Staged and not accepted, or accepted again as it was listed.
                let Some(stored) = stored else { continue };
                let view = stored.view(id)?;
                if status.is_none_or(|status| view.status == status) {
                    views.push((view, behind));
                }
            }
            walk.take(views, slice.next, scanned);
        }
        Ok(walk.page(self.shards()))
    }
}
