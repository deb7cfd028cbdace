//! The leader goes in the middle of everything that a workflow can be: conditions, loops, maps,
//! children, signals, hooks, batches of them. Another one finishes what it began.
#![cfg(test)]

use std::time::{Duration, Instant};

use paceline_client::{Client, WorkflowHandle};
use paceline_store::{Store, StoreOptions};
use paceline_tests::{History, NodeProcess, RedisServer, eventually, leading, store_at, within};
use paceline_types::{EventKind, ShardIndex, WorkflowDefinition, WorkflowStatus};
use serde_json::json;

/// Node and leader lease of the scenario.
const LEASE: Duration = Duration::from_secs(1);

/// Long enough for an election on a machine that also builds.
const PATIENCE: Duration = Duration::from_secs(60);

const SHARD: ShardIndex = ShardIndex(0);

const CROWD: usize = 20;

/// A map, a condition with a join behind it, a child, a signal, and hooks around them.
fn definition() -> WorkflowDefinition {
    let nap = json!({ "duration": "20ms" });
    let hook = |name: &str| json!({ "task_type": "echo", "payload": name });
    let text = json!({
        "name": "everything",
        "hooks": { "on_init": hook("init"), "on_success": hook("success"), "on_exit": hook("exit") },
        "tasks": [
            { "name": "list", "task_type": "echo", "payload": [1, 2, 3, 4, 5, 6] },
            { "name": "each", "type": "map", "task_type": "sleep", "payload": nap, "window": 2,
              "items": "{{tasks.list.output}}", "depends_on": ["list"] },
            { "name": "six", "type": "condition", "condition": "tasks.list.output[5] eq 6",
              "depends_on": ["list"], "condition_routes": { "0": "yes", "1": "no" } },
            { "name": "yes", "task_type": "sleep", "payload": nap, "depends_on": ["six"] },
            { "name": "no", "task_type": "sleep", "payload": nap, "depends_on": ["six"] },
            { "name": "child", "depends_on": ["yes", "no"], "child_workflow_def": {
                "name": "child", "tasks": [
                    { "name": "inner", "task_type": "sleep", "payload": nap },
                    { "name": "outer", "task_type": "echo", "payload": "{{input.from}}",
                      "depends_on": ["inner"] } ] },
              "payload": { "from": "parent" } },
            { "name": "approved", "type": "signal", "depends_on": ["child"], "timeout": "5m" },
            { "name": "end", "task_type": "echo", "depends_on": ["approved", "each", "list"],
              "result_from": ["approved"], "payload": "{{tasks.list.output[0]}}" } ] });
    WorkflowDefinition::from_json(&text.to_string()).expect("a definition")
}

/// The term of who leads.
async fn term_of(store: &Store) -> u64 {
    let seen = store.look(SHARD).await.expect("the lock");
    seen.expect("a leader").term
}

/// Waits until another incarnation holds the lock; how long that took.
async fn handed_over(store: &Store, before: u64) -> Duration {
    let began = Instant::now();
    eventually("another node leads", PATIENCE, async || {
        let lock = store.look(SHARD).await.expect("the lock");
        lock.filter(|lock| lock.term > before).is_some()
    })
    .await;
    began.elapsed()
}

async fn submit(client: &Client) -> Vec<WorkflowHandle> {
    let mut handles = Vec::new();
    for _ in 0..CROWD {
        handles.push(
            client
                .submit_workflow(definition(), None)
                .await
                .expect("accepted"),
        );
    }
    handles
}

/// Signals all of them, each twice under one key, and waits for their ends.
async fn finish(client: &Client, handles: &[WorkflowHandle]) {
    for handle in handles {
        for _ in 0..2 {
            let sent = client
                .signal(handle.id(), "approved", json!({ "by": "me" }))
                .key("once")
                .await;
            drop(sent);
        }
    }
    for handle in handles {
        let workflow = within("its end", PATIENCE, handle.wait())
            .await
            .expect("a reading");
        assert_eq!(workflow.status, WorkflowStatus::Completed, "{workflow:?}");
        let output: serde_json::Value =
            serde_json::from_slice(workflow.output.as_deref().expect("output")).expect("JSON");
        let approval = json!({ "approved": { "by": "me" } });
        assert_eq!(output, json!({ "upstream": approval, "original": 1 }));
    }
}

/// What holds of the log whatever the leaders did: everything once.
async fn assert_once(store: &Store, rounds: usize) {
    let all = rounds * CROWD;
    // Who waits for a workflow is told of its outcome; its hooks run after that.
    let history = eventually("the hooks are over", PATIENCE, async || {
        let history = History::read(store).await;
        match history.count(&EventKind::WorkflowHookCompleted) {
            over if over < 3 * all => Err(over),
            _ => Ok(history),
        }
    })
    .await;
    for (kind, each) in [
        (EventKind::WorkflowStarted, 2),
        (EventKind::WorkflowCompleted, 2),
        (EventKind::WorkflowHookDispatched, 3),
        (EventKind::WorkflowHookCompleted, 3),
        (EventKind::WorkflowSignalReceived, 1),
        // list, each and its six elements, six, yes, no, child, approved, end; inner and outer.
        (EventKind::WorkflowTaskCompleted, 16),
    ] {
        assert_eq!(history.count(&kind), each * all, "{kind}");
    }
}

/// Row 101, W8: a leader that is killed is followed within its lease and 1.5 s.
#[tokio::test(flavor = "multi_thread")]
async fn killed_leaders_lose_nothing_and_repeat_nothing() {
    const KILLS: usize = 3;
    let redis = RedisServer::start().await;
    let url = redis.url();
    let store = store_at(&url, StoreOptions::default()).await;
    let client = Client::from_store(store.clone());
    let args = ["--lease", "1s"];
    let mut nodes = Vec::new();
    for _ in 0..3 {
        nodes.push(NodeProcess::start(&url, &args).await);
    }
    for _ in 0..KILLS {
        let victim = leading(&nodes).await;
        let before = term_of(&store).await;
        let handles = submit(&client).await;
        let node = nodes.swap_remove(victim);
        node.kill();
        let took = handed_over(&store, before).await;
        println!("killed: led again after {took:.2?}, lease {LEASE:?}");
        nodes.push(NodeProcess::start(&url, &args).await);
        finish(&client, &handles).await;
    }
    assert_once(&store, KILLS).await;
}

/// Row 100, W42: one that is stopped hands over at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_planned_stop_hands_over() {
    let redis = RedisServer::start().await;
    let url = redis.url();
    let store = store_at(&url, StoreOptions::default()).await;
    let client = Client::from_store(store.clone());
    let mut nodes = Vec::new();
    for _ in 0..3 {
        nodes.push(NodeProcess::start(&url, &[]).await);
    }
    let victim = leading(&nodes).await;
    let before = term_of(&store).await;
    let handles = submit(&client).await;
    let node = nodes.swap_remove(victim);
    node.terminate();
    let took = handed_over(&store, before).await;
    println!("stopped: led again after {took:.2?}");
    finish(&client, &handles).await;
    assert_once(&store, 1).await;
}
