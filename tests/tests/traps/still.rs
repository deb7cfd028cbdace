//! What stands still because what was to move it is gone from Redis.

use std::time::Duration;

use paceline_client::{BatchBuilder, Step, WorkflowBuilder};
use paceline_node::{NodeBuilder, Role};
use paceline_tests::{Env, SOON, eventually, feature_test, live_keys, within};
use paceline_types::{BatchStatus, EventKind, WorkflowStatus};
use serde_json::{Value, json};

use crate::{Bench, ended, hold, tell};

/// A node that leads and runs nothing.
fn leader(env: &Env) -> NodeBuilder {
    env.node().roles([Role::Scheduler, Role::Orchestrator])
}

feature_test! {
    /// Row 66, W6: the ends of jobs and of a child's job, and the starts of a batch and of a workflow,
    /// are lost on their way to the leader. The next one's walks find all of them.
    async fn ends_that_are_lost_are_found(env: Env) {
        let mut bench = Bench::idle(env.store().await);
        bench.work(env.node().roles([Role::Worker])).await;
        let first = leader(&env).start().await.unwrap();
        let child = WorkflowBuilder::new("child").task(hold("inner"));
        let workflow = WorkflowBuilder::new("loses")
            .task(hold("a"))
            .task(tell("b", json!(1)).after(["a"]))
            .task(Step::child("c", child))
            .task(tell("d", json!(2)).after(["b", "c"]));
        let begun = bench.submit(workflow, Value::Null).await;
        let items = BatchBuilder::new("batch", "echo").chunk_size(1);
        let items = items.items((0..3).map(|n| (format!("i{n}"), n)));
        bench.begun.take(2).await;
        // Whatever ends from here on nobody is told of.
        first.stop().await;
        let batch = bench.client.submit_batch(items).await.unwrap();
        let simple = WorkflowBuilder::new("simple").task(tell("a", json!(1)));
        let fresh = bench.submit(simple, Value::Null).await;
        bench.gate.open();
        eventually("both jobs have ended", SOON, async || {
            let events = bench.events().await;
            events.iter().filter(|event| event.kind == EventKind::JobCompleted).count() == 2
        })
        .await;
        let mut redis = env.raw().await;
        for shard in 0..env.shards() {
            let inbox = format!("{{{}:{shard}}}:inbox", env.namespace());
            let _: usize = redis::cmd("DEL").arg(inbox).query_async(&mut redis).await.unwrap();
        }
        let walks = leader(&env).reconcile_interval(Duration::from_millis(100));
        let second = walks.start().await.unwrap();
        for handle in [&begun, &fresh] {
            assert_eq!(ended(handle).await.status, WorkflowStatus::Completed);
        }
        let batch = within("the end of the batch", SOON, batch.wait()).await.unwrap();
        assert_eq!((batch.status, batch.completed_items), (BatchStatus::Completed, 3));
        assert_eq!(bench.ran_once(), 5);
        eventually("nothing is left", SOON, async || live_keys(&env).await.is_empty()).await;
        second.stop().await;
        bench.stop().await;
    }
}
