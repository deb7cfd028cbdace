//! Redis goes away, comes back, or loses everything, under nodes that run.
#![cfg(test)]

use std::time::Duration;

use paceline_client::Client;
use paceline_node::{HandlerOptions, Node, RunningNode};
use paceline_store::{RedisUrl, Store, StoreOptions};
use paceline_tests::{Fsync, History, RedisServer, eventually};
use paceline_types::{Bytes, JobId, JobSpec, JobStatus, ShardIndex, TaskType};

/// The promise is 5 s; a machine that also builds gets longer.
const RECOVERY: Duration = Duration::from_secs(30);

async fn node(url: &str) -> RunningNode {
    Node::builder()
        .redis(url)
        .lease(Duration::from_secs(1))
        .leader_lease(Duration::from_secs(1))
        .handle_raw(
            "work",
            HandlerOptions::default(),
            |_, payload: Bytes| async move { Ok(payload) },
        )
        .start()
        .await
        .expect("a node")
}

async fn store(url: &str) -> Store {
    Store::open(
        &url.parse::<RedisUrl>().expect("a url"),
        StoreOptions::default(),
    )
    .await
    .expect("a store")
}

async fn submit(client: &Client, count: usize) -> Vec<JobId> {
    let task_type = TaskType::new("work").expect("a type");
    let jobs = (0..count).map(|n| JobSpec::new(task_type.clone(), Bytes::from(n.to_string())));
    let results = client
        .submit_many(jobs.collect::<Vec<_>>())
        .await
        .expect("accepted");
    results
        .into_iter()
        .map(|result| result.expect("accepted").id)
        .collect()
}

async fn completed(store: &Store, jobs: &[JobId]) {
    eventually("the jobs complete", RECOVERY, async || {
        let found = store.jobs(jobs).await.map_err(|error| error.to_string())?;
        let open = found
            .iter()
            .filter(|job| {
                job.as_ref()
                    .is_none_or(|job| job.status != JobStatus::Completed)
            })
            .count();
        if open == 0 {
            Ok(())
        } else {
            Err(format!("{open} have not"))
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_go_on_by_themselves_after_a_restart_of_redis() {
    let redis = RedisServer::options()
        .append_only(Fsync::Always)
        .start()
        .await;
    let url = redis.url();
    let nodes = [node(&url).await, node(&url).await];
    let store = store(&url).await;
    let client = Client::from_store(store.clone());
    let mut jobs = submit(&client, 500).await;
    for round in 0..3 {
        redis.kill();
        redis.restart().await;
        let more = submit(&client, 500).await;
        completed(&store, &more).await;
        jobs.extend(more);
        assert_eq!(jobs.len(), 1_000 + 500 * round);
    }
    completed(&store, &jobs).await;
    History::read(&store).await.assert_jobs_ended(&jobs);
    for node in nodes {
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn scripts_registrations_and_leadership_are_back_after_a_flush() {
    let redis = RedisServer::start().await;
    let url = redis.url();
    let nodes = [node(&url).await, node(&url).await];
    let store = store(&url).await;
    let client = Client::from_store(store.clone());
    let jobs = submit(&client, 100).await;
    completed(&store, &jobs).await;
    let term_before = eventually("a node leads", RECOVERY, async || {
        store
            .look(ShardIndex(0))
            .await
            .ok()
            .flatten()
            .map(|lock| lock.term)
    })
    .await;

    redis.flush().await;
    eventually("both nodes are registered again", RECOVERY, async || {
        let found = store.nodes().await.map_err(|error| error.to_string())?;
        if found.len() == 2 {
            Ok(())
        } else {
            Err(format!("{} are", found.len()))
        }
    })
    .await;
    let jobs = submit(&client, 100).await;
    completed(&store, &jobs).await;
    let delayed = client
        .submit_raw("work", serde_json::json!(1))
        .delay(Duration::from_millis(50))
        .await
        .expect("accepted");
    completed(&store, &[delayed.id()]).await;
    let term = eventually("a node leads again", RECOVERY, async || {
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
