//! Connections to Redis: one server, a primary watched by Sentinels, or a Cluster.
//!
//! - [`Link`] carries calls. Many share one connection, and a call that failed for a reason that
//!   passes is sent again until its deadline; every script is idempotent, so that is safe.
//! - [`Blocking`] waits for lists and streams on a connection of its own, where it delays no one.
//! - [`Subscription`] receives messages, and says when it may have missed some.
//!
//! The retry policy is in `retry.rs` and nowhere else: the `redis` crate's own is not in use.

mod attempt;
mod blocking;
mod cluster;
mod dial;
mod error;
mod failure;
mod gate;
mod key;
mod member;
mod place;
mod request;
mod retry;
mod sentinel;
mod separate;
mod slot;
mod slot_map;
mod stats;
mod subscription;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use redis::{Cmd, Pipeline, Value};

pub(crate) use blocking::entries_of_one_stream;
pub use blocking::{Blocking, StreamEntry};
pub use error::{ConnectError, StoreError};
pub(crate) use separate::Separate;
pub use stats::LinkStats;
pub use subscription::{Signal, Subscription};

use crate::redis_url::{RedisUrl, Topology};
use crate::script::{Invocation, Script};
use cluster::Cluster;
use dial::Dialer;
use member::{Member, Target};
use request::Request;
use sentinel::Sentinels;
use stats::Counters;

/// How a [`Link`] connects and how patient it is.
#[derive(Clone, Debug)]
pub struct LinkOptions {
    /// Longest wait for the reply to one attempt. Default 2 s.
    pub response_timeout: Duration,
    /// Longest wait for a new connection, login included. Default 2 s.
    pub connect_timeout: Duration,
    /// How long a call is sent again after faults that pass; zero means one attempt.
    /// Default 10 s.
    pub retry_for: Duration,
    /// Shown by `CLIENT LIST`; no spaces. Default none.
    pub client_name: Option<String>,
}

impl Default for LinkOptions {
    fn default() -> Self {
        Self {
            response_timeout: Duration::from_secs(2),
            connect_timeout: Duration::from_secs(2),
            retry_for: Duration::from_secs(10),
            client_name: None,
        }
    }
}

/// A handle for calls of Redis. Clones share the connections and are cheap.
///
/// A connection lives on the runtime of the task that opened it; when that runtime ends, the
/// next call opens another.
#[derive(Clone)]
pub struct Link {
    inner: Arc<Inner>,
    retry_for: Duration,
    response_timeout: Duration,
}

struct Inner {
    address: String,
    url: RedisUrl,
    routes: Routes,
    dialer: Arc<Dialer>,
    counters: Arc<Counters>,
}

enum Routes {
    One(Arc<Member>),
    Many(Cluster),
}

impl Link {
    /// Connects, and tries again for [`LinkOptions::retry_for`] while Redis cannot be reached.
    ///
    /// # Errors
    /// When a certificate cannot be read, Redis cannot be reached in time or denies the login,
    /// or when the server is of another kind than the URL says.
    pub async fn connect(url: &RedisUrl, options: LinkOptions) -> Result<Self, ConnectError> {
        let dialer = Arc::new(Dialer::new(url, &options)?);
        let counters = Arc::new(Counters::default());
        let one = |target| {
            Routes::One(Arc::new(Member::new(
                target,
                Arc::clone(&dialer),
                Arc::clone(&counters),
            )))
        };
        let routes = match &url.topology {
            Topology::Standalone(endpoint) => one(Target::Fixed(endpoint.clone())),
            Topology::Sentinel {
                sentinels, name, ..
            } => one(Target::Watched(Sentinels::new(
                sentinels.clone(),
                name.clone(),
            ))),
            Topology::Cluster { seeds } => Routes::Many(Cluster::new(
                seeds.clone(),
                Arc::clone(&dialer),
                Arc::clone(&counters),
            )),
        };
        let link = Self {
            inner: Arc::new(Inner {
                address: url.address(),
                url: url.clone(),
                routes,
                dialer,
                counters,
            }),
            retry_for: options.retry_for,
            response_timeout: options.response_timeout,
        };
        // PING is refused to a user without a login, which a bare connection would not notice.
        link.command(&redis::cmd("PING")).await?;
        Ok(link)
    }

