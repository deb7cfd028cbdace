//! Nodes and clients inside the test's own process, and what their handlers tell the test.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use paceline_client::Client;
use paceline_node::{Context, HandlerOptions, Node, NodeBuilder, RunningNode};
use paceline_store::{RedisUrl, Store, StoreOptions};
use paceline_types::{Event, EventKind, Job, JobId, JobStatus, Namespace, Outcome, RetryPolicy};
use tokio::sync::{Semaphore, mpsc};

use crate::env::{Backend, Env};
use crate::wait::{eventually, within};

/// For anything that should take milliseconds, on a machine that is busy.
pub const SOON: Duration = Duration::from_secs(15);

/// Shards on a cluster: enough that keys lie on different primaries, few enough to be fast.
pub const CLUSTER_SHARDS: u16 = 4;

impl Env {
    /// How many shards the namespace of this test is made with.
    pub fn shards(&self) -> u16 {
        match self.backend() {
            Backend::Standalone => 1,
            Backend::Cluster => CLUSTER_SHARDS,
        }
    }

    /// A node of this test, without handlers.
    pub fn node(&self) -> NodeBuilder {
        Node::builder()
            .redis(self.url())
            .namespace(self.namespace())
            .shards(self.shards())
    }

    /// A store of this test.
    ///
    /// # Panics
    /// Redis cannot be used.
    pub async fn store(&self) -> Store {
        open(&self.url(), self.namespace(), self.shards()).await
    }

    /// A client of this test.
    ///
    /// # Panics
    /// Redis cannot be used.
    pub async fn client(&self) -> Client {
        Client::from_store(self.store().await)
    }

    /// A node at work and a client.
    ///
    /// # Panics
    /// They do not start.
    pub async fn ride(&self, handlers: impl FnOnce(NodeBuilder) -> NodeBuilder) -> Ride {
        let store = self.store().await;
        Ride {
            client: Client::from_store(store.clone()),
            store,
            node: handlers(self.node()).start().await.unwrap(),
        }
    }
}

/// A store of one namespace on any Redis.
///
/// # Panics
/// Redis cannot be used.
pub async fn open(url: &str, namespace: &str, shards: u16) -> Store {
    let url: RedisUrl = url.parse().unwrap();
    let options = StoreOptions {
        namespace: Namespace::new(namespace).unwrap(),
        shards: Some(shards),
        ..StoreOptions::default()
    };
    Store::open(&url, options).await.unwrap()
}

/// A node in this process, and what a test needs beside it.
pub struct Ride {
    /// To submit and look with.
    pub client: Client,
    /// The store under the client.
    pub store: Store,
    /// The node.
    pub node: RunningNode,
}

impl Ride {
    /// Stops the node gracefully.
    pub async fn stop(self) {
        self.node.stop().await;
    }
}

/// What a test asks of a client again and again.
pub trait Look {
    /// The record of a job that must be there.
    fn look(&self, id: JobId) -> impl Future<Output = Job>;
    /// Waits until a job has this status.
    fn until(&self, id: JobId, status: JobStatus) -> impl Future<Output = Job>;
    /// Waits until a job has ended.
    fn ended(&self, id: JobId) -> impl Future<Output = Job>;
}

impl Look for Client {
    async fn look(&self, id: JobId) -> Job {
        self.job(id).await.unwrap().unwrap()
    }

    async fn until(&self, id: JobId, status: JobStatus) -> Job {
        eventually(&format!("{id} is {status}"), SOON, async || {
            let job = self.job(id).await.map_err(|error| error.to_string())?;
            let job = job.ok_or("no such job")?;
            if job.status == status {
                Ok(job)
            } else {
                Err(job.status.to_string())
            }
        })
        .await
    }

    async fn ended(&self, id: JobId) -> Job {
        let handle = self.handle(id);
        within(&format!("the end of {id}"), SOON, handle.wait())
            .await
            .unwrap()
    }
}

