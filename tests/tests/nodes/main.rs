//! Nodes: what they tell, how they stop, who leads, and how they outlive the loss of all data.
// The lints of test code hold for the helpers as well, not only inside the test functions.
#![cfg(test)]

use std::collections::BTreeSet;
use std::time::Duration;

use paceline_client::Client;
use paceline_node::{CancelReason, Context, HandlerOptions, Node, RunningNode};
use paceline_tests::{Env, Gate, Look, SOON, Serve, eventually, feature_test, log, notes, story};
use paceline_types::EventKind::{
    JobAutoRecovered, JobCompleted, JobDispatched, JobEnqueued, JobStarted, NodeJoined, NodeLeft,
};
use paceline_types::{Bytes, JobError, JobStatus, NodeInfo, Version};
use serde_json::json;

mod flush;
mod leadership;

/// Long enough that nothing in a test waits for it to end.
const LONG: Duration = Duration::from_secs(60);

fn options() -> HandlerOptions {
    HandlerOptions::default()
}

fn done() -> Bytes {
    Bytes::from_static(b"\"done\"")
}

async fn told(client: &Client, node: &RunningNode, enough: impl Fn(&NodeInfo) -> bool) -> NodeInfo {
    eventually("the node tells it", SOON, async || {
        let nodes = client.nodes().await.map_err(|error| error.to_string())?;
        let found = nodes.into_iter().find(|info| info.node_id == node.id());
        let info = found.ok_or("it is not listed")?;
        if enough(&info) {
            Ok(info)
        } else {
            Err(format!("{info:?}"))
        }
    })
    .await
}