    /// The same link for calls that are sent again for `retry_for`; zero means one attempt.
    #[must_use]
    pub fn with_retry_for(&self, retry_for: Duration) -> Self {
        Self {
            retry_for,
            ..self.clone()
        }
    }

    /// The same link for calls whose reply may take `response_timeout`, such as those with WAIT.
    #[must_use]
    pub fn with_response_timeout(&self, response_timeout: Duration) -> Self {
        Self {
            response_timeout,
            ..self.clone()
        }
    }

    /// Runs a script on the server that owns its first key, and returns what it returned.
    ///
    /// A server that does not know the script is given it.
    ///
    /// # Errors
    /// [`StoreError::Unreachable`] after [`LinkOptions::retry_for`] plus one attempt at most;
    /// the call may have been carried out then. Every other error at once.
    pub async fn call(&self, invocation: &Invocation) -> Result<Value, StoreError> {
        Box::pin(self.run(Request::Script(invocation))).await
    }

    /// Runs a script and then `next`, such as `WAIT`, on the same connection without a pause
    /// between them. Returns what each answered.
    ///
    /// # Errors
    /// As [`call`](Self::call). When `next` is refused, the script has been carried out.
    pub async fn call_then(
        &self,
        invocation: &Invocation,
        next: &Cmd,
    ) -> Result<(Value, Value), StoreError> {
        let mut pipeline = Pipeline::with_capacity(2);
        pipeline
            .add_command(invocation.command().clone())
            .add_command(next.clone());
        let request = Request::Sequence(invocation, &pipeline);
        let what = invocation.script().name();
        match pair(self.run(request).await?) {
            Some(replies) => Ok(replies),
            None => Err(StoreError::protocol(what, "two replies", &"fewer")),
        }
    }

    /// Sends a command to the server that owns its first key; to any primary if it has none.
    ///
    /// The command must be safe to send twice, and must not block.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    pub async fn command(&self, command: &Cmd) -> Result<Value, StoreError> {
        Box::pin(self.run(Request::Command(command))).await
    }

    /// Sends commands at once to the server that owns their keys, and returns their replies in
    /// order.
    ///
    /// All keys must be in one slot. Nothing is rolled back when one command fails.
    ///
    /// # Errors
    /// As [`call`](Self::call); an error reply to any of the commands is an error of the whole.
    pub async fn pipeline(&self, pipeline: &Pipeline) -> Result<Vec<Value>, StoreError> {
        if pipeline.is_empty() {
            return Ok(Vec::new());
        }
        match Box::pin(self.run(Request::Pipeline(pipeline))).await? {
            Value::Array(replies) => Ok(replies),
            other => Err(StoreError::protocol("a pipeline", "a list", &other)),
        }
    }

    /// Sends a command to every primary, and returns each one's address and reply.
    ///
    /// # Errors
    /// The first error, as of [`call`](Self::call).
    pub async fn on_each_primary(&self, command: &Cmd) -> Result<Vec<(String, Value)>, StoreError> {
        self.run_on_each(command).await
    }

    /// Gives the scripts to every primary, so that the first calls need not.
    ///
    /// # Errors
    /// As [`call`](Self::call); [`StoreError::Server`] when a script does not compile.
    pub async fn load(&self, scripts: &[&'static Script]) -> Result<(), StoreError> {
        for script in scripts {
            self.on_each_primary(&request::load_command(script)).await?;
        }
        Ok(())
    }

    /// What this link and its clones have done so far.
    #[must_use]
    pub fn stats(&self) -> LinkStats {
        self.inner.counters.read()
    }

    /// Where Redis is, without user and password.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.inner.address
    }

    /// The URL that this link was made from.
    #[must_use]
    pub fn url(&self) -> &RedisUrl {
        &self.inner.url
    }
}

fn pair(value: Value) -> Option<(Value, Value)> {
    let Value::Array(values) = value else {
        return None;
    };
    let [first, second] = <[Value; 2]>::try_from(values).ok()?;
    Some((first, second))
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Link({})", self.inner.url)
    }
}
