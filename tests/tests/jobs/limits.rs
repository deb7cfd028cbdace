//! Limits: never exceeded, and what waits for one does not hold up the rest (row 42, W37, I13).

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use paceline_client::{Client, JobRequest};
use paceline_node::{Context, HandlerOptions};
use paceline_store::Store;
use paceline_tests::{Env, Gate, Look, SOON, Serve, eventually, feature_test, notes};
use paceline_types::{JobId, JobStatus, Priority, ShardIndex};
use serde_json::json;

use crate::{done, options};

/// How long a job works, and how many there are: several seconds' worth.
const WORK: Duration = Duration::from_millis(5);
const BACKLOG: u32 = 600;

fn at_most(concurrency: u32) -> HandlerOptions {
    HandlerOptions {
        concurrency: Some(concurrency),
        ..options()
    }
}

/// Submits a job to a shard of the test's choice.
async fn submit_to(store: &Store, shard: ShardIndex, task_type: &str, payload: u32) -> JobId {
    let client = Client::from_store(store.clone());
    let key = (0..)
        .map(|n| format!("{task_type}-{payload}-{n}"))
        .find(|key| ShardIndex::of_key(key, store.shards()) == shard)
        .unwrap();
    let handle = client
        .submit_raw(task_type, json!(payload))
        .unique(key)
        .await
        .unwrap();
    assert_eq!(handle.id().shard(), shard);
    handle.id()
}

feature_test! {
    /// Row 42: at most so many at once on a node, and all of them are used.
    async fn a_handler_runs_no_more_at_once_than_it_may(env: Env) {
        let gate = Gate::default();
        let (pen, mut begun) = notes();
        let counts = Arc::new((AtomicU32::new(0), AtomicU32::new(0)));
        let state = (gate.clone(), pen, Arc::clone(&counts));
        let ride = env
            .ride(|node| node.serve("few", at_most(3), state, async |(gate, pen, counts), _, _| {
                let (running, most) = &*counts;
                most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                pen.note(());
                gate.pass().await;
                running.fetch_sub(1, Ordering::SeqCst);
                Ok(done())
            }))
            .await;
        let jobs = (0..40).map(|n| JobRequest::raw("few", json!(n)));
        let accepted = ride.client.submit_many(jobs).await.unwrap();
        begun.take(3).await;
        for _ in 0..20 {
            gate.admit(1);
            begun.take(1).await;
        }
        gate.open();
        for one in accepted {
            ride.client.ended(one.unwrap().id).await;
        }
        assert_eq!(counts.1.load(Ordering::SeqCst), 3);
        ride.stop().await;
    }

    /// W37: a type whose handlers are all busy, with a backlog, does not hold up another one.
    async fn a_slow_type_does_not_block_another(env: Env) {
        let gate = Gate::default();
        let ride = env
            .ride(|node| {
                node.concurrency(4)
                    .serve("slow", at_most(2), gate.clone(), async |gate: Gate, _, _| {
                        gate.pass().await;
                        Ok(done())
                    })
                    .handle_raw("quick", options(), async |_, _| Ok(done()))
            })
            .await;
        // The slow ones come first, and are more urgent.
        let slow = (0..50).map(|n| JobRequest::raw("slow", json!(n)).priority(Priority::CRITICAL));
        let slow = ride.client.submit_many(slow).await.unwrap();
        let slow: Vec<_> = slow.into_iter().map(|one| one.unwrap().id).collect();
        let quick = (0..50).map(|n| JobRequest::raw("quick", json!(n)).priority(Priority::LOW));
        for one in ride.client.submit_many(quick).await.unwrap() {
            ride.client.ended(one.unwrap().id).await;
        }
        eventually("the slow type uses its limit", SOON, async || {
            let jobs = ride.client.jobs_by_id(&slow).await.unwrap().into_iter().flatten();
            jobs.filter(|job| job.status == JobStatus::Running).count() == 2
        })
        .await;
        gate.open();
        for id in slow {
            ride.client.ended(id).await;
        }
        ride.stop().await;
    }

    /// W37: a lane of a hundred types that nobody serves stands before the one that is served.
    async fn work_that_nobody_serves_does_not_block_what_is_served(env: Env) {
        let client = env.client().await;
        let jobs = (0..250).map(|n| JobRequest::raw(&format!("nobody.{n}"), json!(n)));
        assert!(client.submit_many(jobs).await.unwrap().iter().all(Result::is_ok));
        let ride =
            env.ride(|node| node.handle_raw("served", options(), async |_, _| Ok(done()))).await;
        let jobs = (0..20).map(|n| JobRequest::raw("served", json!(n)));
        for one in client.submit_many(jobs).await.unwrap() {
            ride.client.ended(one.unwrap().id).await;
        }
        ride.stop().await;
    }

    /// I13: a backlog in one shard does not keep another shard out of a handler with a limit.
    async fn a_limit_is_shared_between_the_shards(env: Env) {
        let (pen, mut ran) = notes();
        let ride = env
            .ride(|node| {
                node.handle_raw("free", options(), async |_, _| Ok(done()))
                    .serve("one", at_most(1), pen, async |pen, context: Context, _| {
                        pen.note(context.job_id());
                        // Nobody cancels it: this is how long it works.
                        let _ = tokio::time::timeout(WORK, context.cancelled()).await;
                        Ok(done())
                    })
            })
            .await;
        let (busy, other) = (ShardIndex(0), ShardIndex(ride.store.shards() - 1));
        for n in 0..BACKLOG {
            submit_to(&ride.store, busy, "one", n).await;
        }
        ran.take(20).await;
        let id = submit_to(&ride.store, other, "one", BACKLOG).await;
        let order = ran.take(BACKLOG as usize + 1 - 20).await;
        let place = order.iter().position(|one| *one == id).unwrap();
        assert!(ride.store.shards() == 1 || place < order.len() - 1, "it came last");
        ride.stop().await;
    }

    /// I13: nor out of the slots of the node.
    async fn the_slots_of_a_node_are_shared_between_the_shards(env: Env) {
        let (pen, mut ran) = notes();
        let ride = env
            .ride(|node| {
                node.concurrency(1).serve("one", options(), pen, async |pen, context: Context, _| {
                    pen.note(context.job_id());
                    let _ = tokio::time::timeout(WORK, context.cancelled()).await;
                    Ok(done())
                })
            })
            .await;
        let (busy, other) = (ShardIndex(0), ShardIndex(ride.store.shards() - 1));
        for n in 0..BACKLOG {
            submit_to(&ride.store, busy, "one", n).await;
        }
        ran.take(20).await;
        let id = submit_to(&ride.store, other, "one", BACKLOG).await;
        let order = ran.take(BACKLOG as usize + 1 - 20).await;
        let place = order.iter().position(|one| *one == id).unwrap();
        assert!(ride.store.shards() == 1 || place < order.len() - 1, "it came last");
        ride.stop().await;
    }
}
