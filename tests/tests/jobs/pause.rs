//! Pausing a job, and what lets it go on.

use std::time::Duration;

use paceline_client::{ResumeError, WaitError};
use paceline_node::Context;
use paceline_tests::{Bench, Env, Gate, Look, Serve, attempts, feature_test, story};
use paceline_types::EventKind::{
    JobCompleted, JobDead, JobDispatched, JobEnqueued, JobFailed, JobPaused, JobResumed, JobStarted,
};
use paceline_types::{JobError, JobId, JobStatus, RetryPolicy};
use serde_json::json;

use crate::{MOMENT, done, options, retried, tried};

feature_test! {
    /// Rows 26 and 28.
    async fn a_paused_job_waits_until_it_is_resumed(env: Env) {
        let ride = env
            .ride(|node| node.handle_raw("wait", tried(3), async |context: Context, _| {
                match context.run() {
                    1 => Err(JobError::pause(None, "waiting for a person")),
                    _ => Ok(done()),
                }
            }))
            .await;
        let handle = ride.client.submit_raw("wait", json!(1)).await.unwrap();
        let id = handle.id();
        let record = ride.client.until(id, JobStatus::Paused).await;
        assert_eq!(record.last_error.as_deref(), Some("waiting for a person"));
        assert_eq!(record.next_run_at, None, "only a person resumes it");
        let waited = handle.output_within(MOMENT).await;
        assert!(matches!(waited, Err(WaitError::TimedOut { .. })), "it has not ended");
        ride.client.resume(id).await.unwrap();
        assert_eq!(handle.output().await.unwrap(), "done");
        assert_eq!(
            story(&ride.store, id).await,
            [JobEnqueued, JobStarted, JobPaused, JobResumed, JobStarted, JobCompleted]
        );
        ride.stop().await;
    }

    /// Row 26: with a time, it resumes by itself, and not before.
    async fn a_job_paused_for_a_time_resumes_by_itself(env: Env) {
        let ride = env
            .ride(|node| node.handle_raw("wait", tried(3), async |context: Context, _| {
                match context.run() {
                    1 => Err(JobError::pause(Some(MOMENT), "later")),
                    _ => Ok(done()),
                }
            }))
            .await;
        let handle = ride.client.submit_raw("wait", json!(1)).await.unwrap();
        assert_eq!(handle.output().await.unwrap(), "done");
        let record = ride.client.look(handle.id()).await;
        assert!(record.completed_at.unwrap() >= record.created_at + 100);
        assert_eq!(
            story(&ride.store, handle.id()).await,
            [JobEnqueued, JobStarted, JobPaused, JobResumed, JobStarted, JobCompleted]
        );
        ride.stop().await;
    }

    /// Row 28: by hand before its time, and then not once more when the time has come.
    async fn a_job_paused_for_a_time_can_be_resumed_by_hand(env: Env) {
        let ride = env
            .ride(|node| node.handle_raw("wait", tried(3), async |context: Context, _| {
                match context.run() {
                    1 => Err(JobError::pause(Some(Duration::from_secs(600)), "later")),
                    _ => Ok(done()),
                }
            }))
            .await;
        let handle = ride.client.submit_raw("wait", json!(1)).await.unwrap();
        let record = ride.client.until(handle.id(), JobStatus::Paused).await;
        assert!(record.next_run_at.unwrap() >= record.created_at + 600_000);
        ride.client.resume(handle.id()).await.unwrap();
        assert_eq!(handle.output().await.unwrap(), "done");
        let delayed = env.keys().await.into_iter().find(|key| key.ends_with("}:delayed"));
        assert_eq!(delayed, None);
        ride.stop().await;
    }

    /// Row 27: before it would be dead; resuming starts the count afresh.
    async fn a_job_is_paused_after_errors_in_a_row(env: Env) {
        let policy = RetryPolicy { pause_after_err_count: Some(2), ..attempts(3) };
        let ride = env
            .ride(|node| node.handle_raw("fails", retried(policy), async |_, _| {
                Err(JobError::retryable("no"))
            }))
            .await;
        let id = ride.client.submit_raw("fails", json!(1)).await.unwrap().id();
        let record = ride.client.until(id, JobStatus::Paused).await;
        assert_eq!((record.attempt, record.consecutive_errors), (2, 2));
        ride.client.resume(id).await.unwrap();
        let record = ride.client.ended(id).await;
        assert_eq!((record.status, record.attempt), (JobStatus::Dead, 3));
        assert_eq!(record.consecutive_errors, 1, "resuming set it to zero");
        assert_eq!(
            story(&ride.store, id).await,
            [
                JobEnqueued, JobStarted, JobFailed, JobDispatched, JobStarted, JobPaused,
                JobResumed, JobStarted, JobDead,
            ]
        );
        ride.stop().await;
    }

    /// Row 27: `resume_at` if a delay is set.
    async fn a_job_paused_after_errors_resumes_after_the_delay_of_its_policy(env: Env) {
        let policy = RetryPolicy {
            pause_after_err_count: Some(1),
            pause_retry_delay: Some(MOMENT),
            ..attempts(5)
        };
        let ride = env
            .ride(|node| node.handle_raw("fails", retried(policy), async |context: Context, _| {
                match context.run() {
                    1 => Err(JobError::retryable("no")),
                    _ => Ok(done()),
                }
            }))
            .await;
        let handle = ride.client.submit_raw("fails", json!(1)).await.unwrap();
        assert_eq!(handle.output().await.unwrap(), "done");
        assert_eq!(
            story(&ride.store, handle.id()).await,
            [JobEnqueued, JobStarted, JobPaused, JobResumed, JobStarted, JobCompleted]
        );
        ride.stop().await;
    }

    /// Row 28: only a paused job is resumed; a refusal says where it stands and changes nothing.
    async fn only_a_paused_job_is_resumed(env: Env) {
        let gate = Gate::default();
        let ride = env
            .ride(|node| node.serve("held", options(), gate.clone(), async |gate: Gate, _, _| {
                gate.pass().await;
                Ok(done())
            }))
            .await;
        let refused = async |id: JobId| match ride.client.resume(id).await {
            Err(ResumeError::NotPaused { job, status }) if job == id => status,
            other => panic!("{other:?}"),
        };
        let waiting = ride.client.submit_raw("nobody", json!(1)).await.unwrap().id();
        assert_eq!(refused(waiting).await, JobStatus::Pending);
        let delayed = ride.client.submit_raw("nobody", json!(1)).delay(MOMENT * 600);
        let delayed = delayed.await.unwrap().id();
        assert_eq!(refused(delayed).await, JobStatus::Scheduled);
        let held = ride.client.submit_raw("held", json!(1)).await.unwrap().id();
        ride.client.until(held, JobStatus::Running).await;
        assert_eq!(refused(held).await, JobStatus::Running);
        gate.open();
        ride.client.ended(held).await;
        assert_eq!(refused(held).await, JobStatus::Completed);
        ride.client.cancel(waiting).await.unwrap();
        assert_eq!(refused(waiting).await, JobStatus::Cancelled);
        let unknown = JobId::from_parts(1, held.shard(), 1);
        let error = ride.client.resume(unknown).await.unwrap_err();
        assert!(matches!(error, ResumeError::Unknown { .. }));
        assert_eq!(
            story(&ride.store, held).await,
            [JobEnqueued, JobStarted, JobCompleted]
        );
        ride.stop().await;
    }
}

/// Trap W38: jobs whose pause is over go on in bounded steps, each of which says that there are more.
#[tokio::test]
async fn pauses_that_are_over_end_in_bounded_steps() {
    let bench = Bench::new().await;
    let term = bench.lead().await;
    let mut jobs = Vec::new();
    for number in 0..250 {
        let job = bench.submit(number, |_| {}).await;
        let moment = Some(Duration::from_millis(1));
        bench.store.pause(job, moment, "a moment").await.unwrap();
        jobs.push(job);
    }
    let mut steps = Vec::new();
    while steps.iter().sum::<usize>() < jobs.len() {
        let step = bench
            .store
            .promote(Bench::SHARD, term, 1_000)
            .await
            .unwrap();
        steps.push(step.moved);
        if steps.len() == 1 {
            assert_eq!(step.next_due_in, Some(Duration::ZERO), "more are due");
        }
    }
    assert_eq!(steps[0], 100);
    assert!(steps.iter().all(|moved| *moved <= 100), "{steps:?}");
    for job in jobs {
        assert_eq!(bench.status(job).await, JobStatus::Pending);
    }
}
