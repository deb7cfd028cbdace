//! Listing schedules, newest first.

use paceline_types::ScheduleId;

use super::walk::Walk;
use super::{ListError, PageRequest};
use crate::Store;
use crate::calls::schedule::SchedulePage;

impl Store {
    /// Schedules, a page at a time.
    ///
    /// # Errors
    /// A cursor of another list, or no answer.
    pub async fn list_schedules(&self, page: &PageRequest) -> Result<SchedulePage, ListError> {
        let mut walk = Walk::begin(page)?;
        while let Some(step) = walk.step(self.shards(), 1) {
            let key = self.keys(step.shard)?.schedules.clone();
            let slice = self.ranked(&key, true, &step.position, step.want).await?;
            let ids: Vec<ScheduleId> = slice
                .ids
                .iter()
                .filter_map(|id| ScheduleId::new(id).ok())
                .collect();
            let found = self.schedules(&ids).await?;
            walk.take(found.into_iter().flatten(), slice.next);
        }
        Ok(walk.page(self.shards()))
    }
}
