//! What was missed while nobody led (row 57).

use std::time::Duration;

use paceline_types::schedule::OverlapPolicy;
use paceline_types::scheduled::{HEADER_BACKFILL, HEADER_SCHEDULED_AT, moment};

use crate::{HOUR, Stage, hourly};

/// Contract row 57: without a window, or with one of zero, only the latest firing is made up for.
#[tokio::test]
async fn without_a_window_only_the_latest_missed_firing_takes_place() {
    for window in [None, Some(Duration::ZERO)] {
        let mut stage = Stage::new().await;
        let start = stage.now().await - 100 * HOUR - 5;
        let mut definition = hourly("a");
        definition.schedule.catchup_window = window;
        stage.keep(&definition, start).await;
        for _ in 0..3 {
            stage.tick().await;
        }
        assert_eq!(stage.hours("a", start).await, [100]);
        let next = stage.info("a").await.next_run_at;
        assert_eq!(
            next,
            Some(start + 101 * HOUR),
            "counted from the scheduled time"
        );
    }
}

/// Contract row 57: with a window all in it take place, oldest first, ten a tick unless the
/// schedule says otherwise, marked as what they are.
#[tokio::test]
async fn a_window_is_made_up_for_oldest_first_and_in_ticks() {
    let mut stage = Stage::new().await;
    let start = stage.now().await - 100 * HOUR - 5;
    let mut definition = hourly("a");
    definition.schedule.catchup_window = Some(Duration::from_secs(25 * 3_600));
    stage.keep(&definition, start).await;
    for (fired, at_once) in [(10, true), (10, true), (5, false), (0, false)] {
        let report = stage.tick().await;
        assert_eq!(report.counts.fired, fired);
        assert_eq!(report.again_in == Some(Duration::ZERO), at_once);
    }
    assert_eq!(stage.hours("a", start).await, Vec::from_iter(76..=100));
    let jobs = stage.jobs("a").await;
    for (place, job) in jobs.iter().enumerate() {
        let at = job.firing.as_ref().expect("a firing").at;
        assert_eq!(job.headers[HEADER_SCHEDULED_AT], moment(at));
        let marked = job.headers.get(HEADER_BACKFILL).map(String::as_str);
        assert_eq!(marked, (place < 24).then_some("true"), "{place}");
    }
}

/// Contract row 57: the overlap policy holds for what is made up for as well.
#[tokio::test]
async fn what_is_made_up_for_respects_the_overlap_policy() {
    let table = [
        (OverlapPolicy::AllowAll, (5, 0, 0, 0)),
        (OverlapPolicy::Skip, (1, 0, 4, 0)),
        (OverlapPolicy::BufferOne, (1, 1, 0, 3)),
        (OverlapPolicy::BufferAll, (1, 4, 0, 0)),
        (OverlapPolicy::Replace, (5, 0, 0, 0)),
    ];
    for (policy, wanted) in table {
        let mut stage = Stage::new().await;
        let start = stage.now().await - 4 * HOUR - 5;
        let mut definition = hourly("a");
        definition.schedule.overlap_policy = policy;
        definition.schedule.catchup_window = Some(Duration::from_secs(10 * 3_600));
        stage.keep(&definition, start).await;
        stage.tick().await;
        let info = stage.info("a").await;
        let seen = (info.fired, info.buffered, info.skipped, info.dropped);
        assert_eq!(seen, wanted, "{policy}");
    }
}
