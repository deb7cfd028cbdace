//! Settings that nodes take up while they run (row 49).

use std::time::Duration;

use paceline_client::{Client, ConfigError, Scope, Settings};
use paceline_node::{Context, NodeBuilder};
use paceline_tests::{
    Env, Gate, Look, Pen, SOON, Serve, eventually, feature_test, notes, story, throughout,
};
use paceline_types::EventKind::{JobCompleted, JobEnqueued, JobStarted};
use paceline_types::{Bytes, JobStatus};
use serde_json::json;

use crate::{LONG, done, options, tried};

/// Long enough for a run that must not begin to begin.
const SPAN: Duration = Duration::from_millis(300);

fn handler(pattern: &str) -> Scope {
    Scope::handler(pattern).unwrap()
}

fn concurrency(limit: u32) -> Settings {
    Settings {
        concurrency: Some(limit),
        ..Settings::default()
    }
}

/// A handler that tells what was set for it.
fn with_marker(node: NodeBuilder) -> NodeBuilder {
    let node = node
        .settings_interval(Duration::from_millis(100))
        .lease(Duration::from_secs(2));
    node.handle_raw("marker", options(), async |context: Context, _| {
        Ok(Bytes::from(context.max_attempts().to_string()))
    })
}

/// Waits until the node has taken up everything that was set before this call.
async fn taken_up(client: &Client, mark: u32) {
    let settings = Settings {
        max_attempts: Some(mark),
        ..Settings::default()
    };
    client
        .set_config(&handler("marker"), &settings)
        .await
        .unwrap();
    eventually("the settings are taken up", SOON, async || {
        let job = client.submit_raw("marker", json!(1)).await.unwrap();
        job.output().await.unwrap() == mark
    })
    .await;
}

/// A node with this one handler that tells and waits, and the marker.
fn held(node: NodeBuilder, limit: Option<u32>, pen: &Pen<()>, gate: &Gate) -> NodeBuilder {
    let options = paceline_node::HandlerOptions {
        concurrency: limit,
        ..options()
    };
    let state = (pen.clone(), gate.clone());
    with_marker(node).serve("t", options, state, async |(pen, gate), _, _| {
        pen.note(());
        gate.pass().await;
        Ok(done())
    })
}

