//! A node from start to stop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use paceline_store::calls::open::OpenError;
use paceline_store::{LinkOptions, RedisUrl, Store, StoreError, StoreOptions};
use paceline_types::{Namespace, NodeId, Role};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::builder::{BuildError, NodeBuilder};
use crate::callbacks::Callback;
use crate::execute::GRACE;
use crate::heartbeat::{Heartbeat, HeartbeatError};
use crate::http::{self, Subject};
use crate::identity::Seat;
use crate::kit::{Dials, Entry, Kit, NodeOptions};
use crate::latch::Latch;
use crate::owned::{Owned, persist};
use crate::phase::Phase;
use crate::registry::Registry;
use crate::telemetry::{self, HandlerMetrics};
use crate::{callbacks, election, middleware, panics, periodic, pump, settings};

/// How long a node that stops tries to tell Redis what its handlers came to.
const LAST_SETTLES: Duration = Duration::from_secs(5);

/// How long giving back leadership and leases may take.
const LAST_WORDS: Duration = Duration::from_secs(8);

/// Why a node did not start. It holds nothing in Redis, but may have been listed for a moment.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A mistake of the builder.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// Redis cannot be used.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The node could not register.
    #[error("the node could not register: {0}")]
    Join(#[source] StoreError),
    /// The HTTP listener.
    #[error("cannot listen on {address}: {source}; choose another address with `http`")]
    Http {
        /// Where it should listen.
        address: SocketAddr,
        /// Why it cannot.
        source: std::io::Error,
    },
    /// A thread of its own for the heartbeat.
    #[error("the heartbeat's thread cannot be started: {0}")]
    Thread(#[source] std::io::Error),
}

impl From<HeartbeatError> for StartError {
    fn from(error: HeartbeatError) -> Self {
        match error {
            HeartbeatError::Open(error) => StartError::Open(error),
            HeartbeatError::Join(error) => StartError::Join(error),
            HeartbeatError::Thread(error) => StartError::Thread(error),
        }
    }
}

/// A node that is put together and checked, but not started.
pub struct Node {
    pub(crate) url: RedisUrl,
    pub(crate) namespace: Namespace,
    pub(crate) registry: Registry,
    pub(crate) builder: NodeBuilder,
}

impl Node {
    /// Begins to put a node together.
    pub fn builder() -> NodeBuilder {
        NodeBuilder::default()
    }

    /// Connects, checks Redis, registers and begins to work.
    ///
    /// On `Ok` the node is registered in every shard and claims work.
    ///
    /// # Errors
    /// When Redis cannot be reached or used, or the HTTP listener cannot be bound.
    pub async fn start(self) -> Result<RunningNode, StartError> {
        panics::install_hook();
        telemetry::describe();
        let store = Store::open(&self.url, self.store_options(self.builder.leader_lease)).await?;
        for warning in store.warnings() {
            tracing::warn!("{warning}");
        }
        let heartbeat_options = self.store_options(self.builder.lease);
        let builder = self.builder;
        let options = NodeOptions {
            lease: builder.lease,
            leader_lease: builder.leader_lease,
            reconcile_every: builder.reconcile_every,
            weights: builder.weights,
            drain: builder.drain,
            max_payload: builder.max_payload,
            concurrency: builder.concurrency,
            roles: builder.roles,
        };
        let global = builder.middleware;
        let handlers = builder
            .handlers
            .into_iter()
            .map(|(name, options, call)| Entry {
                metrics: HandlerMetrics::new(&name),
                retry_policy: options.retry_policy.clone().unwrap_or_default(),
                dials: Dials::default(),
                name,
                call: middleware::wrap(call, &global, &options.middleware),
                options,
            });
        let kit = Arc::new(Kit::new(
            store,
            options,
            self.registry,
            handlers.collect(),
            builder.name.unwrap_or_else(default_name),
        ));
        let http = builder.http.filter(|_| kit.has_role(Role::Api));
        let listener = match http {
            Some(address) => Some(
                http::bind(address)
                    .await
                    .map_err(|source| StartError::Http { address, source })?,
            ),
            None => None,
        };
        let http_addr = listener.as_ref().map(|(_, address)| *address);
        if let Some(address) = http_addr {
            let _ = kit.address.set(address.to_string());
        }

        let seats: Arc<[Arc<Seat>]> = kit
            .store
            .each_shard()
            .map(|shard| Arc::new(Seat::new(shard)))
            .collect();
        let (phase, phases) = watch::channel(Phase::Running);
        let guard = PhaseGuard(phase);
        // Before anything is claimed, since a handler may be paused.
        let mut settings = settings::Reader::default();
        settings.look(&kit).await;
        let heartbeat =
            Heartbeat::start(&kit, &seats, self.url, heartbeat_options, &phases).await?;
        let mut pumps = JoinSet::new();
        let mut elections = JoinSet::new();
        let mut callers = JoinSet::new();
        let callbacks_over = Arc::new(Latch::default());
        let callbacks: Arc<[Callback]> = builder.callbacks.into();
        for seat in &*seats {
            if kit.works() {
                pumps.spawn(pumping(&kit, seat, &phases));
            }
            if kit.stands() {
                elections.spawn(electing(&kit, seat, &phases));
            }
            if !callbacks.is_empty() {
                callers.spawn(calling(&kit, seat, &callbacks, &phases, &callbacks_over));
            }
        }
        for provider in builder.periodic {
            let (kit, phase) = (Arc::clone(&kit), phases.clone());
            elections.spawn(periodic::run(kit, provider, builder.period, phase));
        }
        let follow = settings::follow(Arc::clone(&kit), settings, builder.look);
        let following = Owned::spawn(follow);
        let subject = Subject {
            seats,
            phase: phases,
            exporter: builder.exporter,
        };
        let serving = listener.map(|(listener, _)| http::serve(listener, subject));
        tracing::info!(
            node = %kit.identity.newest(),
            name = kit.name,
            redis = %kit.store.url(),
            shards = kit.store.shards(),
            handlers = kit.handlers.len(),
            "the node works"
        );
        Ok(RunningNode {
            kit,
            phase: guard,
            heartbeat,
            pumps,
            elections,
            callers,
            callbacks_over,
            _following: following,
            serving,
            http_addr,
        })
    }

    /// A reply that takes longer than a fraction of the lease is better asked for again.
    fn store_options(&self, lease: Duration) -> StoreOptions {
        let patience = (lease / 4).clamp(Duration::from_millis(250), Duration::from_secs(2));
        StoreOptions {
            namespace: self.namespace.clone(),
            shards: self.builder.shards,
            link: LinkOptions {
                response_timeout: patience,
                ..LinkOptions::default()
            },
            ..StoreOptions::default()
        }
    }
}

fn pumping(
    kit: &Arc<Kit>,
    seat: &Arc<Seat>,
    phase: &watch::Receiver<Phase>,
) -> impl Future<Output = ()> + Send + use<> {
    let (kit, seat, phase) = (Arc::clone(kit), Arc::clone(seat), phase.clone());
    let failed = Arc::clone(&seat);
    let part = move || pump::run(Arc::clone(&kit), Arc::clone(&seat), phase.clone());
    persist("pump", part, move || failed.give_up())
}

fn electing(
    kit: &Arc<Kit>,
    seat: &Seat,
    phase: &watch::Receiver<Phase>,
) -> impl Future<Output = ()> + Send + use<> {
    let (kit, shard, phase) = (Arc::clone(kit), seat.shard, phase.clone());
    let failed = Arc::clone(&kit);
    let part = move || election::run(Arc::clone(&kit), shard, phase.clone());
    persist("election", part, move || failed.set_lead(shard, None))
}

fn calling(
    kit: &Arc<Kit>,
    seat: &Arc<Seat>,
    callbacks: &Arc<[Callback]>,
    phase: &watch::Receiver<Phase>,
    over: &Arc<Latch>,
) -> impl Future<Output = ()> + Send + use<> {
    let (kit, seat, phase) = (Arc::clone(kit), Arc::clone(seat), phase.clone());
    let (callbacks, over) = (Arc::clone(callbacks), Arc::clone(over));
    let part = move || {
        callbacks::run(
            Arc::clone(&kit),
            Arc::clone(&seat),
            Arc::clone(&callbacks),
            phase.clone(),
            Arc::clone(&over),
        )
    };
    persist("callbacks", part, || {})
}

/// Host name and process id.
fn default_name() -> String {
    let host = std::env::var("HOSTNAME")
        .ok()
        .or_else(|| std::fs::read_to_string("/etc/hostname").ok())
        .map(|host| host.trim().to_owned())
        .filter(|host| !host.is_empty());
    format!(
        "{}/{}",
        host.as_deref().unwrap_or("node"),
        std::process::id()
    )
}

/// Makes everything end when a node is dropped without being stopped.
struct PhaseGuard(watch::Sender<Phase>);

impl PhaseGuard {
    fn set(&self, phase: Phase) {
        self.0.send_replace(phase);
    }
}

impl Drop for PhaseGuard {
    fn drop(&mut self) {
        self.set(Phase::Leaving);
    }
}

/// A node at work. Dropping it ends it without grace: what it runs goes to other nodes.
#[must_use = "a node that is dropped ends without grace; call `stop`"]
pub struct RunningNode {
    kit: Arc<Kit>,
    phase: PhaseGuard,
    heartbeat: Heartbeat,
    pumps: JoinSet<()>,
    elections: JoinSet<()>,
    callers: JoinSet<()>,
    callbacks_over: Arc<Latch>,
    _following: Owned,
    serving: Option<JoinHandle<()>>,
    http_addr: Option<SocketAddr>,
}

impl RunningNode {
    /// The node's present id. It changes when the node loses its lease and joins again.
    #[must_use]
    pub fn id(&self) -> NodeId {
        self.kit.identity.newest()
    }

    /// What readers know the node by.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.kit.name
    }

    /// Where the HTTP listener is, if the node has one.
    #[must_use]
    pub fn http_addr(&self) -> Option<SocketAddr> {
        self.http_addr
    }

    /// Whether the node was told to claim no more; see `Client::drain`.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.kit.is_drained()
    }

    /// Shards that this node leads, with their terms.
    #[must_use]
    pub fn leads(&self) -> std::collections::BTreeMap<paceline_types::ShardIndex, u64> {
        self.kit.leads()
    }

    /// Stops gracefully: claims no more, waits for running handlers (30 s unless configured
    /// otherwise), cancels those that remain and gives them 5 s, hands unfinished jobs back,
    /// and gives back leadership and leases.
    pub async fn stop(mut self) {
        tracing::info!(node = %self.id(), "stopping");
        self.phase.set(Phase::Draining);
        if !ended_within(&mut self.pumps, self.kit.options.drain).await {
            tracing::warn!(node = %self.id(), "handlers still run and are cancelled");
            self.phase.set(Phase::Cancelling);
            if !ended_within(&mut self.pumps, GRACE + LAST_SETTLES).await {
                tracing::error!(
                    node = %self.id(),
                    "not every run could be settled; the others are recovered by their lease"
                );
                self.pumps.abort_all();
            }
        }
        // What the last runs came to may still be told; the rest is told by another node.
        self.callbacks_over.fire();
        if !ended_within(&mut self.callers, LAST_WORDS).await {
            tracing::warn!("a callback is dropped where it stands");
            self.callers.abort_all();
        }
        self.phase.set(Phase::Leaving);
        if !ended_within(&mut self.elections, LAST_WORDS).await {
            self.elections.abort_all();
        }
        if tokio::time::timeout(LAST_WORDS, self.heartbeat.ended())
            .await
            .is_err()
        {
            tracing::error!("the heartbeat did not end");
        }
        if let Some(serving) = self.serving {
            serving.abort();
        }
        tracing::info!(node = %self.kit.identity.newest(), "stopped");
    }
}

/// Whether all tasks ended in time.
async fn ended_within(tasks: &mut JoinSet<()>, limit: Duration) -> bool {
    let all = async { while tasks.join_next().await.is_some() {} };
    tokio::time::timeout(limit, all).await.is_ok()
}
