//! Totals (row 117): exact after mixed ends, and days that go after their time.

use std::time::Duration;

use paceline_client::{Client, Step, WorkflowBuilder};
use paceline_tests::{Bench, Env, Gate, Look, Serve, feature_test, shared_redis};
use paceline_types::stats::{DAY, DayStats};
use paceline_types::{JobError, JobStatus, Priority, TaskType, Tier};
use redis::AsyncTypedCommands;
use serde_json::json;

use crate::{done, key, options};

/// What ended on all days together, as the day may change while a test runs.
async fn ended(client: &Client) -> (u64, u64, u64) {
    let days = client.daily_stats(2).await.unwrap();
    assert_eq!(days.len(), 2);
    assert_eq!(days[1].day - days[0].day, DAY);
    let sum = |count: fn(&DayStats) -> u64| days.iter().map(count).sum();
    (
        sum(|day| day.processed),
        sum(|day| day.failed),
        sum(|day| day.cancelled),
    )
}

feature_test! {
    /// Contract row 117: every end is counted once, alone and in workflows.
    async fn totals_are_exact_after_mixed_ends(env: Env) {
        let gate = Gate::default();
        let ride = env
            .ride(|it| it.serve("t", options(), gate.clone(), async |gate: Gate, _, case| match &*case {
                b"0" => Ok(done()),
                b"1" => Err(JobError::skip("nothing")),
                b"2" => Err(JobError::permanent("boom")),
                b"3" => Err(JobError::pause(None, "wait")),
                _ => { gate.pass().await; Ok(done()) }
            }))
            .await;
        let client = &ride.client;
        let submit = async |case: u32, status: JobStatus| {
            let id = client.submit_raw("t", json!(case)).await.unwrap().id();
            client.until(id, status).await;
            id
        };
        for _ in 0..4 { submit(0, JobStatus::Completed).await; }
        for _ in 0..3 { submit(1, JobStatus::Completed).await; }
        let mut dead = submit(2, JobStatus::Dead).await;
        for _ in 0..4 { dead = submit(2, JobStatus::Dead).await; }
        for _ in 0..2 { submit(3, JobStatus::Paused).await; }
        submit(4, JobStatus::Running).await;
        let later = client.submit_raw("t", json!(0)).delay(Duration::from_secs(600));
        later.await.unwrap();
        for (priority, count) in [(Priority::HIGH, 1), (Priority::NORMAL, 2), (Priority::LOW, 3)] {
            for _ in 0..count {
                client.submit_raw("nobody", json!(0)).priority(priority).await.unwrap();
            }
        }
        let gone = client.submit_raw("other", json!(0)).await.unwrap().id();
        client.cancel(gone).await.unwrap();
        let step = |name: &str| Step::new(name, "t").payload(0);
        let definition = WorkflowBuilder::new("w").task(step("a")).task(step("b"));
        client.submit_workflow(definition, None).await.unwrap().wait().await.unwrap();

        assert_eq!(ended(client).await, (9, 5, 1));
        let stats = client.stats().await.unwrap();
        assert_eq!((stats.pending, stats.running, stats.blocked), (6, 1, 0));
        assert_eq!((stats.delayed, stats.paused, stats.dead), (1, 2, 5));
        assert_eq!(stats.nodes, 1);
        let tiers = [(Tier::High, 1), (Tier::Normal, 2), (Tier::Low, 3)];
        assert_eq!(stats.tiers, tiers.into());
        assert_eq!(stats.types, [(TaskType::new("nobody").unwrap(), 6)].into());
        assert!(stats.oldest_waiting_ms.is_some());
        // A retry is no end; the next end is one.
        client.retry(dead).await.unwrap();
        client.until(dead, JobStatus::Dead).await;
        assert_eq!(ended(client).await, (9, 6, 1));
        gate.open();
        ride.stop().await;
    }
}

/// Contract row 117: days go when they are over ninety of them old; others stay.
#[tokio::test(flavor = "multi_thread")]
async fn days_that_are_too_old_are_removed() {
    let bench = Bench::new().await;
    let term = bench.lead().await;
    let mut raw = shared_redis().await.connect().await;
    let stats = bench.store.shard_stats(Bench::SHARD).await.unwrap();
    let today = stats.at / DAY;
    let days = key(&bench.store, Bench::SHARD, "stats:days");
    for (ago, count) in [(95, 5), (91, 4), (90, 3), (89, 2), (1, 1)] {
        raw.hset(&days, format!("{} C", today - ago), count)
            .await
            .unwrap();
    }
    raw.hset(&days, "t", today - 1).await.unwrap();
    bench.store.purge(Bench::SHARD, term, 100).await.unwrap();
    let left = raw.hkeys(&days).await.unwrap();
    let left: Vec<_> = left.iter().filter(|field| field.ends_with(" C")).collect();
    assert_eq!(left.len(), 3, "{left:?}");
    let told = bench.store.daily_stats(90).await.unwrap();
    assert_eq!(told.len(), 90);
    assert_eq!(told.iter().map(|day| day.processed).sum::<u64>(), 3);
    assert_eq!(told[0].processed, 2);
}
