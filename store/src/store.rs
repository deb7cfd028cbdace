//! The store: typed calls on one namespace of a Redis.

use std::sync::Arc;

use paceline_types::{Namespace, ShardIndex};

use crate::StoreError;
use crate::keys::Keys;
use crate::link::{Link, LinkOptions};
use crate::redis_url::RedisUrl;

/// A cheap-clone handle on one namespace: every call of the store is a method of it.
///
/// The calls stand in [`crate::calls`], one file for each operation.
#[derive(Clone, Debug)]
pub struct Store {
    pub(crate) link: Link,
    pub(crate) shared: Arc<Shared>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) url: RedisUrl,
    pub(crate) namespace: Namespace,
    pub(crate) keys: Vec<Keys>,
    pub(crate) event_cap: u64,
    pub(crate) warnings: Vec<String>,
}

/// What a store is opened with.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// Tenant of the Redis; default `paceline`.
    pub namespace: Namespace,
    /// Shards to create the namespace with; recorded in Redis at first use. `None` takes what is
    /// recorded, else 1 on a single Redis and 16 on a Cluster.
    pub shards: Option<u16>,
    /// Events kept per shard, about; default 100,000.
    pub event_cap: u64,
    /// Timeouts and retries of the connection.
    pub link: LinkOptions,
}

impl Default for StoreOptions {
    fn default() -> Self {
        StoreOptions {
            namespace: Namespace::default(),
            shards: None,
            event_cap: 100_000,
            link: LinkOptions::default(),
        }
    }
}

impl Store {
    /// Number of shards of the namespace.
    #[must_use]
    pub fn shards(&self) -> u16 {
        u16::try_from(self.shared.keys.len()).unwrap_or(u16::MAX)
    }

    /// Every shard of the namespace.
    pub fn each_shard(&self) -> impl Iterator<Item = ShardIndex> + use<> {
        (0..self.shards()).map(ShardIndex)
    }

    /// The namespace that this store works on.
    #[must_use]
    pub fn namespace(&self) -> &Namespace {
        &self.shared.namespace
    }

    /// Where it is connected to; its `Display` hides the password.
    #[must_use]
    pub fn url(&self) -> &RedisUrl {
        &self.shared.url
    }

    /// What the server's settings put at risk, one sentence each.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.shared.warnings
    }

    /// The connection underneath.
    #[must_use]
    pub fn link(&self) -> &Link {
        &self.link
    }

    /// The keys of a shard; an error for a shard that this namespace does not have.
    pub(crate) fn keys(&self, shard: ShardIndex) -> Result<&Keys, StoreError> {
        self.shared
            .keys
            .get(usize::from(shard.0))
            .ok_or_else(|| StoreError::UnknownShard {
                server: self.link.address().to_owned(),
                namespace: self.shared.namespace.to_string(),
                shard: shard.0,
                shards: self.shared.keys.len(),
            })
    }
}
