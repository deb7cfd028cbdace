//! Rates by key and of tiers, by the server's clock (rows 5 and 10).

use std::time::Duration;

use paceline_tests::{History, eventually};
use paceline_types::{JobStatus, Limit, Priority, Rate, Tier};
use redis::AsyncTypedCommands;

use crate::{Bay, LONG, a_second, at_once, ids};

/// What began between two looks at the server's clock, which are seconds.
///
/// Not by the log: an event tells when it was written, and a token was taken when its script began,
/// which is earlier where the machine stood still between.
struct Step {
    from: f64,
    to: f64,
    began: usize,
}

async fn clock(bay: &Bay) -> f64 {
    let (seconds, micros): (f64, f64) = redis::cmd("TIME")
        .query_async(&mut bay.raw.clone())
        .await
        .unwrap();
    seconds + micros / 1e6
}

/// Notes how many began in a step; it must claim all that it lets begin.
async fn measured(bay: &Bay, steps: &mut Vec<Step>, began: impl Future<Output = usize>) -> usize {
    let from = clock(bay).await;
    let began = began.await;
    let to = clock(bay).await;
    steps.push(Step { from, to, began });
    began
}

/// In any span no more began than the bucket had, with a token for what is lost by rounding.
fn assert_within(steps: &[Step], rate: f64, burst: u32) {
    for (from, first) in steps.iter().enumerate() {
        let mut count = 0.0;
        for last in &steps[from..] {
            count += f64::from(u32::try_from(last.began).unwrap());
            let span = last.to - first.from;
            let most = f64::from(burst) + rate * span + 0.1;
            assert!(count <= most, "{count} began within {span} s");
        }
    }
}

/// Claims and lets the leader look until so many jobs have run.
async fn run_all(bay: &Bay, steps: &mut Vec<Step>, count: usize) {
    let mut ran = measured(bay, steps, async { bay.drain(10).await.len() }).await;
    let what = "all jobs have run";
    eventually(what, paceline_tests::PATIENCE, async || {
        let step = async {
            bay.promote().await;
            bay.drain(10).await.len()
        };
        ran += measured(bay, steps, step).await;
        if ran == count {
            Ok(())
        } else {
            Err(format!("{ran} ran"))
        }
    })
    .await;
}

/// Contract row 10, with a rate: what finds no token is parked without an attempt, and the leader
/// wakes it when there is one.
#[tokio::test]
async fn a_rate_is_kept_and_used() {
    let bay = Bay::new().await;
    bay.limit("k", a_second(20.0, 4)).await;
    bay.jobs(20, &["k"]).await;
    let mut steps = Vec::new();
    run_all(&bay, &mut steps, 20).await;
    assert_within(&steps, 20.0, 4);
    bay.assert_done(&["k"]).await;
}

/// Both kinds of a limit hold at once.
#[tokio::test]
async fn a_rate_and_a_concurrency_hold_together() {
    let bay = Bay::new().await;
    let limit = Limit {
        concurrency: Some(1),
        ..a_second(50.0, 5)
    };
    bay.limit("k", limit).await;
    bay.jobs(15, &["k"]).await;
    let mut steps = Vec::new();
    let one_at_once = async {
        let first = bay.claim(15).await;
        assert_eq!(first.len(), 1, "one at once, though there are tokens");
        bay.complete(&first).await;
        1 + bay.drain(10).await.len()
    };
    let ran = measured(&bay, &mut steps, one_at_once).await;
    run_all(&bay, &mut steps, 15 - ran).await;
    assert_within(&steps, 50.0, 5);
    bay.assert_done(&["k"]).await;
}

/// The moment that the leader waits for is that of the next token.
#[tokio::test]
async fn the_leader_sleeps_until_the_next_token() {
    let bay = Bay::new().await;
    bay.limit("k", a_second(0.01, 1)).await;
    bay.jobs(3, &["k"]).await;
    let first = bay.claim(5).await;
    assert_eq!(first.len(), 1);
    bay.complete(&first).await;
    let survey = bay
        .bench
        .store
        .survey(crate::Bench::SHARD, bay.term)
        .await
        .unwrap();
    for due in [survey.next_due_in, bay.promote().await] {
        let due = due.unwrap();
        assert!(
            due > Duration::from_secs(50) && due <= Duration::from_secs(100),
            "{due:?}"
        );
    }
    // A faster rate is felt at once, also by those that wait.
    bay.limit("k", a_second(1000.0, 5)).await;
    run_all(&bay, &mut Vec::new(), 2).await;
    bay.limit("k", at_once(1)).await;
    bay.jobs(1, &["k"]).await;
    assert_eq!(bay.drain(5).await.len(), 1);
}

/// A token that comes goes to who waited for it first, not to who comes by before the leader looks.
#[tokio::test]
async fn a_token_goes_to_who_waited_first() {
    let bay = Bay::new().await;
    bay.limit("k", a_second(0.01, 1)).await;
    let jobs = bay.jobs(2, &["k"]).await;
    bay.complete(&bay.claim(2).await).await;
    let mut raw = bay.raw.clone();
    let full = raw.hdel(bay.redis_key("buckets"), "k").await.unwrap();
    assert_eq!(full, 1, "the bucket is full again");
    let late = bay.job(&["k"]).await;
    assert!(bay.claim(2).await.is_empty());
    assert_eq!(bay.uses("k").await, (0, 2));
    raw.zadd(bay.redis_key("wakes"), "k", 1).await.unwrap();
    bay.promote().await;
    assert_eq!(ids(&bay.claim(2).await), jobs[1..]);
    assert_eq!(bay.bench.status(late).await, JobStatus::Pending);
}

/// Contract row 5: the rate of a tier, shared by all nodes, holds up no other tier.
#[tokio::test]
async fn a_tier_has_a_rate() {
    let bay = Bay::new().await;
    let store = &bay.bench.store;
    let rate = Rate::per_second(20.0).unwrap().with_burst(3).unwrap();
    // The burst of a tier is its rate, rounded up.
    assert!(store.set_tier_rate(Tier::Normal, Some(rate)).await.unwrap());
    assert_eq!(store.tiers().await.unwrap()[1].rate, Some(20.0));
    bay.jobs(50, &[]).await;
    let low = bay.jobs_of(5, &[], "work", Priority::LOW).await;
    let other = bay.bench.join(2, LONG).await;
    let (mut steps, mut claimed) = (Vec::new(), Vec::new());
    let both = async {
        let reply = bay.turn(&[], 100).await;
        assert_eq!((reply.claimed.len(), reply.more), (20 + low.len(), false));
        claimed = reply.claimed;
        claimed.extend(bay.bench.turn(other, 1, &[], 100).await.claimed);
        claimed.len() - low.len()
    };
    let ran = measured(&bay, &mut steps, both).await;
    assert_within(&steps, 20.0, 20);
    bay.complete(&claimed).await;
    run_all(&bay, &mut steps, 50 - ran).await;
    assert_within(&steps, 20.0, 20);
    History::read(store)
        .await
        .assert_jobs_ended(&bay.made.borrow());
    // Lifted, it is felt at once.
    bay.jobs(60, &[]).await;
    assert!(store.set_tier_rate(Tier::Normal, None).await.unwrap());
    assert_eq!(bay.claim(100).await.len(), 60);
}
