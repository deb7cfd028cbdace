//! Going on where a subscription stood: nothing lost, nothing twice, and gaps are told.

use std::collections::BTreeSet;
use std::time::{SystemTime, UNIX_EPOCH};

use paceline_client::{Client, Cursors, Delivery, JobRequest};
use paceline_store::Store;
use paceline_tests::{Env, RedisServer, SOON, eventually, feature_test, open};
use paceline_types::EventKind::JobEnqueued;
use paceline_types::{JobId, ShardIndex};
use redis::AsyncCommands;
use redis::streams::StreamMaxlen;
use serde_json::json;

use crate::{delivery, next};

/// Submits jobs to one shard, each in a call and so in an entry of its own.
async fn submit_to(store: &Store, shard: ShardIndex, count: usize) -> Vec<JobId> {
    let client = Client::from_store(store.clone());
    let mut ids = Vec::new();
    let mut keys = (0_u64..).map(|_| format!("{:x}", rand::random::<u64>()));
    while ids.len() < count {
        let key = keys
            .find(|key| ShardIndex::of_key(key, store.shards()) == shard)
            .unwrap();
        ids.push(
            client
                .submit_raw("t", json!(1))
                .unique(key)
                .await
                .unwrap()
                .id(),
        );
    }
    ids
}

feature_test! {
    /// Row 110: by cursors that were kept as text, at any place, also inside an entry.
    async fn a_subscription_goes_on_where_another_one_stood(env: Env) {
        let client = env.client().await;
        let mut expected = BTreeSet::new();
        for block in 0..10 {
            let jobs = (0..50).map(|n| {
                JobRequest::raw("t", json!(n)).unique(format!("{block}-{n}"))
            });
            let accepted = client.submit_many(jobs).await.unwrap();
            expected.extend(accepted.into_iter().map(|one| one.unwrap().id));
        }
        let mut seen = Vec::new();
        let mut cursors: Option<String> = None;
        for stretch in (1..).map(|n| n * 7 % 41 + 1) {
            let mut events = match &cursors {
                None => client.subscribe().from_start().await.unwrap(),
                Some(text) => {
                    client.subscribe().from(text.parse::<Cursors>().unwrap()).await.unwrap()
                }
            };
            for _ in 0..stretch.min(500 - seen.len()) {
                let event = next(&mut events).await;
                assert_eq!(event.kind, JobEnqueued);
                seen.push(event.job_id.unwrap());
            }
            cursors = Some(events.cursors().to_string());
            if seen.len() == 500 {
                break;
            }
        }
        assert_eq!(seen.iter().copied().collect::<BTreeSet<_>>(), expected, "none is lost");
        assert_eq!(seen.len(), expected.len(), "none comes twice");
        // What happens next comes next.
        let cursors: Cursors = cursors.unwrap().parse().unwrap();
        let mut events = client.subscribe().from(cursors).await.unwrap();
        let id = client.submit_raw("t", json!(1)).await.unwrap().id();
        assert_eq!(next(&mut events).await.job_id, Some(id));
    }

    /// Row 110, trap W11: trimmed history is told, with how many events are missing, and only where it is.
    async fn a_gap_is_told_with_its_size(env: Env) {
        let store = env.store().await;
        let client = Client::from_store(store.clone());
        let shard = ShardIndex(store.shards() - 1);
        for shard in store.each_shard() {
            submit_to(&store, shard, 3).await;
        }
        let mut events = client.subscribe().from_start().await.unwrap();
        for _ in 0..3 * usize::from(store.shards()) {
            next(&mut events).await;
        }
        let cursors = events.cursors().clone();
        drop(events);
        let missed = submit_to(&store, shard, 10).await;
        let mut raw = env.raw().await;
        let key = format!("{{{}:{shard}}}:events", env.namespace());
        let _: u64 = raw.xtrim(&key, StreamMaxlen::Equals(4)).await.unwrap();

        let mut events = client.subscribe().from(cursors.clone()).await.unwrap();
        match delivery(&mut events).await {
            Delivery::Gap { shard: of, after, until, missing } => {
                assert_eq!((of, missing), (shard, Some(6)));
                assert_eq!(Some(after), cursors.get(shard));
                assert!(until > after);
            }
            other => panic!("{other:?}"),
        }
        for id in &missed[6..] {
            assert_eq!(next(&mut events).await.job_id, Some(*id));
        }
        // Once it was told it is not told again.
        let mut events = client.subscribe().from(events.cursors().clone()).await.unwrap();
        let id = submit_to(&store, shard, 1).await[0];
        assert_eq!(next(&mut events).await.job_id, Some(id));

        // A bare cursor knows no count, but that there is a gap.
        let bare = cursors.iter().collect();
        let mut events = client.subscribe().from(bare).await.unwrap();
        let told = delivery(&mut events).await;
        assert!(matches!(told, Delivery::Gap { missing: None, .. }), "{told:?}");
    }

    /// Row 110: trimming that takes nothing which was not read is no gap.
    async fn trimming_behind_a_subscription_is_no_gap(env: Env) {
        let store = env.store().await;
        let client = Client::from_store(store.clone());
        let shard = ShardIndex(0);
        let key = format!("{{{}:{shard}}}:events", env.namespace());
        let mut raw = env.raw().await;
        let mut events = client.subscribe().await.unwrap();
        for _ in 0..5 {
            for id in submit_to(&store, shard, 4).await {
                assert_eq!(next(&mut events).await.job_id, Some(id));
            }
            let _: u64 = raw.xtrim(&key, StreamMaxlen::Equals(0)).await.unwrap();
        }
    }

    /// Row 110: a log that begins afresh is told, since what was lost with it cannot be counted.
    async fn a_flushed_log_is_told_as_a_gap(env: Env) {
        let store = env.store().await;
        let client = Client::from_store(store.clone());
        let shard = ShardIndex(0);
        let mut events = client.subscribe().await.unwrap();
        let mut last = 0;
        for id in submit_to(&store, shard, 5).await {
            let event = next(&mut events).await;
            assert_eq!(event.job_id, Some(id));
            last = event.cursor.millis;
        }
        // Places in the log are told apart by the clock: no flush is over within its millisecond.
        eventually("the clock has moved on", SOON, async || {
            SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() > u128::from(last)
        })
        .await;
        let mut raw = env.raw().await;
        let log = format!("{{{}:{shard}}}:events", env.namespace());
        let _: u64 = raw.del(&[log.clone(), format!("{log}:count")]).await.unwrap();
        let id = submit_to(&store, shard, 1).await[0];
        let told = delivery(&mut events).await;
        assert!(matches!(told, Delivery::Gap { missing: None, .. }), "{told:?}");
        assert_eq!(next(&mut events).await.job_id, Some(id));
    }
}

