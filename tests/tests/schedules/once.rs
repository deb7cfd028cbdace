//! A firing takes place once, whoever carries it out and however often.

use paceline_store::{CallError, Fenced};
use paceline_tests::{Bench, History};
use paceline_types::scheduled::FiringOutcome;
use paceline_types::{EventKind, JobId, NodeId};

use crate::{HOUR, Stage, hourly, id, rarely};

/// Contract row 52, trap W23, invariant I7: two leaders that read the same fire it once.
#[tokio::test]
async fn two_leaders_that_fire_the_same_make_one_job() {
    let stage = Stage::new().await;
    let at = stage.now().await - 5;
    stage.keep(&hourly("a"), at).await;
    let store = stage.store();
    // As if both had a valid term: the term alone must not be what keeps them apart.
    let mut answers = Vec::new();
    let steps = [
        stage.step("a", at, Bench::job_id(1)).await,
        stage.step("a", at, Bench::job_id(2)).await,
    ];
    let fire = async |steps| {
        let fired = store.fire(Bench::SHARD, stage.number, steps).await;
        fired.expect("our term").answers[0].outcome
    };
    let (first, second) = tokio::join!(fire(&steps[..1]), fire(&steps[1..]));
    answers.extend([first, second]);
    answers.sort_by_key(|answer| *answer != FiringOutcome::Done);
    assert_eq!(answers, [FiringOutcome::Done, FiringOutcome::Changed]);
    assert_eq!(stage.jobs("a").await.len(), 1);
    assert_eq!(stage.info("a").await.next_run_at, Some(at + HOUR));
}

/// Contract row 52: the reply was lost, and the call is sent again.
#[tokio::test]
async fn a_call_that_is_sent_again_makes_nothing_twice() {
    let stage = Stage::new().await;
    let at = stage.now().await - 5;
    stage.keep(&hourly("a"), at).await;
    let steps = [stage.step("a", at, Bench::job_id(1)).await];
    for outcome in [FiringOutcome::Done, FiringOutcome::Changed] {
        let fired = stage.store().fire(Bench::SHARD, stage.number, &steps).await;
        assert_eq!(fired.expect("our term").answers[0].outcome, outcome);
    }
    assert_eq!(stage.jobs("a").await.len(), 1);
    assert_eq!(stage.info("a").await.fired, 1);
    let history = History::read(stage.store()).await;
    let enqueued = history.events.iter();
    let enqueued = enqueued.filter(|event| event.kind == EventKind::JobEnqueued);
    assert_eq!(enqueued.count(), 1);
}

/// Contract row 52: a leader that is over writes nothing, and what it had read is fired by the
/// next one.
#[tokio::test]
async fn a_leader_that_lost_its_term_between_read_and_commit_fires_nothing() {
    let mut stage = Stage::new().await;
    let at = stage.now().await - 5;
    stage.keep(&hourly("a"), at).await;
    let steps = [stage.step("a", at, Bench::job_id(1)).await];
    let store = stage.store().clone();
    let seen = store.look(Bench::SHARD).await.expect("an answer");
    let other = NodeId::from_parts(1, Bench::SHARD, 7);
    let newest = store.take(Bench::SHARD, other, seen.as_ref(), 0).await;
    let newest = newest.expect("as seen");
    match store.fire(Bench::SHARD, stage.number, &steps).await {
        Err(CallError::Refused(refusal)) => assert_eq!(refusal, Fenced { newest }),
        other => panic!("{other:?}"),
    }
    assert!(stage.jobs("a").await.is_empty());
    assert!(stage.scheduler.tick(&stage.term).await.is_err(), "fenced");
    let fired = store.fire(Bench::SHARD, newest, &steps).await;
    assert_eq!(fired.expect("its term").answers[0].counts.fired, 1);
    assert_eq!(stage.jobs("a").await.len(), 1);
}

/// Contract row 52: the server's clock decides, and the caller's may say what it likes.
#[tokio::test]
async fn a_caller_whose_clock_is_an_hour_off_changes_nothing() {
    let stage = Stage::new().await;
    let now = stage.now().await;
    for (name, clock) in [("fast", now + HOUR), ("slow", now - HOUR)] {
        stage.keep(&hourly(name), now - 5).await;
        stage
            .keep(&hourly(&format!("{name}-later")), now + HOUR)
            .await;
        let due = stage.store().due_schedules(Bench::SHARD, 100).await;
        let due = due.expect("an answer").schedules;
        let found: Vec<_> = due.iter().map(|due| due.id.as_str()).collect();
        assert_eq!(found, [name], "only what is due by the server's clock");
        let job = JobId::from_parts(clock, Bench::SHARD, 1);
        let steps = [stage.step(name, now - 5, job).await];
        let fired = stage.store().fire(Bench::SHARD, stage.number, &steps).await;
        assert_eq!(fired.expect("our term").answers[0].counts.fired, 1);
        let found = stage.jobs(name).await.remove(0);
        assert_eq!(found.firing.as_ref().expect("a firing").at, now - 5);
        assert!(found.created_at.abs_diff(now) < HOUR / 2, "{found:?}");
    }
}

/// Trap W38: a page of what is due is bounded, and the rest follows.
#[tokio::test]
async fn what_is_due_comes_in_bounded_pages() {
    let mut stage = Stage::new().await;
    let at = stage.now().await - 5;
    for number in 0..150 {
        stage.keep(&hourly(&format!("s{number:03}")), at).await;
    }
    let due = stage.store().due_schedules(Bench::SHARD, 1_000).await;
    assert_eq!(due.expect("an answer").schedules.len(), 100);
    let report = stage.tick().await;
    assert_eq!(report.counts.fired, 100);
    assert_eq!(report.again_in, Some(std::time::Duration::ZERO));
    assert_eq!(stage.tick().await.counts.fired, 50);
    assert_eq!(stage.tick().await.counts.fired, 0);
}

/// Contract row 63, trap W30: each firing is a job of its own, with all of its attempts.
#[tokio::test]
async fn each_firing_has_all_attempts_of_its_own() {
    let mut stage = Stage::new().await;
    let worker = stage
        .bench
        .join(1, std::time::Duration::from_secs(60))
        .await;
    for round in 1..=5 {
        let now = stage.now().await;
        stage.keep(&rarely("a"), now - 5).await;
        assert_eq!(stage.tick().await.counts.fired, 1);
        let claimed = stage.bench.claim(worker, 2 * round).await;
        let job = stage.client.job(claimed.job).await.expect("an answer");
        assert_eq!(job.expect("a job").attempt, 1);
        let settle = [Bench::completed(&claimed)];
        stage.bench.turn(worker, 2 * round + 1, &settle, 0).await;
        assert!(
            stage
                .store()
                .schedule(&id("a"))
                .await
                .expect("an answer")
                .0
                .is_some()
        );
    }
    assert_eq!(stage.info("a").await.fired, 5);
}
