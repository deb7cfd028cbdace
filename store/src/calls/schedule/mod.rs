//! Schedules: kept, steered, read and fired. A schedule lives in the shard of its id.

mod by_hand;
mod fire;
mod put;
mod read;
mod steer;

use paceline_types::{ScheduleId, ShardIndex};

use crate::Store;

pub use by_hand::ByHandRefusal;
pub use put::{Put, PutRefusal};
pub use read::SchedulePage;
pub use steer::SteerRefusal;

impl Store {
    /// The shard that a schedule and all of its jobs live in.
    #[must_use]
    pub fn shard_of_schedule(&self, id: &ScheduleId) -> ShardIndex {
        ShardIndex::of_key(id.as_str(), self.shards())
    }
}
