//! The leader is stopped for longer than two leases, and wakes up believing that it leads.
#![cfg(test)]

use std::time::Duration;

use paceline_client::{Client, Step, WorkflowBuilder};
use paceline_store::calls::leadership::Lock;
use paceline_store::{RedisUrl, Store, StoreOptions};
use paceline_tests::{History, NodeProcess, RedisServer, eventually, leading};
use paceline_types::{ShardIndex, WorkflowId, WorkflowStatus};

/// How often the leader is stopped.
const STOPS: usize = 10;

/// Node and leader lease of the scenario.
const LEASE: &str = "1s";

/// Long enough for an election on a machine that also builds.
const PATIENCE: Duration = Duration::from_secs(60);

const SHARD: ShardIndex = ShardIndex(0);

/// A fan-out, a chain and a join, with tasks that are long enough to be caught running.
fn workflow(round: usize) -> WorkflowBuilder {
    let nap = serde_json::json!({ "duration": "30ms" });
    let mut builder = WorkflowBuilder::new(format!("round-{round}"))
        .task(Step::new("first", "echo").payload(serde_json::json!({ "round": round })));
    let mut middle = Vec::new();
    for n in 0..6 {
        let name = format!("nap-{n}");
        builder = builder.task(
            Step::new(&name, "sleep")
                .payload(nap.clone())
                .after(["first"]),
        );
        middle.push(name);
    }
    builder
        .task(Step::new("join", "sleep").payload(nap).after(middle))
        .task(
            Step::new("last", "echo")
                .payload(serde_json::json!("done"))
                .after(["join"]),
        )
}

/// The one process that says it leads, and the lock.
async fn leader(store: &Store, nodes: &[NodeProcess]) -> (usize, Lock) {
    let index = leading(nodes).await;
    let lock = store.look(SHARD).await.expect("the lock");
    (index, lock.expect("a leader"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_wakes_up_late_changes_nothing() {
    let redis = RedisServer::start().await;
    let url = redis.url();
    let store = Store::open(
        &url.parse::<RedisUrl>().expect("a url"),
        StoreOptions::default(),
    )
    .await
    .expect("a store");
    let client = Client::from_store(store.clone());
    let mut nodes = Vec::new();
    for _ in 0..3 {
        nodes.push(NodeProcess::start(&url, &["--lease", LEASE]).await);
    }

    let mut accepted: Vec<WorkflowId> = Vec::new();
    for round in 0..STOPS {
        let (stopped, before) = leader(&store, &nodes).await;
        for _ in 0..5 {
            let handle = client
                .submit_workflow(workflow(round), None)
                .await
                .expect("accepted");
            accepted.push(handle.id());
        }
        let newest = accepted[accepted.len() - 1];
        eventually("the newest workflow is under way", PATIENCE, async || {
            let found = store
                .workflow(newest)
                .await
                .expect("a workflow")
                .expect("accepted");
            found.status != WorkflowStatus::Pending
        })
        .await;
        nodes[stopped].stop();
        // Another one leads, and has raised its beat seven times: more than two leases.
        let after = eventually("another node leads for two leases", PATIENCE, async || {
            let lock = store
                .look(SHARD)
                .await
                .expect("the lock")
                .expect("a leader");
            if lock.term > before.term && lock.beat >= 7 {
                Ok(lock)
            } else {
                Err(lock)
            }
        })
        .await;
        nodes[stopped].cont();
        assert_ne!(
            after.holder, before.holder,
            "a stopped node cannot take the lock"
        );
    }

    for id in &accepted {
        eventually("every workflow completes", PATIENCE, async || {
            let found = store
                .workflow(*id)
                .await
                .expect("a workflow")
                .expect("accepted");
            if found.status == WorkflowStatus::Completed {
                Ok(())
            } else {
                Err(found)
            }
        })
        .await;
    }
    let history = History::read(&store).await;
    history.assert_workflows_ended(&accepted);

    let mut fenced = 0.0;
    for node in &nodes {
        for metric in [
            "paceline_orchestrator_fenced_total",
            "paceline_settles_fenced_total",
            "paceline_node_fenced_total",
        ] {
            fenced += node.metric(metric).await.unwrap_or(0.0);
        }
    }
    println!("{fenced} fenced writes and nodes in {STOPS} stops");
    assert!(fenced > 0.0, "no stop was long enough to be noticed");
}
