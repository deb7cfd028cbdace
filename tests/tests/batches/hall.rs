//! One handler for all of these tests: each item says in its payload how it goes. What happened is
//! written down in one list.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use paceline_node::{Context, HandlerOptions, NodeBuilder, RunningNode};
use paceline_store::Store;
use paceline_store::calls::batch::{ResultsRequest, WhichItems};
use paceline_tests::{Env, RawRedis, SOON, attempts, eventually, log, within};
use paceline_types::batch::{BatchItem, BatchItemResult};
use paceline_types::{
    Batch, BatchDefinition, BatchId, BatchStatus, Bytes, Event, EventKind, JobError, Outcome,
    Priority, ShardIndex,
};
use serde::Deserialize;
use serde_json::value::to_raw_value;
use serde_json::{Value, json};
use tokio::sync::watch;

/// The task type of every item.
pub(crate) const ITEM: &str = "item";

/// The task type of every onetime task.
pub(crate) const PREPARE: &str = "prepare";

/// Leases that are short, so that recovery is soon, and long enough for a busy machine.
const LEASE: Duration = Duration::from_secs(2);

/// How an item goes; in this order.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Part {
    /// Waits until it is released, or told to end.
    hold: bool,
    /// Fails for good.
    fail: bool,
    /// Fails for good unless its batch was tried so often before.
    fail_until: u32,
    /// Fails for now in so many attempts.
    flaky: u32,
    /// Says that there was nothing to do.
    skip: bool,
    /// Returns what it was given, else its id.
    echo: bool,
}

/// One run of an item, as it began.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    /// The id of the item; `onetime` of the onetime task.
    pub(crate) item: String,
    pub(crate) priority: Priority,
}

/// Where items run. Clones are the same hall.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hall(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    runs: watch::Sender<Vec<Run>>,
    released: watch::Sender<BTreeSet<String>>,
}

/// A batch of items with these payloads, named `i0`, `i1` and so on.
pub(crate) fn batch(payloads: impl IntoIterator<Item = Value>) -> BatchDefinition {
    let items = payloads.into_iter().enumerate();
    BatchDefinition {
        name: "b".into(),
        item_task_type: ITEM.into(),
        items: items
            .map(|(n, payload)| BatchItem::new(format!("i{n}"), to_raw_value(&payload).ok()))
            .collect(),
        ..BatchDefinition::default()
    }
}

/// So many items that do nothing.
pub(crate) fn plain(items: usize) -> BatchDefinition {
    batch((0..items).map(|_| Value::Null))
}

pub(crate) fn held() -> Value {
    json!({ "hold": true })
}

pub(crate) fn failing() -> Value {
    json!({ "fail": true })
}

/// A new id in some shard.
pub(crate) fn batch_id(env: &Env) -> BatchId {
    let shard = rand::random_range(0..env.shards());
    BatchId::from_parts(1_700_000_000_000, ShardIndex(shard), rand::random())
}

/// A store, nodes, and what is asked of them again and again.
pub(crate) struct House {
    pub(crate) env: Env,
    pub(crate) store: Store,
    pub(crate) nodes: Vec<RunningNode>,
}

impl Hall {
    /// A node whose items run here.
    pub(crate) fn node(&self, env: &Env) -> NodeBuilder {
        let options = || HandlerOptions {
            retry_policy: Some(attempts(1)),
            ..HandlerOptions::default()
        };
        let (items, onetimes) = (self.clone(), self.clone());
        env.node()
            .lease(LEASE)
            .leader_lease(LEASE)
            .handle_raw(ITEM, options(), move |context, payload| {
                run(items.clone(), context, payload)
            })
            .handle_raw(PREPARE, options(), move |context, payload| {
                run(onetimes.clone(), context, payload)
            })
    }

    /// The same at work, with a store.
    pub(crate) async fn open(env: &Env) -> (Hall, House) {
        let hall = Hall::default();
        let mut house = House::without_nodes(env).await;
        house.nodes.push(hall.node(env).start().await.unwrap());
        (hall, house)
    }

