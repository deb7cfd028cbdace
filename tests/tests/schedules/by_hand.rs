//! Firings that somebody asks for: run now, and backfill (rows 58 and 136).

use paceline_client::{FiringCounts, ScheduleError};
use paceline_types::schedule::OverlapPolicy;
use paceline_types::scheduled::HEADER_BACKFILL;

use crate::{HOUR, Stage, hourly, id};

/// Contract row 136: one firing now; the next one stays.
#[tokio::test]
async fn run_now_fires_once_beside_the_times_of_the_schedule() {
    let mut stage = Stage::new().await;
    let next = stage.now().await + HOUR;
    let mut definition = hourly("a");
    definition.schedule.overlap_policy = OverlapPolicy::Skip;
    stage.keep(&definition, next).await;
    let counts = stage.client.run_schedule("a").await.expect("fired");
    assert_eq!((counts.fired, counts.skipped), (1, 0));
    let counts = stage.client.run_schedule("a").await.expect("an answer");
    assert_eq!((counts.fired, counts.skipped), (0, 1), "its policy holds");
    let fire = stage
        .client
        .run_schedule("a")
        .overlap(OverlapPolicy::AllowAll);
    assert_eq!(
        fire.await.expect("fired").fired,
        1,
        "unless the call says otherwise"
    );
    let info = stage.info("a").await;
    assert_eq!(
        (info.next_run_at, info.fired, info.skipped),
        (Some(next), 2, 1)
    );
    assert_eq!(stage.jobs("a").await.len(), 2);
    stage.client.pause_schedule("a").await.expect("paused");
    let fire = stage
        .client
        .run_schedule("a")
        .overlap(OverlapPolicy::BufferAll);
    assert_eq!(fire.await.expect("an answer").buffered, 1);
    assert_eq!(stage.tick().await.counts, FiringCounts::default());
    match stage.client.run_schedule("nobody").await {
        Err(ScheduleError::Unknown { id: unknown }) => assert_eq!(unknown, id("nobody")),
        other => panic!("{other:?}"),
    }
}

/// Contract row 58: the range, oldest first, with the next firing unchanged; at most 100.
#[tokio::test]
async fn a_backfill_fires_what_the_range_names_and_no_more_than_a_hundred() {
    let stage = Stage::new().await;
    let anchor = stage.now().await + HOUR;
    stage.keep(&hourly("a"), anchor).await;
    let start = anchor - 200 * HOUR;
    let backfill = |from: u64, to: u64| {
        let range = (start + from * HOUR, start + to * HOUR);
        stage.client.backfill_schedule("a", range.0, range.1)
    };
    let counts = backfill(0, 99).await.expect("a hundred");
    assert_eq!(counts.fired, 100);
    assert_eq!(stage.hours("a", start).await, Vec::from_iter(0..=99));
    match backfill(0, 100).await {
        Err(ScheduleError::TooMany { .. }) => {}
        other => panic!("{other:?}"),
    }
    assert!(matches!(
        backfill(3, 2).await,
        Err(ScheduleError::Backwards)
    ));
    let empty = stage.client.backfill_schedule("a", start + 1, start + 2);
    assert_eq!(empty.await.expect("an answer"), FiringCounts::default());
    let info = stage.info("a").await;
    assert_eq!((info.next_run_at, info.fired), (Some(anchor), 100));
    let jobs = stage.jobs("a").await;
    assert!(
        jobs.iter()
            .all(|job| job.headers[HEADER_BACKFILL] == "true")
    );
}

/// Contract row 58, trap W31: a backfill does not ignore the overlap policy.
#[tokio::test]
async fn a_backfill_respects_the_overlap_policy() {
    let stage = Stage::new().await;
    let anchor = stage.now().await + HOUR;
    let mut definition = hourly("a");
    definition.schedule.overlap_policy = OverlapPolicy::BufferAll;
    stage.keep(&definition, anchor).await;
    let (start, end) = (anchor - 10 * HOUR, anchor - 6 * HOUR);
    let counts = stage.client.backfill_schedule("a", start, end).await;
    let counts = counts.expect("an answer");
    assert_eq!((counts.fired, counts.buffered), (1, 4));
    let fire = stage.client.backfill_schedule("a", start, end);
    let counts = fire.overlap(OverlapPolicy::Skip).await.expect("an answer");
    assert_eq!((counts.fired, counts.skipped), (0, 5));
}
