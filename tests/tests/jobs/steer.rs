//! Steering jobs that have not ended: pause, requeue, a new payload; from wherever they stand.

use paceline_client::{Cancelled, Client, EditError, PauseError, RequeueError, Requeued};
use paceline_node::Context;
use paceline_store::calls::turn::Settle;
use paceline_tests::{
    Bench, Env, Gate, History, Look, Serve, attempts, feature_test, notes, story,
};
use paceline_types::EventKind::{
    JobCancelled, JobCompleted, JobDispatched, JobEnqueued, JobFailed, JobPaused, JobResumed,
    JobScheduled, JobStarted,
};
use paceline_types::{Bytes, JobError, JobId, JobStatus, RetryPolicy, Settlement};
use serde_json::json;
use std::time::Duration;

use crate::{MOMENT, done, options, retried, tried};

feature_test! {
    /// Contract rows 26 and 28: a job is paused wherever it waits, keeps its unique key, and goes on
    /// where it stood.
    async fn a_job_that_waits_is_paused_and_goes_on(env: Env) {
        let store = env.store().await;
        let client = Client::from_store(store.clone());
        let waiting = client.submit_raw("t", json!(1)).unique("k").await.unwrap().id();
        let beside = client.submit_raw("t", json!(2)).unique("k2").await.unwrap().id();
        let delayed = client.submit_raw("t", json!(3)).delay(MOMENT * 600).await.unwrap().id();
        for id in [waiting, delayed] {
            client.pause(id, None).await.unwrap();
            client.pause(id, None).await.unwrap();
            let record = client.look(id).await;
            assert_eq!((record.status, record.next_run_at), (JobStatus::Paused, None));
            assert_eq!(record.last_error.as_deref(), Some("paused by a client"));
        }
        assert!(client.submit_raw("t", json!(1)).unique("k").await.is_err(), "the key is held");

        let ride = env.ride(|node| node.handle_raw("t", options(), async |_, _| Ok(done()))).await;
        ride.client.ended(beside).await;
        assert_eq!(client.look(waiting).await.status, JobStatus::Paused);
        for id in [waiting, delayed] {
            client.resume(id).await.unwrap();
            assert_eq!(client.ended(id).await.status, JobStatus::Completed);
        }
        assert_eq!(
            story(&store, waiting).await,
            [JobEnqueued, JobPaused, JobResumed, JobStarted, JobCompleted]
        );
        assert_eq!(
            story(&store, delayed).await,
            [JobScheduled, JobPaused, JobResumed, JobStarted, JobCompleted]
        );
        ride.stop().await;
    }

    /// Contract row 27: a pause may end by itself; a running or ended job is not paused.
    async fn a_pause_may_end_by_itself(env: Env) {
        let gate = Gate::default();
        let ride = env
            .ride(|node| node.serve("t", options(), gate.clone(), async |gate: Gate, _, _| {
                gate.pass().await;
                Ok(done())
            }))
            .await;
        let running = ride.client.submit_raw("t", json!(1)).await.unwrap().id();
        ride.client.until(running, JobStatus::Running).await;
        let refused = ride.client.pause(running, None).await.unwrap_err();
        assert!(
            matches!(refused, PauseError::WrongStatus { status: JobStatus::Running, .. }),
            "{refused:?}"
        );
        let delayed = ride.client.submit_raw("t", json!(1)).delay(MOMENT * 600).await.unwrap().id();
        ride.client.pause(delayed, Some(MOMENT)).await.unwrap();
        ride.client.until(delayed, JobStatus::Running).await;
        gate.open();
        ride.client.ended(running).await;
        let refused = ride.client.pause(running, None).await.unwrap_err();
        assert!(matches!(refused, PauseError::WrongStatus { status: JobStatus::Completed, .. }));
        let unknown = ride.client.pause(JobId::from_parts(1, running.shard(), 7), None).await;
        assert!(matches!(unknown, Err(PauseError::Unknown { .. })));
        ride.stop().await;
    }

    /// Contract row 28, trap W9: what waits for its time goes to its lane at once.
    async fn a_job_that_waits_for_its_time_is_requeued(env: Env) {
        let policy =
            RetryPolicy { initial_delay: MOMENT * 600, max_delay: MOMENT * 600, ..attempts(3) };
        let ride = env
            .ride(|node| node.handle_raw("t", retried(policy), async |context: Context, payload| {
                match (context.attempt(), &*payload) {
                    (1, b"1") => Err(JobError::retryable("once")),
                    _ => Ok(done()),
                }
            }))
            .await;
        let retrying = ride.client.submit_raw("t", json!(1)).await.unwrap().id();
        let delayed = ride.client.submit_raw("t", json!(2)).delay(MOMENT * 600).await.unwrap().id();
        ride.client.until(retrying, JobStatus::Retrying).await;
        for id in [retrying, delayed] {
            assert_eq!(ride.client.requeue(id).await.unwrap(), Requeued::Done);
            assert_eq!(ride.client.ended(id).await.status, JobStatus::Completed);
            let refused = ride.client.requeue(id).await.unwrap_err();
            assert!(matches!(refused, RequeueError::Ended { .. }), "{refused:?}");
        }
        assert_eq!(
            story(&ride.store, retrying).await,
            [JobEnqueued, JobStarted, JobFailed, JobDispatched, JobStarted, JobCompleted]
        );
        ride.stop().await;
    }

    /// Trap W9: a running job is handed back when its handler has ended, and uses no attempt.
    async fn a_running_job_is_requeued_without_using_an_attempt(env: Env) {
        let (pen, mut told) = notes();
        let ride = env
            .ride(|node| node.serve("t", tried(1), pen, async |pen, context: Context, _| {
                pen.note((context.run(), context.attempt()));
                if context.run() == 1 {
                    context.cancelled().await;
                    return Err(JobError::retryable("stopped"));
                }
                Ok(done())
            }))
            .await;
        let handle = ride.client.submit_raw("t", json!(1)).unique("k").await.unwrap();
        ride.client.until(handle.id(), JobStatus::Running).await;
        assert_eq!(ride.client.requeue(handle.id()).await.unwrap(), Requeued::Requested);
        assert_eq!(handle.output().await.unwrap(), "done");
        assert_eq!(told.take(2).await, [(1, 1), (2, 1)]);
        assert_eq!(
            story(&ride.store, handle.id()).await,
            [JobEnqueued, JobStarted, JobDispatched, JobStarted, JobCompleted]
        );
        ride.stop().await;
    }

    /// Contract row 18: only while the job waits; the next run is given the new payload.
    async fn a_payload_is_replaced_while_its_job_waits(env: Env) {
        let gate = Gate::default();
        let (pen, mut given) = notes();
        let ride = env
            .ride(|node| node.serve("t", tried(2), (gate.clone(), pen), async |(gate, pen), context: Context, payload| {
                gate.pass().await;
                pen.note(payload);
                match context.attempt() {
                    1 => Err(JobError::pause(None, "look at it")),
                    _ => Ok(done()),
                }
            }))
            .await;
        let delayed = ride.client.submit_raw("t", json!(1)).delay(MOMENT * 600).tag("x");
        let id = delayed.header("h", "v").await.unwrap().id();
        ride.client.edit_payload(id, "[2]").await.unwrap();
        ride.client.requeue(id).await.unwrap();
        ride.client.until(id, JobStatus::Running).await;
        let refused = ride.client.edit_payload(id, "3").await.unwrap_err();
        assert!(matches!(refused, EditError::WrongStatus { status: JobStatus::Running, .. }));
        gate.open();
        ride.client.until(id, JobStatus::Paused).await;
        ride.client.edit_payload(id, "\"a\\nb\"").await.unwrap();
        ride.client.resume(id).await.unwrap();
        let record = ride.client.ended(id).await;
        assert_eq!(given.take(2).await, ["[2]", "\"a\\nb\""]);
        assert_eq!((record.headers["h"].as_str(), record.tags.len()), ("v", 1), "the rest stands");
        let refused = ride.client.edit_payload(id, "3").await.unwrap_err();
        assert!(matches!(refused, EditError::WrongStatus { status: JobStatus::Completed, .. }));
        let refused = ride.client.edit_payload(id, vec![b' '; 9 << 20]).await.unwrap_err();
        assert!(matches!(refused, EditError::TooLarge { .. }));
        ride.stop().await;
    }
}

