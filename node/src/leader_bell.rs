//! The bell of a shard's leader.
//!
//! A Redis that is idle ends blocked reads at its cron tick only, up to 100 ms late, and the leader
//! sleeps until the next firing or delayed job is due. So the blocking read is made by a task of its
//! own, and the time is measured here. It only listens once the leader has waited since the last
//! ring: while the leader works, rings stay in Redis, where many are one.

use std::sync::Arc;
use std::time::Duration;

use paceline_orchestrator::ports::Bell;
use paceline_store::calls::leadership::LeaderBell;
use paceline_store::{Store, StoreError};
use paceline_types::ShardIndex;
use tokio::sync::Notify;

use crate::owned::Owned;

/// How long one blocking read lasts.
const LISTEN: Duration = Duration::from_secs(5);

/// How long to wait after an error. The leader goes on by looking, at the pace of its timers.
const AFTER_ERROR: Duration = Duration::from_millis(500);

/// Wakes the leader of a shard, on a connection of its own.
pub(crate) struct ShardBell {
    signals: Arc<Signals>,
    _listening: Owned,
}

/// Between the leader and the task that listens for it.
#[derive(Default)]
struct Signals {
    waits: Notify,
    rung: Notify,
}

impl ShardBell {
    /// Listens until it is dropped. A ring that is lost with the read costs the next leader no more
    /// than its first look, which it takes at once.
    ///
    /// # Errors
    /// When the shard does not exist.
    pub(crate) fn new(store: &Store, shard: ShardIndex) -> Result<ShardBell, StoreError> {
        let signals = Arc::new(Signals::default());
        let listening = listen(store.leader_bell(shard)?, Arc::clone(&signals));
        Ok(ShardBell {
            signals,
            _listening: Owned::spawn(listening),
        })
    }
}

async fn listen(mut bell: LeaderBell, signals: Arc<Signals>) {
    loop {
        signals.waits.notified().await;
        loop {
            match bell.wait(LISTEN).await {
                Ok(true) => break,
                Ok(false) => {}
                Err(error) => {
                    tracing::debug!(%error, "the leader's bell is silent");
                    tokio::time::sleep(AFTER_ERROR).await;
                }
            }
        }
        signals.rung.notify_one();
    }
}

impl Bell for ShardBell {
    async fn wait(&mut self, at_most: Duration) -> bool {
        self.signals.waits.notify_one();
        let rung = self.signals.rung.notified();
        tokio::time::timeout(at_most, rung).await.is_ok()
    }
}
