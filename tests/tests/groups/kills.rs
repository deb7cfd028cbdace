//! Leaders are killed while they flush.

use std::time::Duration;

use bytes::Bytes;
use paceline_client::Client;
use paceline_store::StoreOptions;
use paceline_tests::{NodeProcess, PATIENCE, RedisServer, eventually, log, store_at};
use paceline_types::EventKind;

const KILLS: usize = 3;
const MESSAGES: usize = 40;
const GROUPS: usize = 10;

async fn node(url: &str) -> NodeProcess {
    NodeProcess::start(url, &["--lease", "1s"]).await
}

/// Trap W13: whoever leads, and whenever it dies, each message is in one job.
#[tokio::test(flavor = "multi_thread")]
async fn no_message_is_lost_or_taken_twice_when_leaders_are_killed() {
    let redis = RedisServer::start().await;
    let url = redis.url();
    let store = store_at(&url, StoreOptions::default()).await;
    let client = Client::from_store(store.clone());
    let mut pushed = 0;
    let mut leader = node(&url).await;
    for _ in 0..KILLS {
        // Groups come due one after another while the only node dies.
        for n in 0..GROUPS {
            let messages: Vec<Bytes> = (pushed..pushed + MESSAGES)
                .map(|number| number.to_string().into())
                .collect();
            pushed += MESSAGES;
            let push = client.push_bytes(&format!("group {n}"), "echo", messages);
            push.grace(Duration::from_millis(20)).await.expect("pushed");
        }
        eventually("some are flushed", PATIENCE, async || {
            client.groups().await.expect("a list").items.len() < GROUPS
        })
        .await;
        leader.kill();
        leader = node(&url).await;
    }
    eventually("all are flushed", PATIENCE, async || {
        let left = client.groups().await.expect("a list").items;
        if left.is_empty() { Ok(()) } else { Err(left) }
    })
    .await;
    let mut numbers = Vec::new();
    for event in log(&store).await {
        if event.kind == EventKind::JobEnqueued {
            let id = event.job_id.expect("a job");
            let job = store.job(id).await.expect("an answer").expect("a job");
            let messages: Vec<usize> = serde_json::from_slice(&job.payload).expect("numbers");
            numbers.extend(messages);
        }
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (0..pushed).collect::<Vec<_>>());
}
