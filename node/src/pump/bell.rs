//! The bell: wakes an idle pump when work arrives.
//!
//! A ring wakes one node. So a node only listens while it is idle, and not for what it waits for
//! a slot to run; a ring for what it has no room for is passed on. The blocking read is never
//! cut short, since a ring might be lost with it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use metrics::Counter;
use paceline_store::StoreError;
use paceline_store::calls::node::{Rung, WorkBell};
use paceline_types::{ShardIndex, TaskType};
use tokio::sync::{Notify, watch};

use crate::kit::Kit;

/// How long one blocking read lasts.
const LISTEN: Duration = Duration::from_secs(5);

/// How long it lasts while some handlers are left out: what they could run again is not heard
/// until the next read.
const LISTEN_IN_PART: Duration = Duration::from_millis(500);

/// How long to wait after an error.
const AFTER_ERROR: Duration = Duration::from_millis(500);

/// Between the pump of a shard and the listener beside it.
#[derive(Default)]
pub(super) struct Doorbell {
    idle: watch::Sender<bool>,
    /// Handlers that the pump waits for a slot of: it looks for their work as soon as it has one.
    missed: Mutex<Vec<usize>>,
    rung: Notify,
}

impl Doorbell {
    /// The pump waits for work, or does not.
    pub(super) fn set_idle(&self, idle: bool) {
        self.idle
            .send_if_modified(|is_idle| std::mem::replace(is_idle, idle) != idle);
    }

    /// The pump knows that work of these handlers may wait.
    pub(super) fn set_missed(&self, handlers: &[usize]) {
        let mut missed = self.missed.lock().unwrap_or_else(PoisonError::into_inner);
        missed.clear();
        missed.extend(handlers);
    }

    fn missed(&self) -> Vec<usize> {
        let missed = self.missed.lock().unwrap_or_else(PoisonError::into_inner);
        missed.clone()
    }

    /// Returns when work is there.
    pub(super) async fn rung(&self) {
        self.rung.notified().await;
    }

    /// Wakes the pump; it is not idle until it says so again.
    fn ring(&self) {
        self.set_idle(false);
        self.rung.notify_one();
    }
}

/// Listens until it is aborted.
pub(super) async fn run(
    kit: Arc<Kit>,
    shard: ShardIndex,
    door: Arc<Doorbell>,
    poll_errors: Counter,
) {
    let mut idle = door.idle.subscribe();
    let mut listener = match kit.store.bell(shard) {
        Ok(bell) => Listener {
            kit,
            shard,
            door,
            bell,
            by_pattern: None,
        },
        Err(error) => {
            tracing::error!(%shard, %error, "the bell cannot be heard");
            return;
        }
    };
    while idle.wait_for(|idle| *idle).await.is_ok() {
        if let Err(error) = listener.listen().await {
            poll_errors.increment(1);
            tracing::debug!(%shard, %error, "the bell could not be heard");
            listener.by_pattern = None;
            tokio::time::sleep(AFTER_ERROR).await;
        }
    }
}

struct Listener {
    kit: Arc<Kit>,
    shard: ShardIndex,
    door: Arc<Doorbell>,
    bell: WorkBell,
    /// Types that are known and only served by a pattern; none when they must be looked up.
    by_pattern: Option<Vec<TaskType>>,
}

impl Listener {
    /// One blocking read, and what follows from it.
    async fn listen(&mut self) -> Result<(), StoreError> {
        let patterns = self.kit.registry.has_patterns();
        if patterns && self.by_pattern.is_none() {
            self.by_pattern = Some(self.known_types().await?);
        }
        let missed = self.door.missed();
        let (mut types, mut all) = self.kit.types_but(&missed);
        for name in self.by_pattern.iter().flatten() {
            if self
                .kit
                .registry
                .find(name)
                .is_some_and(|it| !missed.contains(&it))
            {
                types.push(name.clone());
            } else {
                all = false;
            }
        }
        let at_most = if all { LISTEN } else { LISTEN_IN_PART };
        if types.is_empty() && !patterns {
            tokio::time::sleep(at_most).await;
            return Ok(());
        }
        match self.bell.wait(&types, patterns, at_most).await? {
            None => {}
            Some(Rung::Work(name)) => {
                // Without room for it here, another node may have some; this one gets in line.
                if !self.kit.has_room(&name) {
                    self.kit.store.ring(self.shard, &name).await?;
                }
                self.door.ring();
            }
            Some(Rung::NewType) => {
                self.by_pattern = None;
                self.door.ring();
            }
        }
        Ok(())
    }

    async fn known_types(&self) -> Result<Vec<TaskType>, StoreError> {
        let mut types = self.kit.store.known_types(self.shard).await?;
        let registry = &self.kit.registry;
        types.retain(|name| registry.find(name).is_some() && !registry.is_named(name));
        Ok(types)
    }
}
