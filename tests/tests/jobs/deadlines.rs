//! Jobs that must start, or end, in time.

use std::time::Duration;

use paceline_client::Client;
use paceline_node::{CancelReason, Context};
use paceline_tests::{Bench, Env, Look, Serve, attempts, eventually, feature_test, notes, story};
use paceline_types::EventKind::{
    JobCancelled, JobCompleted, JobDead, JobDispatched, JobEnqueued, JobFailed, JobPaused,
    JobResumed, JobRetrying, JobScheduleToStartTimeout, JobStarted,
};
use paceline_types::{JobError, JobId, JobStatus, RetryPolicy};
use serde_json::json;

use crate::{MOMENT, done, options, retried, tried};

/// It is dead for this reason, stands in the dead letters, and its unique key is free.
async fn is_dead(client: &Client, id: JobId, reason: &str) {
    let record = client.ended(id).await;
    assert_eq!(record.status, JobStatus::Dead);
    let error = record.last_error.unwrap();
    assert!(error.starts_with(reason), "{error}");
    let letters = client.dead_letters().list().limit(100).await.unwrap();
    assert!(letters.items.iter().any(|job| job.id == id));
    client
        .submit_raw("nobody", json!(1))
        .unique("k")
        .await
        .unwrap()
        .cancel()
        .await
        .unwrap();
}

/// Contract rows 16 and 140: a claim that comes too late does not start the job, whatever the leader
/// does; nor does one in another place of the lane than the first.
#[tokio::test]
async fn a_job_that_is_claimed_too_late_is_dead_and_not_run() {
    let bench = Bench::new().await;
    let client = Client::from_store(bench.store.clone());
    let first = bench.submit(1, |_| {}).await;
    let late = bench
        .submit(2, |spec| {
            spec.schedule_to_start_timeout = Some(Duration::from_millis(1));
            spec.unique_key = Some("k".parse().unwrap());
        })
        .await;
    let patient = bench
        .submit(3, |spec| {
            spec.schedule_to_start_timeout = Some(Duration::from_secs(3_600))
        })
        .await;
    let node = bench.join(1, Duration::from_secs(60)).await;
    let accepted = client.look(late).await.created_at;
    eventually("the limit has passed", Duration::from_secs(5), async || {
        let lease = Duration::from_secs(60);
        let beat = bench.store.beat(Bench::SHARD, node, None, lease).await;
        beat.unwrap().now > accepted + 1
    })
    .await;
    let claimed = bench.turn(node, 1, &[], 10).await.claimed;
    let ids: Vec<_> = claimed.iter().map(|claimed| claimed.job).collect();
    assert_eq!(ids, [first, patient], "the others of its lane start");
    is_dead(&client, late, "schedule_to_start_timeout: ").await;
    assert_eq!(
        story(&bench.store, late).await,
        [JobEnqueued, JobScheduleToStartTimeout]
    );
    // One that has started has met it.
    let term = bench.lead().await;
    let expired = bench
        .store
        .expire_jobs(Bench::SHARD, term, 100)
        .await
        .unwrap();
    assert_eq!((expired.seen, expired.next_in), (0, None));
    let settles: Vec<_> = claimed.iter().map(Bench::completed).collect();
    bench.turn(node, 2, &settles, 0).await;
    assert_eq!(bench.status(patient).await, JobStatus::Completed);
}

