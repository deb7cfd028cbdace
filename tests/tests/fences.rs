//! Rights that have passed to others: each script checks them by itself, whoever calls.
#![cfg(test)]

use std::time::Duration;

use paceline_store::calls::commit::Batch;
use paceline_store::calls::node::Gone;
use paceline_store::calls::submit::{NewJob, SubmitRefusal};
use paceline_store::calls::turn::{Settle, Settled};
use paceline_store::{CallError, Fenced};
use paceline_tests::{Bench, History, eventually};
use paceline_types::job::Due;
use paceline_types::{Bytes, JobSpec, JobStatus, NodeId, Settlement, ShardIndex, UniqueKey};

const SHARD: ShardIndex = Bench::SHARD;

/// Contract row 101, trap W42: the term is checked by every call of a leader.
/// Row 66, W8.
#[tokio::test]
async fn every_call_of_an_older_term_is_refused_and_changes_nothing() {
    let bench = Bench::new().await;
    let (old, new) = (
        NodeId::from_parts(1, SHARD, 1),
        NodeId::from_parts(1, SHARD, 2),
    );
    let store = &bench.store;
    let first = store.take(SHARD, old, None, 0).await.expect("free");
    let seen = store.look(SHARD).await.expect("an answer").expect("taken");
    let second = store
        .take(SHARD, new, Some(&seen), 0)
        .await
        .expect("as seen");
    assert!(second > first);
    bench
        .submit(1, |spec| spec.due = Due::In(Duration::from_millis(1)))
        .await;

    let fenced = Fenced { newest: second };
    let refused = |result: Result<(), CallError<Fenced>>| match result {
        Err(CallError::Refused(refusal)) => assert_eq!(refusal, fenced),
        other => panic!("{other:?}"),
    };
    let before = History::read(store).await.events.len();
    refused(store.promote(SHARD, first, 100).await.map(drop));
    refused(store.expire_nodes(SHARD, first).await.map(drop));
    refused(store.expire_jobs(SHARD, first, 100).await.map(drop));
    refused(store.recover(SHARD, first, None, 100).await.map(drop));
    refused(store.purge(SHARD, first, 100).await.map(drop));
    refused(store.check_lanes(SHARD, first, None, 100).await.map(drop));
    refused(
        store
            .flush_groups(SHARD, first, &[Bench::job_id(9)])
            .await
            .map(drop),
    );
    refused(store.survey(SHARD, first).await.map(drop));
    refused(
        store
            .commit(SHARD, first, &Batch::default())
            .await
            .map(drop),
    );
    assert!(store.hold(SHARD, old, first).await.is_err());
    assert_eq!(History::read(store).await.events.len(), before);
    // The same calls of the newest term do their work.
    eventually("the job is due", Duration::from_secs(10), async || {
        store
            .promote(SHARD, second, 100)
            .await
            .expect("our term")
            .moved
            == 1
    })
    .await;
    store.hold(SHARD, new, second).await.expect("our term");
}

#[tokio::test]
async fn the_lock_is_taken_only_as_it_was_seen_and_terms_only_grow() {
    let bench = Bench::new().await;
    let store = &bench.store;
    let [a, b] = [1, 2].map(|n| NodeId::from_parts(1, SHARD, n));
    let term = store.take(SHARD, a, None, 41).await.expect("free");
    assert_eq!(term, 42, "beyond what the caller remembers");
    let seen = store.look(SHARD).await.expect("an answer").expect("taken");
    store.hold(SHARD, a, term).await.expect("our term");
    assert!(
        store.take(SHARD, b, Some(&seen), 0).await.is_err(),
        "the beat has moved on"
    );
    assert_eq!(
        store.take(SHARD, a, None, 0).await.expect("a lost reply"),
        term
    );
    store.resign(SHARD, a, term).await.expect("an answer");
    assert_eq!(
        store.take(SHARD, b, None, 0).await.expect("given back"),
        term + 1
    );
}

/// Row 20, trap W10.
#[tokio::test]
async fn a_node_that_comes_back_finds_its_runs_fenced() {
    let bench = Bench::new().await;
    let leader = NodeId::from_parts(1, SHARD, 9);
    let term = bench
        .store
        .take(SHARD, leader, None, 0)
        .await
        .expect("free");
    let lost = bench.join(1, Duration::from_millis(1)).await;
    let job = bench.submit(1, |_| {}).await;
    // A lease of a millisecond may be over at once; then nothing was claimed.
    let claimed = eventually(
        "a claim within the lease",
        Duration::from_secs(10),
        async || {
            bench.join(1, Duration::from_millis(100)).await;
            bench.turn(lost, 1, &[], 1).await.claimed.pop()
        },
    )
    .await;
    bench.bury(term).await;
    assert_eq!(bench.status(job).await, JobStatus::Pending);

    let late = bench.turn(lost, 2, &[Bench::completed(&claimed)], 0).await;
    assert_eq!(late.settled, [Settled::Fenced]);
    assert_eq!(bench.status(job).await, JobStatus::Pending);
    let beat = bench
        .store
        .beat(SHARD, lost, None, Duration::from_secs(1))
        .await;
    assert!(matches!(beat, Err(CallError::Refused(Gone))));
    assert!(bench.turn(lost, 3, &[], 1).await.unregistered);

    let other = bench.join(2, Duration::from_secs(60)).await;
    let again = bench.claim(other, 1).await;
    assert_eq!((again.job, again.attempt, again.crashes), (job, 2, 1));
    assert!(again.run > claimed.run, "the fence moved on");
    // Also while the other one runs it.
    let late = bench.turn(lost, 4, &[Bench::completed(&claimed)], 0).await;
    assert_eq!(late.settled, [Settled::Fenced]);
    let reply = bench.turn(other, 2, &[Bench::completed(&again)], 0).await;
    assert_eq!(reply.settled, [Settled::Accepted]);
    History::read(&bench.store).await.assert_jobs_ended(&[job]);
}

