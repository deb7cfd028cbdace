//! How a node is put together; every mistake is found before anything is started.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use metrics_exporter_prometheus::PrometheusHandle;
use paceline_orchestrator::leader::DEFAULT_RECONCILE_EVERY;
use paceline_store::RedisUrl;
use paceline_types::{
    DEFAULT_MAX_PAYLOAD, Event, EventKind, JobError, MAX_PAYLOAD_CEILING, NameError, Namespace,
    Outcome, Role, ScheduleDefinition, ScheduleId, Task, TierWeights,
};

use crate::aggregate::Aggregator;
use crate::callbacks::Callback;
use crate::context::Context;
use crate::handler::{self, HandlerFn, HandlerOptions};
use crate::middleware::{Layers, Middleware};
use crate::node::{Node, RunningNode, StartError};
use crate::periodic::{DEFAULT_PERIOD, Provider};
use crate::registry::{Pattern, Registry};

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

/// Shortest and longest time between two looks for changed settings.
const SETTINGS_INTERVALS: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(100)..=Duration::from_secs(10);

/// Shortest and longest time from one walk over what should be moving to the next.
const RECONCILE_INTERVALS: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(100)..=Duration::from_secs(3_600);

/// Shortest lease: below it, an ordinary pause of the process would look like its death.
pub const SHORTEST_LEASE: Duration = Duration::from_secs(1);

const DEFAULT_URL: &str = "redis://127.0.0.1/";

