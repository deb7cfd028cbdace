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
            let scanned = slice.ids.len();
            let read = slice.ids.iter().zip(slice.behind);
            let (ids, places): (Vec<ScheduleId>, Vec<String>) = read
                .filter_map(|(id, behind)| Some((ScheduleId::new(id).ok()?, behind)))
                .unzip();
            let found = self.schedules(&ids).await?.into_iter().zip(places);
            let found = found.filter_map(|(info, behind)| Some((info?, behind)));
            walk.take(found, slice.next, scanned);
        }
        Ok(walk.page(self.shards()))
    }
}
