//! Jobs that leave a lane before their turn, and some that come back: places, counts, and what is
//! kept of the lane.

use paceline_store::calls::cancel::Cancelled;
use paceline_store::calls::retry::RetryRefusal;
use paceline_store::{CallError, calls::turn::Claimed};
use paceline_types::{JobId, JobStatus, Settlement};

use crate::{LANE, Lanes, ids, without};

/// It ended cancelled and had no run.
async fn never_ran(lanes: &Lanes, job: JobId) {
    let job = lanes.job(job).await;
    assert_eq!((job.status, job.run), (JobStatus::Cancelled, 0));
}

#[tokio::test]
async fn a_job_is_cancelled_at_any_place_of_its_entry() {
    for places in [
        vec![0],
        vec![4],
        vec![9],
        vec![0, 1],
        vec![8, 9],
        vec![0, 4, 9],
        (1..9).collect(),
        (0..9).collect(),
        (1..10).collect(),
    ] {
        for max in [1, 3, 100] {
            let lanes = Lanes::new().await;
            let jobs = lanes.pack(10).await;
            let behind = lanes.pack(2).await;
            for (count, &place) in (1..).zip(&places) {
                lanes.cancel(&jobs[place..=place]).await;
                lanes.assert_waiting(LANE, 12 - count).await;
            }
            let mut expected = without(&jobs, &places);
            expected.extend(behind);
            assert_eq!(lanes.drain(max).await, expected, "without {places:?}");
            lanes.assert_gone(LANE).await;
            for &place in &places {
                never_ran(&lanes, jobs[place]).await;
            }
            lanes.ends().await;
        }
    }
}

#[tokio::test]
async fn a_job_is_cancelled_in_an_entry_that_runs_in_part() {
    for place in [3, 4, 9] {
        let lanes = Lanes::new().await;
        let jobs = lanes.pack(10).await;
        let begun = lanes.claim(3).await;
        lanes.cancel(&jobs[place..=place]).await;
        lanes.assert_waiting(LANE, 6).await;
        let again = lanes.bench.store.cancel(&jobs, "all").await.unwrap();
        let expected = (0..10).map(|at| match at {
            0..3 => Cancelled::Requested,
            at if at == place => Cancelled::Ended(JobStatus::Cancelled),
            _ => Cancelled::Done,
        });
        assert_eq!(again, expected.collect::<Vec<_>>());
        lanes.assert_waiting(LANE, 0).await;
        assert!(lanes.claim(100).await.is_empty());
        for (run, job) in begun.iter().zip(&jobs) {
            let settle = [crate::Bench::completed(run)];
            lanes.settle(&settle).await;
            assert_eq!(lanes.bench.status(*job).await, JobStatus::Cancelled);
        }
        assert_eq!(
            lanes.ends().await,
            [("job.cancelled".to_owned(), 10)].into()
        );
    }
}

/// Row 31, trap W2.
#[tokio::test]
async fn an_entry_is_cancelled_wherever_it_stands() {
    for entry in 0..3 {
        for max in [1, 4, 100] {
            let lanes = Lanes::new().await;
            let packs = [
                lanes.pack(5).await,
                lanes.pack(1).await,
                lanes.pack(5).await,
            ];
            lanes.cancel(&packs[entry]).await;
            let rest = packs.iter().enumerate().filter(|(at, _)| *at != entry);
            let expected: Vec<_> = rest.flat_map(|(_, pack)| pack.clone()).collect();
            lanes.assert_waiting(LANE, expected.len() as u64).await;
            assert_eq!(lanes.drain(max).await, expected);
            lanes.assert_gone(LANE).await;
            lanes.ends().await;
        }
    }
}

#[tokio::test]
async fn a_lane_whose_jobs_are_all_cancelled_is_gone() {
    for at_once in [1, 2, 100] {
        let lanes = Lanes::new().await;
        let mut jobs = lanes.pack(5).await;
        jobs.extend(lanes.singles(3).await);
        jobs.extend(lanes.pack(4).await);
        for some in jobs.chunks(at_once) {
            lanes.cancel(some).await;
        }
        lanes.assert_gone(LANE).await;
        assert!(lanes.ready().await.is_empty() && lanes.waiting().await.is_empty());
        let reply = lanes.turn(lanes.node, &[], 10).await;
        assert!(reply.claimed.is_empty() && !reply.more);
        // It is as any other lane when it has work again.
        let next = lanes.pack(3).await;
        lanes.assert_waiting(LANE, 3).await;
        assert_eq!(lanes.drain(2).await, next);
        lanes.ends().await;
    }
}