/// Why a node cannot be built. Nothing was started.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// Two handlers for one task type or pattern.
    #[error("`{0}` has two handlers; register each task type and pattern once")]
    RegisteredTwice(String),
    /// A task type or pattern that is not a name.
    #[error("a handler cannot be registered: {0}")]
    TaskType(NameError),
    /// An option of a handler.
    #[error("the handler of `{handler}` cannot be used: {problem}")]
    Handler {
        /// What it is registered under.
        handler: String,
        /// The field, and what it must be.
        problem: String,
    },
    /// Two aggregators for one task type.
    #[error("`{0}` has two aggregators; register one for each task type")]
    AggregatedTwice(String),
    /// An aggregator that could never be asked.
    #[error(
        "the aggregator of `{0}` has no handler behind it; register one for that task type as well"
    )]
    Aggregator(String),
    /// The namespace is not a name.
    #[error("{0}")]
    Namespace(NameError),
    /// The address of Redis.
    #[error("{0}")]
    Url(String),
    /// A name that no provider of schedules may have.
    #[error("the name of a provider of schedules: {0}")]
    Provider(#[source] NameError),
    /// Any other option.
    #[error("{option} is {given}, but must be {allowed}")]
    Option {
        /// Its name.
        option: &'static str,
        /// What it was given.
        given: String,
        /// What would be accepted.
        allowed: &'static str,
    },
}

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

    /// Calls `callback` for events of this kind, wherever in the cluster they come from: a job
    /// that completed, failed, died, was paused, resumed or cancelled, a workflow that ended, and
    /// so on.
    ///
    /// Each event reaches the callbacks of one node, at least once: after a crash another node
    /// with callbacks goes on, and may repeat the last second's. The first node of a namespace
    /// that has callbacks begins with what happens from then on. In each shard one call is made
    /// after the other, in the order of events; a call that takes longer than 30 s is dropped. A
    /// panic is logged, counted, and goes no further.
    ///
    /// ```
    /// # use paceline_node::{Event, EventKind, Node};
    /// let node = Node::builder()
    ///     .on(EventKind::JobDead, |event: Event| async move {
    ///         tracing::error!(job = ?event.job_id, error = ?event.error, "given up");
    ///     })
    ///     .on(EventKind::WorkflowCompleted, async |event: Event| {
    ///         tracing::info!(workflow = ?event.workflow_id, "done");
    ///     });
    /// # let _ = node;
    /// ```
    pub fn on<F, Fut>(mut self, kind: EventKind, callback: F) -> Self
    where
        F: Fn(Event) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.callbacks.push(Callback::new(Some(kind), callback));
        self
    }

    /// Calls `callback` for every event; see [`NodeBuilder::on`].
    pub fn on_any<F, Fut>(mut self, callback: F) -> Self
    where
        F: Fn(Event) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.callbacks.push(Callback::new(None, callback));
        self
    }

    /// Adds middleware around every handler of the node, wherever in the builder it was
    /// registered: the first that is added is outermost, that of a handler comes inside of it.
    ///
    /// ```
    /// # use paceline_node::{Bytes, Context, Next, Node};
    /// let node = Node::builder().middleware(
    ///     async |context: Context, payload: Bytes, next: Next| {
    ///         let job = context.job_id();
    ///         let outcome = next.run(context, payload).await;
    ///         tracing::info!(%job, done = outcome.is_ok(), "a run ended");
    ///         outcome
    ///     },
    /// );
    /// # let _ = node;
    /// ```
    pub fn middleware(mut self, middleware: impl Middleware) -> Self {
        self.middleware.push(middleware);
        self
    }

    /// Registers the handler of a task.
    ///
    /// A payload that is not a `T` goes to the dead letters at once, and the error names the
    /// field.
    pub fn handle<T, F, Fut>(self, handler: F) -> Self
    where
        T: Task,
        F: Fn(Context, T) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<T::Output, JobError>> + Send + 'static,
    {
        self.handle_with(HandlerOptions::default(), handler)
    }

    /// Registers the handler of a task, with options.
    pub fn handle_with<T, F, Fut>(mut self, options: HandlerOptions, handler: F) -> Self
    where
        T: Task,
        F: Fn(Context, T) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<T::Output, JobError>> + Send + 'static,
    {
        let entry = (T::TYPE.to_owned(), options, handler::typed(handler));
        self.handlers.push(entry);
        self
    }

    /// Registers a handler that works on bytes, for one task type (`image.resize`), for all that
    /// begin alike (`image.*`), or for all (`*`). The most particular one gets a job.
    pub fn handle_raw<F, Fut>(
        mut self,
        pattern: impl Into<String>,
        options: HandlerOptions,
        handler: F,
    ) -> Self
    where
        F: Fn(Context, Bytes) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Outcome> + Send + 'static,
    {
        let entry = (pattern.into(), options, handler::raw(handler));
        self.handlers.push(entry);
        self
    }

    /// Keeps the schedules that `provider` names: it is asked when this node begins to lead the
    /// first shard, and again every minute; what it names is created and changed, and what it
    /// made before and names no longer is deleted. An error or a panic leaves all as it is.
    ///
    /// `name` marks the schedules as its own; it touches no others. Register the same provider on
    /// every node: the one that leads asks.
    ///
    /// ```no_run
    /// # use paceline_node::Node;
    /// # use paceline_types::ScheduleDefinition;
    /// # async fn schedules_of_tenants() -> Result<Vec<ScheduleDefinition>, String> { Ok(vec![]) }
    /// let node = Node::builder().periodic("tenants", schedules_of_tenants);
    /// ```
    pub fn periodic<F, Fut, E>(mut self, name: impl AsRef<str>, provider: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Vec<ScheduleDefinition>, E>> + Send + 'static,
        E: std::fmt::Display,
    {
        match ScheduleId::new(name.as_ref()) {
            Ok(name) => self.periodic.push(Provider::new(name, provider)),
            Err(error) => self.wrong_provider = Some(error),
        }
        self
    }

    /// How often providers of schedules are asked. Default one minute.
    pub fn period(mut self, period: Duration) -> Self {
        self.period = period;
        self
    }

    /// Checks everything that can be checked without Redis.
    ///
    /// # Errors
    /// The first mistake.
    pub fn build(self) -> Result<Node, BuildError> {
        let short = |option, lease: Duration| {
            if lease >= SHORTEST_LEASE {
                return Ok(());
            }
            Err(BuildError::Option {
                option,
                given: paceline_types::duration::format(lease),
                allowed: "at least 1s",
            })
        };
        short("the lease", self.lease)?;
        short("the leader's lease", self.leader_lease)?;
        if !SETTINGS_INTERVALS.contains(&self.look) {
            return Err(BuildError::Option {
                option: "the interval of settings",
                given: paceline_types::duration::format(self.look),
                allowed: "between 100ms and 10s",
            });
        }
        if !RECONCILE_INTERVALS.contains(&self.reconcile_every) {
            return Err(BuildError::Option {
                option: "the interval of walks",
                given: paceline_types::duration::format(self.reconcile_every),
                allowed: "between 100ms and 1h",
            });
        }
        let wrong = |option, given: u64, allowed| {
            let given = given.to_string();
            Err(BuildError::Option {
                option,
                given,
                allowed,
            })
        };
        if self.concurrency == 0 {
            return wrong("concurrency", 0, "at least 1");
        }
        if self.shards == Some(0) {
            return wrong("the number of shards", 0, "at least 1");
        }
        if self.max_payload == 0 || self.max_payload > MAX_PAYLOAD_CEILING {
            let given = u64::try_from(self.max_payload).unwrap_or(u64::MAX);
            return wrong("the payload limit", given, "between 1 byte and 8 MiB");
        }
        if self.period.is_zero() {
            return wrong("the period of providers", 0, "longer than zero");
        }
        if let Some(error) = &self.wrong_provider {
            return Err(BuildError::Provider(error.clone()));
        }
        self.check_roles()?;
        let url: RedisUrl = self
            .url
            .parse()
            .map_err(|error| BuildError::Url(format!("{error}")))?;
        let namespace = match &self.namespace {
            Some(name) => Namespace::new(name).map_err(BuildError::Namespace)?,
            None => Namespace::default(),
        };
        let mut registry = Registry::default();
        for (name, options, _) in &self.handlers {
            let pattern = Pattern::parse(name).map_err(BuildError::TaskType)?;
            registry
                .add(pattern)
                .map_err(|_| BuildError::RegisteredTwice(name.clone()))?;
            if let Some(problem) = options.problem() {
                let handler = name.clone();
                return Err(BuildError::Handler { handler, problem });
            }
        }
        let builder = self.aggregated(&registry)?;
        Ok(Node {
            url,
            namespace,
            registry,
            builder,
        })
    }

    fn check_roles(&self) -> Result<(), BuildError> {
        let has = |role| self.roles.contains(&role);
        let wrong = |given: String, allowed| {
            Err(BuildError::Option {
                option: "the list of roles",
                given,
                allowed,
            })
        };
        if self.roles.is_empty() {
            return wrong(
                "empty".to_owned(),
                "at least one of worker, scheduler, orchestrator and api",
            );
        }
        if has(Role::Scheduler) != has(Role::Orchestrator) {
            let given: Vec<_> = self.roles.iter().map(|role| role.as_str()).collect();
            return wrong(
                given.join(", "),
                "with both of scheduler and orchestrator or with neither, since one leader does both",
            );
        }
        Ok(())
    }

    /// Starts the node; see [`Node::start`].
    ///
    /// # Errors
    /// Those of [`Node::start`], and mistakes of the builder.
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
