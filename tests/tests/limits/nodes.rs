//! Limits, rates and pauses with nodes, leaders and bells (rows 5, 10, 20 and 48, W37).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use paceline_client::{JobRequest, Limit, Rate, Tier};
use paceline_node::{HandlerOptions, NodeBuilder, RunningNode};
use paceline_tests::{Env, Gate, Look, Notes, Serve, feature_test, log, notes};
use paceline_types::{Bytes, EventKind, JobId, Priority};
use serde_json::json;

/// How many run now, and how many ran at once at most.
#[derive(Clone, Default)]
struct Meter(Arc<(AtomicU32, AtomicU32)>);

impl Meter {
    fn most(&self) -> u32 {
        self.0.1.load(Ordering::SeqCst)
    }
}

/// Nodes whose handler tells that it began, waits at the gate, and is counted meanwhile.
async fn nodes(env: &Env, count: usize, gate: &Gate) -> (Vec<RunningNode>, Meter, Notes<JobId>) {
    let (pen, begun) = notes();
    let meter = Meter::default();
    let mut nodes = Vec::new();
    for _ in 0..count {
        let state = (gate.clone(), pen.clone(), meter.clone());
        let node: NodeBuilder = env.node().serve(
            "work",
            HandlerOptions::default(),
            state,
            async |(gate, pen, meter), context, _| {
                let (running, most) = &*meter.0;
                most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                pen.note(context.job_id());
                gate.pass().await;
                running.fetch_sub(1, Ordering::SeqCst);
                Ok(Bytes::from_static(b"1"))
            },
        );
        nodes.push(node.start().await.unwrap());
    }
    (nodes, meter, begun)
}

/// Most of these jobs that ran at once, by the log.
fn most_at_once(events: &[paceline_types::Event], jobs: &[JobId]) -> usize {
    let (mut running, mut most) = (BTreeMap::new(), 0);
    for event in events {
        let Some(job) = event.job_id.filter(|job| jobs.contains(job)) else {
            continue;
        };
        if event.kind == EventKind::JobStarted {
            running.insert(job, ());
        } else {
            running.remove(&job);
        }
        most = most.max(running.len());
    }
    most
}

feature_test! {
    /// Contract row 10: over three nodes never more than the limit, and all of it is used.
    async fn a_limit_holds_over_all_nodes(env: Env) {
        let client = env.client().await;
        client.set_limit("tenant", Limit::concurrency(3)).await.unwrap();
        let gate = Gate::default();
        let (nodes, meter, mut begun) = nodes(&env, 3, &gate).await;
        let jobs = (0..60).map(|_| JobRequest::raw("work", json!(1)).limit("tenant"));
        let accepted = client.submit_many(jobs).await.unwrap();
        let jobs: Vec<_> = accepted.into_iter().map(|one| one.unwrap().id).collect();
        begun.take(3).await;
        for _ in 0..20 {
            gate.admit(1);
            begun.take(1).await;
        }
        gate.open();
        for &job in &jobs {
            assert_eq!(client.ended(job).await.attempt, 1);
        }
        assert_eq!(meter.most(), 3);
        assert_eq!(most_at_once(&log(&env.store().await).await, &jobs), 3);
        let (found, _) = client.limit("tenant").await.unwrap();
        assert_eq!((found.holders, found.waiting), (0, 0));
        for node in nodes {
            node.stop().await;
        }
    }

    /// Trap W37: jobs that wait for a limit hold up no others of their type.
    async fn a_saturated_limit_holds_up_nothing_else(env: Env) {
        let client = env.client().await;
        client.set_limit("slow", Limit::concurrency(1)).await.unwrap();
        let gate = Gate::default();
        let (nodes, _, mut begun) = nodes(&env, 1, &gate).await;
        let jobs = (0..300).map(|_| JobRequest::raw("work", json!(1)).limit("slow"));
        client.submit_many(jobs).await.unwrap();
        begun.take(1).await;
        let free = (0..20).map(|_| JobRequest::raw("work", json!(1)));
        let accepted = client.submit_many(free).await.unwrap();
        let free: Vec<_> = accepted.into_iter().map(|one| one.unwrap().id).collect();
        let mut seen = begun.take(20).await;
        seen.sort();
        assert_eq!(seen, free);
        gate.open();
        begun.take(299).await;
        for node in nodes {
            node.stop().await;
        }
    }

    /// Row 10: the leader wakes what waits for a token, by itself.
    async fn nodes_go_on_when_tokens_come(env: Env) {
        let client = env.client().await;
        let rate = Rate::per_second(50.0).and_then(|rate| rate.with_burst(1)).unwrap();
        client.set_limit("api", Limit::rate(rate)).await.unwrap();
        let gate = Gate::default();
        gate.open();
        let (nodes, _, mut begun) = nodes(&env, 2, &gate).await;
        let jobs = (0..40).map(|_| JobRequest::raw("work", json!(1)).limit("api"));
        let accepted = client.submit_many(jobs).await.unwrap();
        begun.take(40).await;
        // No token was taken before the first job was accepted; no start is told too early.
        let mut accepted_at = u64::MAX;
        for one in accepted {
            accepted_at = accepted_at.min(client.ended(one.unwrap().id).await.created_at);
        }
        let events = log(&env.store().await).await;
        let started = events.iter().filter(|event| event.kind == EventKind::JobStarted);
        let last = started.map(|event| event.timestamp).max().unwrap();
        // 39 tokens at 50 a second.
        assert!(last - accepted_at >= 770, "{last}, {accepted_at}");
        for node in nodes {
            node.stop().await;
        }
    }

    /// Contract row 48: with nodes at work.
    async fn a_paused_tier_and_a_paused_type_wait(env: Env) {
        let client = env.client().await;
        let gate = Gate::default();
        gate.open();
        let (nodes, _, mut begun) = nodes(&env, 2, &gate).await;
        client.pause_tier(Tier::Low).await.unwrap();
        let low = client.submit_raw("work", json!(1)).priority(Priority::LOW).await.unwrap();
        let normal = client.submit_raw("work", json!(1)).await.unwrap();
        assert_eq!(begun.next().await, normal.id());
        client.pause_type("work").await.unwrap();
        let second = client.submit_raw("work", json!(1)).await.unwrap();
        client.resume_tier(Tier::Low).await.unwrap();
        assert_eq!(begun.rest(), []);
        client.resume_type("work").await.unwrap();
        let mut both = begun.take(2).await;
        both.sort();
        assert_eq!(both, [low.id(), second.id()]);
        for node in nodes {
            node.stop().await;
        }
    }
}
