//! Every script of batches, sent a second time as it stands, changes nothing.

use paceline_store::calls::batch::Accepted;
use paceline_store::calls::commit::{
    Batch, BatchCommit, BatchEvent, Committed, ItemStart, OnetimeJob,
};
use paceline_store::calls::inbox::{BatchNews, InboxItem};
use paceline_store::{CallError, Store};
use paceline_tests::{Bench, RawRedis, RedisServer, log, shared_redis, unique_namespace};
use paceline_types::batch::{
    BatchHeader, BatchPlan, BatchStage, ItemRecord, ItemState, ONETIME_PLACE,
};
use paceline_types::{BatchDefinition, BatchId, EventKind, JobId, JobStatus, ShardIndex};

use crate::hall::plain;

/// Everything that Redis keeps of the namespace, as text.
async fn dump(redis: &mut RawRedis, namespace: &str) -> Vec<(String, String)> {
    let mut keys: Vec<String> = redis::cmd("KEYS")
        .arg(format!("{{{namespace}:*"))
        .query_async(redis)
        .await
        .unwrap();
    keys.retain(|key| !key.contains("bell"));
    keys.sort();
    let mut kept = Vec::new();
    for key in keys {
        let kind: String = redis::cmd("TYPE")
            .arg(&key)
            .query_async(redis)
            .await
            .unwrap();
        let mut read = match kind.as_str() {
            "string" => redis::cmd("GET"),
            "hash" => redis::cmd("HGETALL"),
            "set" => redis::cmd("SMEMBERS"),
            "zset" => redis::cmd("ZRANGE"),
            "stream" => redis::cmd("XRANGE"),
            _ => redis::cmd("LRANGE"),
        };
        read.arg(&key);
        match kind.as_str() {
            "zset" => drop(read.arg(0).arg(-1).arg("WITHSCORES")),
            "list" => drop(read.arg(0).arg(-1)),
            "stream" => drop(read.arg("-").arg("+")),
            _ => {}
        }
        let value: redis::Value = read.query_async(redis).await.unwrap();
        let value = match (kind.as_str(), value) {
            // A hash has no order that stays.
            ("hash", redis::Value::Array(parts)) => {
                let mut pairs: Vec<String> =
                    parts.chunks(2).map(|pair| format!("{pair:?}")).collect();
                pairs.sort();
                pairs.join(", ")
            }
            (_, value) => format!("{value:?}"),
        };
        kept.push((key, value));
    }
    kept
}

/// Nothing differs but what is said.
#[track_caller]
fn same(before: &[(String, String)], after: &[(String, String)], what: &str) {
    let lost: Vec<_> = before.iter().filter(|one| !after.contains(one)).collect();
    let new: Vec<_> = after.iter().filter(|one| !before.contains(one)).collect();
    assert!(
        lost.is_empty() && new.is_empty(),
        "{what}: {lost:#?} became {new:#?}"
    );
}

/// A shard, and a batch that is submitted by hand.
pub(crate) struct Desk {
    pub(crate) bench: Bench,
    pub(crate) redis: RawRedis,
    pub(crate) namespace: String,
    pub(crate) term: u64,
    pub(crate) id: BatchId,
    pub(crate) definition: BatchDefinition,
    pub(crate) plan: BatchPlan,
}

impl Desk {
    pub(crate) async fn new(definition: BatchDefinition) -> Desk {
        let server = shared_redis().await;
        let store = paceline_tests::open(&server.url(), &unique_namespace(), 1).await;
        Desk::on(server, store, definition).await
    }

    /// On a server, by a store that may reach it another way.
    pub(crate) async fn on(
        server: &RedisServer,
        store: Store,
        definition: BatchDefinition,
    ) -> Desk {
        let namespace = store.namespace().to_string();
        let bench = Bench { store };
        let term = bench.lead().await;
        Desk {
            redis: RawRedis::Single(server.connect().await),
            namespace,
            term,
            id: BatchId::from_parts(1, ShardIndex(0), rand::random()),
            plan: definition.validate(1 << 20).unwrap(),
            definition,
            bench,
        }
    }