    /// Lets the item with this id go on, now and later.
    pub(crate) fn release(&self, item: &str) {
        self.0.released.send_modify(|released| {
            released.insert(item.to_owned());
        });
    }

    /// Waits until so many runs have begun.
    #[track_caller]
    pub(crate) fn began(&self, count: usize) -> impl Future<Output = ()> {
        let said = format!("{}: {count} runs", Location::caller());
        let mut runs = self.0.runs.subscribe();
        async move {
            let enough = runs.wait_for(|runs| runs.len() >= count);
            drop(within(&said, SOON, enough).await.unwrap());
        }
    }

    /// Everything so far.
    pub(crate) fn runs(&self) -> Vec<Run> {
        self.0.runs.borrow().clone()
    }

    /// How often each item ran.
    pub(crate) fn times(&self) -> BTreeMap<String, usize> {
        let mut times = BTreeMap::new();
        for run in self.runs() {
            *times.entry(run.item).or_default() += 1;
        }
        times
    }
}

async fn run(hall: Hall, context: Context, payload: Bytes) -> Outcome {
    assert!(context.batch_id().is_some() && context.workflow_id().is_none());
    let item = context.batch_item().unwrap_or("onetime").to_owned();
    hall.0.runs.send_modify(|runs| {
        runs.push(Run {
            item: item.clone(),
            priority: context.priority(),
        });
    });
    let part = read(&payload)?;
    if part.hold {
        let mut released = hall.0.released.subscribe();
        tokio::select! {
            _ = released.wait_for(|released| released.contains(&item)) => {}
            () = context.cancelled() => return Err(JobError::retryable("told to end")),
        }
    }
    let before = hall.times()[&item];
    if part.fail || before <= part.fail_until as usize {
        return Err(JobError::permanent("boom"));
    }
    if context.attempt() <= part.flaky {
        return Err(JobError::retryable("not yet"));
    }
    match (part.skip, part.echo) {
        (true, _) => Err(JobError::skip("nothing to do")),
        (false, true) => Ok(payload),
        (false, false) => Ok(json!(item).to_string().into()),
    }
}

/// The part of a payload, which may have what the onetime task came to around it.
fn read(payload: &[u8]) -> Result<Part, JobError> {
    let mut given: Value = serde_json::from_slice(payload)?;
    if let Some(original) = given.get_mut("original") {
        given = original.take();
    }
    match given {
        Value::Null => Ok(Part::default()),
        given => serde_json::from_value(given).map_err(JobError::permanent),
    }
}

impl House {
    pub(crate) async fn without_nodes(env: &Env) -> House {
        House {
            env: env.clone(),
            store: env.store().await,
            nodes: Vec::new(),
        }
    }

    pub(crate) async fn submit(&self, definition: &BatchDefinition) -> BatchId {
        let id = batch_id(&self.env);
        let plan = definition.validate(1 << 20).unwrap();
        let submitted = self.store.submit_batch(id, definition, &plan).await;
        assert!(submitted.unwrap());
        id
    }

    /// A batch that must be there.
    pub(crate) async fn look(&self, id: BatchId) -> Batch {
        self.store.batch(id).await.unwrap().unwrap()
    }

    /// Waits for the end of a batch.
    #[track_caller]
    pub(crate) fn ended(&self, id: BatchId) -> impl Future<Output = Batch> {
        let what = format!("{}: the end of {id}", Location::caller());
        async move {
            eventually(&what, SOON, async || {
                let batch = self.store.batch(id).await.unwrap().unwrap();
                if batch.status.is_terminal() {
                    Ok(batch)
                } else {
                    Err(format!("{:?}", batch.progress()))
                }
            })
            .await
        }
    }

