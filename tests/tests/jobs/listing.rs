//! Lists: by status, type and tag, page by page, each job exactly once (row 19).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::TryStreamExt;
use paceline_client::{Client, JobFilter, JobRequest, Tag, TaskType};
use paceline_tests::{Env, Gate, Look, SOON, Serve, attempts, eventually, feature_test};
use paceline_types::{JobError, JobId, JobStatus, RetryPolicy};
use serde_json::json;

use crate::{done, options, retried};

fn status(status: JobStatus) -> JobFilter {
    JobFilter {
        status: Some(status),
        ..JobFilter::default()
    }
}

fn task_type(name: &str) -> JobFilter {
    JobFilter {
        task_type: Some(TaskType::new(name).unwrap()),
        ..JobFilter::default()
    }
}

fn tag(name: &str) -> JobFilter {
    JobFilter {
        tag: Some(Tag::new(name).unwrap()),
        ..JobFilter::default()
    }
}

/// What a list gives when it is read in pages of different sizes; each must give the same.
async fn listed(client: &Client, filter: &JobFilter) -> BTreeSet<JobId> {
    let mut answers = Vec::new();
    for limit in [1, 7, 100] {
        let jobs = client.jobs(filter.clone()).limit(limit).stream();
        let jobs: Vec<_> = jobs.try_collect().await.unwrap();
        let ids: BTreeSet<_> = jobs.iter().map(|job| job.id).collect();
        assert_eq!(
            ids.len(),
            jobs.len(),
            "each once, in pages of {limit}, for {filter:?}"
        );
        answers.push(ids);
    }
    assert!(
        answers.windows(2).all(|pair| pair[0] == pair[1]),
        "{filter:?}"
    );
    answers.swap_remove(0)
}

async fn submit(client: &Client, jobs: impl Iterator<Item = JobRequest>) -> BTreeSet<JobId> {
    let accepted = client.submit_many(jobs).await.unwrap();
    accepted.into_iter().map(|one| one.unwrap().id).collect()
}

