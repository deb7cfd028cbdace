//! Slots: never more than a limit allows, and always given back (row 10, W40).

use std::time::Duration;

use paceline_store::calls::turn::Settled;
use paceline_types::{JobStatus, Limit, Settlement};

use crate::{Bay, Bench, at_once, ids, key};

/// Contract row 10: at most so many at once, and those that wait go on in their order.
#[tokio::test]
async fn no_more_run_at_once_than_a_limit_allows() {
    let bay = Bay::new().await;
    bay.limit("k", at_once(2)).await;
    let jobs = bay.jobs(5, &["k"]).await;
    let mut running = bay.claim(10).await;
    assert_eq!(ids(&running), jobs[..2]);
    assert_eq!(bay.uses("k").await, (2, 3));
    assert!(bay.claim(10).await.is_empty());
    for next in &jobs[2..] {
        bay.complete(&running[..1]).await;
        assert_eq!(bay.uses("k").await.0, 2, "the slot is handed over");
        let claimed = bay.claim(10).await;
        assert_eq!(ids(&claimed), [*next]);
        running.remove(0);
        running.extend(claimed);
    }
    bay.complete(&running).await;
    bay.assert_done(&["k"]).await;
}

/// Row 10: whatever a run comes to, its slot is free, and the job that waits for its next attempt
/// holds none.
#[tokio::test]
async fn every_end_of_a_run_frees_its_slot() {
    let bay = Bay::new().await;
    bay.limit("k", at_once(1)).await;
    let delay = Duration::from_secs(3600);
    let why = || "no".to_owned();
    let ends = [
        Settlement::Skipped { reason: why() },
        Settlement::Dead { error: why() },
        Settlement::Retry {
            delay,
            error: why(),
            uses_attempt: true,
        },
        Settlement::Repeat { delay },
        Settlement::Paused {
            after: None,
            error: why(),
        },
    ];
    for end in ends {
        let jobs = bay.jobs(2, &["k"]).await;
        let run = bay.claim(2).await;
        assert_eq!(ids(&run), jobs[..1]);
        bay.end(&run, end.clone()).await;
        let next = bay.claim(2).await;
        assert_eq!(ids(&next), jobs[1..], "{end:?}");
        bay.complete(&next).await;
        assert_eq!(bay.uses("k").await, (0, 0), "{end:?}");
    }
}

/// A run that is handed back goes behind those that waited.
#[tokio::test]
async fn a_run_that_is_handed_back_gives_its_slot_on() {
    let bay = Bay::new().await;
    bay.limit("k", at_once(1)).await;
    let jobs = bay.jobs(2, &["k"]).await;
    let run = bay.claim(2).await;
    bay.end(&run, Settlement::Released).await;
    assert_eq!(bay.drain(2).await, [jobs[1], jobs[0]]);
    bay.assert_done(&["k"]).await;
}

/// Trap W40: the slot of a node that died is taken back with its run.
#[tokio::test]
async fn the_slots_of_a_dead_node_are_free_again() {
    let bay = Bay::new().await;
    bay.limit("k", at_once(2)).await;
    let jobs = bay.jobs(4, &["k"]).await;
    let dying = bay.bench.join(2, Duration::from_millis(300)).await;
    let lost = bay.bench.turn(dying, 1, &[], 10).await.claimed;
    assert_eq!(ids(&lost), jobs[..2]);
    bay.bench.bury(bay.term).await;
    assert_eq!(
        bay.uses("k").await,
        (2, 0),
        "they were handed to those that waited"
    );
    let late = bay
        .bench
        .turn(dying, 2, &[Bench::completed(&lost[0])], 0)
        .await;
    assert_eq!(late.settled, [Settled::Fenced]);
    assert_eq!(bay.uses("k").await, (2, 0), "a late settle frees nothing");
    assert_eq!(bay.drain(10).await, [jobs[2], jobs[3], jobs[0], jobs[1]]);
    bay.assert_done(&["k"]).await;
}

