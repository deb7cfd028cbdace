//! Waiting for the end of jobs, workflows and batches.
//!
//! One task per client holds every wait. Redis keeps who waits for what and sends a message to
//! the client's channel when it ends; the record, not the message, is the truth. A message that
//! was missed costs time and nothing else: after every reconnect everything is watched afresh,
//! and so it is at a slow pace all the while. Waits that begin together share calls, and so do
//! the reads of what ended together.

mod book;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::future::{BoxFuture, join_all};
use futures::stream::FuturesUnordered;
use paceline_store::calls::watch::{Reported, Watchable, Watched};
use paceline_store::{Store, StoreError};
use paceline_types::workflow::Workflow;
use paceline_types::{Batch, BatchId, Job, JobId, ShardIndex, WorkflowId};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior};

use self::book::{Book, Call, Seen};
use crate::WaitError;
use crate::handle::unknown;

/// How often every wait is checked although nothing was heard: covers a message that Redis lost,
/// at one call for a hundred waits.
pub(crate) const RECHECK: Duration = Duration::from_secs(5);

/// Waits taken from the channel in one go.
const TAKEN_AT_ONCE: usize = 256;

/// What can be waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Entity {
    Job(JobId),
    Workflow(WorkflowId),
    Batch(BatchId),
}

impl fmt::Display for Entity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Entity::Job(id) => id.fmt(f),
            Entity::Workflow(id) => id.fmt(f),
            Entity::Batch(id) => id.fmt(f),
        }
    }
}

impl Entity {
    fn shard(self) -> ShardIndex {
        match self {
            Entity::Job(id) => id.shard(),
            Entity::Workflow(id) => id.shard(),
            Entity::Batch(id) => id.shard(),
        }
    }

    fn watchable(self) -> Watchable {
        match self {
            Entity::Job(id) => Watchable::Job(id),
            Entity::Workflow(id) => Watchable::Workflow(id),
            Entity::Batch(id) => Watchable::Batch(id),
        }
    }

    /// What a message may mean: it names the bare id, which says nothing of the kind.
    fn of_bare(bare: &str) -> impl Iterator<Item = Entity> {
        let job = JobId::from_bare(bare).ok().map(Entity::Job);
        let workflow = WorkflowId::from_bare(bare).ok().map(Entity::Workflow);
        let batch = BatchId::from_bare(bare).ok().map(Entity::Batch);
        job.into_iter().chain(workflow).chain(batch)
    }
}

/// The record of what ended.
#[derive(Clone, Debug)]
pub(crate) enum Ended {
    Job(Box<Job>),
    Workflow(Box<Workflow>),
    Batch(Box<Batch>),
}

type Answer = Result<Ended, WaitError>;
type Waiter = oneshot::Sender<Answer>;

/// The way to the task that holds every wait; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Waits {
    /// Unbounded, since every wait is a caller that waits for its answer.
    requests: mpsc::UnboundedSender<(Entity, Waiter)>,
}

impl Waits {
    pub(crate) fn start(store: Store) -> Waits {
        let (requests, arrivals) = mpsc::unbounded_channel();
        tokio::spawn(hold(store, arrivals));
        Waits { requests }
    }

    /// Waits until the entity has ended, and returns its record.
    pub(crate) async fn ended(&self, entity: Entity) -> Answer {
        let (waiter, answer) = oneshot::channel();
        self.requests
            .send((entity, waiter))
            .map_err(|_| WaitError::Stopped)?;
        answer.await.unwrap_or(Err(WaitError::Stopped))
    }
}

enum Wake {
    Arrived(usize),
    Heard(Reported),
    Returned(Returned),
    Recheck,
}

/// What came back of a call, for each entity that it was about.
enum Returned {
    Watch(Vec<(Entity, Result<Watched, StoreError>)>),
    Read(Vec<(Entity, Result<Option<Ended>, StoreError>)>),
}

async fn hold(store: Store, mut arrivals: mpsc::UnboundedReceiver<(Entity, Waiter)>) {
    let name: Arc<str> = format!("{:032x}", rand::random::<u128>()).into();
    let mut feed = store.replies(&name);
    // An end that is told before the feed stands would be missed. Without a feed (no right to
    // subscribe, say) waiting goes on by the slow check alone.
    let mut feed_stands = false;
    let mut book: Book<Waiter> = Book::default();
    let mut calls: FuturesUnordered<BoxFuture<'static, Returned>> = FuturesUnordered::new();
    let mut arrived = Vec::with_capacity(TAKEN_AT_ONCE);
    let mut recheck = tokio::time::interval_at(Instant::now() + RECHECK, RECHECK);
    recheck.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let wake = tokio::select! {
            count = arrivals.recv_many(&mut arrived, TAKEN_AT_ONCE) => Wake::Arrived(count),
            reply = feed.next() => Wake::Heard(reply),
            Some(returned) = calls.next() => Wake::Returned(returned),
            _ = recheck.tick() => Wake::Recheck,
        };
        match wake {
            // The last client is gone, and every waiter with it, as they hold one.
            Wake::Arrived(0) => break,
            Wake::Arrived(_) => {
                for (entity, waiter) in arrived.drain(..) {
                    book.wait(entity, waiter);
                }
            }
            Wake::Heard(Reported::Ended(ids)) => {
                for entity in ids.iter().flat_map(|id| Entity::of_bare(id)) {
                    book.told(entity);
                }
            }
            Wake::Heard(Reported::Reconnected) | Wake::Recheck => {
                feed_stands = true;
                book.watch_all(oneshot::Sender::is_closed);
            }
            Wake::Returned(Returned::Watch(seen)) => {
                book.watch_returned();
                for (entity, seen) in seen {
                    after_watch(&mut book, entity, seen);
                }
            }
            Wake::Returned(Returned::Read(read)) => {
                book.read_returned();
                for (entity, read) in read {
                    after_read(&mut book, entity, read);
                }
            }
        }
        while feed_stands && let Some(call) = book.next_call() {
            calls.push(perform(store.clone(), name.clone(), call));
        }
    }
}

