//! What a handler's answer makes of its job: every class of error.

use std::time::Duration;

use paceline_node::Context;
use paceline_tests::{Env, Look, Serve, attempts, feature_test, log, notes, story};
use paceline_types::EventKind::{
    JobCompleted, JobDead, JobDispatched, JobEnqueued, JobFailed, JobScheduled, JobStarted,
};
use paceline_types::{Bytes, JobError, JobStatus, RetryPolicy};
use serde_json::json;

use crate::{MOMENT, done, retried, tried};

feature_test! {
    /// Rows 24 and 25.
    async fn a_failed_job_is_retried_and_then_completes(env: Env) {
        let ride = env
            .ride(|node| node.handle_raw("flaky", tried(5), async |context: Context, _| {
                match context.attempt() {
                    3 => Ok(done()),
                    attempt => Err(JobError::retryable(format!("failure {attempt}"))),
                }
            }))
            .await;
        let handle = ride.client.submit_raw("flaky", json!(1)).await.unwrap();
        assert_eq!(handle.output().await.unwrap(), "done");
        let record = ride.client.look(handle.id()).await;
        assert_eq!((record.attempt, record.run, record.crashes), (3, 3, 0));
        assert_eq!((record.consecutive_errors, record.last_error), (0, None));
        let retry = [JobStarted, JobFailed, JobDispatched];
        let expected: Vec<_> = [JobEnqueued]
            .into_iter()
            .chain(retry.clone())
            .chain(retry)
            .chain([JobStarted, JobCompleted])
            .collect();
        assert_eq!(story(&ride.store, handle.id()).await, expected);
        ride.stop().await;
    }

    /// Row 24: the waits grow as the policy says, by the server's clock.
    async fn the_waits_between_attempts_follow_the_policy(env: Env) {
        let policy = RetryPolicy {
            initial_delay: MOMENT / 2,
            max_delay: MOMENT * 3 / 2,
            multiplier: 2.0,
            ..attempts(4)
        };
        let ride = env
            .ride(|node| node.handle_raw("fails", retried(policy), async |_, _| {
                Err(JobError::retryable("no"))
            }))
            .await;
        let id = ride.client.submit_raw("fails", json!(1)).await.unwrap().id();
        ride.client.until(id, JobStatus::Dead).await;
        let times: Vec<_> = log(&ride.store)
            .await
            .into_iter()
            .filter(|event| event.job_id == Some(id))
            .filter(|event| event.kind == JobStarted)
            .map(|event| event.timestamp)
            .collect();
        // From start to start: a failure is dated when its script ends, and a wait counts from when
        // that began, which is after the start.
        let waits: Vec<_> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert_eq!(waits.len(), 3);
        for (wait, least) in waits.iter().zip([50, 100, 150]) {
            assert!((least..least + 2_000).contains(wait), "{waits:?}");
        }
        ride.stop().await;
    }

    /// Rows 24 and 30.
    async fn a_job_without_attempts_left_is_dead(env: Env) {
        let ride = env
            .ride(|node| node.handle_raw("fails", tried(2), async |context: Context, _| {
                Err(JobError::retryable(format!("failure {}", context.attempt())))
            }))
            .await;
        let id = ride.client.submit_raw("fails", json!(1)).await.unwrap().id();
        let record = ride.client.ended(id).await;
        assert_eq!(record.status, JobStatus::Dead);
        assert_eq!((record.attempt, record.consecutive_errors), (2, 2));
        assert_eq!(record.last_error.as_deref(), Some("failure 2"));
        let dead = ride.client.dead_letters().list().await.unwrap().items;
        assert_eq!(dead.iter().map(|job| job.id).collect::<Vec<_>>(), [id]);
        let errors: Vec<_> = log(&ride.store)
            .await
            .into_iter()
            .filter_map(|event| Some((event.kind, event.error?)))
            .collect();
        assert_eq!(
            errors,
            [(JobFailed, "failure 1".to_owned()), (JobDead, "failure 2".to_owned())]
        );
        ride.stop().await;
    }

    /// Row 24: the job's own policy comes before its handler's; row 15: `dlq_after` before both.
    async fn the_policy_of_the_job_comes_first(env: Env) {
        let ride = env
            .ride(|node| node.handle_raw("fails", tried(1), async |_, _| {
                Err(JobError::retryable("no"))
            }))
            .await;
        for (dlq_after, expected) in [(None, 4), (Some(2), 2), (Some(9), 4)] {
            let submit = ride.client.submit_raw("fails", json!(1)).retry_policy(attempts(4));
            let submit = match dlq_after {
                Some(failures) => submit.dlq_after(failures),
                None => submit,
            };
            let record = ride.client.ended(submit.await.unwrap().id()).await;
            assert_eq!((record.status, record.attempt), (JobStatus::Dead, expected));
        }
        ride.stop().await;
    }

    /// Row 25: permanent, said by the handler or by the text of its error.
    async fn a_permanent_error_is_not_retried(env: Env) {
        let policy = RetryPolicy {
            non_retryable_errors: vec!["no such image".into()],
            ..attempts(5)
        };
        let ride = env
            .ride(|node| {
                node.handle_raw("gone", retried(policy), async |_, payload: Bytes| {
                    Err(match &*payload {
                        b"0" => JobError::permanent("for good"),
                        _ => JobError::retryable("there is no such image here"),
                    })
                })
            })
            .await;
        for (case, error) in ["for good", "there is no such image here"].iter().enumerate() {
            let id = ride.client.submit_raw("gone", json!(case)).await.unwrap().id();
            let record = ride.client.ended(id).await;
            assert_eq!((record.status, record.attempt), (JobStatus::Dead, 1));
            assert_eq!(record.last_error.as_deref(), Some(*error));
            assert_eq!(story(&ride.store, id).await, [JobEnqueued, JobStarted, JobDead]);
        }
        ride.stop().await;
    }

    /// Row 25: it waits for as long as it was told to, and uses no attempt.
    async fn a_rate_limit_uses_no_attempt(env: Env) {
        let ride = env
            .ride(|node| node.handle_raw("limited", tried(1), async |context: Context, _| {
                match context.run() {
                    4 => Ok(done()),
                    2 => Err(JobError::rate_limited(Duration::ZERO)),
                    _ => Err(JobError::rate_limited(MOMENT)),
                }
            }))
            .await;
        let handle = ride.client.submit_raw("limited", json!(1)).await.unwrap();
        assert_eq!(handle.output().await.unwrap(), "done");
        let record = ride.client.look(handle.id()).await;
        assert_eq!((record.status, record.attempt, record.run), (JobStatus::Completed, 1, 4));
        assert!(record.completed_at.unwrap() >= record.created_at + 200);
        ride.stop().await;
    }

    /// Row 25: unless the policy says that it does.
    async fn a_rate_limit_uses_an_attempt_if_the_policy_says_so(env: Env) {
        let policy = RetryPolicy { rate_limit_uses_attempt: true, ..attempts(2) };
        let ride = env
            .ride(|node| node.handle_raw("limited", retried(policy), async |_, _| {
                Err(JobError::rate_limited(Duration::ZERO))
            }))
            .await;
        let id = ride.client.submit_raw("limited", json!(1)).await.unwrap().id();
        let record = ride.client.ended(id).await;
        assert_eq!((record.status, record.attempt), (JobStatus::Dead, 2));
        assert_eq!(record.last_error.as_deref(), Some("rate limited"));
        ride.stop().await;
    }

    /// Row 26, as decided: it completes, marked.
    async fn a_skipped_job_completes_and_says_why(env: Env) {
        let ride = env
            .ride(|node| node.handle_raw("skip", tried(3), async |_, _| {
                Err(JobError::skip("nothing new"))
            }))
            .await;
        let handle = ride.client.submit_raw("skip", json!(1)).unique("k").await.unwrap();
        let record = ride.client.ended(handle.id()).await;
        assert_eq!((record.status, record.skipped), (JobStatus::Completed, true));
        assert_eq!((record.last_error.as_deref(), record.result), (Some("nothing new"), None));
        let error = handle.output().await.unwrap_err().to_string();
        assert!(error.ends_with("was skipped: nothing new"), "{error}");
        assert_eq!(
            story(&ride.store, handle.id()).await,
            [JobEnqueued, JobStarted, JobCompleted]
        );
        assert!(ride.client.submit_raw("x", json!(1)).unique("k").await.unwrap().created());
        ride.stop().await;
    }

    /// Row 26: the same job, at once or later, and no attempt is used.
    async fn a_repeated_job_is_the_same_job_and_uses_no_attempt(env: Env) {
        let (pen, mut ran) = notes();
        let ride = env
            .ride(|node| node.serve("repeat", tried(1), pen, async |pen, context: Context, _| {
                pen.note((context.job_id(), context.attempt(), context.run()));
                match context.run() {
                    1 => Err(JobError::repeat(Duration::ZERO)),
                    2 => Err(JobError::repeat(MOMENT)),
                    _ => Ok(done()),
                }
            }))
            .await;
        let handle = ride.client.submit_raw("repeat", json!(1)).await.unwrap();
        assert_eq!(handle.output().await.unwrap(), "done");
        let id = handle.id();
        assert_eq!(ran.rest(), [(id, 1, 1), (id, 1, 2), (id, 1, 3)]);
        assert_eq!(
            story(&ride.store, id).await,
            [
                JobEnqueued, JobStarted, JobDispatched, JobStarted, JobScheduled, JobDispatched,
                JobStarted, JobCompleted,
            ]
        );
        let record = ride.client.look(id).await;
        assert!(record.completed_at.unwrap() >= record.created_at + 100);
        ride.stop().await;
    }
}