/// What is done to a job.
#[derive(Clone, Copy, Debug)]
enum Verb {
    Pause,
    Resume,
    Requeue,
    Cancel,
}

const VERBS: [Verb; 4] = [Verb::Pause, Verb::Resume, Verb::Requeue, Verb::Cancel];

async fn act(client: &Client, verb: Verb, id: JobId) {
    match verb {
        Verb::Pause => drop(client.pause(id, None).await),
        Verb::Resume => drop(client.resume(id).await),
        Verb::Requeue => drop(client.requeue(id).await),
        Verb::Cancel => drop(client.cancel(id).await.unwrap()),
    }
}

/// Contract rows 28 and 31, traps W1, W2 and W9: every order of three verbs, on a job that waits and
/// on one that runs, leaves it in one place, with a history that can be; and a cancelled one never
/// runs.
#[tokio::test]
async fn every_order_of_verbs_leaves_a_job_in_one_place() {
    let bench = Bench::new().await;
    let client = Client::from_store(bench.store.clone());
    let node = bench.join(1, Duration::from_secs(600)).await;
    let (mut number, mut jobs) = (0, Vec::new());
    let mut turn = 0;
    for runs in [false, true] {
        for first in VERBS {
            for second in VERBS {
                for third in VERBS {
                    number += 1;
                    let id = bench.submit(number, |_| {}).await;
                    turn += 1;
                    let run = match runs {
                        true => Some(bench.claim(node, turn).await),
                        false => None,
                    };
                    assert!(run.as_ref().is_none_or(|run| run.job == id));
                    for verb in [first, second, third] {
                        act(&client, verb, id).await;
                    }
                    let story_of = format!("{first:?} {second:?} {third:?}, {runs}");
                    if let Some(run) = run {
                        let error = Settlement::Retry {
                            delay: Duration::from_secs(600),
                            error: "no".to_owned(),
                            uses_attempt: true,
                        };
                        turn += 1;
                        let settle = Settle::of(&run, error, Bench::KEPT);
                        bench.turn(node, turn, &[settle], 0).await;
                    }
                    // Whatever it is now, it can be brought to its end, once.
                    let status = bench.status(id).await;
                    if status != JobStatus::Cancelled {
                        client.requeue(id).await.unwrap();
                        turn += 1;
                        let claimed = bench.claim(node, turn).await;
                        assert_eq!(claimed.job, id, "{story_of}");
                        turn += 1;
                        bench
                            .turn(node, turn, &[Bench::completed(&claimed)], 0)
                            .await;
                        assert_eq!(bench.status(id).await, JobStatus::Completed, "{story_of}");
                    } else {
                        let again = client.cancel(id).await.unwrap();
                        assert_eq!(again, Cancelled::Ended(JobStatus::Cancelled));
                    }
                    turn += 1;
                    let left = bench.turn(node, turn, &[], 100).await.claimed;
                    assert!(left.is_empty(), "{story_of}: {left:?}");
                    jobs.push(id);
                }
            }
        }
    }
    let ends = History::read(&bench.store).await.assert_jobs_ended(&jobs);
    assert!(ends[JobCancelled.as_str()] > 0 && ends[JobCompleted.as_str()] > 0);
}

/// Invariant 9: a job that is paused in its lane leaves a hole, and comes back to it; one behind it
/// is not kept from running, and none runs twice.
#[tokio::test]
async fn a_paused_job_comes_back_to_its_place() {
    let bench = Bench::new().await;
    let client = Client::from_store(bench.store.clone());
    let [first, second, third] = [1, 2, 3].map(Bench::job_id);
    for number in 1..=3 {
        bench
            .submit(number, |spec| spec.payload = Bytes::from_static(b"1"))
            .await;
    }
    let node = bench.join(1, Duration::from_secs(600)).await;
    client.pause(first, None).await.unwrap();
    client.pause(second, None).await.unwrap();
    client.resume(first).await.unwrap();
    let claimed = bench.turn(node, 1, &[], 100).await.claimed;
    let ids: Vec<_> = claimed.iter().map(|claimed| claimed.job).collect();
    assert_eq!(ids, [first, third]);
    client.resume(second).await.unwrap();
    assert_eq!(bench.claim(node, 2).await.job, second);
    assert!(bench.turn(node, 3, &[], 100).await.claimed.is_empty());
}
