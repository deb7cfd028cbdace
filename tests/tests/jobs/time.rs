//! Work that waits for its time (row 2, I12): never before it, and soon after, by the clock of
//! the server.

use std::time::{Duration, SystemTime};

use paceline_client::{Client, JobRequest, SubmitError};
use paceline_node::Context;
use paceline_store::Store;
use paceline_tests::{Env, Look, Serve, feature_test, log, notes, story};
use paceline_types::EventKind::{JobCompleted, JobDispatched, JobScheduled, JobStarted};
use paceline_types::{JobId, JobStatus, UnixMillis};
use redis::AsyncCommands;
use serde_json::json;

use crate::{MOMENT, done, options};

/// On a machine that is busy; the mark on an idle one is 50 ms, and is measured elsewhere.
const SLACK: UnixMillis = 2_000;

/// When the runs of a job began, by the server's clock.
async fn starts(store: &Store, id: JobId) -> Vec<UnixMillis> {
    let events = log(store).await.into_iter();
    events
        .filter(|event| event.job_id == Some(id) && event.kind == JobStarted)
        .map(|event| event.timestamp)
        .collect()
}

/// The clock of the server that decides, asked by way of a job that is refused.
async fn server_time(client: &Client) -> UnixMillis {
    match client.submit_raw("t", json!(0)).run_at(1).await {
        Err(SubmitError::InThePast { now, .. }) => now,
        other => panic!("{other:?}"),
    }
}

feature_test! {
    /// Row 2: a delay.
    async fn a_delayed_job_runs_when_its_time_has_come(env: Env) {
        let ride = env.ride(|node| node.handle_raw("t", options(), async |_, _| Ok(done()))).await;
        for delay in [1, 50, 120, 400] {
            let handle = ride.client.submit_raw("t", json!(1)).delay(Duration::from_millis(delay));
            let handle = handle.await.unwrap();
            handle.wait().await.unwrap();
            let record = ride.client.look(handle.id()).await;
            let due = record.created_at + delay;
            let started = starts(&ride.store, handle.id()).await;
            assert!(
                started.len() == 1 && (due..due + SLACK).contains(&started[0]),
                "due at {due}, started at {started:?}"
            );
            assert_eq!(
                story(&ride.store, handle.id()).await,
                [JobScheduled, JobDispatched, JobStarted, JobCompleted]
            );
        }
        ride.stop().await;
    }

    /// Row 2: a moment, in both forms.
    async fn a_job_runs_at_its_moment_and_not_before(env: Env) {
        let ride = env.ride(|node| node.handle_raw("t", options(), async |_, _| Ok(done()))).await;
        let due = server_time(&ride.client).await + 150;
        let handle = ride.client.submit_raw("t", json!(1)).run_at(due).await.unwrap();
        let record = ride.client.look(handle.id()).await;
        assert_eq!((record.status, record.next_run_at), (JobStatus::Scheduled, Some(due)));
        handle.wait().await.unwrap();
        let started = starts(&ride.store, handle.id()).await[0];
        assert!((due..due + SLACK).contains(&started), "due at {due}, started at {started}");

        let soon = SystemTime::now() + MOMENT;
        let handle = ride.client.submit_raw("t", json!(1)).run_at(soon).await.unwrap();
        let due = ride.client.look(handle.id()).await.next_run_at.unwrap();
        handle.wait().await.unwrap();
        assert!(starts(&ride.store, handle.id()).await[0] >= due);
        ride.stop().await;
    }

    /// Row 2: with the sentence of the contract, and nothing stored.
    async fn a_moment_that_has_passed_is_refused(env: Env) {
        let client = env.client().await;
        let before = env.keys().await;
        let error = client.submit_raw("t", json!(1)).run_at(1_000).await.unwrap_err();
        assert!(!error.maybe_stored());
        let now = match error {
            SubmitError::InThePast { at: 1_000, now } => now,
            other => panic!("{other}"),
        };
        let error = SubmitError::InThePast { at: 1_000, now }.to_string();
        assert_eq!(
            error,
            format!("run_at must be in the future: 1000 is not after {now}, the server's time")
        );
        assert_eq!(env.keys().await, before);
        let long_ago = SystemTime::UNIX_EPOCH - Duration::from_secs(9);
        assert!(client.submit_raw("t", json!(1)).run_at(long_ago).await.is_err());
    }

    /// Row 2: many at once, more than one step of the leader, none before its time.
    async fn many_delayed_jobs_run_once_each_and_none_too_early(env: Env) {
        let (pen, mut ran) = notes();
        let ride = env
            .ride(|node| node.serve("t", options(), pen, async |pen, context: Context, _| {
                pen.note(context.job_id());
                Ok(done())
            }))
            .await;
        let delays = (0..300_u64).map(|n| 50 + n % 7 * 40);
        let jobs = delays.clone().map(|delay| {
            JobRequest::raw("t", json!(delay)).delay(Duration::from_millis(delay))
        });
        let accepted = ride.client.submit_many(jobs).await.unwrap();
        let ids: Vec<_> = accepted.into_iter().map(|one| one.unwrap().id).collect();
        ran.take(300).await;
        let events = log(&ride.store).await;
        let records = ride.client.jobs_by_id(&ids).await.unwrap();
        for (record, delay) in records.into_iter().flatten().zip(delays) {
            let mut of_job = events.iter().filter(|event| event.job_id == Some(record.id));
            let started = of_job.find(|event| event.kind == JobStarted).unwrap().timestamp;
            let due = record.created_at + delay;
            assert!((due..due + SLACK).contains(&started), "due {due}, started {started}");
        }
        ride.stop().await;
        assert!(ran.rest().is_empty());
    }

    /// A job that becomes the earliest while the leader sleeps until a later one is not late.
    async fn an_earlier_job_wakes_the_leader(env: Env) {
        let ride = env.ride(|node| node.handle_raw("t", options(), async |_, _| Ok(done()))).await;
        let submit = |delay| ride.client.submit_raw("t", json!(1)).unique("one shard").delay(delay);
        let far = submit(Duration::from_secs(3_600)).await.unwrap();
        far.cancel().await.unwrap();
        let near = submit(MOMENT).await.unwrap();
        near.wait().await.unwrap();
        let record = ride.client.look(near.id()).await;
        let started = starts(&ride.store, near.id()).await[0];
        assert!(started < record.created_at + 100 + SLACK);
        ride.stop().await;
    }

    /// Row 2: what has no node yet keeps its time and is dispatched once one leads.
    async fn a_delayed_job_waits_for_a_leader(env: Env) {
        let client = env.client().await;
        let submit = client.submit_raw("t", json!(1)).delay(Duration::from_millis(1));
        let handle = submit.await.unwrap();
        let mut raw = env.raw().await;
        let key = format!("{{{}:{}}}:delayed", env.namespace(), handle.id().shard());
        assert_eq!(raw.zcard::<_, u32>(&key).await.unwrap(), 1);
        let ride = env.ride(|node| node.handle_raw("t", options(), async |_, _| Ok(done()))).await;
        handle.wait().await.unwrap();
        assert_eq!(raw.zcard::<_, u32>(&key).await.unwrap(), 0);
        ride.stop().await;
    }
}
