//! Waiting for the end of a job, and its result (rows 13 and 38).

use std::time::Duration;

use futures::future::join_all;
use paceline_client::{JobRequest, WaitError};
use paceline_node::Context;
use paceline_tests::{
    Env, Gate, Look, RedisServer, SOON, Serve, eventually, feature_test, open, within,
};
use paceline_types::{Bytes, JobError, JobId, JobStatus, ShardIndex};
use redis::AsyncCommands;
use serde_json::json;

use crate::{MOMENT, done, options, tried};

async fn held(gate: Gate, payload: Bytes) -> paceline_types::Outcome {
    gate.pass().await;
    Ok(payload)
}

feature_test! {
    /// Row 13: it makes no difference who is first.
    async fn a_result_is_there_for_those_who_wait_before_and_after_the_end(env: Env) {
        let gate = Gate::default();
        let ride = env
            .ride(|node| node.serve("t", options(), gate.clone(), async |gate, _, payload| {
                held(gate, payload).await
            }))
            .await;
        let handle = ride.client.submit_raw("t", json!({"n": 7})).await.unwrap();
        let elsewhere = env.client().await.handle(handle.id());
        let early = [handle.clone(), handle.clone(), elsewhere].map(|handle| {
            tokio::spawn(async move { handle.output().await })
        });
        // They wait: Redis knows of both clients.
        let mut raw = env.raw().await;
        let waiters = format!("{{{}:{}}}:waiters", env.namespace(), handle.id().shard());
        let bare = handle.id().to_string()[4..].to_owned();
        eventually("two clients wait", SOON, async || {
            let names: Option<String> = raw.hget(&waiters, &bare).await.unwrap();
            names.is_some_and(|names| names.split(' ').count() == 2)
        })
        .await;
        gate.open();
        for waiting in early {
            let output = within("the output", SOON, waiting).await.unwrap().unwrap();
            assert_eq!(output, json!({"n": 7}));
        }
        assert_eq!(handle.output().await.unwrap(), json!({"n": 7}));
        let late = env.client().await.handle(handle.id());
        assert_eq!(late.output().await.unwrap(), json!({"n": 7}));
        assert!(!raw.exists::<_, bool>(&waiters).await.unwrap(), "nobody is waited for");
        ride.stop().await;
    }

    /// Row 13: the record, not the message, is the truth.
    async fn a_result_is_found_although_the_message_was_missed(env: Env) {
        let gate = Gate::default();
        let ride = env
            .ride(|node| node.serve("t", options(), gate.clone(), async |gate, _, payload| {
                held(gate, payload).await
            }))
            .await;
        let handle = ride.client.submit_raw("t", json!(1)).await.unwrap();
        let waiting = tokio::spawn({
            let handle = handle.clone();
            async move { handle.output().await }
        });
        let mut raw = env.raw().await;
        let waiters = format!("{{{}:{}}}:waiters", env.namespace(), handle.id().shard());
        eventually("the client waits", SOON, async || {
            raw.del::<_, u32>(&waiters).await.unwrap() == 1
        })
        .await;
        gate.open();
        let output = within("the output", SOON, waiting).await.unwrap().unwrap();
        assert_eq!(output, json!(1));
        ride.stop().await;
    }

    /// Row 13: whoever waits is told why there is no result.
    async fn there_is_an_error_where_there_is_no_result(env: Env) {
        let ride = env
            .ride(|node| node.handle_raw("t", tried(1), async |context: Context, payload| {
                match &*payload {
                    b"0" => Err(JobError::permanent("broken for good")),
                    b"1" => { context.cancelled().await; Ok(done()) }
                    b"2" => Ok(Bytes::from_static(b"not JSON")),
                    _ => Ok(Bytes::new()),
                }
            }))
            .await;
        let submit = |case: u32| ride.client.submit_raw("t", json!(case)).into_future();
        let dead = submit(0).await.unwrap();
        match dead.output().await {
            Err(WaitError::Dead { job, error }) => {
                assert_eq!((job, &*error), (dead.id(), "broken for good"));
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(dead.wait().await.unwrap().status, JobStatus::Dead);
        let cancelled = submit(1).await.unwrap();
        ride.client.until(cancelled.id(), JobStatus::Running).await;
        cancelled.cancel().reason("enough").await.unwrap();
        assert!(matches!(cancelled.output().await, Err(WaitError::Cancelled { .. })));
        let text = submit(2).await.unwrap();
        assert!(matches!(text.output().await, Err(WaitError::Output { .. })));
        let nothing = submit(3).await.unwrap();
        assert_eq!(nothing.output().await.unwrap(), json!(null));
        let unknown = ride.client.handle(JobId::from_parts(1, ShardIndex(0), 7));
        assert!(matches!(unknown.output().await, Err(WaitError::Unknown { .. })));
        ride.stop().await;
    }

    /// Row 13: a wait that is given up changes nothing.
    async fn a_wait_ends_at_its_limit_and_the_job_goes_on(env: Env) {
        let gate = Gate::default();
        let ride = env
            .ride(|node| node.serve("t", options(), gate.clone(), async |gate, _, payload| {
                held(gate, payload).await
            }))
            .await;
        let handle = ride.client.submit_raw("t", json!(1)).await.unwrap();
        let error = handle.output_within(MOMENT).await.unwrap_err();
        assert!(matches!(error, WaitError::TimedOut { waited: MOMENT, .. }));
        assert!(error.to_string().ends_with("it goes on, and may be waited for again"));
        gate.open();
        assert_eq!(handle.output_within(SOON).await.unwrap(), json!(1));
        ride.stop().await;
    }

    /// Speed: waits that begin together share calls.
    async fn many_waits_share_their_calls(env: Env) {
        let ride = env.ride(|node| node.handle_raw("t", options(), async |_, _| Ok(done()))).await;
        let store = env.store().await;
        let client = paceline_client::Client::from_store(store.clone());
        let jobs = (0..500).map(|n| JobRequest::raw("t", json!(n)));
        let accepted = ride.client.submit_many(jobs).await.unwrap();
        let waits = accepted.into_iter().map(|one| {
            let handle = client.handle(one.unwrap().id);
            async move { handle.output().await.unwrap() }
        });
        let outputs = within("500 ends", SOON, join_all(waits)).await;
        assert!(outputs.iter().all(|output| output == "done"));
        let calls = store.link().stats().calls;
        assert!(calls < 100, "{calls} calls");
        ride.stop().await;
    }
}

/// Row 13: after a lost connection everything is looked at afresh, at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wait_outlives_its_connections() {
    let server = RedisServer::start().await;
    let client = paceline_client::Client::from_store(open(&server.url(), "k", 1).await);
    let handle = client.submit_raw("t", json!(1)).await.unwrap();
    let waiting = tokio::spawn({
        let handle = handle.clone();
        async move { handle.wait().await }
    });
    let mut raw = server.connect().await;
    eventually("the client waits", SOON, async || {
        raw.exists::<_, bool>("{k:0}:waiters").await.unwrap()
    })
    .await;
    for kind in ["pubsub", "normal"] {
        let mut kill = redis::cmd("CLIENT");
        kill.arg("KILL").arg("TYPE").arg(kind);
        assert!(kill.query_async::<u32>(&mut raw).await.unwrap() >= 1);
    }
    handle.cancel().await.unwrap();
    let ended = within("the end", Duration::from_secs(4), waiting)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(ended.status, JobStatus::Cancelled);
}
