//! What is checked before anything is started, and every mistake that is found.

use std::time::Duration;

use paceline_store::RedisUrl;
use paceline_types::{MAX_PAYLOAD_CEILING, NameError, Namespace, Role};

use super::{NodeBuilder, SHORTEST_LEASE};
use crate::node::Node;
use crate::registry::{Pattern, Registry};

/// Shortest and longest time between two looks for changed settings.
const SETTINGS_INTERVALS: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(100)..=Duration::from_secs(10);

/// Shortest and longest time from one walk over what should be moving to the next.
const RECONCILE_INTERVALS: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(100)..=Duration::from_secs(3_600);

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

impl NodeBuilder {
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
}
