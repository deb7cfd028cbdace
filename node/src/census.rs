//! What the leader of a shard counts for the metrics: how much waits there, and what nobody
//! serves.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use paceline_store::{Store, StoreError};
use paceline_types::ShardIndex;
use paceline_types::stats::Lane;

use crate::kit::Kit;
use crate::owned::Owned;
use crate::telemetry::CensusMetrics;

/// How long after one count the next begins: an idle leader must not ask much.
const EVERY: Duration = Duration::from_secs(5);

/// Counts for as long as it is kept. What it counted is taken back when it is dropped, as
/// another leader counts the shard from then on.
pub(crate) struct Census {
    _counting: Owned,
    metrics: CensusMetrics,
}

impl Census {
    /// Begins to count a shard.
    pub(crate) fn start(kit: &Arc<Kit>, shard: ShardIndex) -> Census {
        let metrics = CensusMetrics::new(shard);
        let (kit, own) = (Arc::clone(kit), metrics.clone());
        let counting = Owned::spawn(async move {
            let mut reported = BTreeSet::new();
            loop {
                if let Err(error) = count(&kit.store, shard, &own, &mut reported).await {
                    tracing::debug!(%shard, %error, "the shard could not be counted");
                }
                tokio::time::sleep(EVERY).await;
            }
        });
        Census {
            _counting: counting,
            metrics,
        }
    }
}

impl Drop for Census {
    fn drop(&mut self) {
        self.metrics.clear();
    }
}

async fn count(
    store: &Store,
    shard: ShardIndex,
    metrics: &CensusMetrics,
    reported: &mut BTreeSet<Lane>,
) -> Result<(), StoreError> {
    let stats = store.shard_stats(shard).await?;
    let unserved = if stats.lanes.is_empty() {
        Vec::new()
    } else {
        Store::unserved_lanes(&stats, &store.nodes().await?)
    };
    for lane in unserved.iter().filter(|lane| !reported.contains(lane)) {
        tracing::warn!(
            %shard,
            task_type = %lane.task_type,
            version = lane.version.as_ref().map(tracing::field::display),
            waiting = stats.lanes.get(lane),
            "jobs wait that no live node serves"
        );
    }
    metrics.show(&stats, unserved.len());
    *reported = unserved.into_iter().collect();
    Ok(())
}
