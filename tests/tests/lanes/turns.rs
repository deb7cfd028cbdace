//! Turns over many lanes, entries and marks: sent again, and settled in groups.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use paceline_store::calls::cancel::Cancelled;
use paceline_store::calls::turn::{Claimed, Settle, Settled};
use paceline_types::{JobStatus, Priority, Settlement, TaskType, UniqueKey};

use crate::{Bench, LANE, LONG, Lanes, ids};

fn result_of(run: &Claimed) -> Bytes {
    Bytes::from(run.job.to_string())
}

/// Settles that leave each job's own name as its result.
fn named(claimed: &[Claimed]) -> Vec<Settle> {
    let settle = |run: &Claimed| {
        let result = result_of(run);
        Settle::of(run, Settlement::Completed { result }, Bench::KEPT)
    };
    claimed.iter().map(settle).collect()
}

#[tokio::test]
async fn a_turn_that_is_sent_again_hands_out_the_same_of_all_lanes() {
    let lanes = Lanes::new().await;
    // Work that comes back, and in five lanes: packs, single jobs, keys, versions.
    let back = lanes.pack(9).await;
    let begun = lanes.claim(9).await;
    for (kind, priority, sizes) in [
        ("a", 10, [7, 1, 1]),
        ("a", 1, [1, 3, 1]),
        ("b", 10, [2, 2, 2]),
        ("b", 5, [1, 40, 1]),
    ] {
        for size in sizes {
            let mut jobs = lanes.jobs(size);
            for job in &mut jobs {
                job.spec.task_type = TaskType::new(kind).unwrap();
                job.spec.priority = Priority::new(priority);
            }
            lanes.submit(&jobs).await;
        }
    }
    lanes.end(&begun[..3], Settlement::Released).await;
    let fresh = lanes.pack(3).await;
    lanes.end(&begun[3..], Settlement::Released).await;
    lanes
        .other(|spec| spec.unique_key = UniqueKey::new("k").ok())
        .await;
    lanes.cancel(&[back[1], fresh[1]]).await;
    lanes.retry(fresh[1]).await;

    let total = 9 + 5 + 6 + 42 + 8 + 3 + 1;
    let mut seen = BTreeSet::new();
    for max in [1, 20, 13, 50] {
        let first = lanes.turn(lanes.node, &[], max).await;
        let waiting = lanes.waiting().await;
        for _ in 0..2 {
            let again = lanes
                .bench
                .turn(lanes.node, lanes.turns.get(), &[], max)
                .await;
            assert_eq!(again.claimed, first.claimed, "{max} at most");
        }
        assert_eq!(lanes.waiting().await, waiting);
        seen.extend(ids(&first.claimed));
        // What was handed out twice is settled once.
        lanes.complete(&first.claimed).await;
    }
    assert_eq!(seen.len(), total);
    assert!(lanes.waiting().await.is_empty());
    lanes.ends().await;
}

#[tokio::test]
async fn a_job_that_is_cancelled_before_its_turn_is_sent_again_ends_cancelled() {
    let lanes = Lanes::new().await;
    let term = lanes.bench.lead().await;
    // One of them ran and crashed before, on another node.
    let crashed = lanes.pack(1).await[0];
    let other = lanes.bench.join(2, LONG).await;
    assert_eq!(lanes.turn(other, &[], 1).await.claimed.len(), 1);
    lanes.bench.store.leave(Bench::SHARD, other).await.unwrap();
    lanes.bench.recover(term).await;
    let fresh = lanes.pack(2).await;

    let lost = lanes.claim(3).await;
    assert_eq!(ids(&lost), [crashed, fresh[0], fresh[1]]);
    let store = &lanes.bench.store;
    let answers = store.cancel(&[crashed, fresh[0]], "enough").await.unwrap();
    assert_eq!(answers, [Cancelled::Requested; 2]);
    let turn = lanes.turns.get();
    let again = lanes.bench.turn(lanes.node, turn, &[], 3).await.claimed;
    assert_eq!(again, lost);

    let answers = lanes.settle(&named(&again)).await;
    assert_eq!(
        answers,
        [Settled::Cancelled, Settled::Cancelled, Settled::Accepted]
    );
    for (job, expected) in [
        (crashed, (JobStatus::Cancelled, 1)),
        (fresh[0], (JobStatus::Cancelled, 0)),
        (fresh[1], (JobStatus::Completed, 0)),
    ] {
        let job = lanes.job(job).await;
        assert_eq!((job.status, job.crashes), expected);
    }
    let beat = store.beat(Bench::SHARD, lanes.node, None, LONG).await;
    assert_eq!(beat.unwrap().cancels, []);
    assert_eq!(lanes.ends().await["job.cancelled"], 2);
}