feature_test! {
    /// Contract rows 16 and 140: nobody claims it, and the sweep finds it.
    async fn a_job_that_nobody_starts_in_time_is_dead(env: Env) {
        let ride = env.ride(|node| node.handle_raw("t", options(), async |_, _| Ok(done()))).await;
        let submit = ride.client.submit_raw("nobody", json!(1)).unique("k");
        let id = submit.schedule_to_start_timeout(MOMENT).await.unwrap().id();
        is_dead(&ride.client, id, "schedule_to_start_timeout: ").await;
        assert_eq!(story(&ride.store, id).await, [JobEnqueued, JobScheduleToStartTimeout]);
        // It is armed anew when the job is dispatched anew.
        ride.client.retry(id).await.unwrap();
        is_dead(&ride.client, id, "schedule_to_start_timeout: ").await;
        let twice = [JobEnqueued, JobScheduleToStartTimeout, JobRetrying, JobScheduleToStartTimeout];
        assert_eq!(story(&ride.store, id).await, twice);
        ride.stop().await;
    }

    /// Contract row 16: the time of a delay, and that of a pause, do not count.
    async fn only_the_time_in_the_lane_counts(env: Env) {
        let ride = env.ride(|node| node.handle_raw("t", options(), async |_, _| Ok(done()))).await;
        let delayed = ride.client.submit_raw("t", json!(1)).delay(MOMENT * 4);
        let delayed = delayed.schedule_to_start_timeout(MOMENT).await.unwrap();
        let paused = ride.client.submit_raw("nobody", json!(1));
        let paused = paused.schedule_to_start_timeout(MOMENT * 5).await.unwrap().id();
        ride.client.pause(paused, Some(MOMENT * 6)).await.unwrap();
        assert_eq!(delayed.output().await.unwrap(), "done");
        let record = ride.client.ended(paused).await;
        assert!(record.last_error.unwrap().starts_with("schedule_to_start_timeout: "));
        assert_eq!(
            story(&ride.store, paused).await,
            [JobEnqueued, JobPaused, JobResumed, JobScheduleToStartTimeout]
        );
        ride.stop().await;
    }

    /// Contract rows 17 and 140: no attempt begins after the limit, and none is waited for.
    async fn a_retry_that_would_begin_too_late_is_not_planned(env: Env) {
        let policy = RetryPolicy { initial_delay: MOMENT * 600, max_delay: MOMENT * 600, ..attempts(9) };
        let ride = env
            .ride(|node| node.handle_raw("t", retried(policy), async |_, _| {
                Err(JobError::retryable("no"))
            }))
            .await;
        let submit = ride.client.submit_raw("t", json!(1)).unique("k");
        let id = submit.max_duration(MOMENT * 300).await.unwrap().id();
        is_dead(&ride.client, id, "max_duration: ").await;
        assert_eq!(story(&ride.store, id).await, [JobEnqueued, JobStarted, JobDead]);
        let within = ride.client.submit_raw("t", json!(1)).max_duration(MOMENT * 6000);
        let within = within.await.unwrap().id();
        ride.client.until(within, JobStatus::Retrying).await;
        ride.client.cancel(within).await.unwrap();
        ride.stop().await;
    }

    /// Contract rows 17 and 140: the sweep ends what waits, wherever, by the time of the first start.
    async fn a_job_that_lasts_too_long_is_dead_while_it_waits(env: Env) {
        let ride = env
            .ride(|node| node.handle_raw("t", tried(99), async |_, payload| match &*payload {
                b"1" => Err(JobError::pause(None, "later")),
                b"2" => Err(JobError::repeat(MOMENT * 600)),
                _ => Err(JobError::rate_limited(MOMENT)),
            }))
            .await;
        for (case, last) in [(1, JobPaused), (2, paceline_types::EventKind::JobScheduled)] {
            let submit = ride.client.submit_raw("t", json!(case)).unique("k");
            let id = submit.max_duration(MOMENT * 3).await.unwrap().id();
            is_dead(&ride.client, id, "max_duration: ").await;
            assert_eq!(story(&ride.store, id).await, [JobEnqueued, JobStarted, last, JobDead]);
        }
        // It goes on over all retries.
        let submit = ride.client.submit_raw("t", json!(3)).unique("k");
        let id = submit.max_duration(MOMENT * 5).await.unwrap().id();
        is_dead(&ride.client, id, "max_duration: ").await;
        let story = story(&ride.store, id).await;
        assert!(story.iter().filter(|kind| **kind == JobStarted).count() > 1, "{story:?}");
        let left = env.keys().await.into_iter().find(|key| key.ends_with(":timers"));
        assert_eq!(left, None);
        ride.stop().await;
    }

    /// Contract rows 17 and 140: a running job has its handler told, and is dead whatever that returns.
    async fn a_job_that_runs_too_long_is_dead_whatever_its_handler_returns(env: Env) {
        let (pen, mut told) = notes();
        let ride = env
            .ride(|node| node.serve("t", tried(3), pen, async |pen, context: Context, payload| {
                context.cancelled().await;
                pen.note(context.cancel_reason());
                if payload == "1" { Ok(done()) } else { Err(JobError::retryable("stopped")) }
            }))
            .await;
        for case in [1, 2] {
            let submit = ride.client.submit_raw("t", json!(case)).unique("k");
            let id = submit.max_duration(MOMENT * 2).await.unwrap().id();
            is_dead(&ride.client, id, "max_duration: ").await;
            assert_eq!(told.next().await, Some(CancelReason::Requested));
            assert_eq!(story(&ride.store, id).await, [JobEnqueued, JobStarted, JobDead]);
        }
        // Who cancels it has the last word.
        let id = ride.client.submit_raw("t", json!(1)).max_duration(MOMENT * 600).await.unwrap().id();
        ride.client.until(id, JobStatus::Running).await;
        ride.client.cancel(id).await.unwrap();
        ride.client.ended(id).await;
        assert_eq!(story(&ride.store, id).await, [JobEnqueued, JobStarted, JobCancelled]);
        ride.stop().await;
    }

    /// Contract row 17: an explicit retry has the whole time again, and one that ends in time has
    /// nothing to fear.
    async fn a_job_that_ends_in_time_is_left_alone(env: Env) {
        let ride = env
            .ride(|node| node.handle_raw("t", tried(2), async |context: Context, _| {
                match context.attempt() {
                    1 => Err(JobError::retryable("once")),
                    _ => Ok(done()),
                }
            }))
            .await;
        let submit = ride.client.submit_raw("t", json!(1)).max_duration(MOMENT * 600);
        let handle = submit.schedule_to_start_timeout(MOMENT * 600).await.unwrap();
        assert_eq!(handle.output().await.unwrap(), "done");
        assert_eq!(
            story(&ride.store, handle.id()).await,
            [JobEnqueued, JobStarted, JobFailed, JobDispatched, JobStarted, JobCompleted]
        );
        let left = env.keys().await.into_iter().find(|key| key.ends_with(":timers"));
        assert_eq!(left, None);
        ride.stop().await;
    }
}
