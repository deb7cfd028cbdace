//! What becomes of a firing while the run of an earlier one is active (rows 54 to 56).

use std::time::Duration;

use paceline_store::calls::turn::Settled;
use paceline_tests::{Bench, History};
use paceline_types::schedule::OverlapPolicy;
use paceline_types::{JobStatus, ScheduleDefinition, UnixMillis};

use crate::{HOUR, POLICIES, Stage, hourly, rarely};

fn with(policy: OverlapPolicy) -> ScheduleDefinition {
    let mut definition = rarely("a");
    definition.schedule.overlap_policy = policy;
    definition
}

/// Fires the schedule at `start` and at the hours after it, as if time passed.
async fn fire(
    stage: &mut Stage,
    definition: &ScheduleDefinition,
    hours: std::ops::Range<u64>,
    start: UnixMillis,
) {
    for hour in hours {
        stage.keep(definition, start + hour * HOUR).await;
        stage.tick().await;
    }
}

/// Contract row 54: jobs, buffered, skipped, dropped and replaced after four firings of which
/// the first is active all the time: waiting in its lane, or running.
#[tokio::test]
async fn each_policy_treats_an_active_run_in_its_way() {
    for runs in [false, true] {
        for policy in POLICIES {
            let mut stage = Stage::new().await;
            let start = stage.now().await - 10 * HOUR;
            let definition = with(policy);
            fire(&mut stage, &definition, 0..1, start).await;
            if runs {
                let worker = stage.bench.join(1, Duration::from_secs(60)).await;
                stage.bench.claim(worker, 1).await;
            }
            fire(&mut stage, &definition, 1..4, start).await;
            let info = stage.info("a").await;
            let seen = (info.fired, info.buffered, info.skipped, info.dropped);
            let wanted = match policy {
                OverlapPolicy::AllowAll | OverlapPolicy::Replace => (4, 0, 0, 0),
                OverlapPolicy::Skip => (1, 0, 3, 0),
                OverlapPolicy::BufferOne => (1, 1, 0, 2),
                OverlapPolicy::BufferAll => (1, 3, 0, 0),
            };
            assert_eq!(seen, wanted, "{policy}, running: {runs}");
            let jobs = stage.jobs("a").await;
            let alive = jobs.iter().filter(|job| !job.status.is_terminal()).count();
            let wanted = if policy == OverlapPolicy::AllowAll {
                4
            } else {
                1
            };
            assert_eq!(alive, wanted, "{policy}, running: {runs}");
            if policy == OverlapPolicy::Replace {
                assert!(
                    jobs[..3]
                        .iter()
                        .all(|job| job.status == JobStatus::Cancelled)
                );
                let reason = jobs[0].last_error.as_deref().expect("a reason");
                assert!(reason.starts_with("replaced by the firing of "), "{reason}");
            }
            assert_eq!(History::read(stage.store()).await.violations, [""; 0]);
        }
    }
}

/// Contract row 56, trap W31: the fence decides, not the handler. The run that was replaced is
/// over at once, its node is told, and whatever it settles is refused.
#[tokio::test]
async fn a_replaced_run_is_fenced_and_its_node_is_told() {
    let mut stage = Stage::new().await;
    let definition = with(OverlapPolicy::Replace);
    let start = stage.now().await - 10 * HOUR;
    let worker = stage.bench.join(1, Duration::from_secs(60)).await;
    fire(&mut stage, &definition, 0..1, start).await;
    let old = stage.bench.claim(worker, 1).await;
    fire(&mut stage, &definition, 1..2, start).await;
    assert_eq!(stage.bench.status(old.job).await, JobStatus::Cancelled);
    let beat = async || {
        let beat = stage
            .store()
            .beat(Bench::SHARD, worker, None, Duration::from_secs(60))
            .await;
        let cancels = beat.expect("a lease").cancels.into_iter();
        cancels.map(|cancel| cancel.job).collect::<Vec<_>>()
    };
    assert_eq!(beat().await, [old.job], "told to stop");
    assert!(
        beat().await.is_empty(),
        "once is enough, as nothing will settle it"
    );
    let reply = stage
        .bench
        .turn(worker, 2, &[Bench::completed(&old)], 1)
        .await;
    assert_eq!(reply.settled, [Settled::Fenced]);
    assert_eq!(stage.bench.status(old.job).await, JobStatus::Cancelled);
    let new = &reply.claimed[0];
    assert_ne!(new.job, old.job);
    let settle = [Bench::completed(new)];
    let reply = stage.bench.turn(worker, 3, &settle, 0).await;
    assert_eq!(reply.settled, [Settled::Accepted]);
    let history = History::read(stage.store()).await;
    let ends = history.assert_jobs_ended(&[old.job, new.job]);
    assert_eq!(ends.values().sum::<usize>(), 2, "{ends:?}");
}

/// Contract rows 54 and 59, trap W33: a run that waits for its jitter or for its next attempt is active,
/// and its scheduled time is without the jitter.
#[tokio::test]
async fn a_run_that_waits_for_its_time_is_active() {
    let mut stage = Stage::new().await;
    let mut definition = with(OverlapPolicy::Skip);
    definition.schedule.jitter = Some(Duration::from_secs(3_600));
    let now = stage.now().await;
    stage.keep(&definition, now - 5).await;
    assert_eq!(stage.tick().await.counts.fired, 1);
    let job = stage.jobs("a").await.remove(0);
    assert_eq!(job.status, JobStatus::Scheduled);
    assert_eq!(job.firing.expect("a firing").at, now - 5, "without jitter");
    stage.keep(&definition, now - 4).await;
    assert_eq!(stage.tick().await.counts.skipped, 1);
}

/// Contract row 54: the buffer is bounded, and what finds no room is counted.
#[tokio::test]
async fn a_buffer_holds_a_thousand_firings_and_counts_the_others() {
    let mut stage = Stage::new().await;
    let mut definition = hourly("a");
    definition.schedule.overlap_policy = OverlapPolicy::BufferAll;
    definition.schedule.catchup_window = Some(Duration::from_secs(2_000 * 3_600));
    definition.schedule.max_backfill_per_tick = Some(100);
    let now = stage.now().await;
    stage.keep(&definition, now - 1_049 * HOUR).await;
    while stage.tick().await.again_in == Some(Duration::ZERO) {}
    let info = stage.info("a").await;
    assert_eq!((info.fired, info.buffered, info.dropped), (1, 1_000, 49));
}