#[tokio::test]
async fn each_run_of_a_group_comes_to_its_own_end() {
    let lanes = Lanes::new().await;
    let jobs = lanes.pack(100).await;
    let claimed = lanes.claim(100).await;
    let token = &claimed[0].token;
    assert!(claimed.iter().all(|run| run.token == *token), "one group");
    // One was asked to stop, one was settled before, one was handed back and runs elsewhere, one
    // was handed back and waits.
    let (cancelled, settled, elsewhere, waits) = (10, 40, 41, 99);
    lanes
        .bench
        .store
        .cancel(&[jobs[cancelled]], "enough")
        .await
        .unwrap();
    lanes.settle(&named(&claimed[settled..=settled])).await;
    lanes
        .end(&claimed[elsewhere..=elsewhere], Settlement::Released)
        .await;
    let other = lanes.bench.join(2, LONG).await;
    let theirs = lanes.turn(other, &[], 1).await.claimed;
    assert_eq!(ids(&theirs), [jobs[elsewhere]]);
    lanes
        .end(&claimed[waits..=waits], Settlement::Released)
        .await;

    let settles = named(&claimed);
    let expected = |first: bool| -> Vec<Settled> {
        let answer = |at| match at {
            _ if at == cancelled && first => Settled::Cancelled,
            _ if at == elsewhere => Settled::Fenced,
            _ => Settled::Accepted,
        };
        (0..100).map(answer).collect()
    };
    assert_eq!(lanes.settle(&settles).await, expected(true));
    // A repeat changes nothing.
    let events = paceline_tests::log(&lanes.bench.store).await.len();
    assert_eq!(lanes.settle(&settles).await, expected(false));
    assert_eq!(paceline_tests::log(&lanes.bench.store).await.len(), events);

    lanes.assert_waiting(LANE, 1).await;
    assert_eq!(lanes.drain(5).await, [jobs[waits]]);
    let answers = lanes.turn(other, &named(&theirs), 0).await.settled;
    assert_eq!(answers, [Settled::Accepted]);
    for (at, run) in claimed.iter().enumerate() {
        let job = lanes.job(run.job).await;
        let (status, result) = match at {
            _ if at == cancelled => (JobStatus::Cancelled, None),
            _ if at == waits => (JobStatus::Completed, Some(Bytes::from_static(b"1"))),
            _ => (JobStatus::Completed, Some(result_of(run))),
        };
        assert_eq!((job.status, job.result), (status, result), "job {at}");
    }
    assert_eq!(lanes.ends().await["job.completed"], 99);
}

#[tokio::test]
async fn groups_of_one_turn_do_not_mix() {
    let lanes = Lanes::new().await;
    lanes.pack(40).await;
    let claimed = lanes.claim(40).await;
    let dead = Settlement::Dead {
        error: "boom".into(),
    };
    let mut settles = named(&claimed);
    // Neighbours that come to different ends, and such as are kept differently long.
    for (at, settle) in settles.iter_mut().enumerate() {
        match at {
            5 | 20..25 => settle.settlement = dead.clone(),
            6 | 30 => settle.settlement = Settlement::Released,
            7..15 => settle.retention = Duration::from_secs(60),
            _ => {}
        }
    }
    assert_eq!(lanes.settle(&settles).await, [Settled::Accepted; 40]);
    lanes.assert_waiting(LANE, 2).await;
    for (at, run) in claimed.iter().enumerate() {
        let job = lanes.job(run.job).await;
        let status = match at {
            5 | 20..25 => JobStatus::Dead,
            6 | 30 => JobStatus::Pending,
            _ => JobStatus::Completed,
        };
        assert_eq!(job.status, status, "job {at}");
        if status == JobStatus::Completed {
            assert_eq!(job.result, Some(result_of(run)));
        }
    }
    assert_eq!(lanes.drain(2).await, [claimed[6].job, claimed[30].job]);
    assert_eq!(lanes.ends().await["job.dead"], 6);
}

#[tokio::test]
async fn a_group_of_another_node_is_refused_whole() {
    let lanes = Lanes::new().await;
    lanes.pack(50).await;
    let claimed = lanes.claim(30).await;
    let thief = lanes.bench.join(2, LONG).await;
    let own = lanes.turn(thief, &[], 20).await.claimed;
    // The thief's own token for the jobs of others, in one group with its own jobs.
    let forged: Vec<_> = claimed
        .iter()
        .map(|run| Settle {
            token: own[0].token.clone(),
            ..Bench::completed(run)
        })
        .chain(own.iter().map(Bench::completed))
        .collect();
    let answers = lanes.turn(thief, &forged, 0).await.settled;
    let expected = [[Settled::Fenced; 30].as_slice(), &[Settled::Accepted; 20]].concat();
    assert_eq!(answers, expected);
    lanes.complete(&claimed).await;
    lanes.ends().await;
}