feature_test! {
    /// Contract row 49, trap W44: more runs begin when the limit of a handler is raised, and none
    /// when it is lowered, until fewer run than it allows.
    async fn the_concurrency_of_a_handler_changes_without_a_restart(env: Env) {
        let (pen, mut begun) = notes();
        let gate = Gate::default();
        let ride = env.ride(|node| held(node, Some(1), &pen, &gate)).await;
        let client = &ride.client;
        let mut jobs = Vec::new();
        for n in 0..9 {
            jobs.push(client.submit_raw("t", json!(n)).await.unwrap());
        }
        begun.next().await;
        throughout("one runs", SPAN, async || begun.rest().is_empty()).await;

        client.set_config(&handler("t"), &concurrency(3)).await.unwrap();
        begun.take(2).await;
        throughout("three run", SPAN, async || begun.rest().is_empty()).await;

        client.set_config(&handler("t"), &concurrency(1)).await.unwrap();
        taken_up(client, 11).await;
        gate.admit(2);
        throughout("one of three is left", SPAN, async || begun.rest().is_empty()).await;
        gate.admit(1);
        begun.next().await;
        throughout("one runs", SPAN, async || begun.rest().is_empty()).await;

        // Taken back: what the node was built with holds again.
        client.set_config(&handler("t"), &concurrency(2)).await.unwrap();
        begun.next().await;
        client.clear_config(&handler("t")).await.unwrap();
        taken_up(client, 12).await;
        gate.admit(1);
        throughout("one is left", SPAN, async || begun.rest().is_empty()).await;
        gate.open();
        for job in jobs {
            assert_eq!(job.output().await.unwrap(), "done");
        }
        ride.stop().await;
    }

    /// Contract row 49, trap W44: the slots of the node.
    async fn the_concurrency_of_nodes_changes_without_a_restart(env: Env) {
        let (pen, mut begun) = notes();
        let gate = Gate::default();
        let ride = env.ride(|node| held(node.concurrency(1), None, &pen, &gate)).await;
        let client = &ride.client;
        let mut jobs = Vec::new();
        for n in 0..6 {
            jobs.push(client.submit_raw("t", json!(n)).await.unwrap());
        }
        begun.next().await;
        throughout("one runs", SPAN, async || begun.rest().is_empty()).await;
        client.set_config(&Scope::Global, &concurrency(4)).await.unwrap();
        begun.take(3).await;
        throughout("four run", SPAN, async || begun.rest().is_empty()).await;
        crate::told(client, &ride.node, |info| info.pool_stats.max_concurrency == 4).await;
        client.set_config(&Scope::Global, &concurrency(1)).await.unwrap();
        crate::told(client, &ride.node, |info| info.pool_stats.max_concurrency == 1).await;
        gate.admit(3);
        throughout("one is left", SPAN, async || begun.rest().is_empty()).await;
        gate.admit(1);
        begun.next().await;
        throughout("one runs", SPAN, async || begun.rest().is_empty()).await;
        gate.open();
        for job in jobs {
            assert_eq!(job.output().await.unwrap(), "done");
        }
        ride.stop().await;
    }

    /// Contract rows 33 and 49, trap W44: before the job's own, and before the handler's.
    async fn timeout_and_attempts_change_without_a_restart(env: Env) {
        let patient = paceline_node::HandlerOptions { timeout: Some(LONG), ..tried(9) };
        let ride = env
            .ride(|node| with_marker(node).handle_raw("img.slow", patient, async |context: Context, _| {
                context.cancelled().await;
                Ok(done())
            }))
            .await;
        let client = &ride.client;
        let settings = Settings {
            timeout: Some(Duration::from_millis(50)),
            max_attempts: Some(2),
            ..Settings::default()
        };
        // By a pattern that covers the handler.
        client.set_config(&handler("img.*"), &settings).await.unwrap();
        taken_up(client, 21).await;
        let job = client.submit_raw("img.slow", json!(1)).timeout(LONG).await.unwrap();
        let record = client.ended(job.id()).await;
        assert_eq!((record.status, record.attempt), (JobStatus::Dead, 2));
        let error = record.last_error.unwrap();
        assert_eq!(error, "handler exceeded its timeout of 50ms");
        ride.stop().await;
    }

    /// Contract row 49, trap W44: a paused handler claims nothing, on any node, from its start on,
    /// also when a pattern of the same node would cover its work.
    async fn a_paused_handler_claims_nothing(env: Env) {
        let client = env.client().await;
        let paused = Settings { paused: Some(true), ..Settings::default() };
        client.set_config(&handler("img.a"), &paused).await.unwrap();
        let build = || {
            with_marker(env.node())
                .handle_raw("img.a", options(), async |_, _| Ok(Bytes::from_static(b"\"a\"")))
                .handle_raw("img.*", options(), async |_, _| Ok(Bytes::from_static(b"\"any\"")))
        };
        let first = build().start().await.unwrap();
        let second = build().start().await.unwrap();
        let job = client.submit_raw("img.a", json!(1)).await.unwrap();
        let other = client.submit_raw("img.b", json!(1)).await.unwrap();
        assert_eq!(other.output().await.unwrap(), "any");
        taken_up(&client, 31).await;
        let store = env.store().await;
        assert_eq!(story(&store, job.id()).await, [JobEnqueued]);
        client.unset_config(&handler("img.a"), &["paused"]).await.unwrap();
        assert_eq!(job.output().await.unwrap(), "a");
        assert_eq!(story(&store, job.id()).await, [JobEnqueued, JobStarted, JobCompleted]);
        first.stop().await;
        second.stop().await;
    }

    /// Contract row 49: what somebody else wrote there changes nothing, and is told to whoever
    /// looks.
    async fn settings_that_cannot_be_used_leave_the_last_good_ones(env: Env) {
        let ride = env.ride(with_marker).await;
        let client = &ride.client;
        taken_up(client, 41).await;
        let scope = handler("marker");
        let seen = ride.store.settings().await.unwrap()["handler:marker"].clone();
        let bad = r#"{"max_attempts":"many"}"#;
        ride.store.configure(&scope, Some(&seen), Some(bad)).await.unwrap();
        // Another entry shows that it was read.
        client.set_config(&Scope::Global, &concurrency(7)).await.unwrap();
        crate::told(client, &ride.node, |info| info.pool_stats.max_concurrency == 7).await;
        let job = client.submit_raw("marker", json!(1)).await.unwrap();
        assert_eq!(job.output().await.unwrap(), 41);
        let error = client.config().await.unwrap_err();
        assert!(matches!(error, ConfigError::Stored { .. }), "{error}");
        assert!(error.to_string().contains("handler:marker"), "{error}");
        client.clear_config(&scope).await.unwrap();
        assert_eq!(client.config().await.unwrap().0.len(), 1);
        let job = async || {
            let job = client.submit_raw("marker", json!(1)).await.unwrap();
            job.output().await.unwrap() == 3
        };
        eventually("the policy holds again", SOON, job).await;
        ride.stop().await;
    }

    /// Contract row 49: fields are set and taken back one by one, also by many at once.
    async fn many_may_change_the_same_settings(env: Env) {
        let client = env.client().await;
        let scope = handler("t");
        let set = [
            Settings { timeout: Some(LONG), ..Settings::default() },
            Settings { max_attempts: Some(2), ..Settings::default() },
            concurrency(3),
            Settings { paused: Some(true), ..Settings::default() },
        ];
        let all = set.iter().map(|settings| client.set_config(&scope, settings));
        futures::future::try_join_all(all).await.unwrap();
        let expected = Settings {
            timeout: Some(LONG),
            max_attempts: Some(2),
            concurrency: Some(3),
            paused: Some(true),
        };
        assert_eq!(client.config().await.unwrap().0[&scope], expected);
        let left = client.unset_config(&scope, &["timeout", "paused"]).await.unwrap();
        assert_eq!(left, Settings { timeout: None, paused: None, ..expected });
        client.unset_config(&scope, &["max_attempts", "concurrency"]).await.unwrap();
        assert!(client.config().await.unwrap().0.is_empty());
        let zero = client.set_config(&scope, &concurrency(0)).await.unwrap_err();
        assert!(zero.to_string().starts_with("handler:t: `concurrency` is zero"), "{zero}");
        let unknown = client.unset_config(&scope, &["size"]).await.unwrap_err();
        assert!(unknown.to_string().contains("`size` is not a setting"), "{unknown}");
        assert!(env.keys().await.iter().all(|key| !key.ends_with("}:config")));
    }
}