    pub(crate) async fn dump(&mut self) -> Vec<(String, String)> {
        dump(&mut self.redis, &self.namespace).await
    }

    pub(crate) async fn commit(&self, commit: BatchCommit<'_>) -> Committed {
        let batch = Batch {
            batches: vec![commit],
            ..Batch::default()
        };
        let written = self
            .bench
            .store
            .commit(Bench::SHARD, self.term, &batch)
            .await;
        written.unwrap().batches[0]
    }
}

pub(crate) fn header(attempt: u32, next: u32) -> BatchHeader {
    BatchHeader {
        stage: BatchStage::Processing,
        attempt,
        next,
        ..BatchHeader::NEW
    }
}

fn record(state: ItemState, iteration: u8) -> ItemRecord {
    ItemRecord { state, iteration }
}

#[tokio::test]
async fn every_script_twice_changes_nothing() {
    let mut desk = Desk::new(plain(40)).await;
    let (id, plan, definition) = (desk.id, desk.plan.clone(), desk.definition.clone());
    let store = desk.bench.store.clone();
    // Moments differ from call to call: that of the removal of what is staged is the only one.
    let stage = async || {
        for first in [0, 32] {
            let last = definition.items.len().min(first + 32);
            let place = u32::try_from(first).unwrap();
            store
                .stage_batch(id, &plan, place, &definition.items[first..last])
                .await
                .unwrap();
        }
    };
    stage().await;
    let mut before = desk.dump().await;
    stage().await;
    let mut after = desk.dump().await;
    before.retain(|(key, _)| !key.ends_with(":ended"));
    after.retain(|(key, _)| !key.ends_with(":ended"));
    same(&before, &after, "stage_batch");

    assert_eq!(
        store.accept_batch(id, &definition, &plan).await.unwrap(),
        Accepted::Created
    );
    let before = desk.dump().await;
    assert_eq!(
        store.accept_batch(id, &definition, &plan).await.unwrap(),
        Accepted::Existing
    );
    stage().await;
    same(
        &before,
        &desk.dump().await,
        "accept_batch, and stage_batch behind it",
    );

    // A commit that was written before is stale, whole.
    let head = header(1, 3);
    let items = [0, 1, 2].map(|place| (place, record(ItemState::Dispatched, 0)));
    let start = || BatchCommit {
        plan: Some(&plan),
        header: Some(&head),
        items: &items,
        starts: [0, 1, 2]
            .map(|place| ItemStart {
                place,
                iteration: 0,
                from: None,
            })
            .into(),
        events: vec![BatchEvent {
            kind: &EventKind::BatchStarted,
            item: None,
            error: None,
            progress: None,
        }],
        more: true,
        deadline: Some(Some(std::time::Duration::from_secs(60))),
        ..BatchCommit::new(id, 0)
    };
    assert_eq!(desk.commit(start()).await, Committed::At(1));
    let before = desk.dump().await;
    assert_eq!(desk.commit(start()).await, Committed::Stale);
    same(&before, &desk.dump().await, "commit");
    let waiting = store.job(JobId::of_item(id, 2, 0)).await.unwrap().unwrap();
    assert_eq!(
        (waiting.status, waiting.batch_item.as_deref()),
        (JobStatus::Pending, Some("i2"))
    );

    // Its end: cancelled items, and the batch closed.
    let over = BatchHeader {
        stage: BatchStage::Ended(paceline_types::batch::BatchEnding::TimedOut),
        ..head.clone()
    };
    let jobs = [0, 1, 2].map(|place| JobId::of_item(id, place, 0));
    let cancelled = [0, 1, 2].map(|place| (place, record(ItemState::Cancelling, 0)));
    let end = || BatchCommit {
        plan: Some(&plan),
        header: Some(&over),
        items: &cancelled,
        cancels: &jobs,
        reason: "late",
        close: true,
        ..BatchCommit::new(id, 1)
    };
    assert_eq!(desk.commit(end()).await, Committed::At(2));
    let before = desk.dump().await;
    assert_eq!(desk.commit(end()).await, Committed::Stale);
    same(&before, &desk.dump().await, "commit of an end");
    let cancelled = store.cancel_batch(id, "").await;
    assert!(matches!(cancelled, Err(CallError::Refused(_))));
    same(
        &before,
        &desk.dump().await,
        "cancel_batch of what has ended",
    );
    // What the cancelled jobs told.
    let entries = store.inbox(Bench::SHARD, None, 10).await.unwrap();
    let ended = entries.iter().flat_map(|entry| &entry.items).filter(
        |item| matches!(item, InboxItem::Batch(of, BatchNews::JobEnded { .. }) if *of == id),
    );
    assert_eq!(ended.count(), 3);

    store.retry_batch(id, true).await.unwrap();
    let before = desk.dump().await;
    assert!(store.retry_batch(id, true).await.is_err());
    same(
        &before,
        &desk.dump().await,
        "retry_batch of what has not ended",
    );

    // A later start is a copy with the next iteration, whatever the payload.
    let head = header(2, 2);
    let items = [(1, record(ItemState::Dispatched, 1))];
    let again = || BatchCommit {
        plan: Some(&plan),
        header: Some(&head),
        items: &items,
        starts: vec![ItemStart {
            place: 1,
            iteration: 1,
            from: Some(0),
        }],
        ..BatchCommit::new(id, 3)
    };
    assert_eq!(desk.commit(again()).await, Committed::At(4));
    let before = desk.dump().await;
    assert_eq!(desk.commit(again()).await, Committed::Stale);
    same(&before, &desk.dump().await, "commit of a later start");
    let copy = store.job(JobId::of_item(id, 1, 1)).await.unwrap().unwrap();
    let first = store.job(JobId::of_item(id, 1, 0)).await.unwrap().unwrap();
    assert_eq!(
        (copy.payload, copy.batch_item),
        (first.payload, first.batch_item)
    );
    assert_eq!(copy.status, JobStatus::Pending);

    // A batch that is not there loses its marks, and the others are written all the same.
    let missing = BatchCommit::new(BatchId::from_parts(1, ShardIndex(0), 9), 0);
    let batch = Batch {
        batches: vec![missing, BatchCommit::new(id, 4)],
        ..Batch::default()
    };
    let written = store.commit(Bench::SHARD, desk.term, &batch).await.unwrap();
    assert_eq!(written.batches, [Committed::Missing, Committed::At(5)]);
}

