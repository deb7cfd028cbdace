//! What is kept long enough is removed, whole.

use std::time::Duration;

use paceline_store::CallError;
use paceline_store::calls::batch::BatchRefusal;
use paceline_tests::{Env, eventually, feature_test};
use paceline_types::{BatchId, BatchStatus};
use redis::AsyncCommands;
use serde_json::{Value, json};

use crate::hall::{Hall, House, batch, plain};

/// Two rounds of the sweeper, and a busy machine.
pub(crate) const SWEPT: Duration = Duration::from_secs(40);

/// Keys of a shard that stay, whatever ran: bells ring again, lanes and counters remember.
const FIXED: [&str; 15] = [
    "outbox",
    "events",
    "events:count",
    "inbox",
    "leader",
    "leases",
    "nodes",
    "lanes",
    "meta",
    "bell*",
    "bell:item",
    "bell:prepare",
    "bell!leader",
    "recovering",
    "stats:days",
];

/// Makes an ended batch as old as its retention.
async fn age(house: &House, id: BatchId) {
    let mut redis = house.raw().await;
    let bare = id.bare(&mut [0; 26]).to_owned();
    let record = house.key(id, &format!("bt:{bare}"));
    let kept: u64 = redis.hget(&record, "x").await.unwrap();
    assert!(kept > 1_700_000_000_000, "it would be removed in time");
    redis.hset::<_, _, _, ()>(&record, "x", 1).await.unwrap();
    let ended: Vec<String> = redis.zrange(house.key(id, "ended"), 0, -1).await.unwrap();
    let packet = ended
        .iter()
        .find(|packet| packet.ends_with(&format!("b{bare}")));
    redis
        .zadd::<_, _, _, ()>(house.key(id, "ended"), packet.unwrap(), 1)
        .await
        .unwrap();
}

/// Keys that should not be there.
async fn left(env: &Env) -> Vec<String> {
    let fixed = |key: &String| {
        let name = key.split_once("}:").map(|(_, name)| name).unwrap();
        FIXED.contains(&name) || name.starts_with("turn:")
    };
    let keys = env.keys().await.into_iter();
    keys.filter(|key| !fixed(key)).collect()
}

feature_test! {
    /// Row 106: records, ids, states, jobs of every attempt, what the onetime task left.
    async fn after_its_retention_nothing_of_a_batch_is_left(env: Env) {
        let (_hall, house) = Hall::open(&env).await;
        let mut definition = batch((0..150).map(|n| match n % 40 {
            3 => json!({ "fail_until": 2 }),
            5 => json!({ "skip": true }),
            _ => Value::Null,
        }));
        definition.onetime_task_type = Some("prepare".into());
        let id = house.submit(&definition).await;
        assert_eq!(house.ended(id).await.status, BatchStatus::Failed);
        house.store.retry_batch(id, true).await.unwrap();
        house.until(id, "two attempts", |batch| batch.attempt == 2 && batch.status.is_terminal()).await;
        house.store.retry_batch(id, false).await.unwrap();
        house.until(id, "three attempts", |batch| batch.attempt == 3 && batch.status.is_terminal()).await;
        let other = house.submit(&plain(3)).await;
        house.ended(other).await;
        age(&house, id).await;
        let late = house.store.retry_batch(id, true).await;
        let gone_or_over = [BatchRefusal::Unknown, BatchRefusal::Completed];
        assert!(matches!(late, Err(CallError::Refused(refusal)) if gone_or_over.contains(&refusal)));
        eventually("it is gone", SWEPT, async || house.store.batch(id).await.unwrap().is_none()).await;
        let kept = house.look(other).await;
        assert_eq!(kept.status, BatchStatus::Completed, "the other is not old enough");
        age(&house, other).await;
        eventually("only the fixed keys are left", SWEPT, async || {
            let left = left(&env).await;
            if left.is_empty() { Ok(()) } else { Err(left) }
        })
        .await;
    }

    /// In steps, however large it is; one that was cancelled half-way, too.
    async fn a_large_batch_is_removed_in_steps(env: Env) {
        let (hall, house) = Hall::open(&env).await;
        let id = house.submit(&plain(3_000)).await;
        hall.began(300).await;
        house.store.cancel_batch(id, "").await.unwrap();
        let batch = house.ended(id).await;
        assert!(batch.pending_items > 0 || batch.status == BatchStatus::Cancelled);
        age(&house, id).await;
        eventually("only the fixed keys are left", SWEPT, async || {
            let left = left(&env).await.len();
            if left == 0 { Ok(()) } else { Err(left) }
        })
        .await;
    }
}
