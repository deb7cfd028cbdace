//! Cancelling: wherever a job stands, it never runs afterwards and never changes its status (I11).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use paceline_client::{Cancelled, Client, JobRequest, WaitError};
use paceline_node::{CancelReason, Context};
use paceline_store::Store;
use paceline_tests::{
    Env, Gate, Look, Ride, SOON, Serve, attempts, eventually, feature_test, log, notes, story,
};
use paceline_types::EventKind::{
    JobCancelled, JobCompleted, JobEnqueued, JobFailed, JobPaused, JobScheduled, JobStarted,
};
use paceline_types::{EventKind, JobError, JobId, JobStatus, RetryPolicy};
use serde_json::json;

use crate::{MOMENT, done, options, retried, tried};

/// It is cancelled, for the reason given, in this order, and another job of its type runs before
/// it would.
async fn stays_cancelled(ride: &Ride, id: JobId, expected: &[EventKind]) {
    let record = ride.client.look(id).await;
    assert_eq!(record.status, JobStatus::Cancelled);
    assert!(record.completed_at.is_some());
    assert_eq!(story(&ride.store, id).await, expected);
    assert!(matches!(
        ride.client.handle(id).output().await,
        Err(WaitError::Cancelled { .. })
    ));
    let again = ride.client.cancel(id).await.unwrap();
    assert_eq!(again, Cancelled::Ended(JobStatus::Cancelled));
    assert_eq!(ride.client.look(id).await, record, "nothing changed");
}

async fn empty_lanes(store: &Store, env: &Env) {
    let lane = env
        .keys()
        .await
        .into_iter()
        .find(|key| key.contains(":lane:"));
    assert_eq!(lane, None, "of {} shards", store.shards());
}