feature_test! {
    /// Contract rows 22 and 138: handlers, versions, slots, runs, and the terms that it holds.
    async fn a_node_tells_what_it_serves_and_how_it_fares(env: Env) {
        let version = HandlerOptions { version: Some(Version::new("v7").unwrap()), ..options() };
        let fails = HandlerOptions {
            retry_policy: Some(paceline_types::RetryPolicy::never()),
            ..options()
        };
        let (pen, mut begun) = notes();
        let ride = env
            .ride(|node| {
                node.name("worker-1")
                    .concurrency(9)
                    .lease(Duration::from_secs(3))
                    .handle_raw("good", version, async |_, _| Ok(done()))
                    .handle_raw("bad.*", fails, async |_, _| Err(JobError::retryable("no")))
                    .serve("held", options(), pen, async |pen, context: Context, _| {
                        pen.note(());
                        context.cancelled().await;
                        Ok(done())
                    })
            })
            .await;
        let info = told(&ride.client, &ride.node, |_| true).await;
        assert_eq!(info.name, "worker-1");
        assert_eq!(info.task_types, ["good", "bad.*", "held"]);
        assert_eq!(info.handler_versions, [("good".to_owned(), "v7".to_owned())].into());
        assert_eq!(info.pool_stats.max_concurrency, 9);
        assert!(!info.build.is_empty());
        let leads = |info: &NodeInfo| {
            info.leads.len() == usize::from(ride.store.shards()) && info.leads == ride.node.leads()
        };
        told(&ride.client, &ride.node, leads).await;
        assert!(info.started_at > 0 && info.last_heartbeat >= info.started_at);
        for (task_type, count) in [("good", 5), ("bad.luck", 3)] {
            for n in 0..count {
                ride.client.submit_raw(task_type, json!(n)).await.unwrap().wait().await.unwrap();
            }
        }
        let held = ride.client.submit_raw("held", json!(1)).await.unwrap();
        begun.next().await;
        let one_runs = |info: &NodeInfo| info.pool_stats.running_workers == 1;
        let later = told(&ride.client, &ride.node, one_runs).await;
        let stats = later.pool_stats;
        assert_eq!((stats.idle_workers, stats.total_submitted), (8, 9));
        assert_eq!((stats.total_completed, stats.total_failed), (5, 3));
        assert!(later.last_heartbeat > info.last_heartbeat);
        assert_eq!(later.started_at, info.started_at);
        held.cancel().await.unwrap();
        held.wait().await.unwrap();
        ride.stop().await;
    }

    /// Rows 22 and 109: it comes and goes with its events, in every shard.
    async fn a_node_comes_and_goes(env: Env) {
        let ride = env.ride(|node| node).await;
        let id = ride.node.id();
        assert_eq!(ride.client.nodes().await.unwrap().len(), 1);
        ride.node.stop().await;
        assert!(ride.client.nodes().await.unwrap().is_empty());
        for kind in [NodeJoined, NodeLeft] {
            let events = log(&ride.store).await.into_iter();
            let shards: BTreeSet<_> = events
                .filter(|event| event.kind == kind && event.node_id == Some(id))
                .map(|event| event.shard)
                .collect();
            assert_eq!(shards, ride.store.each_shard().collect(), "{kind}");
        }
        let left = env.keys().await.into_iter();
        let of_nodes = ["leases", "nodes", "runs"];
        let left: Vec<_> = left
            .filter(|key| {
                of_nodes.contains(&key.split_once("}:").unwrap().1) || key.contains(":turn:")
            })
            .collect();
        assert!(left.is_empty(), "{left:?}");
    }

    /// Every start of a node has an id of its own, and both take part.
    async fn two_nodes_share_the_work(env: Env) {
        let (pen, mut begun) = notes();
        let start = || {
            env.node()
                .concurrency(1)
                .serve("t", options(), pen.clone(), async |pen, context: Context, _| {
                    pen.note(context.node_id());
                    context.cancelled().await;
                    Ok(done())
                })
                .start()
        };
        let (first, second) = (start().await.unwrap(), start().await.unwrap());
        let client = env.client().await;
        let mut jobs = Vec::new();
        for n in 0..2 {
            jobs.push(client.submit_raw("t", json!(n)).await.unwrap());
        }
        let nodes: BTreeSet<_> = begun.take(2).await.into_iter().collect();
        assert_eq!(nodes, [first.id(), second.id()].into());
        for job in jobs {
            job.cancel().await.unwrap();
            job.wait().await.unwrap();
        }
        first.stop().await;
        second.stop().await;
    }

    /// Row 46, trap W9: what could not be finished goes back without using an attempt, for others to finish.
    async fn a_stopping_node_hands_back_what_it_cannot_finish(env: Env) {
        let (pen, mut told) = notes();
        let first = env
            .node()
            .drain(Duration::from_millis(50))
            .serve("t", options(), pen, async |pen, context: Context, payload| {
                pen.note(None);
                context.cancelled().await;
                pen.note(context.cancel_reason());
                match &*payload {
                    b"\"finishes\"" => Ok(done()),
                    b"\"gives up\"" => Err(JobError::retryable("interrupted")),
                    b"\"panics\"" => panic!("interrupted"),
                    _ => std::future::pending().await,
                }
            })
            .start()
            .await
            .unwrap();
        let store = env.store().await;
        let client = Client::from_store(store.clone());
        let mut handles = Vec::new();
        for case in ["finishes", "gives up", "panics", "is deaf"] {
            handles.push((case, client.submit_raw("t", json!(case)).await.unwrap()));
        }
        told.take(4).await;
        first.stop().await;
        assert_eq!(told.take(4).await, [Some(CancelReason::Stopping); 4]);
        for (case, handle) in &handles {
            let record = client.look(handle.id()).await;
            if *case == "finishes" {
                assert_eq!((record.status, record.attempt), (JobStatus::Completed, 1));
            } else {
                assert_eq!(record.status, JobStatus::Pending, "{case}");
                assert_eq!((record.attempt, record.crashes), (0, 0), "{case}");
            }
        }
        let second =
            env.node().handle_raw("t", options(), async |_, _| Ok(done())).start().await.unwrap();
        for (case, handle) in &handles {
            assert_eq!(handle.output().await.unwrap(), "done");
            let record = client.look(handle.id()).await;
            assert_eq!((record.attempt, record.crashes), (1, 0), "{case}");
            let expected = match *case {
                "finishes" => vec![JobEnqueued, JobStarted, JobCompleted],
                _ => vec![JobEnqueued, JobStarted, JobDispatched, JobStarted, JobCompleted],
            };
            assert_eq!(story(&store, handle.id()).await, expected, "{case}");
        }
        second.stop().await;
    }

    /// Row 46: it waits for what runs, and takes nothing new meanwhile.
    async fn a_stopping_node_finishes_what_runs_and_takes_nothing_new(env: Env) {
        let gate = Gate::default();
        let (pen, mut begun) = notes();
        let state = (pen, gate.clone());
        let ride = env
            .ride(|node| node.serve("t", options(), state, async |(pen, gate), _, _| {
                pen.note(());
                gate.pass().await;
                Ok(done())
            }))
            .await;
        let client = ride.client.clone();
        let running = client.submit_raw("t", json!(1)).await.unwrap();
        // One that was claimed and has not begun would be handed back.
        begun.next().await;
        let stopping = tokio::spawn(ride.node.stop());
        // What is left alone for a whole look proves it: before that, one may have been claimed.
        let fresh = eventually("a job that is not claimed any more", SOON, async || {
            let job = client.submit_raw("t", json!(2)).await.unwrap();
            for _ in 0..5 {
                if job.status().await.unwrap() != Some(JobStatus::Pending) {
                    return None;
                }
            }
            Some(job)
        })
        .await;
        assert!(!stopping.is_finished());
        gate.open();
        assert_eq!(running.output().await.unwrap(), "done");
        stopping.await.unwrap();
        let record = client.look(fresh.id()).await;
        assert!(matches!(record.status, JobStatus::Pending | JobStatus::Completed));
    }

    /// Rows 21 and 23: the runs of a node that is gone are others'; a crash uses an attempt.
    async fn the_runs_of_a_node_that_was_dropped_are_recovered(env: Env) {
        let (pen, mut told) = notes();
        let serve = |node: paceline_node::NodeBuilder| {
            node.leader_lease(Duration::from_secs(1))
                .lease(LONG)
                .serve("t", options(), pen.clone(), async |pen, context: Context, _| {
                    pen.note((context.node_id(), context.run(), context.attempt()));
                    if context.run() > 1 {
                        return Ok(done());
                    }
                    // One that listens might hand its job back in time.
                    std::future::pending().await
                })
        };
        let first = serve(env.node()).start().await.unwrap();
        let store = env.store().await;
        let client = Client::from_store(store.clone());
        let handle = client.submit_raw("t", json!(1)).await.unwrap();
        assert_eq!(told.next().await, (first.id(), 1, 1));
        let second = serve(env.node()).start().await.unwrap();
        let gone = first.id();
        drop(first);
        env.lapse(gone).await;
        let (node, run, attempt) = told.next().await;
        assert_eq!((node, attempt), (second.id(), 2));
        assert!(run > 2, "recovery burns a number");
        assert_eq!(handle.output().await.unwrap(), "done");
        let record = client.look(handle.id()).await;
        assert_eq!((record.attempt, record.crashes), (2, 1));
        assert_eq!(
            story(&store, handle.id()).await,
            [JobEnqueued, JobStarted, JobAutoRecovered, JobStarted, JobCompleted]
        );
        second.stop().await;
    }
}

/// The builder's mistakes are told before anything is stored.
#[tokio::test]
async fn a_node_that_cannot_be_built_registers_nothing() {
    let env = Env::on(paceline_tests::Backend::Standalone).await;
    let twice = env
        .node()
        .handle_raw("t", options(), async |_, _| Ok(done()))
        .handle_raw("t", options(), async |_, _| Ok(done()));
    let error = twice.start().await.err().unwrap().to_string();
    assert_eq!(
        error,
        "`t` has two handlers; register each task type and pattern once"
    );
    assert!(env.keys().await.is_empty());
    let nowhere = Node::builder().redis("redis://127.0.0.1:1/").start();
    let error = nowhere.await.err().unwrap().to_string();
    assert!(error.contains("127.0.0.1:1"), "{error}");
}
