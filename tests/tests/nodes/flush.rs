//! The loss of all data under a node that runs: it goes on by itself.

use std::time::Duration;

use paceline_client::Client;
use paceline_node::Node;
use paceline_tests::{
    CLUSTER_SHARDS, Look, RedisCluster, RedisServer, SOON, eventually, open, throughout,
};
use paceline_types::{JobStatus, RetryPolicy};
use serde_json::json;

use crate::{done, options};

async fn outlives_a_flush(url: String, shards: u16, servers: &[RedisServer]) {
    let namespace = "flushed";
    let store = open(&url, namespace, shards).await;
    let client = Client::from_store(store.clone());
    let node = Node::builder()
        .redis(&url)
        .namespace(namespace)
        .shards(shards)
        .handle_raw("t", options(), async |_, _| Ok(done()))
        .start()
        .await
        .unwrap();
    let before = node.id();
    for n in 0..20 {
        client
            .submit_raw("t", json!(n))
            .await
            .unwrap()
            .wait()
            .await
            .unwrap();
    }
    let lost = client.submit_raw("nobody", json!(1)).await.unwrap();
    let terms = eventually("it leads", SOON, async || {
        let leads = node.leads();
        (leads.len() == usize::from(shards)).then_some(leads)
    })
    .await;

    for server in servers {
        server.flush().await;
    }

    let info = eventually("it has registered again", SOON, async || {
        client.nodes().await.unwrap().pop()
    })
    .await;
    assert_ne!(info.node_id, before, "under a new id");
    assert_eq!(client.job(lost.id()).await.unwrap(), None);
    // Every shard runs jobs again, at once and delayed, and bears its retries.
    for round in 0..3 {
        for n in 0..u32::from(shards) * 2 {
            let submit = client
                .submit_raw("t", json!([round, n]))
                .retry_policy(RetryPolicy::never());
            let submit = match n % 2 {
                0 => submit,
                _ => submit.delay(Duration::from_millis(20)),
            };
            let id = submit.await.unwrap().id();
            assert_eq!(client.ended(id).await.status, JobStatus::Completed);
        }
    }
    for (shard, term) in terms {
        let lock = eventually("the shard is led", SOON, async || {
            store.look(shard).await.unwrap()
        })
        .await;
        assert!(
            lock.term > term,
            "the terms of shard {shard} go on above {term}: {lock:?}"
        );
    }
    throughout(
        "it stays registered",
        Duration::from_millis(300),
        async || client.nodes().await.unwrap().len() == 1,
    )
    .await;
    node.stop().await;
    assert!(client.nodes().await.unwrap().is_empty());
}

/// The issue: after a flush the scripts, registrations and leadership are back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_outlives_a_flush_of_its_server() {
    let server = RedisServer::start().await;
    outlives_a_flush(server.url(), 1, std::slice::from_ref(&server)).await;
}

/// The same on a cluster.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_outlives_a_flush_of_its_cluster() {
    let cluster = RedisCluster::start().await;
    outlives_a_flush(cluster.url(), CLUSTER_SHARDS, cluster.nodes()).await;
}
