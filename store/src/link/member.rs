//! A server that calls go to, reconnected whenever its connection fails.

use std::sync::{Arc, PoisonError, RwLock};

use futures::FutureExt;
use redis::RedisResult;
use redis::aio::MultiplexedConnection;

use super::dial::Dialer;
use super::gate::Gate;
use super::sentinel::Sentinels;
use super::stats::Counters;
use super::wire::Wire;
use crate::redis_url::Endpoint;

/// How the server is found.
#[derive(Debug)]
pub(super) enum Target {
    /// It stays where it is.
    Fixed(Endpoint),
    /// Sentinels know where the primary is.
    Watched(Sentinels),
}

/// A server with at most one connection for calls, opened at first use.
pub(super) struct Member {
    target: Target,
    dialer: Arc<Dialer>,
    counters: Arc<Counters>,
    live: RwLock<Option<Arc<Wire>>>,
    gate: Gate,
}

impl Member {
    pub(super) fn new(target: Target, dialer: Arc<Dialer>, counters: Arc<Counters>) -> Self {
        Self {
            target,
            dialer,
            counters,
            live: RwLock::new(None),
            gate: Gate::default(),
        }
    }

    /// Whether there is a connection that may be used.
    pub(super) fn is_open(&self) -> bool {
        self.live().is_some()
    }

    /// The connection in use, or a new one.
    pub(super) async fn wire(&self) -> RedisResult<Arc<Wire>> {
        match self.live() {
            Some(wire) => Ok(wire),
            // Rare and large, so it is kept out of the futures of the calls.
            None => self.reopened().boxed().await,
        }
    }

    async fn reopened(&self) -> RedisResult<Arc<Wire>> {
        let open = async {
            let (connection, endpoint) = self.separate().await?;
            let wire = Arc::new(Wire::new(connection, endpoint));
            let mut live = self.live.write().unwrap_or_else(PoisonError::into_inner);
            if live.replace(Arc::clone(&wire)).is_some() {
                self.counters.rebuilt();
            }
            Ok(wire)
        };
        self.gate.pass(|| self.live(), open).await
    }

    /// A connection of its own, such as blocking reads need, and where it leads.
    pub(super) async fn separate(&self) -> RedisResult<(MultiplexedConnection, Endpoint)> {
        match &self.target {
            Target::Fixed(endpoint) => Ok((self.dialer.server(endpoint).await?, endpoint.clone())),
            Target::Watched(sentinels) => sentinels.primary(&self.dialer).await,
        }
    }

    /// Where the server is, as far as that is known.
    pub(super) fn endpoint(&self) -> Option<Endpoint> {
        match &self.target {
            Target::Fixed(endpoint) => Some(endpoint.clone()),
            Target::Watched(_) => self.live().map(|wire| wire.endpoint().clone()),
        }
    }

    pub(super) fn is_at(&self, place: &Endpoint) -> bool {
        matches!(&self.target, Target::Fixed(endpoint) if endpoint == place)
    }

    /// Gives up the connection in use, for a reason found elsewhere.
    pub(super) fn retire(&self) {
        if let Some(wire) = self.live() {
            wire.retire();
        }
    }

    fn live(&self) -> Option<Arc<Wire>> {
        let live = self.live.read().unwrap_or_else(PoisonError::into_inner);
        live.as_ref().filter(|wire| wire.is_usable()).cloned()
    }
}
