//! A primary dies, its replica takes over: nodes that were connected to it work on.
#![cfg(test)]

use std::time::Duration;

use paceline_store::{Store, StoreOptions};
use paceline_tests::{
    PATIENCE, RedisCluster, SentinelSet, all_completed, eventually, store_at, work, worker,
};
use paceline_types::job::Due;
use paceline_types::{JobId, ShardIndex};

/// One job at once and one delayed job for each shard, accepted sooner or later.
async fn submit_everywhere(store: &Store) -> Vec<JobId> {
    use paceline_store::calls::submit::NewJob;
    let mut accepted = Vec::new();
    for shard in store.each_shard() {
        for due in [Due::Now, Due::In(Duration::from_millis(100))] {
            let mut spec = work(1).remove(0);
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

#[tokio::test(flavor = "multi_thread")]
async fn nodes_follow_a_sentinel_to_the_new_primary() {
    let set = SentinelSet::options().start().await;
    let url = set.url();
    let nodes = [worker(&url), worker(&url)].map(|node| node.start());
    let nodes = futures::future::try_join_all(nodes).await.expect("nodes");
    let store = store_at(&url, StoreOptions::default()).await;
    all_completed(&store, &submit_everywhere(&store).await).await;

    let old = set.primary().await;
    old.kill();
    set.failed_over(old, PATIENCE).await;
    all_completed(&store, &submit_everywhere(&store).await).await;
    for node in nodes {
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_go_on_when_a_primary_of_a_cluster_hangs() {
    let cluster = RedisCluster::options().replicas(1).start().await;
    let url = cluster.url();
    let nodes = [worker(&url), worker(&url)].map(|node| node.start());
    let nodes = futures::future::try_join_all(nodes).await.expect("nodes");
    let store = store_at(&url, StoreOptions::default()).await;
    all_completed(&store, &submit_everywhere(&store).await).await;

    let victim = cluster.owner_of("{paceline:0}:events").await;
    victim.stop();
    let jobs = submit_everywhere(&store).await;
    all_completed(&store, &jobs).await;
    assert!(jobs.iter().any(|job| job.shard() == ShardIndex(0)));
    victim.cont();
    // The old primary comes back as a replica, and nothing changes.
    all_completed(&store, &submit_everywhere(&store).await).await;
    for node in nodes {
        node.stop().await;
    }
}
