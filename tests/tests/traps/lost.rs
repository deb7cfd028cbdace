//! What a submission does not do by itself, and entries that nobody can make sense of.

use paceline_client::WorkflowBuilder;
use paceline_tests::{Env, feature_test, inboxes_empty, parked};
use paceline_types::{WorkflowId, WorkflowStatus};
use serde_json::{Value, json};

use crate::{Bench, ended, tell};

feature_test! {
    /// Row 65, W3, W5: a submission makes no job. Roots are dispatched by the same commit that says
    /// so, and each runs once, however late the leader is.
    async fn nothing_begins_before_the_workflow_is_accepted(env: Env) {
        let mut bench = Bench::idle(env.store().await);
        let workflow = WorkflowBuilder::new("roots").tasks((0..20).map(|n| tell(&format!("r{n}"), json!(n))));
        let handle = bench.submit(workflow, Value::Null).await;
        let keys = env.keys().await;
        let jobs = keys.iter().filter(|key| key.contains("}:j:") || key.contains("}:lane:"));
        assert_eq!(jobs.collect::<Vec<_>>(), Vec::<&String>::new());
        bench.work(env.node()).await;
        assert_eq!(ended(&handle).await.status, WorkflowStatus::Completed);
        assert_eq!(bench.ran_once(), 20);
        bench.stop().await;
    }

    /// Row 66, W7: entries that mean nothing, name nobody or contradict what is kept are parked or
    /// dropped, and hold up nothing behind them.
    async fn poison_in_the_inbox_holds_nothing_up(env: Env) {
        let mut bench = Bench::idle(env.store().await);
        let before = bench.submit(WorkflowBuilder::new("before").task(tell("a", json!(1))), Value::Null).await;
        let mut redis = env.raw().await;
        let id = before.id().bare(&mut [0; 26]).to_owned();
        let nobody = WorkflowId::from_parts(1, before.id().shard(), 7 << 40);
        let nobody = nobody.bare(&mut [0; 26]).to_owned();
        let inbox = format!("{{{}:{}}}:inbox", env.namespace(), before.id().shard().0);
        let ended_before_it_began = format!("t\u{1f}C\u{1f}{id}\u{1f}1\u{1f}1\u{1f}tell\u{1f}{id}\u{1f}a\u{1f}9");
        let poison = [
            ("b", "what is this".to_owned()),
            ("z", "s\u{1f}".to_owned()),
            ("b", format!("s\u{1f}{nobody}")),
            ("b", format!("g\u{1f}{nobody}\u{1f}1\u{1f}go")),
            ("b", format!("g\u{1f}{id}\u{1f}many\u{1f}go")),
            ("b", ended_before_it_began),
        ];
        for (field, items) in &poison {
            let mut add = redis::cmd("XADD");
            add.arg(&inbox).arg("*").arg(field).arg(items);
            let _: String = add.query_async(&mut redis).await.unwrap();
        }
        let behind = bench.submit(WorkflowBuilder::new("behind").task(tell("a", json!(1))), Value::Null).await;
        bench.work(env.node()).await;
        for handle in [&before, &behind] {
            assert_eq!(ended(handle).await.status, WorkflowStatus::Completed);
        }
        inboxes_empty(&env).await;
        let parked = parked(&env).await;
        assert!(parked.len() >= 3, "{parked:?}");
        bench.stop().await;
    }
}
