//! Slots that were granted to jobs that have not been claimed yet.

use std::time::Duration;

use paceline_store::calls::cancel::Cancelled;
use redis::AsyncTypedCommands;

use crate::{Bay, at_once, ids, key};

/// A job that has been given the slot of `k`, and waits to be claimed; the other one is parked.
async fn granted(bay: &Bay) -> Vec<paceline_types::JobId> {
    bay.limit("k", at_once(1)).await;
    let jobs = bay.jobs(3, &["k"]).await;
    let run = bay.claim(3).await;
    bay.complete(&run).await;
    assert_eq!(bay.uses("k").await, (1, 1));
    let (_, holders) = bay.bench.store.limit(&key("k")).await.unwrap();
    assert_eq!(holders[0].job, jobs[1]);
    assert!(holders[0].granted_until.is_some());
    jobs[1..].to_vec()
}

/// Lets the grants of a key run out now.
async fn run_out(bay: &Bay, name: &str) {
    let mut raw = bay.raw.clone();
    let held = bay.redis_key(&format!("held:{name}"));
    let members: Vec<String> = raw.zrange(&held, 0, -1).await.unwrap();
    for member in members {
        raw.zadd(&held, member, 1).await.unwrap();
    }
    raw.zadd(bay.redis_key("wakes"), name, 1).await.unwrap();
}

/// A granted job that is cancelled gives its slot to the next; retried, it waits again.
#[tokio::test]
async fn a_granted_job_that_is_cancelled_gives_its_slot_on() {
    let bay = Bay::new().await;
    let jobs = granted(&bay).await;
    let store = &bay.bench.store;
    assert_eq!(
        store.cancel(&jobs[..1], "enough").await.unwrap(),
        [Cancelled::Done]
    );
    assert_eq!(bay.uses("k").await, (1, 0), "the next one has it");
    store.retry(jobs[0]).await.unwrap();
    assert_eq!(bay.drain(3).await, [jobs[1], jobs[0]]);
    bay.assert_done(&["k"]).await;
}

/// Cancelled and retried again and again, a granted job is never in two places.
#[tokio::test]
async fn a_granted_job_has_one_place_however_often_it_is_cancelled() {
    let bay = Bay::new().await;
    let store = &bay.bench.store;
    bay.limit("k", at_once(1)).await;
    let job = bay.job(&["k"]).await;
    for _ in 0..3 {
        let block = bay.job(&["k"]).await;
        let mut running = bay.claim(1).await;
        while running[0].job != block {
            // The other one came first: it goes behind.
            bay.end(&running, paceline_types::Settlement::Released)
                .await;
            running = bay.claim(1).await;
        }
        while bay.turn(&[], 5).await.more {}
        assert_eq!(bay.uses("k").await, (1, 1));
        bay.complete(&running).await;
        assert_eq!(bay.uses("k").await, (1, 0));
        for _ in 0..2 {
            store.cancel(&[job], "enough").await.unwrap();
            assert!(
                bay.claim(5).await.is_empty(),
                "cancelled jobs are not claimed"
            );
            store.retry(job).await.unwrap();
        }
    }
    assert_eq!(bay.drain(5).await, [job]);
    bay.assert_done(&["k"]).await;
}

/// A slot that was granted to a job that nobody claims goes to another one; the job keeps its place
/// and takes a slot when it is claimed.
#[tokio::test]
async fn a_grant_that_runs_out_goes_to_the_next() {
    let bay = Bay::new().await;
    let jobs = granted(&bay).await;
    // Declared anew, the key is looked at, and still is when the grant ends.
    bay.limit("k", at_once(1)).await;
    let due = bay.promote().await.unwrap();
    assert!(
        due <= Duration::from_secs(30),
        "the leader looks when the grant ends: {due:?}"
    );
    run_out(&bay, "k").await;
    bay.promote().await;
    let (found, holders) = bay.bench.store.limit(&key("k")).await.unwrap();
    assert_eq!((found.holders, found.waiting), (1, 0));
    assert_eq!(holders[0].job, jobs[1]);
    // The first is claimed first still, finds the key full, and waits behind.
    let run = bay.claim(5).await;
    assert_eq!(ids(&run), jobs[1..]);
    assert_eq!(bay.uses("k").await, (1, 1));
    bay.complete(&run).await;
    assert_eq!(bay.drain(5).await, jobs[..1]);
    bay.assert_done(&["k"]).await;
}

/// The same where a job holds several keys: all of them are free.
#[tokio::test]
async fn a_grant_that_runs_out_frees_all_its_keys() {
    let bay = Bay::new().await;
    for name in ["a", "b"] {
        bay.limit(name, at_once(1)).await;
    }
    let first = bay.job(&["a", "b"]).await;
    let both = bay.job(&["a", "b"]).await;
    let run = bay.claim(5).await;
    assert_eq!(ids(&run), [first]);
    bay.complete(&run).await;
    assert_eq!((bay.uses("a").await, bay.uses("b").await), ((1, 0), (1, 0)));
    let other = bay
        .jobs_of(1, &["b"], "other", paceline_types::Priority::LOW)
        .await[0];
    run_out(&bay, "a").await;
    run_out(&bay, "b").await;
    bay.promote().await;
    assert_eq!((bay.uses("a").await, bay.uses("b").await), ((0, 0), (0, 0)));
    let mut ran = bay.drain(1).await;
    ran.sort();
    assert_eq!(ran, [both, other]);
    bay.assert_done(&["a", "b"]).await;
}
