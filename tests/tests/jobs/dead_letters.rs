//! Dead letters: listed, tried again, purged (rows 29 and 30).

use std::collections::BTreeSet;

use futures::TryStreamExt;
use paceline_client::{JobFilter, JobRequest, RetryError};
use paceline_node::Context;
use paceline_tests::{Env, Gate, Look, Ride, Serve, feature_test, story};
use paceline_types::EventKind::{JobCompleted, JobDead, JobEnqueued, JobRetrying, JobStarted};
use paceline_types::{JobError, JobId, JobStatus};
use serde_json::json;

use crate::{done, tried};

async fn bury(ride: &Ride, count: u32) -> BTreeSet<JobId> {
    let jobs = (0..count).map(|n| JobRequest::raw("fails", json!(n)));
    let accepted = ride.client.submit_many(jobs).await.unwrap();
    let ids: BTreeSet<_> = accepted.into_iter().map(|one| one.unwrap().id).collect();
    for &id in &ids {
        assert_eq!(ride.client.ended(id).await.status, JobStatus::Dead);
    }
    ids
}

async fn graveyard(env: &Env) -> Ride {
    env.ride(|node| {
        node.handle_raw("fails", tried(1), async |_, payload| {
            Err(JobError::retryable(String::from_utf8_lossy(&payload)))
        })
    })
    .await
}

async fn listed(ride: &Ride) -> BTreeSet<JobId> {
    let all: Vec<_> = ride
        .client
        .dead_letters()
        .list()
        .stream()
        .try_collect()
        .await
        .unwrap();
    let ids: BTreeSet<_> = all.iter().map(|job| job.id).collect();
    assert_eq!(ids.len(), all.len(), "each once");
    ids
}

feature_test! {
    /// Row 30: page by page, each with what is known of it.
    async fn dead_letters_are_listed_page_by_page(env: Env) {
        let ride = graveyard(&env).await;
        let ids = bury(&ride, 120).await;
        assert_eq!(listed(&ride).await, ids);
        let mut found = Vec::new();
        let mut next = None;
        let mut pages = 0;
        loop {
            let list = ride.client.dead_letters().list().limit(25);
            let page = match next {
                Some(cursor) => list.after(cursor).await.unwrap(),
                None => list.await.unwrap(),
            };
            assert!(page.items.len() <= 25);
            found.extend(page.items);
            pages += 1;
            next = page.next;
            if next.is_none() {
                break;
            }
        }
        assert!(pages >= 5);
        assert_eq!(found.len(), 120);
        for job in found {
            assert!(ids.contains(&job.id));
            assert_eq!(job.last_error.as_deref().map(str::as_bytes), Some(&*job.payload));
            assert_eq!((job.status, job.attempt), (JobStatus::Dead, 1));
            assert!(job.completed_at.is_some());
        }
        ride.stop().await;
    }

    /// Row 29: all attempts again, out of the dead letters, and told as what it is.
    async fn a_dead_job_is_retried(env: Env) {
        let gate = Gate::default();
        let ride = env
            .ride(|it| it.serve("t", tried(2), gate.clone(), async |gate: Gate, run: Context, _| {
                if run.run() < 3 {
                    return Err(JobError::retryable("no"));
                }
                gate.pass().await;
                Ok(done())
            }))
            .await;
        let handle = ride.client.submit_raw("t", json!(1)).await.unwrap();
        let id = handle.id();
        ride.client.until(id, JobStatus::Dead).await;
        assert_eq!(listed(&ride).await, [id].into());
        ride.client.dead_letters().retry(id).await.unwrap();
        assert!(listed(&ride).await.is_empty());
        let record = ride.client.until(id, JobStatus::Running).await;
        assert_eq!((record.attempt, record.run, record.crashes), (1, 3, 0));
        assert_eq!(record.consecutive_errors, 0);
        gate.open();
        assert_eq!(handle.output().await.unwrap(), "done");
        let story = story(&ride.store, id).await;
        assert_eq!(
            story[story.len() - 4..],
            [JobDead, JobRetrying, JobStarted, JobCompleted]
        );
        ride.stop().await;
    }

    /// Row 29: on return it is pending at attempt 0.
    async fn a_retried_job_waits_in_its_lane(env: Env) {
        let client = env.client().await;
        let id = client.submit_raw("t", json!(1)).await.unwrap().id();
        client.cancel(id).await.unwrap();
        client.retry(id).await.unwrap();
        let record = client.look(id).await;
        assert_eq!((record.status, record.attempt), (JobStatus::Pending, 0));
        assert_eq!(record.completed_at, None);
        assert!(env.keys().await.iter().any(|key| key.ends_with(":lane:n:t:")));
        let twice = client.retry(id).await.unwrap_err();
        assert!(matches!(twice, RetryError::WrongStatus { status: JobStatus::Pending, .. }));
    }

    /// Row 29: only what is dead or cancelled.
    async fn only_dead_and_cancelled_jobs_are_retried(env: Env) {
        let gate = Gate::default();
        let ride = env
            .ride(|node| node.serve("t", tried(1), gate.clone(), async |gate: Gate, _, _| {
                gate.pass().await;
                Ok(done())
            }))
            .await;
        let id = ride.client.submit_raw("t", json!(1)).await.unwrap().id();
        ride.client.until(id, JobStatus::Running).await;
        let refused = async |id| ride.client.retry(id).await.unwrap_err().to_string();
        let words = "only dead and cancelled jobs can be retried";
        assert_eq!(refused(id).await, format!("{id} is running; {words}"));
        gate.open();
        ride.client.ended(id).await;
        assert_eq!(refused(id).await, format!("{id} is completed; {words}"));
        let later = ride.client.submit_raw("t", json!(1)).delay(std::time::Duration::from_secs(60));
        let later = later.await.unwrap().id();
        assert_eq!(refused(later).await, format!("{later} is scheduled; {words}"));
        let unknown = JobId::from_parts(1, id.shard(), 7);
        assert!(refused(unknown).await.contains("is not known"));
        assert_eq!(story(&ride.store, id).await, [JobEnqueued, JobStarted, JobCompleted]);
        ride.stop().await;
    }

    /// Row 30: the records of what is purged are gone, and nothing else.
    async fn purged_dead_letters_are_gone(env: Env) {
        let ride = graveyard(&env).await;
        let ids: Vec<_> = bury(&ride, 130).await.into_iter().collect();
        let alive = ride.client.submit_raw("nobody", json!(1)).await.unwrap().id();
        let letters = ride.client.dead_letters();
        let mut some = ids[..20].to_vec();
        some.push(alive);
        some.push(JobId::from_parts(1, alive.shard(), 7));
        assert_eq!(letters.purge(&some).await.unwrap(), 20);
        assert_eq!(letters.purge(&some).await.unwrap(), 0);
        assert_eq!(ride.client.look(alive).await.status, JobStatus::Pending);
        assert_eq!(ride.client.job(ids[0]).await.unwrap(), None);
        assert!(matches!(ride.client.retry(ids[0]).await, Err(RetryError::Unknown { .. })));
        assert_eq!(listed(&ride).await, ids[20..].iter().copied().collect());
        assert_eq!(letters.purge_all().await.unwrap(), 110);
        assert!(listed(&ride).await.is_empty());
        let dead = JobFilter { status: Some(JobStatus::Dead), ..JobFilter::default() };
        let left: Vec<_> = ride.client.jobs(dead).stream().try_collect().await.unwrap();
        assert_eq!(left.len(), 0);
        ride.stop().await;
    }
}
