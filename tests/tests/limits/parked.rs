//! Jobs that are parked at a limit: pending, without an attempt, in their order (row 10, W40).

use std::time::Duration;

use paceline_store::calls::cancel::Cancelled;
use paceline_store::calls::list::{JobFilter, PageRequest};
use paceline_tests::story;
use paceline_types::{EventKind, JobStatus};

use crate::{Bay, Bench, at_once, ids};

/// Contract row 10: a blocked run is no failure and uses no attempt, and is no event.
#[tokio::test]
async fn a_parked_job_is_pending_and_uses_no_attempt() {
    let bay = Bay::new().await;
    bay.limit("k", at_once(1)).await;
    let jobs = bay.jobs(2, &["k"]).await;
    let first = bay.claim(2).await;
    let parked = bay.bench.store.job(jobs[1]).await.unwrap().unwrap();
    assert_eq!(
        (parked.status, parked.attempt, parked.run),
        (JobStatus::Pending, 0, 0)
    );
    let pending = JobFilter {
        status: Some(JobStatus::Pending),
        ..JobFilter::default()
    };
    let page = bay
        .bench
        .store
        .list_jobs(&pending, &PageRequest::first(10))
        .await
        .unwrap();
    assert_eq!(
        page.items.iter().map(|job| job.id).collect::<Vec<_>>(),
        jobs[1..]
    );
    bay.complete(&first).await;
    let second = bay.claim(2).await;
    assert_eq!((second[0].attempt, second[0].run), (1, 1));
    bay.complete(&second).await;
    let expected = [
        EventKind::JobEnqueued,
        EventKind::JobStarted,
        EventKind::JobCompleted,
    ];
    assert_eq!(story(&bay.bench.store, jobs[1]).await, expected);
    bay.assert_done(&["k"]).await;
}

/// Contract row 10, trap W40: a thousand of them run in the order that they came in.
#[tokio::test]
async fn a_thousand_parked_jobs_run_in_their_order() {
    let bay = Bay::new().await;
    bay.limit("k", at_once(7)).await;
    let jobs = bay.jobs(1_000, &["k"]).await;
    let running = bay.claim(7).await;
    while bay.turn(&[], 100).await.more {}
    assert_eq!(bay.uses("k").await, (7, 993));
    bay.complete(&running).await;
    assert_eq!(bay.drain(7).await, jobs[7..]);
    bay.assert_done(&["k"]).await;
}

/// Contract row 10, trap W40: a job that comes later does not pass those that wait, also when a slot
/// is free by then.
#[tokio::test]
async fn nobody_passes_those_that_wait() {
    let bay = Bay::new().await;
    bay.limit("k", at_once(1)).await;
    let old = bay.jobs(3, &["k"]).await;
    let run = bay.claim(3).await;
    let new = bay.job(&["k"]).await;
    bay.complete(&run).await;
    let next = bay.claim(1).await;
    assert_eq!(ids(&next), [old[1]]);
    assert!(bay.claim(1).await.is_empty());
    bay.complete(&next).await;
    assert_eq!(bay.drain(1).await, [old[2], new]);
}

/// Jobs behind those that are parked are found by the same claim, also where a node asks for one only,
/// as long as it has looked at less than a hundred.
#[tokio::test]
async fn a_claim_looks_behind_those_that_it_parks() {
    let bay = Bay::new().await;
    bay.limit("k", at_once(1)).await;
    let first = bay.job(&["k"]).await;
    bay.jobs(90, &["k"]).await;
    let free = bay.jobs(2, &[]).await;
    assert_eq!(ids(&bay.claim(1).await), [first]);
    assert_eq!(ids(&bay.claim(1).await), free[..1]);
    assert_eq!(bay.uses("k").await, (1, 90));
    bay.jobs(250, &["k"]).await;
    let last = bay.job(&[]).await;
    assert_eq!(ids(&bay.claim(1).await), free[1..]);
    let mut turns = 0;
    loop {
        let reply = bay.turn(&[], 1).await;
        turns += 1;
        if !reply.claimed.is_empty() {
            assert_eq!(ids(&reply.claimed), [last]);
            break;
        }
        assert!(reply.more, "there is more to look at");
    }
    assert_eq!(turns, 3);
}

/// Jobs behind those that are parked are found by the same claim or the next one.
#[tokio::test]
async fn jobs_that_are_parked_hold_up_no_other() {
    let bay = Bay::new().await;
    bay.limit("k", at_once(1)).await;
    bay.jobs(150, &["k"]).await;
    let free = bay.jobs(5, &["other"]).await;
    let mut ran = Vec::new();
    for _ in 0..10 {
        let reply = bay.turn(&[], 50).await;
        ran.extend(ids(&reply.claimed));
        if !reply.more {
            break;
        }
    }
    assert_eq!(ran[1..], free);
}

/// A parked job that is cancelled is out; retried, it comes anew.
#[tokio::test]
async fn a_parked_job_can_be_cancelled_and_retried() {
    let bay = Bay::new().await;
    let store = &bay.bench.store;
    bay.limit("k", at_once(1)).await;
    let jobs = bay.jobs(3, &["k"]).await;
    let run = bay.claim(3).await;
    assert_eq!(
        store.cancel(&jobs[1..2], "enough").await.unwrap(),
        [Cancelled::Done]
    );
    assert_eq!(bay.bench.status(jobs[1]).await, JobStatus::Cancelled);
    assert_eq!(bay.uses("k").await, (1, 1));
    assert_eq!(bay.parked().await, 1);
    store.retry(jobs[1]).await.unwrap();
    assert!(bay.claim(3).await.is_empty());
    bay.complete(&run).await;
    assert_eq!(bay.drain(3).await, [jobs[2], jobs[1]]);
    bay.assert_done(&["k"]).await;
}

/// A job that was parked and crashed later is recovered as any other.
#[tokio::test]
async fn a_job_that_was_parked_survives_its_node() {
    let bay = Bay::new().await;
    bay.limit("k", at_once(1)).await;
    let jobs = bay.jobs(2, &["k"]).await;
    let run = bay.claim(2).await;
    bay.complete(&run).await;
    let dying = bay.bench.join(2, Duration::from_millis(300)).await;
    assert_eq!(bay.bench.claim(dying, 1).await.job, jobs[1]);
    bay.bench.bury(bay.term).await;
    assert_eq!(bay.uses("k").await, (0, 0));
    let again = bay.claim(2).await;
    assert_eq!((again[0].job, again[0].attempt), (jobs[1], 2));
    bay.complete(&again).await;
    bay.assert_done(&["k"]).await;
}

/// Refusals of other calls name a parked job as what it is to the outside.
#[tokio::test]
async fn a_parked_job_is_neither_retried_nor_resumed() {
    let bay = Bay::new().await;
    bay.limit("k", at_once(1)).await;
    let jobs = bay.jobs(2, &["k"]).await;
    bay.claim(2).await;
    let retried = bay.bench.store.retry(jobs[1]).await.unwrap_err();
    assert!(retried.to_string().contains("pending"), "{retried}");
    let resumed = bay.bench.store.resume(jobs[1]).await.unwrap_err();
    assert!(resumed.to_string().contains("pending"), "{resumed}");
    assert_eq!(bay.bench.status(jobs[1]).await, JobStatus::Pending);
    assert_eq!(bay.uses("k").await, (1, 1));
    let found = bay.bench.store.job(Bench::job_id(1)).await.unwrap();
    assert!(found.is_some());
}