feature_test! {
    /// Row 31, trap W2: queued.
    async fn a_cancelled_waiting_job_never_runs(env: Env) {
        let store = env.store().await;
        let client = Client::from_store(store.clone());
        let id = client.submit_raw("t", json!(1)).await.unwrap().id();
        assert_eq!(client.cancel(id).reason("no need").await.unwrap(), Cancelled::Done);
        let record = client.look(id).await;
        assert_eq!(record.last_error.as_deref(), Some("no need"));
        empty_lanes(&store, &env).await;

        // A node that comes afterwards finds nothing of it: what was submitted later is served.
        let (pen, mut ran) = notes();
        let ride = env
            .ride(|node| node.serve("t", options(), pen, async |pen, context: Context, _| {
                pen.note(context.job_id());
                Ok(done())
            }))
            .await;
        for _ in 0..ride.store.shards() {
            client.submit_raw("t", json!(2)).await.unwrap().wait().await.unwrap();
        }
        stays_cancelled(&ride, id, &[JobEnqueued, JobCancelled]).await;
        assert!(!ran.rest().contains(&id));
        ride.stop().await;
    }

    /// Row 31, trap W2: delayed.
    async fn a_cancelled_delayed_job_never_runs(env: Env) {
        let (pen, mut ran) = notes();
        let ride = env
            .ride(|node| node.serve("t", options(), pen, async |pen, context: Context, _| {
                pen.note(context.job_id());
                Ok(done())
            }))
            .await;
        let submit = ride.client.submit_raw("t", json!(1)).unique("k").delay(MOMENT);
        let id = submit.await.unwrap().id();
        assert_eq!(ride.client.cancel(id).await.unwrap(), Cancelled::Done);
        // In the same shard, and due later.
        let later = ride.client.submit_raw("t", json!(1)).unique("k").delay(MOMENT * 2);
        let later = later.await.unwrap();
        assert_eq!(later.id().shard(), id.shard());
        later.wait().await.unwrap();
        stays_cancelled(&ride, id, &[JobScheduled, JobCancelled]).await;
        assert_eq!(ran.rest(), [later.id()]);
        ride.stop().await;
    }

    /// Row 31, trap W2: between two attempts.
    async fn a_cancelled_retrying_job_never_runs_again(env: Env) {
        let (pen, mut ran) = notes();
        let policy = RetryPolicy { initial_delay: MOMENT * 2, max_delay: SOON, ..attempts(3) };
        let ride = env
            .ride(|node| node.serve("t", retried(policy), pen, async |pen, run: Context, payload| {
                pen.note(run.job_id());
                if payload == "1" { Err(JobError::retryable("no")) } else { Ok(done()) }
            }))
            .await;
        let id = ride.client.submit_raw("t", json!(1)).unique("k").await.unwrap().id();
        ride.client.until(id, JobStatus::Retrying).await;
        assert_eq!(ride.client.cancel(id).await.unwrap(), Cancelled::Done);
        let later = ride.client.submit_raw("t", json!(2)).unique("k").delay(MOMENT * 3);
        let later = later.await.unwrap();
        later.wait().await.unwrap();
        stays_cancelled(&ride, id, &[JobEnqueued, JobStarted, JobFailed, JobCancelled]).await;
        assert_eq!(ran.rest(), [id, later.id()]);
        ride.stop().await;
    }

    /// Row 31: paused, with and without a time; it cannot be resumed.
    async fn a_cancelled_paused_job_never_resumes(env: Env) {
        let ride = env
            .ride(|node| node.handle_raw("t", tried(3), async |_, payload| {
                let after = (payload == "1").then_some(MOMENT * 600);
                Err(JobError::pause(after, "later"))
            }))
            .await;
        for case in [0, 1] {
            let id = ride.client.submit_raw("t", json!(case)).await.unwrap().id();
            ride.client.until(id, JobStatus::Paused).await;
            assert_eq!(ride.client.cancel(id).await.unwrap(), Cancelled::Done);
            ride.client.resume(id).await.unwrap_err();
            stays_cancelled(&ride, id, &[JobEnqueued, JobStarted, JobPaused, JobCancelled]).await;
        }
        let left = env.keys().await.into_iter();
        let left: Vec<_> =
            left.filter(|key| key.ends_with(":paused") || key.ends_with(":delayed")).collect();
        assert!(left.is_empty(), "{left:?}");
        ride.stop().await;
    }

    /// Row 31, trap W1 and I11: the handler is told, and the job ends cancelled whatever it returns.
    async fn a_cancelled_running_job_ends_cancelled_whatever_its_handler_returns(env: Env) {
        let (pen, mut told) = notes();
        let ride = env
            .ride(|node| node.serve("t", tried(3), pen, async |pen, context: Context, payload| {
                context.cancelled().await;
                pen.note(context.cancel_reason());
                match &*payload {
                    b"0" => Ok(done()),
                    b"1" => Err(JobError::retryable("stopped")),
                    b"2" => Err(JobError::permanent("stopped")),
                    b"3" => Err(JobError::repeat(Duration::ZERO)),
                    b"4" => Err(JobError::skip("stopped")),
                    _ => Err(JobError::pause(None, "stopped")),
                }
            }))
            .await;
        for answer in 0..6 {
            let handle = ride.client.submit_raw("t", json!(answer)).unique("k").await.unwrap();
            let id = handle.id();
            ride.client.until(id, JobStatus::Running).await;
            assert_eq!(handle.cancel().await.unwrap(), Cancelled::Requested);
            assert_eq!(told.next().await, Some(CancelReason::Requested));
            let record = handle.wait().await.unwrap();
            assert_eq!(record.result, None);
            stays_cancelled(&ride, id, &[JobEnqueued, JobStarted, JobCancelled]).await;
        }
        assert!(told.rest().is_empty());
        ride.stop().await;
    }

    /// Row 31: until its handler has stopped it is running, and says that it was asked to stop.
    async fn a_second_cancellation_of_a_running_job_changes_nothing(env: Env) {
        let gate = Gate::default();
        let ride = env
            .ride(|node| node.serve("t", options(), gate.clone(), async |gate: Gate, _, _| {
                gate.pass().await;
                Ok(done())
            }))
            .await;
        let id = ride.client.submit_raw("t", json!(1)).await.unwrap().id();
        assert!(!ride.client.until(id, JobStatus::Running).await.cancel_requested);
        for _ in 0..3 {
            assert_eq!(ride.client.cancel(id).await.unwrap(), Cancelled::Requested);
            let record = ride.client.look(id).await;
            assert_eq!(record.status, JobStatus::Running);
            assert!(record.cancel_requested);
        }
        gate.open();
        ride.client.ended(id).await;
        stays_cancelled(&ride, id, &[JobEnqueued, JobStarted, JobCancelled]).await;
        ride.stop().await;
    }

    /// Rows 31 and 33: a handler that does not listen is dropped after its grace, and the job has ended.
    async fn a_handler_that_does_not_listen_is_dropped(env: Env) {
        let ride = env
            .ride(|node| node.handle_raw("deaf", options(), async |_, _| {
                std::future::pending::<()>().await;
                Ok(done())
            }))
            .await;
        let id = ride.client.submit_raw("deaf", json!(1)).await.unwrap().id();
        ride.client.until(id, JobStatus::Running).await;
        ride.client.cancel(id).await.unwrap();
        ride.client.ended(id).await;
        stays_cancelled(&ride, id, &[JobEnqueued, JobStarted, JobCancelled]).await;
        ride.stop().await;
    }

    /// Row 31: what is unknown or has ended is told, and left alone.
    async fn an_unknown_or_ended_job_is_not_cancelled(env: Env) {
        let ride = env
            .ride(|node| node.handle_raw("t", tried(1), async |_, payload| {
                if payload == "1" { Err(JobError::retryable("no")) } else { Ok(payload) }
            }))
            .await;
        for (case, status) in [(0, JobStatus::Completed), (1, JobStatus::Dead)] {
            let id = ride.client.submit_raw("t", json!(case)).await.unwrap().id();
            let record = ride.client.ended(id).await;
            assert_eq!(record.status, status);
            assert_eq!(ride.client.cancel(id).await.unwrap(), Cancelled::Ended(status));
            assert_eq!(ride.client.look(id).await, record);
            let unknown = JobId::from_parts(1, id.shard(), 7);
            assert_eq!(ride.client.cancel(unknown).await.unwrap(), Cancelled::Unknown);
            assert_eq!(ride.client.job(unknown).await.unwrap(), None);
        }
        ride.stop().await;
    }

    /// Row 31: a hundred and more in one call, over all shards.
    async fn many_jobs_are_cancelled_in_one_call(env: Env) {
        let store = env.store().await;
        let client = Client::from_store(store.clone());
        let jobs = (0..250).map(|n| JobRequest::raw("t", json!(n)));
        let accepted = client.submit_many(jobs).await.unwrap();
        let mut ids: Vec<_> = accepted.into_iter().map(|one| one.unwrap().id).collect();
        ids.push(JobId::from_parts(1, ids[0].shard(), 7));
        let outcomes = client.cancel_many(&ids, "all of them").await.unwrap();
        assert!(outcomes[..250].iter().all(|outcome| *outcome == Cancelled::Done));
        assert_eq!(outcomes[250], Cancelled::Unknown);
        empty_lanes(&store, &env).await;
        for job in client.jobs_by_id(&ids[..250]).await.unwrap() {
            assert_eq!(job.unwrap().status, JobStatus::Cancelled);
        }
    }

    /// Row 31: a race of claims and cancellations has one winner for each job.
    async fn a_job_that_is_cancelled_while_it_is_claimed_has_one_end(env: Env) {
        let (pen, mut ran) = notes();
        let ride = env
            .ride(|node| node.serve("t", options(), pen, async |pen, context: Context, _| {
                pen.note(context.job_id());
                Ok(done())
            }))
            .await;
        let mut ids = Vec::new();
        for round in 0..20 {
            let jobs = (0..20).map(|n| JobRequest::raw("t", json!([round, n])));
            let accepted = ride.client.submit_many(jobs).await.unwrap();
            let round: Vec<_> = accepted.into_iter().map(|one| one.unwrap().id).collect();
            ride.client.cancel_many(&round, "race").await.unwrap();
            ids.extend(round);
        }
        for &id in &ids {
            ride.client.ended(id).await;
        }
        let ran: BTreeSet<_> = ran.rest().into_iter().collect();
        let mut started = BTreeSet::new();
        let mut ends = BTreeMap::<_, u32>::new();
        for event in log(&ride.store).await {
            match event.kind {
                JobStarted => assert!(started.insert(event.job_id.unwrap())),
                JobCancelled | JobCompleted => *ends.entry(event.job_id.unwrap()).or_default() += 1,
                _ => {}
            }
        }
        assert_eq!(started, ran);
        assert_eq!(ends.len(), ids.len());
        assert!(ends.values().all(|&count| count == 1));
        for job in ride.client.jobs_by_id(&ids).await.unwrap() {
            let job = job.unwrap();
            assert!(job.status == JobStatus::Cancelled || ran.contains(&job.id), "{job:?}");
        }
        eventually("no cancellation is left over", SOON, async || {
            let keys = env.keys().await;
            let left = keys.into_iter().find(|key| key.contains(":cancels:"));
            left.map_or(Ok(()), Err)
        })
        .await;
        ride.stop().await;
    }
}