/// Row 110: connections that are cut all the while lose nothing and repeat nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_outlives_its_connections() {
    let server = RedisServer::start().await;
    let client = Client::from_store(open(&server.url(), "k", 3).await);
    let mut events = client.subscribe().await.unwrap();
    let mut raw = server.connect().await;
    let mut expected = BTreeSet::new();
    let mut seen = BTreeSet::new();
    for round in 0..20 {
        let jobs =
            (0..30).map(|n| JobRequest::raw("t", json!(n)).idempotency_key(format!("{round}-{n}")));
        let accepted = client.submit_many(jobs).await.unwrap();
        expected.extend(accepted.into_iter().map(|one| one.unwrap().id));
        if round % 2 == 0 {
            let mut kill = redis::cmd("CLIENT");
            kill.arg("KILL")
                .arg("TYPE")
                .arg("normal")
                .arg("SKIPME")
                .arg("yes");
            let killed: u32 = kill.query_async(&mut raw).await.unwrap();
            assert!(killed >= 1, "the fault really bit");
        }
        while seen.len() < expected.len().saturating_sub(20) {
            let event = next(&mut events).await;
            assert!(seen.insert(event.job_id.unwrap()), "{event:?} came twice");
        }
    }
    while seen.len() < expected.len() {
        let event = next(&mut events).await;
        assert!(seen.insert(event.job_id.unwrap()), "{event:?} came twice");
    }
    assert_eq!(seen, expected);
}
