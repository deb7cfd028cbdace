//! A node in this process, with the built-in task types.

use std::time::Duration;

use paceline_node::builtin::{self, BuiltinOptions};
use paceline_node::{DEFAULT_LEADER_LEASE, Node, RunningNode, StartError, telemetry};
use serde::Serialize;

use super::failure::{Failure, Kind};
use super::options::{Globals, NodeOptions};
use super::output::Output;

/// How long jobs may go on when a node stops that takes its Redis with it.
pub(crate) const SHORT_DRAIN: Duration = Duration::from_secs(2);

/// A node at work.
pub(crate) struct Serving {
    node: RunningNode,
}

/// What is told once the node is ready.
#[derive(Serialize)]
struct Ready<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    redis: Option<&'a str>,
    node: String,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    http: Option<String>,
}

impl Serving {
    /// Starts the node; on `Ok` it is registered and claims work. `drain` is how long running
    /// jobs may go on when it stops.
    pub(crate) async fn start(
        globals: &Globals,
        options: &NodeOptions,
        drain: Duration,
    ) -> Result<Serving, Failure> {
        let exporter = telemetry::prometheus()
            .and_then(|builder| builder.install_recorder())
            .map_err(|error| {
                Failure::new(
                    Kind::Outcome,
                    format!("metrics cannot be recorded: {error}"),
                )
            })?;
        let mut builder = Node::builder()
            .redis(&globals.redis)
            .namespace(&globals.namespace)
            .http(options.http)
            .drain(drain)
            .metrics(exporter);
        if let Some(concurrency) = options.concurrency {
            builder = builder.concurrency(concurrency);
        }
        if let Some(lease) = options.lease {
            // A short lease is asked for where recovery should be quick, and the leader is what
            // recovers: its own lease must not be the longer one.
            builder = builder
                .lease(lease)
                .leader_lease(lease.min(DEFAULT_LEADER_LEASE));
        }
        if !options.roles.is_empty() {
            builder = builder.roles(options.roles.iter().copied());
        }
        if let Some(weights) = options.weights {
            builder = builder.weights(weights);
        }
        if options.strict_tiers {
            builder = builder.strict_tiers();
        }
        if let Some(name) = &options.name {
            builder = builder.name(name);
        }
        let builtins = BuiltinOptions {
            allow_shell: options.allow_shell,
        };
        let builder = builtin::register(builder, builtins)
            .map_err(|error| Failure::new(Kind::Outcome, error))?;
        Ok(Serving {
            node: builder.start().await?,
        })
    }

    /// Says that the node is ready, and where its listener is.
    ///
    /// In JSON also where `redis` is, which only a command that started one has to tell.
    pub(crate) fn announce(&self, output: Output, redis: Option<&str>) -> Result<(), Failure> {
        let ready = Ready {
            redis,
            node: self.node.id().to_string(),
            name: self.node.name().to_owned(),
            http: self.node.http_addr().map(|address| address.to_string()),
        };
        output.either(&ready, || match &ready.http {
            Some(http) => format!("node {} ready, http on {http}", ready.node),
            None => format!("node {} ready", ready.node),
        })
    }

    /// Lets running jobs end, hands the rest back, and leaves.
    pub(crate) async fn stop(self) {
        self.node.stop().await;
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Failure {
        let kind = match error {
            StartError::Build(_) | StartError::Http { .. } => Kind::Usage,
            StartError::Open(_) | StartError::Join(_) => Kind::Redis,
            _ => Kind::Outcome,
        };
        Failure::new(kind, error)
    }
}
