//! W4: the inbox delivers at least once. Every entry is put there a second time.

use paceline_store::calls::batch::WhichItems;
use paceline_tests::{Env, RawRedis, SOON, eventually, feature_test};
use paceline_types::BatchStatus;
use redis::streams::{StreamReadOptions, StreamReadReply};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::hall::{Hall, House, batch, counts};

/// Puts a copy of each entry of an inbox behind it. A reader that is blocked on the stream is served before
/// anybody else can take the entry away.
async fn repeat(mut redis: RawRedis, inbox: String) {
    let mut copies = std::collections::BTreeSet::<String>::new();
    let mut last = "0".to_owned();
    loop {
        let options = StreamReadOptions::default().block(1_000).count(10);
        let mut read = redis::cmd("XREAD");
        read.arg(options).arg("STREAMS").arg(&inbox).arg(&last);
        let reply = read
            .query_async::<Option<StreamReadReply>>(&mut redis)
            .await;
        let entries = reply
            .ok()
            .flatten()
            .into_iter()
            .flat_map(|reply| reply.keys);
        for entry in entries.flat_map(|key| key.ids) {
            last.clone_from(&entry.id);
            if copies.remove(&entry.id) {
                continue;
            }
            let mut add = redis::cmd("XADD");
            add.arg(&inbox).arg("*");
            for field in entry.map.keys() {
                let items: String = entry.get(field).expect("the items");
                add.arg(field).arg(items);
            }
            copies.insert(add.query_async(&mut redis).await.expect("added"));
        }
    }
}

/// Waits until the leader has seen everything, copies included, and parked none of it.
async fn seen(house: &House, id: paceline_types::BatchId) {
    let mut redis = house.raw().await;
    eventually("the inbox is empty", SOON, async || {
        let mut length = redis::cmd("XLEN");
        length.arg(house.key(id, "inbox"));
        length.query_async::<usize>(&mut redis).await.unwrap() == 0
    })
    .await;
    let mut parked = redis::cmd("LRANGE");
    parked.arg(house.key(id, "parked")).arg(0).arg(-1);
    let parked: Vec<String> = parked.query_async(&mut redis).await.unwrap();
    assert_eq!(parked, Vec::<String>::new());
}

feature_test! {
    /// W4: counters are not counted twice, nothing runs twice, and the end is told once.
    async fn every_entry_twice_changes_nothing(env: Env) {
        let (hall, house) = Hall::open(&env).await;
        let mut repeaters = JoinSet::new();
        for shard in 0..env.shards() {
            let inbox = format!("{{{}:{shard}}}:inbox", env.namespace());
            repeaters.spawn(repeat(env.raw().await, inbox));
        }
        let mut definition = batch((0..120).map(|n| match n % 9 {
            4 => json!({ "fail_until": 1 }),
            _ => Value::Null,
        }));
        definition.chunk_size = 11;
        definition.onetime_task_type = Some("prepare".into());
        let id = house.submit(&definition).await;
        let failed = house.ended(id).await;
        assert_eq!(counts(&failed), (BatchStatus::Failed, 107, 13, 0, 0));
        seen(&house, id).await;
        house.store.retry_batch(id, true).await.unwrap();
        let batch = house.ended(id).await;
        assert_eq!(counts(&batch), (BatchStatus::Completed, 120, 0, 0, 0));
        seen(&house, id).await;
        assert_eq!(batch.attempt, 2);
        assert_eq!(hall.runs().len(), 1 + 120 + 13);
        assert_eq!(house.most_open(id).await, 11);
        assert_eq!(house.ids(id, WhichItems::Failed).await.len(), 0);
        assert_eq!(
            house.tale(id).await,
            ["batch.started", "batch.failed", "batch.retrying", "batch.completed"]
        );
    }
}
