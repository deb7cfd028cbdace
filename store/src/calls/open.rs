//! Opening a store: connect, look whether the server is fit, agree on the number of shards.

use std::sync::Arc;

use paceline_types::ShardIndex;

use crate::check::{ServerFault, check_server};
use crate::keys::Keys;
use crate::link::{ConnectError, Link};
use crate::redis_url::RedisUrl;
use crate::store::Shared;
use crate::wire::reply::text_of;
use crate::{Store, StoreError, StoreOptions};

/// Most shards of a namespace.
pub const MAX_SHARDS: u16 = 1024;

/// Why a store was not opened. Each says in one sentence what is wrong and how to mend it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// There is no connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The server is not fit for use.
    #[error(transparent)]
    Server(#[from] ServerFault),
    /// No answer, or an error of Redis.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The namespace was made with another number of shards.
    #[error(
        "namespace {namespace} has {recorded} shards, not {wanted}: \
         leave the number out to take what is recorded, or use another namespace"
    )]
    Shards {
        /// The namespace.
        namespace: paceline_types::Namespace,
        /// What Redis holds.
        recorded: u16,
        /// What was asked for.
        wanted: u16,
    },
    /// A number of shards that cannot be.
    #[error("{0} shards are not possible: use 1 to {MAX_SHARDS}")]
    ShardCount(u16),
}

impl Store {
    /// Connects to a namespace, creating it with `options.shards` if it is new.
    ///
    /// On `Ok` the server was found fit: version, eviction policy, role and rights.
    ///
    /// # Errors
    /// See [`OpenError`]. Nothing but the number of shards may have been stored.
    pub async fn open(url: &RedisUrl, options: StoreOptions) -> Result<Store, OpenError> {
        if let Some(wanted) = options.shards
            && (wanted == 0 || wanted > MAX_SHARDS)
        {
            return Err(OpenError::ShardCount(wanted));
        }
        let link = Link::connect(url, options.link).await?;
        let report = check_server(&link).await?;
        let default = if url.is_cluster() { 16 } else { 1 };
        let wanted = options.shards.unwrap_or(default);
        let meta = Keys::new(&options.namespace, ShardIndex(0)).meta;
        let recorded = record_shards(&link, &meta, wanted).await?;
        if options.shards.is_some_and(|wanted| wanted != recorded) {
            return Err(OpenError::Shards {
                namespace: options.namespace,
                recorded,
                wanted,
            });
        }
        let keys = (0..recorded)
            .map(|shard| Keys::new(&options.namespace, ShardIndex(shard)))
            .collect();
        Ok(Store {
            link,
            shared: Arc::new(Shared {
                url: url.clone(),
                namespace: options.namespace,
                keys,
                event_cap: options.event_cap,
                warnings: report.warnings.iter().map(ToString::to_string).collect(),
            }),
        })
    }

    /// Records the number of shards again, should it have been lost with the data.
    pub(crate) async fn note_shard_count(&self) -> Result<(), StoreError> {
        let meta = &self.keys(ShardIndex(0))?.meta;
        record_shards(&self.link, meta, self.shards()).await?;
        Ok(())
    }
}

/// Records the number of shards unless there is one; returns what is recorded.
async fn record_shards(link: &Link, meta: &str, wanted: u16) -> Result<u16, StoreError> {
    let mut pipeline = redis::pipe();
    pipeline.cmd("HSETNX").arg(meta).arg("shards").arg(wanted);
    pipeline.cmd("HGET").arg(meta).arg("shards");
    let mut values = link.pipeline(&pipeline).await?;
    let recorded = text_of("HGET", values.pop().unwrap_or(redis::Value::Nil))?;
    recorded
        .parse()
        .map_err(|_| StoreError::protocol("HGET", "a number of shards", &recorded))
}
