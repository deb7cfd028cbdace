//! Totals of a cluster.

use paceline_store::StoreError;
use paceline_types::stats::{DayStats, Stats};

use crate::Client;

impl Client {
    /// How much there is of everything, from counters, and which work nobody serves.
    ///
    /// It costs one call a shard, whatever number of jobs there is.
    ///
    /// # Errors
    /// When Redis could not be asked.
    pub async fn stats(&self) -> Result<Stats, StoreError> {
        self.store().stats().await
    }

    /// How many jobs ended on each of the last `days` days, 1 to 90, today last. Days are those
    /// of UTC, by the server's clock.
    ///
    /// # Errors
    /// When Redis could not be asked.
    pub async fn daily_stats(&self, days: usize) -> Result<Vec<DayStats>, StoreError> {
        self.store().daily_stats(days).await
    }
}