feature_test! {
    /// Row 19: waiting jobs, of two types, in three tiers, with tags.
    async fn waiting_jobs_are_listed_by_type_and_tag(env: Env) {
        let client = env.client().await;
        let priority = |n: i64| paceline_client::Priority::new(1 + n % 10);
        let a = submit(&client, (0..200).map(|n| {
            JobRequest::raw("a", json!(n)).priority(priority(n)).tag("even")
        })).await;
        let b = submit(&client, (0..50).map(|n| {
            JobRequest::raw("b", json!(n)).priority(priority(n)).tags(["odd", "even"])
        })).await;
        let all: BTreeSet<_> = a.union(&b).copied().collect();
        assert_eq!(listed(&client, &status(JobStatus::Pending)).await, all);
        assert_eq!(listed(&client, &JobFilter::default()).await, all);
        assert_eq!(listed(&client, &task_type("a")).await, a);
        assert_eq!(listed(&client, &task_type("b")).await, b);
        assert_eq!(listed(&client, &tag("odd")).await, b);
        assert_eq!(listed(&client, &tag("even")).await, all);
        let both = JobFilter { tag: Some(Tag::new("even").unwrap()), ..task_type("a") };
        assert_eq!(listed(&client, &both).await, a);
        assert!(listed(&client, &status(JobStatus::Completed)).await.is_empty());
        assert!(listed(&client, &task_type("c")).await.is_empty());
        assert!(listed(&client, &tag("none")).await.is_empty());
    }

    /// Row 19: 250 jobs, spread over every status.
    async fn jobs_of_every_status_are_listed_exactly_once(env: Env) {
        let gate = Gate::default();
        let far = Duration::from_secs(600);
        let policy = RetryPolicy { initial_delay: far, max_delay: far, ..attempts(3) };
        let ride = env
            .ride(|it| it.serve("t", retried(policy), gate.clone(), async |gate: Gate, _, case| {
                let case: u32 = serde_json::from_slice(&case)?;
                match case % 6 {
                    0 => Ok(done()),
                    1 => Err(JobError::skip("nothing")),
                    2 => Err(JobError::permanent("dead")),
                    3 => Err(JobError::pause(None, "wait")),
                    4 => Err(JobError::retryable("again")),
                    _ => { gate.pass().await; Ok(done()) }
                }
            }))
            .await;
        let client = &ride.client;
        let mut expected = BTreeMap::<JobStatus, BTreeSet<JobId>>::new();
        let mut put = |status, ids| expected.entry(status).or_default().extend::<BTreeSet<_>>(ids);
        let of = |case: u32| (0..25).map(move |n| JobRequest::raw("t", json!(case + 6 * n)));
        put(JobStatus::Completed, submit(client, of(0)).await);
        put(JobStatus::Completed, submit(client, of(1)).await);
        put(JobStatus::Dead, submit(client, of(2)).await);
        put(JobStatus::Paused, submit(client, of(3)).await);
        put(JobStatus::Retrying, submit(client, of(4)).await);
        put(JobStatus::Running, submit(client, of(5)).await);
        let later = (0..50).map(|n| JobRequest::raw("t", json!(n)).delay(far));
        put(JobStatus::Scheduled, submit(client, later).await);
        let nobody = |n: u32| JobRequest::raw("nobody", json!(n));
        put(JobStatus::Pending, submit(client, (0..25).map(nobody)).await);
        let cancelled = submit(client, (0..25).map(nobody)).await;
        let ids: Vec<_> = cancelled.iter().copied().collect();
        client.cancel_many(&ids, "no").await.unwrap();
        put(JobStatus::Cancelled, cancelled);
        eventually("every job is where it belongs", SOON, async || {
            for (status, ids) in &expected {
                for id in ids {
                    let found = client.look(*id).await.status;
                    if found != *status {
                        return Err(format!("{id} is {found}, not {status}"));
                    }
                }
            }
            Ok(())
        })
        .await;
        let all: BTreeSet<_> = expected.values().flatten().copied().collect();
        assert_eq!((expected.len(), all.len()), (8, 250));
        for (wanted, ids) in &expected {
            assert_eq!(&listed(client, &status(*wanted)).await, ids, "{wanted}");
        }
        assert_eq!(listed(client, &JobFilter::default()).await, all);
        let nobody: BTreeSet<_> = expected[&JobStatus::Pending]
            .union(&expected[&JobStatus::Cancelled])
            .copied()
            .collect();
        assert_eq!(listed(client, &task_type("nobody")).await, nobody);
        gate.open();
        ride.stop().await;
    }

    /// Row 19 with row 29: a job that ended twice is listed once, by how it ended last.
    async fn a_job_that_ended_twice_is_listed_once(env: Env) {
        let client = env.client().await;
        let id = client.submit_raw("t", json!(1)).await.unwrap().id();
        for _ in 0..2 {
            client.cancel(id).await.unwrap();
            client.retry(id).await.unwrap();
        }
        client.cancel(id).await.unwrap();
        assert_eq!(listed(&client, &status(JobStatus::Cancelled)).await, [id].into());
        client.retry(id).await.unwrap();
        assert!(listed(&client, &status(JobStatus::Cancelled)).await.is_empty());
        let ride = env.ride(|node| node.handle_raw("t", options(), async |_, _| Ok(done()))).await;
        client.ended(id).await;
        assert_eq!(listed(&client, &status(JobStatus::Completed)).await, [id].into());
        assert_eq!(listed(&client, &JobFilter::default()).await, [id].into());
        ride.stop().await;
    }

    /// A cursor of something else is refused in one sentence.
    async fn a_cursor_that_is_none_is_refused(env: Env) {
        let client = env.client().await;
        for text in ["", "x", "0", "0.x.1", "-1.0."] {
            let error = client.jobs(JobFilter::default()).after(text).await.unwrap_err();
            assert!(error.to_string().contains("is not a cursor of this list"), "{error}");
        }
        let beyond = client.jobs(JobFilter::default()).after("99.0.").await.unwrap();
        assert_eq!((beyond.items, beyond.next), (vec![], None));
    }
}