/// Trap W40: a turn whose reply was lost is sent again, and takes and frees no second slot.
#[tokio::test]
async fn a_turn_that_is_sent_again_takes_no_second_slot() {
    let bay = Bay::new().await;
    bay.limit("k", at_once(2)).await;
    bay.jobs(3, &["k"]).await;
    let first = bay.claim(1).await;
    let again = bay
        .bench
        .turn(bay.node, bay.turns.get(), &[], 1)
        .await
        .claimed;
    assert_eq!(ids(&first), ids(&again));
    assert_eq!(bay.uses("k").await, (1, 0));
    let second = bay.claim(2).await;
    assert_eq!((second.len(), bay.uses("k").await), (1, (2, 1)));
    let settle = [Bench::completed(&first[0])];
    for answer in [Settled::Accepted, Settled::Accepted] {
        let reply = bay.bench.turn(bay.node, 99, &settle, 0).await;
        assert_eq!(reply.settled, [answer]);
        assert_eq!(
            bay.uses("k").await,
            (2, 0),
            "the running one and the one that was granted"
        );
    }
    bay.complete(&second).await;
    bay.drain(1).await;
    bay.assert_done(&["k"]).await;
}

/// Row 10: a key without a limit limits nothing, and a limit that is declared later counts those
/// that run already.
#[tokio::test]
async fn a_limit_that_is_declared_later_counts_who_runs() {
    let bay = Bay::new().await;
    bay.jobs(6, &["k"]).await;
    let running = bay.claim(3).await;
    assert_eq!((running.len(), bay.uses("k").await), (3, (3, 0)));
    bay.limit("k", at_once(2)).await;
    assert!(bay.claim(10).await.is_empty());
    bay.complete(&running[..1]).await;
    assert!(bay.claim(10).await.is_empty(), "two of two run");
    bay.complete(&running[1..2]).await;
    assert_eq!(bay.claim(10).await.len(), 1);
}

/// Raising a limit lets those go on that it makes room for; taking it back all of them.
#[tokio::test]
async fn raising_a_limit_wakes_those_that_wait() {
    let bay = Bay::new().await;
    bay.limit("k", at_once(1)).await;
    let jobs = bay.jobs(250, &["k"]).await;
    let first = bay.claim(10).await;
    while bay.turn(&[], 100).await.more {}
    assert_eq!(bay.uses("k").await, (1, 249));
    bay.silence("work").await;
    bay.limit("k", at_once(3)).await;
    assert_eq!(bay.rung("work").await, 1, "an idle node is told");
    let more = bay.claim(10).await;
    assert_eq!(ids(&more), jobs[1..3]);
    assert!(bay.bench.store.set_limit(&key("k"), None).await.unwrap());
    bay.complete(&first).await;
    bay.complete(&more).await;
    let mut ran = bay.drain(100).await;
    while bay.promote().await == Some(Duration::ZERO) {
        ran.extend(bay.drain(100).await);
    }
    ran.extend(bay.drain(100).await);
    assert_eq!(ran, jobs[3..]);
    assert!(!bay.bench.store.set_limit(&key("k"), None).await.unwrap());
    bay.assert_done(&["k"]).await;
}

/// What is declared reads back.
#[tokio::test]
async fn limits_are_listed_with_their_use() {
    let bay = Bay::new().await;
    let rate = crate::a_second(2.5, 7);
    let both = Limit {
        concurrency: Some(1),
        ..rate
    };
    bay.limit("tenant: {7}", both).await;
    bay.limit("a", at_once(4)).await;
    bay.jobs(3, &["tenant: {7}"]).await;
    let run = bay.claim(5).await;
    let listed = bay.bench.store.limits().await.unwrap();
    let shown: Vec<_> = listed
        .iter()
        .map(|it| (it.key.as_str(), it.limit, it.holders, it.waiting))
        .collect();
    assert_eq!(
        shown,
        [
            ("a", Some(at_once(4)), 0, 0),
            ("tenant: {7}", Some(both), 1, 2)
        ]
    );
    let (_, holders) = bay.bench.store.limit(&key("tenant: {7}")).await.unwrap();
    assert_eq!((holders.len(), holders[0].job), (1, run[0].job));
    assert_eq!(holders[0].granted_until, None);
    assert_eq!(bay.bench.status(run[0].job).await, JobStatus::Running);
    let (unknown, _) = bay.bench.store.limit(&key("b")).await.unwrap();
    assert_eq!((unknown.limit, unknown.holders), (None, 0));
}
