//! How a node is put together; every mistake is found before anything is started.

mod check;
mod code;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;
use paceline_orchestrator::leader::DEFAULT_RECONCILE_EVERY;
use paceline_types::{DEFAULT_MAX_PAYLOAD, NameError, Role, TierWeights};

use crate::aggregate::Aggregator;
use crate::callbacks::Callback;
use crate::handler::{HandlerFn, HandlerOptions};
use crate::middleware::Layers;
use crate::node::{RunningNode, StartError};
use crate::periodic::{DEFAULT_PERIOD, Provider};

pub use check::BuildError;

/// Run slots of a node unless configured otherwise.
pub const DEFAULT_CONCURRENCY: u32 = 256;

/// Lease of a node in each shard unless configured otherwise.
pub const DEFAULT_LEASE: Duration = Duration::from_secs(10);

/// Lease of a shard's leader unless configured otherwise.
pub const DEFAULT_LEADER_LEASE: Duration = Duration::from_secs(5);

/// How long a node that stops waits for running handlers unless configured otherwise.
pub const DEFAULT_DRAIN: Duration = Duration::from_secs(30);

/// How often a node looks for changed settings unless configured otherwise.
pub const DEFAULT_SETTINGS_INTERVAL: Duration = Duration::from_secs(5);

/// Shortest lease: below it, an ordinary pause of the process would look like its death.
pub const SHORTEST_LEASE: Duration = Duration::from_secs(1);

const DEFAULT_URL: &str = "redis://127.0.0.1/";

/// Puts a node together. Start it with [`NodeBuilder::run`], [`NodeBuilder::run_until`] or
/// [`NodeBuilder::start`].
#[must_use = "a node does nothing until it is run"]
pub struct NodeBuilder {
    pub(crate) url: String,
    pub(crate) namespace: Option<String>,
    pub(crate) shards: Option<u16>,
    pub(crate) concurrency: u32,
    pub(crate) lease: Duration,
    pub(crate) leader_lease: Duration,
    pub(crate) drain: Duration,
    pub(crate) weights: TierWeights,
    pub(crate) max_payload: usize,
    pub(crate) http: Option<SocketAddr>,
    pub(crate) exporter: Option<PrometheusHandle>,
    pub(crate) name: Option<String>,
    pub(crate) handlers: Vec<(String, HandlerOptions, HandlerFn)>,
    pub(crate) aggregators: Vec<(String, Aggregator)>,
    pub(crate) periodic: Vec<Provider>,
    pub(crate) period: Duration,
    wrong_provider: Option<NameError>,
    pub(crate) middleware: Layers,
    pub(crate) callbacks: Vec<Callback>,
    pub(crate) look: Duration,
    pub(crate) reconcile_every: Duration,
    pub(crate) roles: BTreeSet<Role>,
}

impl Default for NodeBuilder {
    fn default() -> Self {
        NodeBuilder {
            url: DEFAULT_URL.to_owned(),
            namespace: None,
            shards: None,
            concurrency: DEFAULT_CONCURRENCY,
            lease: DEFAULT_LEASE,
            leader_lease: DEFAULT_LEADER_LEASE,
            drain: DEFAULT_DRAIN,
            weights: TierWeights::default(),
            max_payload: DEFAULT_MAX_PAYLOAD,
            http: None,
            exporter: None,
            name: None,
            handlers: Vec::new(),
            aggregators: Vec::new(),
            periodic: Vec::new(),
            period: DEFAULT_PERIOD,
            wrong_provider: None,
            middleware: Layers::default(),
            callbacks: Vec::new(),
            look: DEFAULT_SETTINGS_INTERVAL,
            reconcile_every: DEFAULT_RECONCILE_EVERY,
            roles: Role::ALL.into(),
        }
    }
}

impl NodeBuilder {
    /// Where Redis is. Default `redis://127.0.0.1/`.
    pub fn redis(mut self, url: impl Into<String>) -> Self {
        self.url = url.into();
        self
    }

