//! Lanes that nobody serves, into which others submit and cancel for ever: the leader sweeps them.

use paceline_store::calls::leader::LanesChecked;
use paceline_types::{JobId, Settlement, TaskType};
use redis::AsyncTypedCommands;

use crate::{Bench, LANE, Lanes, ids, without};

/// Holes that a lane may keep: `FEW_HOLES` of `lua/check_lanes.lua`.
const FEW_HOLES: usize = 1_000;

/// Most entries that one call removes: `MOST_ENTRIES` there.
const MOST_ENTRIES: usize = 100;

/// One whole walk of a leader. Returns its steps.
async fn walk(lanes: &Lanes, term: u64) -> usize {
    let (mut cursor, mut steps): (Option<String>, _) = (None, 0);
    loop {
        let before = lanes.entries(LANE).await;
        let store = &lanes.bench.store;
        let step = store.check_lanes(Bench::SHARD, term, cursor.as_deref(), 50);
        let LanesChecked {
            next,
            repaired,
            sweeping,
            ..
        } = step.await.unwrap();
        assert_eq!(repaired, 0);
        assert!(!sweeping || next.is_some());
        let removed = before - lanes.entries(LANE).await;
        assert!(removed <= MOST_ENTRIES, "{removed} entries in one call");
        steps += 1;
        cursor = next;
        if cursor.is_none() {
            return steps;
        }
    }
}

/// The lane is as it was for its jobs, and in the ready index by the age of its head.
async fn assert_kept(lanes: &Lanes, jobs: &[JobId]) {
    lanes.assert_waiting(LANE, jobs.len() as u64).await;
    let mut raw = lanes.raw.clone();
    let ready = raw.zscore(lanes.key("ready:n"), "work:").await.unwrap();
    let head: redis::streams::StreamRangeReply = raw
        .xrange_count(lanes.key(&format!("lane:{LANE}")), "-", "+", 1)
        .await
        .unwrap();
    let age = head.ids[0].id.split('-').next().unwrap().parse().unwrap();
    assert_eq!(ready, Some(age));
}

#[tokio::test]
async fn what_was_submitted_and_cancelled_one_by_one_is_swept() {
    let lanes = Lanes::new().await;
    let term = lanes.bench.lead().await;
    let live = lanes.pack(1).await;
    for round in 0..2 {
        let mut first = None;
        for _ in 0..50 {
            let gone = lanes.singles(100).await;
            lanes.cancel(&gone).await;
            first.get_or_insert(gone[0]);
        }
        assert_eq!(lanes.entries(LANE).await, 5_001 + round);
        let steps = walk(&lanes, term).await;
        assert!((51..=60).contains(&steps), "{steps}");
        assert_eq!((lanes.entries(LANE).await, lanes.holes(LANE).await), (1, 0));
        assert_kept(&lanes, &live).await;
        assert_eq!(walk(&lanes, term).await, 1, "nothing is left to do");
        // Its place is gone: it waits at the end.
        let back = first.unwrap();
        lanes.retry(back).await;
        lanes.cancel(&[back]).await;
    }
    let last = lanes.pack(1).await;
    assert_eq!(lanes.drain(10).await, [live, last].concat());
    lanes.assert_gone(LANE).await;
    let left = lanes.raw.clone().exists(lanes.key("swept")).await;
    assert!(!left.unwrap(), "the place of the sweep is forgotten");
}

#[tokio::test]
async fn few_holes_and_fewer_than_jobs_are_left_alone() {
    let lanes = Lanes::new().await;
    let term = lanes.bench.lead().await;
    let mut jobs = lanes.pack(10).await;
    for _ in 0..FEW_HOLES / 100 {
        let gone = lanes.pack(100).await;
        lanes.cancel(&gone).await;
    }
    assert_eq!(walk(&lanes, term).await, 1);
    assert_eq!(lanes.holes(LANE).await, FEW_HOLES);
    // More of them, and more jobs than holes.
    for _ in 0..12 {
        jobs.extend(lanes.pack(100).await);
    }
    let gone = lanes.pack(100).await;
    lanes.cancel(&gone).await;
    assert_eq!(walk(&lanes, term).await, 1);
    assert_eq!(lanes.holes(LANE).await, FEW_HOLES + 100);
    // Now most of the jobs go.
    lanes.cancel(&jobs[200..]).await;
    assert!(walk(&lanes, term).await > 1);
    assert_eq!(
        (lanes.entries(LANE).await, lanes.holes(LANE).await),
        (3, 10)
    );
    assert_kept(&lanes, &jobs[..200]).await;
    assert_eq!(lanes.drain(100).await, jobs[..200]);
    lanes.ends().await;
}

