//! What is kept long enough is removed, whole.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use paceline_client::{CancelWorkflowError, Step, WaitError, WorkflowBuilder};
use paceline_node::Context;
use paceline_tests::{Env, eventually, feature_test, within};
use paceline_types::{Bytes, JobError, SignalName, WorkflowDefinition, WorkflowId, WorkflowStatus};
use redis::AsyncCommands;
use serde_json::json;

use crate::stage::{Stage, act, failing};
use crate::theatre::{Theatre, ended};

/// Two rounds of the sweeper, and a busy machine.
const SWEPT: std::time::Duration = std::time::Duration::from_secs(40);

/// Keys of a shard that stay, whatever ran: bells ring again, lanes and counters remember.
const FIXED: [&str; 13] = [
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
        let passing = name.starts_with("turn:") || name.starts_with("bell:");
        !FIXED.contains(&name.as_str()) && !passing
    })
    .collect()
}

/// One with everything that leaves something behind.
fn whole() -> WorkflowDefinition {
    let hook = json!({ "task_type": "ok" });
    let child = json!({ "name": "child", "tasks": [{ "name": "x", "task_type": "ok" }] });
    let definition = json!({
        "name": "whole",
        "execution_timeout": "1h",
        "hooks": { "on_init": hook, "on_failure": hook, "on_exit": hook },
        "tasks": [
            { "name": "a", "task_type": "ok", "tags": ["t"], "audited": true },
            { "name": "each", "type": "map", "task_type": "ok", "items": [1, 2, 3],
              "depends_on": ["a"] },
            { "name": "c", "type": "condition", "task_type": "turn", "depends_on": ["each"],
              "condition_routes": { "0": "a", "1": "go" } },
            { "name": "go", "type": "signal", "timeout": "1h", "depends_on": ["c"] },
            { "name": "child", "child_workflow_def": child, "depends_on": ["go"] },
            { "name": "last", "task_type": "boom", "depends_on": ["child"] },
        ],
    });
    serde_json::from_value(definition).unwrap()
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

    /// Trap W35, rows 70 to 89: whatever it was made of, and however often it was tried.
    async fn after_its_retention_nothing_of_a_whole_workflow_is_left(env: Env) {
        let theatre = Theatre::without_nodes(&env).await;
        let ok = |_, _| async { Ok(Bytes::from_static(b"{}")) };
        let turns = Arc::new(AtomicU32::new(0));
        let turn = move |_, _| {
            let route = u32::from(turns.fetch_add(1, Ordering::SeqCst) >= 2);
            async move { Ok(Bytes::from(format!("{{\"route\":{route}}}"))) }
        };
        let boom = |_, _| async { Err(JobError::permanent("boom")) };
        let _node = env
            .node()
            .handle_raw("ok", Default::default(), ok)
            .handle_raw("turn", Default::default(), turn)
            .handle_raw("boom", Default::default(), boom)
            .start()
            .await
            .unwrap();
        let store = env.store().await;
        let id = theatre.client.submit_workflow(whole(), None).await.unwrap().id();
        let (name, payload) = (SignalName::new("go").unwrap(), b"[1]");
        for _ in 0..2 {
            store.signal_workflow(id, &name, payload, None).await.unwrap();
        }
        let failed = async |attempt| {
            eventually("it has failed", SWEPT, async || {
                let view = store.workflow(id).await.unwrap().unwrap();
                let (status, over) = (view.status, view.hook_states.get("on_exit").cloned());
                let over = over.filter(|exit| exit.status.is_terminal());
                let is = status == WorkflowStatus::Failed && view.attempt == attempt;
                match over.filter(|exit| is && exit.iteration == attempt - 1) {
                    Some(_) => Ok(()),
                    None => Err(view),
                }
            })
            .await;
        };
        failed(1).await;
        let starts = store.task_results(id, "a", 0, 10).await.unwrap();
        assert_eq!(starts.len(), 3, "the loop came back twice");
        assert!(starts.iter().all(|start| start.result.as_deref() == Some(&b"{}"[..])));
        let each = store.task_results(id, "each", 0, 10).await.unwrap();
        assert!(each.iter().all(|start| start.result.as_deref() == Some(&b"[{},{},{}]"[..])));
        let go = store.task_result(id, "go", None).await.unwrap().unwrap();
        assert_eq!(go.result.as_deref(), Some(&payload[..]));
        let view = store.workflow(id).await.unwrap().unwrap();
        assert_eq!(view.signals_pending, 1);
        let child = view.tasks.iter().find_map(|task| task.child_workflow_id).unwrap();
        eventually("its hooks are done", SWEPT, async || {
            store.retry_workflow(id).await.is_ok()
        })
        .await;
        failed(2).await;
        eventually("nothing of it is under way", SWEPT, async || {
            store.active_page(id.shard(), "", 10).await.unwrap().0.is_empty()
        })
        .await;
        age(&env, &[id, child]).await;
        eventually("only the fixed keys are left", SWEPT, async || {
            let left = left(&env).await;
            if left.is_empty() { Ok(()) } else { Err(left) }
        })
        .await;
    }

    /// Row 87: whoever knows the first of a chain alone finds the last, for as long as that is kept.
    async fn the_first_of_a_chain_leads_to_the_last_past_its_own_retention(env: Env) {
        let theatre = Theatre::without_nodes(&env).await;
        let count = |context: Context, _| async move {
            match context.workflow_input_as::<u64>().await? {
                3 => Ok(Bytes::from_static(b"\"enough\"")),
                n => Err(JobError::continue_as_new(n + 1)),
            }
        };
        let _node = env.node().handle_raw("count", Default::default(), count).start().await.unwrap();
        let chain = WorkflowBuilder::new("chain").task(Step::new("count", "count"));
        let first = theatre.client.submit_workflow(chain, Some(json!(0))).await.unwrap();
        let last = ended(&first).await.id;
        let mut line = vec![first.id()];
        while line.last() != Some(&last) {
            line.push(line.last().unwrap().of_successor());
        }
        let gone = &line[..3];
        let newest = async |of: WorkflowId| theatre.client.newest_instance(of).await.unwrap();
        for &link in &line {
            assert_eq!(newest(link).await, Some(last));
        }
        age(&env, gone).await;
        for &link in gone {
            eventually("it is gone", SWEPT, async || {
                theatre.store.workflow(link).await.unwrap().is_none()
            })
            .await;
        }
        assert_eq!(newest(first.id()).await, Some(last));
        assert_eq!(newest(gone[1]).await, None, "only the first is remembered");

        assert_eq!(ended(&first).await.id, last);
        let output: String = within("its output", SWEPT, first.output()).await.unwrap();
        assert_eq!(output, "enough");
        assert_eq!(first.status().await.unwrap(), Some(WorkflowStatus::Completed));
        let view = theatre.client.workflow(first.id()).await.unwrap().unwrap();
        assert_eq!(view.id, last);
        let view = theatre.client.workflow_with_elements(first.id()).await.unwrap().unwrap();
        assert_eq!(view.id, last);
        let definition = theatre.client.workflow_definition(first.id()).await.unwrap().unwrap();
        assert_eq!(definition.name, "chain");
        match first.cancel("").await.unwrap_err() {
            CancelWorkflowError::Continued { next, .. } => assert_eq!(next, last),
            other => panic!("{other}"),
        }
        for refused in [
            first.signal("x", 1).await.unwrap_err().to_string(),
            first.suspend().await.unwrap_err().to_string(),
            first.resume().await.unwrap_err().to_string(),
            first.retry().await.unwrap_err().to_string(),
        ] {
            assert!(refused.contains(&format!("it went on as {last}")), "{refused}");
        }

        age(&env, &[last]).await;
        eventually("nothing is left of it", SWEPT, async || newest(first.id()).await.is_none()).await;
        let unknown = within("a wait in vain", SWEPT, first.wait()).await.unwrap_err();
        assert!(matches!(unknown, WaitError::Unknown { .. }), "{unknown}");
        assert_eq!(theatre.client.workflow(first.id()).await.unwrap(), None);
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