    /// Tenant of the Redis. Default `paceline`.
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = Some(namespace.into());
        self
    }

    /// Shards to create the namespace with. Default: what is recorded in Redis, else 1 on a
    /// single Redis and 16 on a Cluster.
    pub fn shards(mut self, shards: u16) -> Self {
        self.shards = Some(shards);
        self
    }

    /// Most jobs that the node runs at once, at least 1. Default 256.
    pub fn concurrency(mut self, slots: u32) -> Self {
        self.concurrency = slots;
        self
    }

    /// How long the node may be silent before its runs are handed on, at least 1 s. Default
    /// 10 s.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// How long a leader may be silent before another takes over, at least 1 s. Default 5 s.
    pub fn leader_lease(mut self, lease: Duration) -> Self {
        self.leader_lease = lease;
        self
    }

    /// How long a node that stops waits for running handlers. Default 30 s.
    pub fn drain(mut self, drain: Duration) -> Self {
        self.drain = drain;
        self
    }

    /// Shares of claims of the three tiers. Default 100, 50 and 10.
    pub fn weights(mut self, weights: TierWeights) -> Self {
        self.weights = weights;
        self
    }

    /// The most urgent tier that has work, always, in place of shares: less urgent work waits for as
    /// long as there is more urgent work.
    pub fn strict_tiers(self) -> Self {
        self.weights(TierWeights::strict())
    }

    /// Longest result of a handler in bytes, up to 8 MiB. Default 256 KiB.
    pub fn max_payload(mut self, bytes: usize) -> Self {
        self.max_payload = bytes;
        self
    }

    /// Serves `/livez`, `/readyz` and `/metrics` there; port 0 takes a free one. Default: off.
    pub fn http(mut self, address: impl Into<Option<SocketAddr>>) -> Self {
        self.http = address.into();
        self
    }

    /// What `/metrics` shows; see [`crate::telemetry::prometheus`].
    pub fn metrics(mut self, exporter: PrometheusHandle) -> Self {
        self.exporter = Some(exporter);
        self
    }

    /// What readers know the node by. Default: host name and process id.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// What the node does. Default: everything.
    ///
    /// A leader does the work of [`Role::Scheduler`] and of [`Role::Orchestrator`], so these two
    /// come together. Without [`Role::Worker`] handlers are not served, and without [`Role::Api`]
    /// nothing listens at the address of [`NodeBuilder::http`].
    ///
    /// ```
    /// # use paceline_node::{Node, Role};
    /// let leads = Node::builder().roles([Role::Scheduler, Role::Orchestrator]);
    /// let works = Node::builder().roles([Role::Worker]);
    /// # let _ = (leads, works);
    /// ```
    pub fn roles(mut self, roles: impl IntoIterator<Item = Role>) -> Self {
        self.roles = roles.into_iter().collect();
        self
    }

    /// How often the node looks for settings that changed (`Client::set_config`), with one command
    /// each: 100 ms to 10 s. Default 5 s.
    pub fn settings_interval(mut self, every: Duration) -> Self {
        self.look = every;
        self
    }

    /// How long after one walk over everything that should be moving the node, while it leads, begins
    /// the next: 100 ms to 1 h. Default 30 s.
    ///
    /// What two walks find at a standstill, because what Redis kept of it was lost, is moved on. A
    /// walk takes a quarter of a second for each live workflow and for each batch, or more where much
    /// of them is under way, however often it is begun.
    pub fn reconcile_interval(mut self, every: Duration) -> Self {
        self.reconcile_every = every;
        self
    }

    /// How often providers of schedules are asked. Default one minute.
    pub fn period(mut self, period: Duration) -> Self {
        self.period = period;
        self
    }

    /// Starts the node; see [`Node::start`](crate::Node::start).
    ///
    /// # Errors
    /// Those of [`Node::start`](crate::Node::start), and mistakes of the builder.
    pub async fn start(self) -> Result<RunningNode, StartError> {
        self.build()?.start().await
    }

    /// Runs the node for as long as the process lives.
    ///
    /// A process that should stop gracefully uses [`NodeBuilder::run_until`].
    ///
    /// # Errors
    /// Those of [`NodeBuilder::start`].
    pub async fn run(self) -> Result<(), StartError> {
        self.run_until(std::future::pending()).await
    }

    /// Runs the node until `stop` is ready, then stops it gracefully.
    ///
    /// # Errors
    /// Those of [`NodeBuilder::start`].
    pub async fn run_until(self, stop: impl Future<Output = ()>) -> Result<(), StartError> {
        let node = self.start().await?;
        stop.await;
        node.stop().await;
        Ok(())
    }
}