#[tokio::test]
async fn packs_in_which_jobs_wait_stay_as_they_are() {
    let lanes = Lanes::new().await;
    let term = lanes.bench.lead().await;
    // The oldest entry: claimed in part, and all else of it cancelled.
    let oldest = lanes.pack(50).await;
    let begun = lanes.claim(20).await;
    let mut expected = lanes.pack(1).await;
    lanes.cancel(&oldest[20..]).await;
    assert_eq!(lanes.taken(LANE).await.as_deref(), Some("20"));
    for pack in 0..30 {
        let jobs = lanes.pack(100).await;
        // Every third keeps two jobs, one of which left and came back.
        let kept: &[usize] = if pack % 3 == 0 { &[17, 99] } else { &[] };
        lanes.cancel(&without(&jobs, kept)).await;
        for &place in kept {
            expected.push(jobs[place]);
        }
        if let [.., last] = kept {
            lanes.cancel(&jobs[*last..]).await;
            lanes.retry(jobs[*last]).await;
        }
    }
    // Claimed ones of the oldest entry wait again, and one of them has left again.
    lanes.end(&begun[..3], Settlement::Released).await;
    lanes.cancel(&oldest[1..2]).await;
    expected.extend([oldest[0], oldest[2]]);
    assert!(walk(&lanes, term).await > 1);
    assert_eq!(lanes.entries(LANE).await, 1 + 10 + 1);
    assert_eq!(lanes.taken(LANE).await, None);
    assert_kept(&lanes, &expected).await;
    // What cannot be swept is walked once a walk, and not for ever.
    assert!(walk(&lanes, term).await <= 4);
    lanes.complete(&begun[3..]).await;
    assert_eq!(lanes.drain(3).await, expected);
    lanes.assert_gone(LANE).await;
    lanes.ends().await;
}

#[tokio::test]
async fn several_lanes_are_swept_in_one_walk() {
    let lanes = Lanes::new().await;
    let term = lanes.bench.lead().await;
    let mut expected = Vec::new();
    for kind in ["a", "b", "c"] {
        for count in [1, 100, 100, 100, 1] {
            for _ in 0..=count / 10 {
                let mut jobs = lanes.jobs(count);
                for job in &mut jobs {
                    job.spec.task_type = TaskType::new(kind).unwrap();
                }
                let jobs = lanes.submit(&jobs).await;
                match count {
                    1 => expected.extend(jobs),
                    _ => lanes.cancel(&jobs).await,
                }
            }
        }
    }
    // 33 packs a lane, ten of them in a step.
    assert!((12..=16).contains(&walk(&lanes, term).await));
    for kind in ["a", "b", "c"] {
        let lane = format!("n:{kind}:");
        assert_eq!(
            (lanes.entries(&lane).await, lanes.holes(&lane).await),
            (2, 0)
        );
        lanes.assert_waiting(&lane, 2).await;
    }
    let mut ran = lanes.drain(4).await;
    ran.sort();
    assert_eq!(ran, expected);
    lanes.ends().await;
}

#[tokio::test]
async fn a_sweep_goes_on_while_the_lane_is_used() {
    let lanes = Lanes::new().await;
    let term = lanes.bench.lead().await;
    let mut expected = Vec::new();
    for _ in 0..40 {
        expected.extend(lanes.pack(2).await);
        let gone = lanes.singles(30).await;
        lanes.cancel(&gone).await;
    }
    let (mut ran, mut cursor): (Vec<JobId>, Option<String>) = (Vec::new(), None);
    let mut steps = 0;
    while ran.len() < expected.len() {
        if steps < 30 {
            let store = &lanes.bench.store;
            let step = store.check_lanes(Bench::SHARD, term, cursor.as_deref(), 50);
            cursor = step.await.unwrap().next;
            steps += 1;
            expected.extend(lanes.pack(1).await);
        }
        let claimed = lanes.claim(3).await;
        ran.extend(ids(&claimed));
        lanes.complete(&claimed).await;
        lanes
            .assert_waiting(LANE, (expected.len() - ran.len()) as u64)
            .await;
    }
    assert_eq!(ran, expected);
    lanes.assert_gone(LANE).await;
    lanes.ends().await;
}
