//! Connecting: the client, its builder, and the state that its clones share.

use std::fmt;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use paceline_store::calls::open::OpenError;
use paceline_store::redis_url::RedisUrlError;
use paceline_store::{RedisUrl, Store, StoreOptions};
use paceline_types::{DEFAULT_MAX_PAYLOAD, MAX_PAYLOAD_CEILING, NameError, Namespace, ShardIndex};

use crate::group_commit::Group;
use crate::wait::Waits;

/// A handle on a Paceline cluster: submits, steers, queries and follows work.
///
/// Cheap to clone; clones share connections, and their concurrent submits share batches. It
/// belongs to the tokio runtime that it was connected in.
#[derive(Clone)]
pub struct Client {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) store: Store,
    pub(crate) group: Group,
    /// Started by the first wait: a client that never waits has no reply feed.
    waits: OnceLock<Waits>,
    max_payload: usize,
    /// The shard that the next work without a key goes to.
    next_shard: AtomicU16,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("url", self.inner.store.url())
            .field("namespace", self.inner.store.namespace())
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Connects to the cluster behind a Redis URL, with everything else at its default.
    ///
    /// On `Ok` Redis has answered, fits the demands of Paceline, and the number of shards is
    /// agreed.
    ///
    /// # Errors
    /// See [`ConnectError`]; nothing of the cluster's work was touched.
    pub async fn connect(url: &str) -> Result<Client, ConnectError> {
        Client::builder().url(url).connect().await
    }

    /// What a client may be told before it connects.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    /// A client over a store that is already open, such as a node's own.
    ///
    /// Payloads are limited to 256 KiB. Must be called inside a tokio runtime.
    #[must_use]
    pub fn from_store(store: Store) -> Client {
        Client::assemble(store, DEFAULT_MAX_PAYLOAD)
    }

    fn assemble(store: Store, max_payload: usize) -> Client {
        // Clients that all began with shard 0 would put single jobs nowhere else.
        let first = rand::random::<u16>();
        Client {
            inner: Arc::new(Inner {
                group: Group::start(store.clone()),
                waits: OnceLock::new(),
                max_payload,
                next_shard: AtomicU16::new(first),
                store,
            }),
        }
    }

    /// The namespace that this client works on.
    #[must_use]
    pub fn namespace(&self) -> &Namespace {
        self.inner.store.namespace()
    }

    /// Number of shards of the namespace.
    #[must_use]
    pub fn shards(&self) -> u16 {
        self.inner.store.shards()
    }

    /// What the check of the server found unwise but not forbidden, one sentence each.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        self.inner.store.warnings()
    }

    pub(crate) fn store(&self) -> &Store {
        &self.inner.store
    }

    pub(crate) fn max_payload(&self) -> usize {
        self.inner.max_payload
    }

    pub(crate) fn waits(&self) -> &Waits {
        self.inner
            .waits
            .get_or_init(|| Waits::start(self.inner.store.clone()))
    }

    /// The shard for the next work that no key ties to one: each in turn.
    pub(crate) fn spread(&self) -> ShardIndex {
        let turn = self.inner.next_shard.fetch_add(1, Ordering::Relaxed);
        ShardIndex(turn % self.shards().max(1))
    }
}

/// What a client may be told before it connects; mistakes are reported by
/// [`ClientBuilder::connect`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `connect` is called"]
pub struct ClientBuilder {
    url: String,
    namespace: Option<String>,
    shards: Option<u16>,
    max_payload: usize,
    retry_for: Option<Duration>,
}

impl Default for ClientBuilder {
    fn default() -> Self {
        ClientBuilder {
            url: "redis://127.0.0.1/".to_owned(),
            namespace: None,
            shards: None,
            max_payload: DEFAULT_MAX_PAYLOAD,
            retry_for: None,
        }
    }
}

impl ClientBuilder {
    /// Where Redis is; default `redis://127.0.0.1/`. See [`RedisUrl`] for the forms.
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.url = url.into();
        self
    }

    /// Tenant of the Redis; default `paceline`.
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = Some(namespace.into());
        self
    }

    /// Number of shards to create the namespace with, and to insist on where it exists.
    /// By default what is recorded, else 1 on a single Redis and 16 on a Cluster.
    pub fn shards(mut self, shards: u16) -> Self {
        self.shards = Some(shards);
        self
    }

    /// Largest payload that a submit accepts, in bytes; default 256 KiB, at most 8 MiB.
    pub fn max_payload(mut self, bytes: usize) -> Self {
        self.max_payload = bytes;
        self
    }

    /// How long a call is sent again while Redis gives no usable answer.
    pub fn retry_for(mut self, duration: Duration) -> Self {
        self.retry_for = Some(duration);
        self
    }

    /// Connects, and checks the server.
    ///
    /// # Errors
    /// See [`ConnectError`]; nothing of the cluster's work was touched.
    pub async fn connect(self) -> Result<Client, ConnectError> {
        let max_payload = self.max_payload;
        let (url, options) = self.checked()?;
        let store = Store::open(&url, options).await?;
        for warning in store.warnings() {
            tracing::warn!(%url, "{warning}");
        }
        Ok(Client::assemble(store, max_payload))
    }

    fn checked(self) -> Result<(RedisUrl, StoreOptions), ConnectError> {
        let url: RedisUrl = self.url.parse()?;
        let mut options = StoreOptions {
            shards: self.shards,
            ..StoreOptions::default()
        };
        if let Some(namespace) = &self.namespace {
            options.namespace = Namespace::new(namespace)?;
        }
        if let Some(retry_for) = self.retry_for {
            options.link.retry_for = retry_for;
        }
        if !(1..=MAX_PAYLOAD_CEILING).contains(&self.max_payload) {
            return Err(ConnectError::MaxPayload {
                given: self.max_payload,
            });
        }
        Ok((url, options))
    }
}

/// Why a client could not connect.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The text is no address of Redis.
    #[error(transparent)]
    Url(#[from] RedisUrlError),
    /// The namespace is not a name.
    #[error(transparent)]
    Namespace(#[from] NameError),
    /// The payload limit is zero or above 8 MiB.
    #[error(
        "a payload limit of {given} bytes is not possible: choose one from 1 to \
         {MAX_PAYLOAD_CEILING}"
    )]
    MaxPayload {
        /// Bytes asked for.
        given: usize,
    },
    /// Redis is not there, does not fit, or the namespace was made with another shard count.
    #[error(transparent)]
    Open(#[from] OpenError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_told_before_anything_is_connected() {
        let table: [(ClientBuilder, &str); 4] = [
            (Client::builder().url("http://x/"), "unknown scheme `http`"),
            (Client::builder().namespace("a:b"), "the namespace `a:b`"),
            (Client::builder().max_payload(0), "a payload limit of 0"),
            (
                Client::builder().max_payload(MAX_PAYLOAD_CEILING + 1),
                "a payload limit of 8388609 bytes is not possible",
            ),
        ];
        for (builder, words) in table {
            let error = builder.checked().expect_err(words).to_string();
            assert!(error.contains(words), "{error}");
        }
        assert!(
            Client::builder()
                .max_payload(MAX_PAYLOAD_CEILING)
                .checked()
                .is_ok()
        );
    }
}