    /// Waits until a batch stands so.
    #[track_caller]
    pub(crate) fn until(
        &self,
        id: BatchId,
        what: &str,
        holds: impl Fn(&Batch) -> bool,
    ) -> impl Future<Output = Batch> {
        let what = format!("{}: {what}", Location::caller());
        async move {
            eventually(&what, SOON, async || {
                let batch = self.store.batch(id).await.unwrap().unwrap();
                if holds(&batch) {
                    Ok(batch)
                } else {
                    Err(format!("{batch:?}"))
                }
            })
            .await
        }
    }

    /// All results of a batch, page by page.
    pub(crate) async fn results(&self, id: BatchId, which: WhichItems) -> Vec<BatchItemResult> {
        let mut request = ResultsRequest {
            from: 0,
            max: 100,
            which,
        };
        let mut results = Vec::new();
        loop {
            let page = self
                .store
                .batch_results(id, &request)
                .await
                .unwrap()
                .unwrap();
            results.extend(page.items);
            match page.next {
                Some(next) => request.from = next,
                None => return results,
            }
        }
    }

    /// The ids of the items that a page of results is about.
    pub(crate) async fn ids(&self, id: BatchId, which: WhichItems) -> Vec<String> {
        let results = self.results(id, which).await.into_iter();
        results.map(|result| result.item_id).collect()
    }

    /// The events of a batch and of its jobs, in order.
    pub(crate) async fn events(&self, id: BatchId) -> Vec<Event> {
        let events = log(&self.store).await.into_iter();
        events.filter(|event| event.batch_id == Some(id)).collect()
    }

    /// The kinds of those that are about the batch itself.
    pub(crate) async fn tale(&self, id: BatchId) -> Vec<String> {
        let events = self.events(id).await.into_iter();
        events
            .filter(|event| event.batch_item.is_none() && event.batch_progress.is_none())
            .map(|event| event.kind.to_string())
            .collect()
    }

    /// Checks the log of a batch: how many items were under way at once at most, each start of an item
    /// began and ended once, progress only moved forward within an attempt.
    pub(crate) async fn most_open(&self, id: BatchId) -> usize {
        let events = self.events(id).await;
        let (mut open, mut most, mut known) = (BTreeSet::new(), 0, BTreeSet::new());
        let mut last = None;
        for event in &events {
            let job = event
                .job_id
                .filter(|_| event.batch_item.as_deref() != Some("onetime"));
            match (&event.kind, job) {
                (EventKind::JobEnqueued, Some(job)) => {
                    assert!(known.insert(job), "{job} is enqueued twice");
                    open.insert(job);
                }
                (
                    EventKind::JobCompleted | EventKind::JobDead | EventKind::JobCancelled,
                    Some(job),
                ) => {
                    assert!(open.remove(&job), "{job} ends twice");
                }
                (EventKind::BatchRetrying, _) => last = None,
                (EventKind::BatchProgress, _) => {
                    let progress = event.batch_progress.unwrap();
                    assert!(progress.done <= progress.total && progress.failed <= progress.done);
                    assert!(last.is_none_or(|last| last <= progress.done), "{events:?}");
                    last = Some(progress.done);
                }
                _ => {}
            }
            most = most.max(open.len());
        }
        assert_eq!(open.len(), 0, "some never ended");
        let ends = events.iter().filter(|event| {
            let over = [
                EventKind::BatchCompleted,
                EventKind::BatchFailed,
                EventKind::BatchCancelled,
                EventKind::BatchTimedOut,
            ];
            over.contains(&event.kind)
        });
        let retries = events
            .iter()
            .filter(|event| event.kind == EventKind::BatchRetrying);
        assert!(ends.count() <= 1 + retries.count());
        most
    }

    pub(crate) async fn raw(&self) -> RawRedis {
        self.env.raw().await
    }

    /// A key of the shard of a batch.
    pub(crate) fn key(&self, id: BatchId, name: &str) -> String {
        format!("{{{}:{}}}:{name}", self.env.namespace(), id.shard())
    }
}

pub(crate) fn counts(batch: &Batch) -> (BatchStatus, u32, u32, u32, u32) {
    (
        batch.status,
        batch.completed_items,
        batch.failed_items,
        batch.running_items,
        batch.pending_items,
    )
}