/// Row 23, trap W10.
#[tokio::test]
async fn a_job_that_kills_its_nodes_is_buried() {
    let bench = Bench::new().await;
    let leader = NodeId::from_parts(1, SHARD, 9);
    let term = bench
        .store
        .take(SHARD, leader, None, 0)
        .await
        .expect("free");
    let job = bench.submit(1, |_| {}).await;
    for number in 1..=3 {
        let node = eventually(
            "a claim within the lease",
            Duration::from_secs(10),
            async || {
                let node = bench.join(number, Duration::from_millis(100)).await;
                (!bench.turn(node, 1, &[], 1).await.claimed.is_empty()).then_some(node)
            },
        )
        .await;
        bench.bury(term).await;
        let expected = if number < 3 {
            JobStatus::Pending
        } else {
            JobStatus::Dead
        };
        assert_eq!(bench.status(job).await, expected, "after {node}");
    }
    let found = bench
        .store
        .job(job)
        .await
        .expect("an answer")
        .expect("a job");
    assert_eq!(found.crashes, 3);
    assert!(
        found
            .last_error
            .expect("why")
            .contains("was lost while it ran the job")
    );
    History::read(&bench.store).await.assert_jobs_ended(&[job]);
}

/// Row 9.
#[tokio::test]
async fn a_settle_or_a_submit_sent_twice_changes_nothing_the_second_time() {
    let bench = Bench::new().await;
    let node = bench.join(1, Duration::from_secs(60)).await;
    let key = || Some(UniqueKey::new("k").expect("a key"));
    let job = bench.submit(1, |spec| spec.unique_key = key()).await;
    // The same submit again: the job that it made stands, its own key included.
    bench.submit(1, |spec| spec.unique_key = key()).await;
    let rival = NewJob {
        id: Bench::job_id(2),
        spec: JobSpec {
            unique_key: key(),
            ..Bench::spec()
        },
    };
    let refused = bench
        .store
        .submit(SHARD, &[rival])
        .await
        .expect("an answer");
    assert!(
        matches!(&refused[..], [Err(SubmitRefusal::Duplicate { holder, .. })] if *holder == job)
    );

    let claimed = bench.claim(node, 1).await;
    let settle = Bench::completed(&claimed);
    for _ in 0..3 {
        let reply = bench.turn(node, 2, std::slice::from_ref(&settle), 0).await;
        assert_eq!(reply.settled, [Settled::Accepted]);
    }
    let history = History::read(&bench.store).await;
    history.assert_jobs_ended(&[job]);
    assert_eq!(
        history.events.len(),
        4,
        "joined, enqueued, started, completed"
    );
}

/// Row 20.
#[tokio::test]
async fn a_turn_sent_twice_hands_out_the_same_claims() {
    let bench = Bench::new().await;
    let node = bench.join(1, Duration::from_secs(60)).await;
    for number in 1..=10 {
        bench.submit(number, |_| {}).await;
    }
    let first = bench.turn(node, 1, &[], 4).await;
    let again = bench.turn(node, 1, &[], 4).await;
    assert_eq!(first.claimed, again.claimed);
    let next = bench.turn(node, 2, &[], 100).await;
    assert_eq!(next.claimed.len(), 6);
}

/// Row 20.
#[tokio::test]
async fn nobody_settles_a_run_that_another_owns() {
    let bench = Bench::new().await;
    let owner = bench.join(1, Duration::from_secs(60)).await;
    let thief = bench.join(2, Duration::from_secs(60)).await;
    let job = bench.submit(1, |_| {}).await;
    bench.submit(2, |_| {}).await;
    let claimed = bench.claim(owner, 1).await;
    let other = bench.claim(thief, 1).await;
    // The token of another job does not fit either.
    let forged = Settle {
        token: other.token,
        ..Bench::completed(&claimed)
    };
    let reply = bench.turn(thief, 2, &[forged], 0).await;
    assert_eq!(reply.settled, [Settled::Fenced]);
    assert_eq!(bench.status(job).await, JobStatus::Running);
}

/// Row 31, trap W1.
#[tokio::test]
async fn a_cancelled_run_ends_cancelled_whatever_it_comes_to() {
    let bench = Bench::new().await;
    let node = bench.join(1, Duration::from_secs(60)).await;
    let retry = Settlement::Retry {
        delay: Duration::from_millis(1),
        error: "boom".into(),
        uses_attempt: true,
    };
    for (number, settlement) in [
        (
            1,
            Settlement::Completed {
                result: Bytes::new(),
            },
        ),
        (2, retry),
        (3, Settlement::Released),
    ] {
        let job = bench.submit(number, |_| {}).await;
        let claimed = bench.claim(node, 2 * number).await;
        bench
            .store
            .cancel(&[job], "enough")
            .await
            .expect("an answer");
        let beat = bench
            .store
            .beat(SHARD, node, None, Duration::from_secs(60))
            .await
            .expect("alive");
        assert_eq!(beat.cancels.len(), 1);
        assert_eq!(beat.cancels[0].job, job);
        let settle = Settle::of(&claimed, settlement, Bench::KEPT);
        let reply = bench.turn(node, 2 * number + 1, &[settle], 0).await;
        assert_eq!(reply.settled, [Settled::Cancelled]);
        assert_eq!(bench.status(job).await, JobStatus::Cancelled);
        let beat = bench
            .store
            .beat(SHARD, node, None, Duration::from_secs(60))
            .await
            .expect("alive");
        assert_eq!(beat.cancels, []);
        History::read(&bench.store).await.assert_jobs_ended(&[job]);
    }
}
