//! Why a job is not running, asked of real states (rows 40, 41, 111 and W39).

use std::time::Duration;

use paceline_client::{
    Client, JobFilter, Limit, Priority, Rate, Reason, Step, WhyError, WhyTarget, WorkflowBuilder,
};
use paceline_node::HandlerOptions;
use paceline_tests::{Env, Gate, Look, NodeProcess, SOON, Serve, eventually, feature_test};
use paceline_types::{
    JobError, JobId, JobStatus, LimitKey, RetryPolicy, TaskName, TaskType, Tier, Version,
};
use serde_json::json;

use crate::{done, options};

const FAR: Duration = Duration::from_secs(600);

async fn reasons(client: &Client, id: JobId) -> Vec<Reason> {
    let why = client.why(id).await.unwrap();
    assert_eq!((why.job, why.reasons.is_empty()), (Some(id), false));
    why.reasons
}

/// Waits until exactly this is told.
async fn is_told(client: &Client, id: JobId, wanted: impl Fn(&[Reason]) -> bool) {
    eventually("the reasons are as expected", SOON, async || {
        let reasons = reasons(client, id).await;
        if wanted(&reasons) {
            Ok(())
        } else {
            Err(format!("{reasons:?}"))
        }
    })
    .await;
}

feature_test! {
    /// Contract rows 40 and 41, trap W39: a type and a version that nobody serves are named.
    async fn a_type_or_version_that_nobody_serves_is_told(env: Env) {
        let client = env.client().await;
        let early = client.submit_raw("mail.send", json!(1)).await.unwrap().id();
        assert_eq!(reasons(&client, early).await, [Reason::NoNode]);
        let version = HandlerOptions { version: Some(Version::new("v1").unwrap()), ..options() };
        let ride = env
            .ride(|it| {
                it.handle_raw("mail.sent", options(), async |_, _| Ok(done()))
                    .handle_raw("image.*", version, async |_, _| Ok(done()))
            })
            .await;
        let not_served = Reason::NotServed {
            task_type: TaskType::new("mail.send").unwrap(),
            nearest: Some("mail.sent".into()),
        };
        is_told(&client, early, |told| *told == [not_served.clone()]).await;
        let newer = client.submit_raw("image.crop", json!(1)).version("v2").await.unwrap().id();
        let expected = Reason::VersionNotServed {
            version: Version::new("v2").unwrap(),
            served: vec!["v1".into()],
        };
        is_told(&client, newer, |told| *told == [expected.clone()]).await;
        let stats = client.stats().await.unwrap();
        let lanes: Vec<_> = stats.unserved.iter().map(ToString::to_string).collect();
        assert_eq!(lanes, ["n:image.crop:v2", "n:mail.send:"]);
        ride.stop().await;
    }

    /// Contract row 40: what waits for its time, runs or has ended says so.
    async fn a_job_that_does_not_wait_in_a_lane_says_what_it_does(env: Env) {
        let gate = Gate::default();
        let policy = RetryPolicy { initial_delay: FAR, max_delay: FAR, ..RetryPolicy::default() };
        let retried = HandlerOptions { retry_policy: Some(policy), ..options() };
        let ride = env
            .ride(|it| it.serve("t", retried, gate.clone(), async |gate: Gate, _, case| match &*case {
                b"0" => Err(JobError::retryable("boom")),
                b"1" => Err(JobError::pause(None, "look at this")),
                b"2" => Err(JobError::permanent("no")),
                _ => { gate.pass().await; Ok(done()) }
            }))
            .await;
        let client = &ride.client;
        let submit = async |case: u32| client.submit_raw("t", json!(case)).await.unwrap().id();
        let failed = submit(0).await;
        client.until(failed, JobStatus::Retrying).await;
        // Until every shard has its leader, its absence is told as well.
        is_told(client, failed, |told| {
            matches!(told, [Reason::Retrying { attempt: 1, error: Some(error), .. }] if error == "boom")
        })
        .await;
        let paused = submit(1).await;
        client.until(paused, JobStatus::Paused).await;
        let told = reasons(client, paused).await;
        assert!(matches!(&told[..], [Reason::Paused { until: None, error: Some(_) }]), "{told:?}");
        let dead = submit(2).await;
        client.until(dead, JobStatus::Dead).await;
        let told = reasons(client, dead).await;
        assert!(matches!(&told[..], [Reason::Ended { status: JobStatus::Dead, error: Some(error), .. }]
            if error == "no"), "{told:?}");
        let running = submit(3).await;
        client.until(running, JobStatus::Running).await;
        client.cancel(running).await.unwrap();
        let told = reasons(client, running).await;
        assert!(matches!(&told[..], [Reason::Running { node, name: Some(_), attempt: 1, .. },
            Reason::CancelRequested] if *node == Some(ride.node.id())), "{told:?}");
        let later = client.submit_raw("t", json!(4)).delay(FAR).await.unwrap().id();
        let why = client.why(later).await.unwrap();
        let [Reason::Scheduled { until }] = why.reasons[..] else { panic!("{why:?}") };
        assert!(until > why.at && until - why.at <= 600_000, "{why:?}");
        let nobody: JobId = JobId::from_parts(1, later.shard(), 1);
        let error = client.why(nobody).await.unwrap_err();
        assert!(matches!(error, WhyError::Unknown(_)), "{error}");
        gate.open();
        ride.stop().await;
    }

    /// Contract row 111: full slots, and who is ahead.
    async fn a_queue_is_told_with_what_is_ahead(env: Env) {
        let gate = Gate::default();
        let ride = env
            .ride(|it| it.concurrency(1).serve("t", options(), gate.clone(), async |gate: Gate, _, _| {
                gate.pass().await;
                Ok(done())
            }))
            .await;
        let client = &ride.client;
        let first = client.submit_raw("t", json!(0)).await.unwrap().id();
        client.until(first, JobStatus::Running).await;
        let jobs = (0..40).map(|n| paceline_client::JobRequest::raw("t", json!(n)));
        let accepted = client.submit_many(jobs).await.unwrap();
        let mut waiting: Vec<JobId> = accepted.into_iter().map(|one| one.unwrap().id).collect();
        let shard = waiting[0].shard();
        waiting.retain(|id| id.shard() == shard);
        let at = |place: usize| waiting[place];
        let ahead = |told: &[Reason]| told.iter().find_map(|reason| match reason {
            Reason::Behind { ahead } => Some(*ahead),
            _ => None,
        });
        let full = |told: &[Reason]| told.iter().any(|reason| matches!(reason,
            Reason::SlotsFull { nodes: 1, running: 1, slots: 1 }));
        is_told(client, at(7), full).await;
        assert_eq!(ahead(&reasons(client, at(7)).await), Some(7));
        // What left its place is not ahead any more.
        client.cancel(at(2)).await.unwrap();
        client.cancel(at(3)).await.unwrap();
        assert_eq!(ahead(&reasons(client, at(7)).await), Some(5));
        assert_eq!(ahead(&reasons(client, at(0)).await), None);
        gate.open();
        client.ended(at(7)).await;
        ride.stop().await;
    }

    /// Contract row 111: a handler that runs as many jobs as it may, on a node with free slots.
    async fn a_full_handler_is_told(env: Env) {
        let gate = Gate::default();
        let one = HandlerOptions { concurrency: Some(1), ..options() };
        let ride = env
            .ride(|it| it.concurrency(8).serve("t", one, gate.clone(), async |gate: Gate, _, _| {
                gate.pass().await;
                Ok(done())
            }))
            .await;
        let client = &ride.client;
        let first = client.submit_raw("t", json!(0)).await.unwrap().id();
        client.until(first, JobStatus::Running).await;
        let second = client.submit_raw("t", json!(1)).await.unwrap().id();
        is_told(client, second, |told| *told == [Reason::HandlerFull { nodes: 1 }]).await;
        gate.open();
        client.ended(second).await;
        ride.stop().await;
    }

    /// Contract row 111: tiers and types that are paused by hand, a node that drains.
    async fn what_was_steered_by_hand_is_told_first(env: Env) {
        let ride = env
            .ride(|it| it.name("only").handle_raw("t", options(), async |_, _| Ok(done())))
            .await;
        let client = &ride.client;
        client.pause_tier(Tier::High).await.unwrap();
        client.pause_type("t").await.unwrap();
        client.drain(ride.node.id()).await.unwrap();
        let id = client.submit_raw("t", json!(1)).priority(Priority::HIGH).await.unwrap().id();
        is_told(client, id, |told| {
            *told == [
                Reason::TierPaused { tier: Tier::High },
                Reason::TypePaused { task_type: TaskType::new("t").unwrap(), by_settings: false },
                Reason::Draining { nodes: vec!["only".into()] },
            ]
        })
        .await;
        ride.stop().await;
    }

    /// Contract row 111: a limit that is full names its holders, and how many wait before it.
    async fn a_full_limit_is_told_with_its_holders(env: Env) {
        let gate = Gate::default();
        let ride = env
            .ride(|it| it.serve("t", options(), gate.clone(), async |gate: Gate, _, _| {
                gate.pass().await;
                Ok(done())
            }))
            .await;
        let client = &ride.client;
        client.set_limit("api", Limit::concurrency(1)).await.unwrap();
        let submit = async || client.submit_raw("t", json!(1)).limit("api").await.unwrap().id();
        let holder = submit().await;
        client.until(holder, JobStatus::Running).await;
        let parked = [submit().await, submit().await];
        for (ahead, id) in (0..).zip(parked) {
            let full = Reason::LimitFull {
                key: LimitKey::new("api").unwrap(),
                most: 1,
                held: vec![(holder, Some(ride.node.id()))],
                ahead,
            };
            is_told(client, id, |told| *told == [full.clone()]).await;
        }
        // Parked jobs are pending in lists and totals.
        let pending = JobFilter { status: Some(JobStatus::Pending), ..JobFilter::default() };
        let listed = client.jobs(pending).await.unwrap();
        let ids: Vec<_> = listed.items.iter().map(|job| job.id).collect();
        assert_eq!(ids, parked);
        let stats = client.stats().await.unwrap();
        assert_eq!((stats.pending, stats.blocked, stats.running), (2, 2, 1));
        gate.open();
        client.ended(parked[1]).await;
        ride.stop().await;
    }

    /// Contract row 111: a rate that is used up says when the next job may begin.
    async fn a_rate_that_is_used_up_is_told(env: Env) {
        let ride = env.ride(|it| it.handle_raw("t", options(), async |_, _| Ok(done()))).await;
        let client = &ride.client;
        let slow = Rate::per_second(0.001).unwrap();
        client.set_limit("api", Limit::rate(slow)).await.unwrap();
        let submit = async || client.submit_raw("t", json!(1)).limit("api").await.unwrap().id();
        client.ended(submit().await).await;
        let id = submit().await;
        let now = client.stats().await.unwrap().at;
        is_told(client, id, |told| match told {
            [Reason::LimitRate { until, ahead: 0, .. }] => (now + 900_000..now + 1_100_000).contains(until),
            _ => false,
        })
        .await;
        ride.stop().await;
    }

    /// Contract row 111: a task that is not dispatched names what it waits for.
    async fn a_task_names_the_tasks_that_it_waits_for(env: Env) {
        let gate = Gate::default();
        let ride = env
            .ride(|it| it.serve("t", options(), gate.clone(), async |gate: Gate, _, _| {
                gate.pass().await;
                Ok(done())
            }))
            .await;
        let client = &ride.client;
        let definition = WorkflowBuilder::new("two")
            .task(Step::new("one", "t"))
            .task(Step::new("two", "t").after(["one"]));
        let handle = client.submit_workflow(definition, None).await.unwrap();
        let target = format!("{}/two", handle.id());
        let one = TaskName::new("one").unwrap();
        eventually("the first task runs", SOON, async || {
            let why = client.why(target.parse::<WhyTarget>().unwrap()).await.unwrap();
            let open = vec![(one.clone(), JobStatus::Running)];
            let task = TaskName::new("two").unwrap();
            if why.reasons == [Reason::Dependencies { task, open }] { Ok(()) } else { Err(format!("{why:?}")) }
        })
        .await;
        // A task with a job is explained as that job.
        let target: WhyTarget = format!("{}/one", handle.id()).parse().unwrap();
        let why = client.why(target).await.unwrap();
        assert!(matches!(why.reasons[..], [Reason::Running { .. }]) && why.job.is_some(), "{why:?}");
        let target: WhyTarget = format!("{}/six", handle.id()).parse().unwrap();
        let error = client.why(target).await.unwrap_err();
        assert!(error.to_string().contains("has no task six"), "{error}");
        gate.open();
        handle.wait().await.unwrap();
        ride.stop().await;
    }
}

/// Contract rows 40 and 41: the metric of lanes that nobody serves.
#[tokio::test(flavor = "multi_thread")]
async fn lanes_that_nobody_serves_are_a_metric_of_the_leader() {
    let redis = paceline_tests::RedisServer::start().await;
    let node = NodeProcess::start(&redis.url(), &[]).await;
    let client = Client::connect(&redis.url()).await.unwrap();
    client.submit_raw("nobody", json!(1)).await.unwrap();
    // Of any version, as the built-in handlers have none.
    let served = client
        .submit_raw("echo", json!(1))
        .version("v9")
        .await
        .unwrap();
    served.wait().await.unwrap();
    eventually("it is counted", SOON, async || {
        let unserved = node.metric("paceline_unserved_lanes").await;
        let waiting = node.metric("paceline_waiting_jobs").await;
        if (unserved, waiting) == (Some(1.0), Some(1.0)) {
            Ok(())
        } else {
            Err((unserved, waiting))
        }
    })
    .await;
}
