//! Leaders that die, and leaders that sleep: each scheduled time becomes one job.

use std::collections::BTreeMap;
use std::time::Duration;

use paceline_client::{Client, JobRequest, Schedule};
use paceline_store::StoreOptions;
use paceline_tests::{History, NodeProcess, PATIENCE, RedisServer, eventually, leading, store_at};
use paceline_types::{EventKind, ShardIndex};
use serde_json::json;

use crate::jobs_of;

const SHARD: ShardIndex = ShardIndex(0);

/// Schedules of the scenario: fast enough that one is due at any moment.
const SCHEDULES: usize = 5;

const INTERVAL: Duration = Duration::from_millis(200);

/// Contract row 52, trap W23: across leaders that are killed or stopped, each scheduled time
/// becomes one job, also those that were missed.
#[tokio::test(flavor = "multi_thread")]
async fn leaders_that_die_or_sleep_fire_each_time_once() {
    let redis = RedisServer::start().await;
    let url = redis.url();
    let store = store_at(&url, StoreOptions::default()).await;
    let client = Client::from_store(store.clone());
    let mut nodes = Vec::new();
    for _ in 0..3 {
        nodes.push(NodeProcess::start(&url, &["--lease", "1s"]).await);
    }
    let names: Vec<String> = (0..SCHEDULES).map(|n| format!("s{n}")).collect();
    for name in &names {
        let schedule = Schedule::every(INTERVAL)
            .with_catchup_window(Duration::from_secs(600))
            .with_max_backfill_per_tick(50);
        let job = JobRequest::raw("echo", json!(1));
        client.schedule(name, schedule, job).await.expect("stored");
    }
    let fired = async || {
        let info = client.schedule_info("s0").await.expect("a schedule");
        info.fired
    };
    for round in 0..4 {
        let before = fired().await;
        eventually("it fires", PATIENCE, async || fired().await > before + 2).await;
        let leading = leading(&nodes).await;
        let term = store
            .look(SHARD)
            .await
            .expect("an answer")
            .expect("a leader")
            .term;
        if round % 2 == 0 {
            nodes.remove(leading).kill();
            nodes.push(NodeProcess::start(&url, &["--lease", "1s"]).await);
        } else {
            nodes[leading].stop();
        }
        eventually("another one leads", PATIENCE, async || {
            let lock = store
                .look(SHARD)
                .await
                .expect("an answer")
                .expect("a leader");
            lock.term > term
        })
        .await;
        if round % 2 == 1 {
            nodes[leading].cont();
        }
    }
    let before = fired().await;
    eventually("it fires on", PATIENCE, async || fired().await > before + 2).await;
    for name in &names {
        client.delete_schedule(name).await.expect("deleted");
    }
    for name in &names {
        let jobs = jobs_of(&client, name).await;
        let mut times: BTreeMap<u64, usize> = BTreeMap::new();
        for job in &jobs {
            *times
                .entry(job.firing.as_ref().expect("a firing").at)
                .or_default() += 1;
        }
        assert!(times.values().all(|count| *count == 1), "{name}: {times:?}");
        let (first, last) = (times.keys().next(), times.keys().next_back());
        let (first, last) = (first.expect("jobs"), last.expect("jobs"));
        let wanted = (last - first) / 200 + 1;
        assert_eq!(times.len() as u64, wanted, "{name}: none is left out");
    }
    let history = History::read(&store).await;
    assert_eq!(history.violations, [""; 0]);
    let terms = history.events.iter();
    let terms = terms.filter(|event| event.kind == EventKind::LeaderElected);
    assert!(terms.count() >= 5, "four leaders were lost");
}
