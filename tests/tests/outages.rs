//! Redis goes away, comes back, or loses everything, under nodes that run.
#![cfg(test)]

use std::time::Duration;

use paceline_client::Client;
use paceline_store::StoreOptions;
use paceline_tests::{
    Fsync, History, PATIENCE, RedisServer, WORK, all_completed, eventually, store_at, submit_all,
    work, worker,
};
use paceline_types::ShardIndex;

#[tokio::test(flavor = "multi_thread")]
async fn nodes_go_on_by_themselves_after_a_restart_of_redis() {
    let redis = RedisServer::options()
        .append_only(Fsync::Always)
        .start()
        .await;
    let url = redis.url();
    let nodes = [worker(&url), worker(&url)].map(|node| node.start());
    let nodes = futures::future::try_join_all(nodes).await.expect("nodes");
    let store = store_at(&url, StoreOptions::default()).await;
    let client = Client::from_store(store.clone());
    let mut jobs = submit_all(&client, work(500)).await;
    for round in 0..3 {
        redis.kill();
        redis.restart().await;
        let more = submit_all(&client, work(500)).await;
        all_completed(&store, &more).await;
        jobs.extend(more);
        assert_eq!(jobs.len(), 1_000 + 500 * round);
    }
    all_completed(&store, &jobs).await;
    History::read(&store).await.assert_jobs_ended(&jobs);
    for node in nodes {
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn scripts_registrations_and_leadership_are_back_after_a_flush() {
    let redis = RedisServer::start().await;
    let url = redis.url();
    let nodes = [worker(&url), worker(&url)].map(|node| node.start());
    let nodes = futures::future::try_join_all(nodes).await.expect("nodes");
    let store = store_at(&url, StoreOptions::default()).await;
    let client = Client::from_store(store.clone());
    let jobs = submit_all(&client, work(100)).await;
    all_completed(&store, &jobs).await;
    let term_before = eventually("a node leads", PATIENCE, async || {
        store
            .look(ShardIndex(0))
            .await
            .ok()
            .flatten()
            .map(|lock| lock.term)
    })
    .await;

    redis.flush().await;
    eventually("both nodes are registered again", PATIENCE, async || {
        let found = store.nodes().await.map_err(|error| error.to_string())?;
        if found.len() == 2 {
            Ok(())
        } else {
            Err(format!("{} are", found.len()))
        }
    })
    .await;
    let jobs = submit_all(&client, work(100)).await;
    all_completed(&store, &jobs).await;
    let delayed = client
        .submit_raw(WORK, serde_json::json!(1))
        .delay(Duration::from_millis(50))
        .await
        .expect("accepted");
    all_completed(&store, &[delayed.id()]).await;
    let term = eventually("a node leads again", PATIENCE, async || {
        store
            .look(ShardIndex(0))
            .await
            .ok()
            .flatten()
            .map(|lock| lock.term)
    })
    .await;
    assert!(term > term_before, "term {term} after term {term_before}");
    for node in nodes {
        node.stop().await;
    }
}