/// Everything that the log holds, shard after shard.
///
/// # Panics
/// Redis cannot be asked.
pub async fn log(store: &Store) -> Vec<Event> {
    let mut events = Vec::new();
    for shard in store.each_shard() {
        let mut after = None;
        loop {
            let page = store.read_events(shard, after, 1_000).await.unwrap();
            let Some(end) = page.end else { break };
            after = Some(end);
            events.extend(page.events);
        }
    }
    events
}

/// What happened to a job, in order.
///
/// # Panics
/// Redis cannot be asked.
pub async fn story(store: &Store, id: JobId) -> Vec<EventKind> {
    let events = log(store).await.into_iter();
    events
        .filter(|event| event.job_id == Some(id))
        .map(|event| event.kind)
        .collect()
}

/// A policy that tries so often, at once.
pub fn attempts(max_attempts: u32) -> RetryPolicy {
    RetryPolicy {
        max_attempts,
        initial_delay: Duration::from_millis(1),
        max_delay: Duration::from_millis(1),
        multiplier: 1.0,
        jitter: 0.0,
        ..RetryPolicy::default()
    }
}

/// Handlers with a state of their own, such as a [`Pen`] or a [`Gate`].
pub trait Serve {
    /// Registers a handler that is given a clone of `state` with every job.
    #[must_use]
    fn serve<S, F, Fut>(self, pattern: &str, options: HandlerOptions, state: S, handler: F) -> Self
    where
        S: Clone + Send + Sync + 'static,
        F: Fn(S, Context, Bytes) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Outcome> + Send + 'static;
}

impl Serve for NodeBuilder {
    fn serve<S, F, Fut>(self, pattern: &str, options: HandlerOptions, state: S, handler: F) -> Self
    where
        S: Clone + Send + Sync + 'static,
        F: Fn(S, Context, Bytes) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Outcome> + Send + 'static,
    {
        self.handle_raw(pattern, options, move |context, payload| {
            handler(state.clone(), context, payload)
        })
    }
}

/// A way for handlers to tell the test something.
pub fn notes<T: Debug>() -> (Pen<T>, Notes<T>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (Pen(sender), Notes(receiver))
}

/// The end of [`notes`] that handlers hold.
#[derive(Debug)]
pub struct Pen<T>(mpsc::UnboundedSender<T>);

impl<T> Clone for Pen<T> {
    fn clone(&self) -> Self {
        Pen(self.0.clone())
    }
}

impl<T> Pen<T> {
    /// Tells. A test that has ended does not listen.
    pub fn note(&self, what: T) {
        let _ = self.0.send(what);
    }
}

/// The end of [`notes`] that the test holds.
#[derive(Debug)]
pub struct Notes<T>(mpsc::UnboundedReceiver<T>);

impl<T: Debug> Notes<T> {
    /// The next note.
    ///
    /// # Panics
    /// None came.
    pub async fn next(&mut self) -> T {
        within("the next note of a handler", SOON, self.0.recv())
            .await
            .unwrap()
    }

    /// The next `count` notes.
    ///
    /// # Panics
    /// Not so many came.
    pub async fn take(&mut self, count: usize) -> Vec<T> {
        let mut taken = Vec::with_capacity(count);
        while taken.len() < count {
            taken.push(self.next().await);
        }
        taken
    }

    /// What has been noted and not been taken yet.
    pub fn rest(&mut self) -> Vec<T> {
        std::iter::from_fn(|| self.0.try_recv().ok()).collect()
    }
}

/// Holds handlers back until the test lets them through.
#[derive(Clone, Debug)]
pub struct Gate(Arc<Semaphore>);

impl Default for Gate {
    fn default() -> Self {
        Gate(Arc::new(Semaphore::new(0)))
    }
}

impl Gate {
    /// Waits to be let through.
    pub async fn pass(&self) {
        // Never closed.
        self.0.acquire().await.unwrap().forget();
    }

    /// Lets so many handlers through.
    pub fn admit(&self, count: usize) {
        self.0.add_permits(count);
    }

    /// Lets everyone through from now on.
    pub fn open(&self) {
        self.admit(1_000_000);
    }
}