fn after_watch(book: &mut Book<Waiter>, entity: Entity, seen: Result<Watched, StoreError>) {
    match seen {
        Ok(Watched::Waiting) => book.seen(entity, Seen::Waiting),
        Ok(Watched::Ended) => book.seen(entity, Seen::Ended),
        Ok(Watched::Unknown) => answer(book, entity, &Err(unknown(entity))),
        Err(error) => after_error(book, entity, error),
    }
}

fn after_read(book: &mut Book<Waiter>, entity: Entity, read: Result<Option<Ended>, StoreError>) {
    match read {
        Ok(Some(ended)) if ended.is_terminal() => answer(book, entity, &Ok(ended)),
        // Retried between its end and the read: the wait goes on.
        Ok(Some(_)) => book.again(entity),
        Ok(None) => answer(book, entity, &Err(unknown(entity))),
        Err(error) => after_error(book, entity, error),
    }
}

/// A fault that passes by itself does not end a wait: whoever waits for an hour should not be
/// told of a failover in the middle of it, and whoever cannot wait has set a limit.
fn after_error(book: &mut Book<Waiter>, entity: Entity, error: StoreError) {
    if error.is_temporary() {
        tracing::debug!(%entity, %error, "the wait is checked again later");
        book.again(entity);
    } else {
        answer(book, entity, &Err(WaitError::Store(error)));
    }
}

fn answer(book: &mut Book<Waiter>, entity: Entity, answer: &Answer) {
    for waiter in book.answered(entity) {
        let _ = waiter.send(answer.clone());
    }
}

impl Ended {
    fn is_terminal(&self) -> bool {
        match self {
            Ended::Job(job) => job.status.is_terminal(),
            Ended::Workflow(workflow) => workflow.status.is_terminal(),
            Ended::Batch(batch) => batch.status.is_terminal(),
        }
    }
}

/// Carries a call out, all of its shards at the same time.
fn perform(store: Store, name: Arc<str>, call: Call) -> BoxFuture<'static, Returned> {
    Box::pin(async move {
        match call {
            Call::Watch(entities) => {
                let (store, name) = (&store, &*name);
                let calls = by_shard(entities).into_values().map(|entities| async move {
                    let watched: Vec<_> = entities.iter().map(|one| one.watchable()).collect();
                    each(entities, store.watch(name, &watched).await)
                });
                Returned::Watch(join_all(calls).await.into_iter().flatten().collect())
            }
            Call::Read(entities) => {
                let calls = by_shard(entities)
                    .into_values()
                    .map(|entities| read(&store, entities));
                Returned::Read(join_all(calls).await.into_iter().flatten().collect())
            }
        }
    })
}

async fn read(
    store: &Store,
    entities: Vec<Entity>,
) -> Vec<(Entity, Result<Option<Ended>, StoreError>)> {
    let (mut jobs, mut workflows, mut batches) = (Vec::new(), Vec::new(), Vec::new());
    for entity in entities {
        match entity {
            Entity::Job(id) => jobs.push(id),
            Entity::Workflow(id) => workflows.push(id),
            Entity::Batch(id) => batches.push(id),
        }
    }
    let of_workflows = join_all(workflows.into_iter().map(|id| async move {
        let ended = |workflow| Ended::Workflow(Box::new(workflow));
        let record = store.workflow(id).await;
        (Entity::Workflow(id), record.map(|record| record.map(ended)))
    }));
    let of_batches = join_all(batches.into_iter().map(|id| async move {
        let ended = |batch| Ended::Batch(Box::new(batch));
        let record = store.batch(id).await;
        (Entity::Batch(id), record.map(|record| record.map(ended)))
    }));
    let (of_jobs, mut read, of_batches) =
        futures::join!(store.jobs(&jobs), of_workflows, of_batches);
    read.extend(of_batches);
    let ended = |job| Ended::Job(Box::new(job));
    let of_jobs = of_jobs.map(|jobs| jobs.into_iter().map(|job| job.map(ended)).collect());
    read.extend(each(jobs.into_iter().map(Entity::Job).collect(), of_jobs));
    read
}

fn by_shard(entities: Vec<Entity>) -> BTreeMap<ShardIndex, Vec<Entity>> {
    let mut shards = BTreeMap::<_, Vec<_>>::new();
    for entity in entities {
        shards.entry(entity.shard()).or_default().push(entity);
    }
    shards
}

/// The reply of a call, or its failure, for each entity.
fn each<T>(
    entities: Vec<Entity>,
    replies: Result<Vec<T>, StoreError>,
) -> Vec<(Entity, Result<T, StoreError>)> {
    match replies {
        Ok(replies) => entities
            .into_iter()
            .zip(replies.into_iter().map(Ok))
            .collect(),
        Err(error) => entities
            .into_iter()
            .map(|entity| (entity, Err(error.clone())))
            .collect(),
    }
}
