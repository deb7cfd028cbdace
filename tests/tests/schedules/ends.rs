//! After any end of the active run exactly one firing that waited starts (row 55, trap W31).

use std::time::Duration;

use paceline_store::calls::turn::Settle;
use paceline_tests::{Bench, History};
use paceline_types::schedule::OverlapPolicy;
use paceline_types::{JobStatus, Settlement};

use crate::{HOUR, Stage, hourly, rarely};

#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Completed,
    Dead,
    CancelledWaiting,
    CancelledRunning,
    Crashed,
}

const ENDS: [End; 5] = [
    End::Completed,
    End::Dead,
    End::CancelledWaiting,
    End::CancelledRunning,
    End::Crashed,
];

/// Ends the one active job in this way.
async fn end(stage: &Stage, how: End, round: u64) {
    let jobs = stage.jobs("a").await;
    let alive: Vec<_> = jobs
        .iter()
        .filter(|job| !job.status.is_terminal())
        .collect();
    let [job] = alive[..] else {
        panic!("one job is active, not {alive:?}");
    };
    if how == End::CancelledWaiting {
        stage
            .store()
            .cancel(&[job.id], "by hand")
            .await
            .expect("an answer");
        return;
    }
    let lease = match how {
        End::Crashed => Duration::from_millis(300),
        _ => Duration::from_secs(60),
    };
    // A lease that is over before the claim is renewed; nothing was claimed then.
    let claimed = loop {
        let worker = stage.bench.join(round, lease).await;
        let mut reply = stage.bench.turn(worker, round, &[], 1).await;
        if let Some(claimed) = reply.claimed.pop() {
            break claimed;
        }
    };
    let worker = stage.bench.join(round, lease).await;
    let settlement = match how {
        End::Crashed => {
            // Its policy allows one attempt, so a crash is the end.
            stage.bench.bury(stage.number).await;
            return;
        }
        End::Completed | End::CancelledRunning => Settlement::Completed { result: "1".into() },
        End::Dead | End::CancelledWaiting => Settlement::Dead {
            error: "no".to_owned(),
        },
    };
    if how == End::CancelledRunning {
        stage
            .store()
            .cancel(&[job.id], "by hand")
            .await
            .expect("an answer");
    }
    let settle = [Settle::of(&claimed, settlement, Bench::KEPT)];
    stage.bench.turn(worker, round + 1_000, &settle, 0).await;
}

/// Contract row 55, trap W31: after each kind of end exactly one starts; the latest, or in order.
#[tokio::test]
async fn one_buffered_firing_starts_after_any_end_and_in_order() {
    for policy in [OverlapPolicy::BufferAll, OverlapPolicy::BufferOne] {
        let mut stage = Stage::new().await;
        let start = stage.now().await - 100 * HOUR;
        let mut definition = rarely("a");
        definition.schedule.overlap_policy = policy;
        definition.job.retry_policy = Some(paceline_tests::attempts(1));
        let mut wanted = vec![0];
        stage.keep(&definition, start).await;
        stage.tick().await;
        for (round, how) in (0_u64..).zip(ENDS) {
            let first = 1 + 2 * round;
            for hour in [first, first + 1] {
                stage.keep(&definition, start + hour * HOUR).await;
                stage.tick().await;
            }
            let before = stage.jobs("a").await.len();
            end(&stage, how, round + 1).await;
            let report = stage.tick().await;
            assert_eq!(report.counts.fired, 1, "{policy}, {how:?}");
            assert_eq!(stage.tick().await.counts.fired, 0, "one, {policy}, {how:?}");
            assert_eq!(stage.jobs("a").await.len(), before + 1, "{policy}, {how:?}");
            wanted.push(match policy {
                OverlapPolicy::BufferOne => first + 1,
                _ => round + 1,
            });
        }
        assert_eq!(stage.hours("a", start).await, wanted, "{policy}");
        let history = History::read(stage.store()).await;
        assert_eq!(history.violations, [""; 0]);
    }
}

/// Contract row 55: where nothing waits, the end of a run makes no schedule due.
#[tokio::test]
async fn the_end_of_a_run_is_noticed_only_where_something_waits() {
    let mut stage = Stage::new().await;
    let now = stage.now().await;
    stage.keep(&rarely("a"), now - 5).await;
    stage.tick().await;
    end(&stage, End::Completed, 1).await;
    let due = stage.store().due_schedules(Bench::SHARD, 100).await;
    assert!(due.expect("an answer").schedules.is_empty());
    let survey = stage.store().survey(Bench::SHARD, stage.number).await;
    let wait = survey
        .expect("our term")
        .next_firing_in
        .expect("a next firing");
    assert!(wait > Duration::from_secs(3_000), "{wait:?}");
}

/// Contract row 60: a paused schedule starts nothing that waited, and goes on when it is resumed.
#[tokio::test]
async fn what_waits_starts_after_the_pause() {
    let mut stage = Stage::new().await;
    let mut definition = rarely("a");
    definition.schedule.overlap_policy = OverlapPolicy::BufferAll;
    let start = stage.now().await - 10 * HOUR;
    for hour in 0..2 {
        stage.keep(&definition, start + hour * HOUR).await;
        stage.tick().await;
    }
    stage.client.pause_schedule("a").await.expect("paused");
    end(&stage, End::Completed, 1).await;
    for _ in 0..2 {
        assert_eq!(stage.tick().await.counts.fired, 0, "paused");
    }
    let survey = stage.store().survey(Bench::SHARD, stage.number).await;
    assert_eq!(
        survey.expect("our term").next_firing_in,
        None,
        "no spinning"
    );
    stage.client.resume_schedule("a").await.expect("resumed");
    assert_eq!(stage.tick().await.counts.fired, 1);
    assert_eq!(stage.hours("a", start).await, [0, 1]);
    let jobs = stage.jobs("a").await;
    assert_eq!(jobs[1].status, JobStatus::Pending);
}

/// Contract row 53: a schedule that ends with firings that wait is removed when they have started.
#[tokio::test]
async fn a_schedule_that_ends_starts_first_what_waits() {
    let mut stage = Stage::new().await;
    let start = stage.now().await - 10 * HOUR;
    let mut definition = hourly("a");
    definition.schedule.overlap_policy = OverlapPolicy::BufferAll;
    definition.schedule.catchup_window = Some(Duration::from_secs(20 * 3_600));
    definition.schedule.ends_at = Some(start + 2 * HOUR);
    stage.keep(&definition, start).await;
    stage.tick().await;
    for round in 1..=3 {
        assert!(!stage.is_gone("a").await || round == 3);
        end(&stage, End::Completed, round).await;
        stage.tick().await;
    }
    assert!(stage.is_gone("a").await);
    assert_eq!(stage.hours("a", start).await, [0, 1, 2]);
}
