//! What is kept long enough is removed, whole.

use paceline_client::WorkflowBuilder;
use paceline_tests::{Env, eventually, feature_test, within};
use paceline_types::{WorkflowId, WorkflowStatus};
use redis::AsyncCommands;

use crate::stage::{Stage, act, failing};
use crate::theatre::{Theatre, ended};

/// Two rounds of the sweeper, and a busy machine.
const SWEPT: std::time::Duration = std::time::Duration::from_secs(40);

/// Keys of a shard that stay, whatever ran: bells ring again, lanes and counters remember.
const FIXED: [&str; 14] = [
    "outbox",
    "events",
    "events:count",
    "inbox",
    "leader",
    "leases",
    "nodes",
    "lanes",
    "meta",
    "bell*",
    "bell:act",
    "bell!leader",
    "recovering",
    "stats:days",
];

/// Makes ended workflows as old as their retention: it is seven days, and there is no option.
async fn age(env: &Env, ids: &[WorkflowId]) {
    let mut redis = env.raw().await;
    for &id in ids {
        let key = |name: &str| format!("{{{}:{}}}:{name}", env.namespace(), id.shard());
        let bare = id.bare(&mut [0; 26]).to_owned();
        let record = key(&format!("wf:{bare}"));
        let kept: u64 = redis.hget(&record, "x").await.unwrap();
        assert!(kept > 1_700_000_000_000, "it would be removed in time");
        redis.hset::<_, _, _, ()>(&record, "x", 1).await.unwrap();
        let ended: Vec<String> = redis.zrange(key("ended"), 0, -1).await.unwrap();
        let packet = ended
            .iter()
            .find(|packet| packet.ends_with(&format!("w{bare}")))
            .unwrap();
        redis
            .zadd::<_, _, _, ()>(key("ended"), packet, 1)
            .await
            .unwrap();
    }
}

/// Keys that should not be there.
async fn left(env: &Env) -> Vec<String> {
    let name = |key: &str| {
        key.split_once("}:")
            .map(|(_, name)| name.to_owned())
            .unwrap()
    };
    let keys = env.keys().await.into_iter();
    keys.filter(|key| {
        let name = name(key);
        !FIXED.contains(&name.as_str()) && !name.starts_with("turn:")
    })
    .collect()
}

feature_test! {
    async fn after_its_retention_nothing_of_a_workflow_is_left(env: Env) {
        let (_stage, theatre) = Stage::open(&env).await;
        let good = WorkflowBuilder::new("good").task(act("a")).task(act("b").after(["a"]));
        let bad = WorkflowBuilder::new("bad").task(failing("a")).task(act("b").after(["a"]));
        let mut ids = Vec::new();
        for workflow in [good, bad] {
            let handle = theatre.client.submit_workflow(workflow, None).await.unwrap();
            ended(&handle).await;
            ids.push(handle.id());
        }
        let jobs = theatre.client.workflow(ids[0]).await.unwrap().unwrap().tasks;
        age(&env, &ids[..1]).await;
        eventually("it is gone", SWEPT, async || {
            theatre.client.workflow(ids[0]).await.unwrap().is_none()
        })
        .await;
        for task in jobs {
            assert_eq!(theatre.client.job(task.job_id.unwrap()).await.unwrap(), None);
        }
        let kept = theatre.client.workflow(ids[1]).await.unwrap().unwrap();
        assert_eq!(kept.status, WorkflowStatus::Failed, "the other is not old enough");
        age(&env, &ids[1..]).await;
        eventually("only the fixed keys are left", SWEPT, async || {
            let left = left(&env).await;
            if left.is_empty() { Ok(()) } else { Err(left) }
        })
        .await;
    }

    async fn a_workflow_of_many_tasks_is_removed_in_steps(env: Env) {
        let theatre = Theatre::without_nodes(&env).await;
        let stage = Stage::default();
        let _node = stage.node(&env).start().await.unwrap();
        let wide = WorkflowBuilder::new("wide").tasks((0..3_000).map(|n| act(&format!("t{n}"))));
        let handle = theatre.client.submit_workflow(wide, None).await.unwrap();
        let workflow = within("its end", SWEPT, handle.wait()).await.unwrap();
        assert_eq!(workflow.status, WorkflowStatus::Completed);
        age(&env, &[handle.id()]).await;
        eventually("only the fixed keys are left", SWEPT, async || {
            let left = left(&env).await.len();
            if left == 0 { Ok(()) } else { Err(left) }
        })
        .await;
        let list = theatre.client.workflows(None).await.unwrap();
        assert_eq!(list.items, []);
    }
}
