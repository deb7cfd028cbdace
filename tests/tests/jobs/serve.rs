//! Which handler gets a job: exact types, patterns, versions, and types that nobody serves yet.

use paceline_node::{Context, HandlerOptions};
use paceline_tests::{
    Env, Look, Pen, SOON, Serve, eventually, feature_test, notes, story, throughout,
};
use paceline_types::EventKind::{JobCompleted, JobEnqueued, JobStarted};
use paceline_types::{JobStatus, Version};
use serde_json::json;

use crate::{MOMENT, done, options};

fn version(name: &str) -> HandlerOptions {
    HandlerOptions {
        version: Some(Version::new(name).unwrap()),
        ..options()
    }
}

async fn tell(
    (pen, name): (Pen<(&'static str, String)>, &'static str),
    context: Context,
) -> paceline_types::Outcome {
    pen.note((name, context.task_type().to_string()));
    Ok(done())
}

feature_test! {
    /// Row 39: the exact type first, then the longest prefix, then everything.
    async fn the_most_particular_handler_gets_the_job(env: Env) {
        let (pen, mut served) = notes();
        let ride = env
            .ride(|mut node| {
                for pattern in ["*", "image.*", "image.raw.*", "image.resize"] {
                    let state = (pen.clone(), pattern);
                    node = node.serve(pattern, options(), state, async |state, context, _| {
                        tell(state, context).await
                    });
                }
                node
            })
            .await;
        let table = [
            ("image.resize", "image.resize"),
            ("image.crop", "image.*"),
            ("image.raw.develop", "image.raw.*"),
            ("image.resize.fast", "image.*"),
            ("image", "*"),
            ("imagery.x", "*"),
            ("mail", "*"),
        ];
        for (task_type, pattern) in table {
            ride.client.submit_raw(task_type, json!(1)).await.unwrap().wait().await.unwrap();
            assert_eq!(served.next().await, (pattern, task_type.to_owned()));
        }
        ride.stop().await;
    }

    /// Row 39: a prefix serves nothing else, also while the node is idle.
    async fn a_pattern_serves_what_begins_like_it_and_nothing_else(env: Env) {
        let (pen, mut served) = notes();
        let ride = env
            .ride(|node| node.serve("image.*", options(), (pen, "image.*"), async |state, run, _| {
                tell(state, run).await
            }))
            .await;
        let other = ride.client.submit_raw("imagery", json!(1)).await.unwrap();
        for round in 0..3 {
            // A type that was never seen, and then again while the node is idle.
            for task_type in ["image.crop", "image.turn"] {
                let handle = ride.client.submit_raw(task_type, json!(round)).await.unwrap();
                handle.wait().await.unwrap();
                assert_eq!(served.next().await.1, task_type);
            }
        }
        assert_eq!(other.status().await.unwrap(), Some(JobStatus::Pending));
        ride.stop().await;
    }

    /// Contract row 40, trap W39: it waits, without being claimed, until a node comes that serves it.
    async fn a_type_that_nobody_serves_waits_for_a_node(env: Env) {
        let ride =
            env.ride(|node| node.handle_raw("other", options(), async |_, _| Ok(done()))).await;
        let handle = ride.client.submit_raw("rare", json!(1)).await.unwrap();
        ride.client.submit_raw("other", json!(1)).await.unwrap().wait().await.unwrap();
        let record = ride.client.look(handle.id()).await;
        assert_eq!((record.status, record.run), (JobStatus::Pending, 0));
        let late =
            env.ride(|node| node.handle_raw("rare", options(), async |_, _| Ok(done()))).await;
        let record = handle.wait().await.unwrap();
        assert_eq!((record.status, record.attempt, record.run), (JobStatus::Completed, 1, 1));
        late.stop().await;
        ride.stop().await;
    }

    /// Contract row 41, trap W39: a version is only run by who serves it, and is not handed to and
    /// fro meanwhile; a job without one by anybody.
    async fn a_version_is_left_to_the_nodes_that_serve_it(env: Env) {
        let (pen, mut served) = notes();
        let old = env
            .ride(|node| node.serve("t", version("v1"), (pen.clone(), "v1"), async |state, run, _| {
                tell(state, run).await
            }))
            .await;
        let client = &old.client;
        let submit = |version: &str| client.submit_raw("t", json!(version)).version(version);
        submit("v1").await.unwrap().wait().await.unwrap();
        assert_eq!(served.next().await.0, "v1");
        client.submit_raw("t", json!("any")).await.unwrap().wait().await.unwrap();
        assert_eq!(served.next().await.0, "v1");
        let next = submit("v2").await.unwrap();
        throughout("a node of v1 leaves v2 alone", MOMENT, async || {
            next.status().await.unwrap() == Some(JobStatus::Pending)
        })
        .await;
        let new = env
            .ride(|node| node.serve("t", version("v2"), (pen, "v2"), async |state, run, _| {
                tell(state, run).await
            }))
            .await;
        next.wait().await.unwrap();
        assert_eq!(served.next().await.0, "v2");
        assert_eq!(story(&old.store, next.id()).await, [JobEnqueued, JobStarted, JobCompleted]);
        for asked in ["v1", "v2", "v2", "v1"] {
            submit(asked).await.unwrap().wait().await.unwrap();
            assert_eq!(served.next().await.0, asked);
        }
        let told = eventually("both tell their versions", SOON, async || {
            let nodes = client.nodes().await.unwrap();
            let told: Vec<_> =
                nodes.into_iter().map(|node| node.handler_versions["t"].clone()).collect();
            (told.len() == 2).then_some(told)
        })
        .await;
        assert_eq!(told, ["v1", "v2"]);
        new.stop().await;
        old.stop().await;
    }

    /// Row 41: a handler without a version serves every one.
    async fn a_handler_without_a_version_serves_all(env: Env) {
        let ride = env.ride(|node| node.handle_raw("t", options(), async |_, _| Ok(done()))).await;
        for version in ["v1", "v2"] {
            let handle = ride.client.submit_raw("t", json!(1)).version(version).await.unwrap();
            let record = handle.wait().await.unwrap();
            assert_eq!(record.version.unwrap().as_str(), version);
        }
        ride.stop().await;
    }
}
