//! What limits and steering cost jobs that use none of them.

use std::collections::BTreeMap;

use paceline_store::calls::submit::NewJob;
use paceline_tests::{Bench, RedisServer, open};

use crate::LONG;

/// Calls of each command so far, by the server.
async fn calls(server: &RedisServer) -> BTreeMap<String, u64> {
    let mut raw = server.connect().await;
    let text: String = redis::cmd("INFO")
        .arg("commandstats")
        .query_async(&mut raw)
        .await
        .unwrap();
    let lines = text.lines().filter_map(|line| {
        let (name, told) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
        Some((name.to_owned(), told.split(',').next()?.parse().ok()?))
    });
    lines.collect()
}

/// A claim of plain jobs reads what is steered with one command, and touches nothing of limits.
#[tokio::test]
async fn a_plain_claim_pays_one_command() {
    let server = RedisServer::start().await;
    let bench = Bench {
        store: open(&server.url(), "cost", 1).await,
    };
    let node = bench.join(1, LONG).await;
    let jobs = |from: u64| -> Vec<NewJob> {
        let make = |number| NewJob {
            id: Bench::job_id(number),
            spec: Bench::spec(),
        };
        (from..from + 50).map(make).collect()
    };
    bench.submit_all(&jobs(0)).await;
    // Scripts are loaded by now.
    bench.turn(node, 1, &[], 10).await;
    let before = calls(&server).await;
    assert_eq!(bench.turn(node, 2, &[], 10).await.claimed.len(), 10);
    let after = calls(&server).await;
    let made: BTreeMap<&str, u64> = after
        .iter()
        .map(|(name, count)| {
            (
                name.as_str(),
                count - before.get(name).copied().unwrap_or(0),
            )
        })
        .filter(|(name, count)| {
            *count > 0 && !["info", "evalsha", "hello", "client|setinfo"].contains(name)
        })
        .collect();
    assert_eq!(made.get("hgetall"), Some(&1), "{made:?}");
    // The lease; a slot would be a second one.
    assert_eq!(made.get("zscore"), Some(&1), "{made:?}");
    // Twenty that it takes without any steering.
    assert_eq!(made.values().sum::<u64>(), 21, "{made:?}");
}
