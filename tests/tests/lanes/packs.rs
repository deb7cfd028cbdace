//! Entries of all sizes: nothing is lost, nothing is handed out twice, and the order stays.

use paceline_store::calls::cancel::Cancelled;
use paceline_types::{Priority, TaskType, Version};
use redis::AsyncTypedCommands;

use crate::{Bench, LANE, Lanes, ids};

#[tokio::test]
async fn a_pack_that_is_claimed_in_parts_keeps_its_order() {
    let lanes = Lanes::new().await;
    let jobs = lanes.pack(100).await;
    assert_eq!(lanes.entries(LANE).await, 1);
    let mut claimed = Vec::new();
    for left in (0..100_u64).rev().step_by(7).skip(1) {
        let part = lanes.claim(7).await;
        assert_eq!(part.len(), 7);
        claimed.extend(part);
        lanes.assert_waiting(LANE, left + 1).await;
        assert_eq!(lanes.taken(LANE).await, Some(claimed.len().to_string()));
    }
    claimed.extend(lanes.claim(7).await);
    assert_eq!(ids(&claimed), jobs);
    lanes.assert_gone(LANE).await;
    assert!(lanes.claim(7).await.is_empty());
    for some in claimed.chunks(30) {
        lanes.complete(some).await;
    }
    assert_eq!(lanes.ends().await.into_values().sum::<usize>(), 100);
}

#[tokio::test]
async fn entries_of_one_job_each_are_claimed_many_at_once() {
    let lanes = Lanes::new().await;
    let jobs = lanes.singles(130).await;
    assert_eq!(lanes.entries(LANE).await, 130);
    for (part, left) in [(&jobs[..50], 80), (&jobs[50..100], 30), (&jobs[100..], 0)] {
        let claimed = lanes.claim(50).await;
        assert_eq!(ids(&claimed), part);
        lanes.assert_waiting(LANE, left).await;
        assert_eq!(lanes.taken(LANE).await, None);
        lanes.complete(&claimed).await;
    }
    lanes.ends().await;
}

#[tokio::test]
async fn big_and_small_entries_are_claimed_in_order() {
    for max in [1, 3, 32, 50, 99, 100] {
        let lanes = Lanes::new().await;
        let mut jobs = Vec::new();
        for size in [1, 100, 1, 1, 33, 2, 64, 1, 1, 99, 32, 1] {
            jobs.extend(lanes.pack(size).await);
        }
        let mut left = jobs.as_slice();
        while !left.is_empty() {
            let claimed = lanes.claim(max).await;
            let expected = usize::try_from(max).unwrap().min(left.len());
            assert_eq!(ids(&claimed), left[..expected], "{max} at once");
            left = &left[expected..];
            lanes.assert_waiting(LANE, left.len() as u64).await;
            lanes.complete(&claimed).await;
        }
        lanes.ends().await;
    }
}

#[tokio::test]
async fn ids_that_have_nothing_in_common_keep_their_order() {
    let lanes = Lanes::new().await;
    let mut jobs = lanes.jobs(60);
    // Alone, in twos and in reverse: packs of one, of two, and such as begin at their end.
    for (place, job) in jobs.iter_mut().enumerate() {
        let place = u64::try_from(place).unwrap();
        job.id = Bench::job_id(match place % 4 {
            0 => place << 40,
            1 => 1 << 50 | place,
            2 => (1 << 50 | place) + 1,
            _ => 1 << 60 | (1_000 - place),
        });
    }
    let jobs = lanes.submit(&jobs).await;
    lanes.cancel(&[jobs[9], jobs[10], jobs[59]]).await;
    let expected = crate::without(&jobs, &[9, 10, 59]);
    assert_eq!(lanes.drain(13).await, expected);
    lanes.ends().await;
}

#[tokio::test]
async fn one_call_fills_several_lanes_each_in_order() {
    let lanes = Lanes::new().await;
    let mut jobs = lanes.jobs(99);
    for (place, job) in jobs.iter_mut().enumerate() {
        job.spec.priority = Priority::new([10, 5, 1][place / 5 % 3]);
        job.spec.task_type = TaskType::new(["a", "b"][place / 50]).unwrap();
        job.spec.version = [None, Some(Version::new("2").unwrap())][place / 10 % 2].clone();
    }
    let made = lanes.submit(&jobs).await;
    let lane_of = |place: usize| {
        let (tier, kind) = (["h", "n", "l"][place / 5 % 3], ["a", "b"][place / 50]);
        format!("{tier}:{kind}:{}", ["", "2"][place / 10 % 2])
    };
    let waiting = lanes.waiting().await;
    assert_eq!(waiting.len(), 12);
    assert_eq!(waiting.values().sum::<u64>(), 99);
    assert_eq!(lanes.ready().await, waiting.keys().cloned().collect());
    let ran = lanes.drain(10).await;
    assert_eq!(ran.len(), 99);
    for lane in waiting.keys() {
        let place = |id: &_| made.iter().position(|job| job == id).unwrap();
        let of_lane = ran
            .iter()
            .map(place)
            .filter(|&place| lane_of(place) == *lane);
        assert!(of_lane.is_sorted(), "{lane}");
        lanes.assert_gone(lane).await;
    }
    lanes.ends().await;
}

