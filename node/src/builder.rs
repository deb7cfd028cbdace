//! How a node is put together; every mistake is found before anything is started.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use metrics_exporter_prometheus::PrometheusHandle;
use paceline_store::RedisUrl;
use paceline_types::{
    DEFAULT_MAX_PAYLOAD, JobError, MAX_PAYLOAD_CEILING, NameError, Namespace, Outcome, Task,
    TaskType, TierWeights,
};

use crate::aggregate::{self, Aggregator};
use crate::context::Context;
use crate::handler::{self, HandlerFn, HandlerOptions};
use crate::node::{Node, RunningNode, StartError};
use crate::registry::{Pattern, Registry};

/// Run slots of a node unless configured otherwise.
pub const DEFAULT_CONCURRENCY: u32 = 256;

/// Lease of a node in each shard unless configured otherwise.
pub const DEFAULT_LEASE: Duration = Duration::from_secs(10);

/// Lease of a shard's leader unless configured otherwise.
pub const DEFAULT_LEADER_LEASE: Duration = Duration::from_secs(5);

/// How long a node that stops waits for running handlers unless configured otherwise.
pub const DEFAULT_DRAIN: Duration = Duration::from_secs(30);

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
    aggregators: Vec<(String, Aggregator)>,
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

    /// What makes one payload of the messages of a group, for the jobs of one task type. Without
    /// one, the handler is given the messages as a JSON array.
    ///
    /// It is given the name of the group and the messages in the order in which they were pushed,
    /// and runs in the attempt, before the handler: an error or a panic fails the attempt, and the
    /// next one is given the same messages. It must not block for long, as a handler must not.
    pub fn aggregate<F>(mut self, task_type: impl Into<String>, aggregate: F) -> Self
    where
        F: Fn(&str, Vec<Bytes>) -> Result<Bytes, JobError> + Send + Sync + 'static,
    {
        let entry = (task_type.into(), Box::new(aggregate) as Aggregator);
        self.aggregators.push(entry);
        self
    }

    /// [`NodeBuilder::aggregate`] for a task whose messages are of its own type.
    ///
    /// A message that is not a `T` sends the job to the dead letters at once, and the error says
    /// which it is.
    pub fn aggregate_task<T, F>(mut self, aggregate: F) -> Self
    where
        T: Task,
        F: Fn(&str, Vec<T>) -> Result<T, JobError> + Send + Sync + 'static,
    {
        let entry = (T::TYPE.to_owned(), aggregate::typed(aggregate));
        self.aggregators.push(entry);
        self
    }

    /// Puts the aggregators in front of the handlers of their task types.
    fn aggregated(mut self, registry: &Registry) -> Result<Self, BuildError> {
        let mut sorted = HashMap::<usize, HashMap<TaskType, Aggregator>>::new();
        for (name, aggregator) in std::mem::take(&mut self.aggregators) {
            let task_type = TaskType::new(&name).map_err(BuildError::TaskType)?;
            let Some(index) = registry.find(&task_type) else {
                return Err(BuildError::Aggregator(name));
            };
            let before = sorted
                .entry(index)
                .or_default()
                .insert(task_type, aggregator);
            if before.is_some() {
                return Err(BuildError::AggregatedTwice(name));
            }
        }
        let handlers = self.handlers.into_iter().enumerate();
        self.handlers = handlers
            .map(
                |(index, (name, options, call))| match sorted.remove(&index) {
                    Some(aggregators) => (name, options, aggregate::in_front(call, aggregators)),
                    None => (name, options, call),
                },
            )
            .collect();
        Ok(self)
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

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Serialize, Deserialize)]
    struct Tick;

    impl Task for Tick {
        const TYPE: &'static str = "tick";
        type Output = ();
    }

    async fn tick(_: Context, _: Tick) -> Result<(), JobError> {
        Ok(())
    }

    async fn raw(_: Context, payload: Bytes) -> Outcome {
        Ok(payload)
    }

    fn first(_: &str, messages: Vec<Bytes>) -> Result<Bytes, JobError> {
        Ok(messages.into_iter().next().unwrap_or_default())
    }

    fn error(builder: NodeBuilder) -> String {
        match builder.build() {
            Ok(_) => String::new(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn each_mistake_is_one_sentence() {
        let new = NodeBuilder::default;
        let options = HandlerOptions::default;
        let table = [
            (new().handle(tick).handle_raw("*", options(), raw), ""),
            (
                new().handle(tick).handle_raw("tick", options(), raw),
                "`tick` has two handlers; register each task type and pattern once",
            ),
            (
                new()
                    .handle(tick)
                    .handle_raw("a.*", options(), raw)
                    .aggregate("a.b", first)
                    .aggregate_task::<Tick, _>(|_, _| Ok(Tick)),
                "",
            ),
            (
                new().handle(tick).aggregate("tock", first),
                "the aggregator of `tock` has no handler behind it; register one for that task \
                 type as well",
            ),
            (
                new()
                    .handle(tick)
                    .aggregate("tick", first)
                    .aggregate("tick", first),
                "`tick` has two aggregators; register one for each task type",
            ),
            (
                new().handle_raw("a:b", options(), raw),
                "a handler cannot be registered: the task type `a:b` contains ':'; \
                 use letters, digits and any of . _ - / @ + # $ % & = ~ ! *",
            ),
            (
                new().handle_with(
                    HandlerOptions {
                        concurrency: Some(0),
                        ..options()
                    },
                    tick,
                ),
                "the handler of `tick` cannot be used: concurrency must be at least 1",
            ),
            (
                new().lease(Duration::from_millis(500)),
                "the lease is 500ms, but must be at least 1s",
            ),
            (
                new().leader_lease(Duration::ZERO),
                "the leader's lease is 0s, but must be at least 1s",
            ),
            (
                new().concurrency(0),
                "concurrency is 0, but must be at least 1",
            ),
            (
                new().max_payload(9 << 20),
                "the payload limit is 9437184, but must be between 1 byte and 8 MiB",
            ),
        ];
        for (builder, expected) in table {
            assert_eq!(error(builder), expected);
        }
        assert!(!error(new().redis("http://x")).is_empty());
        assert!(error(new().namespace("a{b")).starts_with("the namespace `a{b`"));
    }
}