#[tokio::test]
async fn a_lane_is_gone_with_its_last_claim_though_cancelled_jobs_stand_behind() {
    let lanes = Lanes::new().await;
    let jobs = lanes.pack(4).await;
    let behind = lanes.singles(2).await;
    lanes
        .cancel(&[jobs[2], jobs[3], behind[0], behind[1]])
        .await;
    lanes.assert_waiting(LANE, 2).await;
    // As many as wait, and no more: nobody comes to the places behind them.
    let reply = lanes.turn(lanes.node, &[], 2).await;
    assert_eq!(ids(&reply.claimed), jobs[..2]);
    assert!(!reply.more, "nothing waits any more");
    lanes.assert_gone(LANE).await;
    // So a retried one has no place to come back to.
    lanes.retry(behind[0]).await;
    lanes.assert_waiting(LANE, 1).await;
    assert_eq!(lanes.entries(LANE).await, 1);
    lanes.complete(&reply.claimed).await;
    assert_eq!(lanes.drain(9).await, [behind[0]]);
    lanes.ends().await;
}

#[tokio::test]
async fn a_job_that_is_cancelled_and_retried_again_and_again_runs_once() {
    for place in [0, 2, 4] {
        let lanes = Lanes::new().await;
        let jobs = lanes.pack(5).await;
        for _ in 0..3 {
            lanes.cancel(&jobs[place..=place]).await;
            lanes.assert_waiting(LANE, 4).await;
            lanes.retry(jobs[place]).await;
            lanes.assert_waiting(LANE, 5).await;
            let again = lanes.bench.store.retry(jobs[place]).await;
            let waits = RetryRefusal::State(JobStatus::Pending);
            assert!(matches!(again, Err(CallError::Refused(why)) if why == waits));
        }
        // It waits where it stood, however often: nothing grows.
        assert_eq!((lanes.entries(LANE).await, lanes.holes(LANE).await), (1, 0));
        let claimed = lanes.claim(100).await;
        assert_eq!(ids(&claimed), jobs);
        assert!(claimed.iter().all(|run| (run.attempt, run.run) == (1, 1)));
        lanes.assert_gone(LANE).await;
        lanes.complete(&claimed).await;
        assert_eq!(lanes.ends().await, [("job.completed".to_owned(), 5)].into());
    }
}

#[tokio::test]
async fn a_retried_job_that_is_cancelled_in_the_end_never_runs() {
    let lanes = Lanes::new().await;
    let jobs = lanes.pack(5).await;
    for _ in 0..2 {
        lanes.cancel(&jobs[1..3]).await;
        lanes.retry(jobs[2]).await;
        lanes.retry(jobs[1]).await;
    }
    lanes.cancel(&[jobs[2]]).await;
    lanes.assert_waiting(LANE, 4).await;
    assert_eq!(lanes.drain(2).await, without(&jobs, &[2]));
    never_ran(&lanes, jobs[2]).await;
    lanes.assert_gone(LANE).await;
    lanes.ends().await;
}

#[tokio::test]
async fn a_retried_job_whose_place_was_passed_waits_at_the_end() {
    let lanes = Lanes::new().await;
    let jobs = lanes.pack(6).await;
    lanes.cancel(&jobs[1..2]).await;
    let begun = lanes.claim(2).await;
    assert_eq!(ids(&begun), [jobs[0], jobs[2]]);
    lanes.retry(jobs[1]).await;
    lanes.assert_waiting(LANE, 4).await;
    lanes.complete(&begun).await;
    assert_eq!(lanes.drain(1).await, [jobs[3], jobs[4], jobs[5], jobs[1]]);
    lanes.assert_gone(LANE).await;
    lanes.ends().await;
}

#[tokio::test]
async fn a_job_that_came_back_from_a_run_leaves_its_new_place() {
    let lanes = Lanes::new().await;
    let jobs = lanes.pack(4).await;
    let begun: Vec<Claimed> = lanes.claim(2).await;
    // The pack is still the oldest entry: its first two places were claimed.
    lanes.end(&begun, Settlement::Released).await;
    lanes.assert_waiting(LANE, 4).await;
    lanes.cancel(&jobs[..1]).await;
    lanes.assert_waiting(LANE, 3).await;
    assert_eq!(lanes.drain(1).await, [jobs[2], jobs[3], jobs[1]]);
    lanes.assert_gone(LANE).await;
    assert_eq!(lanes.bench.status(jobs[0]).await, JobStatus::Cancelled);
    lanes.ends().await;
}

#[tokio::test]
async fn all_jobs_of_a_lane_come_back_by_retries() {
    let lanes = Lanes::new().await;
    let jobs = lanes.pack(3).await;
    lanes.cancel(&jobs).await;
    lanes.assert_gone(LANE).await;
    for (count, job) in (1..).zip(jobs.iter().rev()) {
        lanes.retry(*job).await;
        lanes.assert_waiting(LANE, count).await;
        assert_eq!(lanes.ready().await, [LANE.to_owned()].into());
    }
    let expected: Vec<_> = jobs.iter().rev().copied().collect();
    assert_eq!(lanes.drain(2).await, expected);
    lanes.ends().await;
}