#[tokio::test]
async fn lanes_whose_versions_look_like_marks_do_not_mix() {
    let lanes = Lanes::new().await;
    let plain = lanes.pack(10).await;
    for version in ["#", "#x", "*", "+", "-", ".", "%", "@"] {
        // The oldest entry of the plain lane runs in part all the while.
        let claimed = lanes.claim(1).await;
        assert_eq!(claimed.len(), 1);
        let mut jobs = lanes.jobs(5);
        for job in &mut jobs {
            job.spec.version = Some(Version::new(version).unwrap());
        }
        let jobs = lanes.submit(&jobs).await;
        let lane = format!("{LANE}{version}");
        lanes.assert_waiting(&lane, 5).await;
        lanes.cancel(&jobs).await;
        lanes.assert_waiting(&lane, 0).await;
        lanes.complete(&claimed).await;
    }
    lanes.assert_waiting(LANE, 2).await;
    assert_eq!(lanes.drain(5).await, plain[8..]);
    lanes.ends().await;
}

#[tokio::test]
async fn a_job_that_stands_twice_in_a_call_is_one_job() {
    let lanes = Lanes::new().await;
    for tagged in [false, true] {
        let mut jobs = lanes.jobs(3);
        if tagged {
            jobs[1].spec.tags = vec!["tag".parse().unwrap()];
        }
        jobs.push(jobs[1].clone());
        jobs.insert(0, jobs[2].clone());
        // And all of them once more, as after a lost reply.
        for _ in 0..2 {
            lanes.bench.submit_all(&jobs).await;
        }
        lanes.assert_waiting(LANE, 3).await;
        assert_eq!(
            lanes.drain(100).await,
            [jobs[0].id, jobs[1].id, jobs[2].id],
            "tagged: {tagged}"
        );
        lanes.assert_gone(LANE).await;
    }
    let accepted: Vec<_> = (0..6).map(Bench::job_id).collect();
    let history = paceline_tests::History::read(&lanes.bench.store).await;
    history.assert_jobs_ended(&accepted);
}

#[tokio::test]
async fn a_record_that_somebody_deleted_leaves_the_others_of_its_pack() {
    let lanes = Lanes::new().await;
    let jobs = lanes.pack(40).await;
    let gone = [0, 13, 14, 39];
    for place in gone {
        let record = format!("j:{}", &jobs[place].to_string()[4..]);
        assert_eq!(lanes.raw.clone().del(lanes.key(&record)).await.unwrap(), 1);
    }
    let cancelled = lanes.bench.store.cancel(&[jobs[13]], "gone").await;
    assert_eq!(cancelled.unwrap(), [Cancelled::Unknown]);
    let mut ran = Vec::new();
    for left in [30, 20, 10, 0] {
        let claimed = lanes.claim(10).await;
        lanes.assert_waiting(LANE, left).await;
        // The same turn once more names the same runs.
        let turn = lanes.turns.get();
        let again = lanes.bench.turn(lanes.node, turn, &[], 10).await;
        assert_eq!(again.claimed, claimed);
        lanes.complete(&claimed).await;
        ran.extend(ids(&claimed));
    }
    assert_eq!(ran, crate::without(&jobs, &gone));
    lanes.made.replace(ran);
    lanes.assert_gone(LANE).await;
    // What is gone is not even said to have begun.
    assert_eq!(lanes.ends().await.into_values().sum::<usize>(), 36);
}

#[tokio::test]
async fn an_entry_of_deleted_records_is_passed() {
    let lanes = Lanes::new().await;
    let first = lanes.pack(5).await;
    let last = lanes.pack(2).await;
    for job in &first {
        let record = format!("j:{}", &job.to_string()[4..]);
        lanes.raw.clone().del(lanes.key(&record)).await.unwrap();
    }
    let mut ran = Vec::new();
    // A turn that finds nothing but such jobs has nothing to hand out, and there is more.
    while ran.len() < 2 {
        let reply = lanes.turn(lanes.node, &[], 3).await;
        assert!(reply.more || !reply.claimed.is_empty());
        ran.extend(ids(&reply.claimed));
        lanes.complete(&reply.claimed).await;
    }
    assert_eq!(ran, last);
    lanes.assert_gone(LANE).await;
}