/// The onetime task is made once, and what it came to stands where the items look.
#[tokio::test]
async fn a_onetime_task_is_made_once() {
    let mut definition = plain(2);
    definition.onetime_task_type = Some("prepare".into());
    let desk = Desk::new(definition).await;
    let (id, plan) = (desk.id, desk.plan.clone());
    let store = &desk.bench.store;
    store
        .submit_batch(id, &desk.definition, &plan)
        .await
        .unwrap();
    let spec = plan.onetime_spec().unwrap();
    let job = JobId::of_item(id, ONETIME_PLACE, 0);
    let make = |expected| BatchCommit {
        plan: Some(&plan),
        onetime: Some(OnetimeJob {
            job,
            iteration: 0,
            spec: &spec,
        }),
        ..BatchCommit::new(id, expected)
    };
    assert_eq!(desk.commit(make(0)).await, Committed::At(1));
    assert_eq!(desk.commit(make(0)).await, Committed::Stale);
    // Even of a leader that forgot that it had made it.
    assert_eq!(desk.commit(make(1)).await, Committed::At(2));
    let events = log(store).await;
    let made = events.iter().filter(|event| event.job_id == Some(job));
    assert_eq!(made.count(), 1);
    let found = store.job(job).await.unwrap().unwrap();
    assert_eq!((found.status, found.batch_item), (JobStatus::Pending, None));
}
