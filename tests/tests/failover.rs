//! A primary dies, its replica takes over: nodes that were connected to it work on.
#![cfg(test)]

use std::time::Duration;

use paceline_client::Client;
use paceline_node::{HandlerOptions, Node, RunningNode};
use paceline_store::{RedisUrl, Store, StoreOptions};
use paceline_tests::{RedisCluster, SentinelSet, eventually};
use paceline_types::job::Due;
use paceline_types::{Bytes, JobId, JobSpec, JobStatus, ShardIndex, TaskType};

/// Redis' own failover takes seconds, and longer on a machine that also builds.
const PATIENCE: Duration = Duration::from_secs(60);

async fn node(url: &str) -> RunningNode {
    Node::builder()
        .redis(url)
        .lease(Duration::from_secs(2))
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

/// One job at once and one delayed job for each shard, accepted sooner or later.
async fn submit_everywhere(store: &Store) -> Vec<JobId> {
    use paceline_store::calls::submit::NewJob;
    let mut accepted = Vec::new();
    for shard in store.each_shard() {
        for due in [Due::Now, Due::In(Duration::from_millis(100))] {
            let mut spec = JobSpec::new(TaskType::new("work").expect("a type"), Bytes::new());
            spec.due = due;
            let id = JobId::from_parts(1, shard, rand::random());
            let job = NewJob { id, spec };
            eventually("the job is accepted", PATIENCE, async || {
                let answer = store.submit(shard, std::slice::from_ref(&job)).await;
                answer.map(drop).map_err(|error| error.to_string())
            })
            .await;
            accepted.push(id);
        }
    }
    accepted
}

async fn completed(store: &Store, jobs: &[JobId]) {
    eventually("the jobs complete", PATIENCE, async || {
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
async fn nodes_follow_a_sentinel_to_the_new_primary() {
    let set = SentinelSet::options().start().await;
    let url = set.url();
    let nodes = [node(&url).await, node(&url).await];
    let store = store(&url).await;
    completed(&store, &submit_everywhere(&store).await).await;

    let old = set.primary().await;
    old.kill();
    set.failed_over(old, PATIENCE).await;
    completed(&store, &submit_everywhere(&store).await).await;
    for node in nodes {
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_go_on_when_a_primary_of_a_cluster_hangs() {
    let cluster = RedisCluster::options().replicas(1).start().await;
    let url = cluster.url();
    let nodes = [node(&url).await, node(&url).await];
    let store = store(&url).await;
    completed(&store, &submit_everywhere(&store).await).await;

    let victim = cluster.owner_of("{paceline:0}:events").await;
    victim.stop();
    let jobs = submit_everywhere(&store).await;
    completed(&store, &jobs).await;
    assert!(jobs.iter().any(|job| job.shard() == ShardIndex(0)));
    victim.cont();
    // The old primary comes back as a replica, and nothing changes.
    completed(&store, &submit_everywhere(&store).await).await;
    Client::from_store(store).nodes().await.expect("the nodes");
    for node in nodes {
        node.stop().await;
    }
}
