//! A page costs what it holds, whatever number of jobs there is (row 113, W38): counted in what
//! the server was asked and answered.

use paceline_client::{Client, JobFilter, JobStatus, PayloadFilter, Reason, TaskType};
use paceline_store::StoreOptions;
use paceline_store::calls::submit::NewJob;
use paceline_tests::{Bench, RedisServer, store_at};
use paceline_types::why::MOST_AHEAD;
use paceline_types::{NodeId, Settlement};

/// What a server has done so far: commands, and bytes that it answered.
async fn done_by(redis: &RedisServer) -> (u64, u64) {
    let stats = redis.info("stats").await.unwrap();
    let of = |name: &str| stats[name].parse::<u64>().unwrap();
    (of("total_commands_processed"), of("total_net_output_bytes"))
}

/// Commands and bytes of some pages of each kind of list, and of the totals.
async fn costs(redis: &RedisServer, client: &Client) -> Vec<(String, u64, u64)> {
    let status = |status| JobFilter {
        status: Some(status),
        ..JobFilter::default()
    };
    let filters = [
        ("waiting", status(JobStatus::Pending)),
        ("completed", status(JobStatus::Completed)),
        ("none that are dead", status(JobStatus::Dead)),
        (
            "of a type that waits",
            JobFilter {
                task_type: Some(TaskType::new("work").unwrap()),
                ..status(JobStatus::Pending)
            },
        ),
        (
            "with a payload that nobody has",
            JobFilter {
                payload: Some("a=1".parse::<PayloadFilter>().unwrap()),
                ..JobFilter::default()
            },
        ),
    ];
    let mut costs = Vec::new();
    for (name, filter) in filters {
        let before = done_by(redis).await;
        let mut cursor = None;
        for _ in 0..3 {
            let mut list = client.jobs(filter.clone()).limit(20);
            if let Some(cursor) = cursor {
                list = list.after(cursor);
            }
            cursor = list.await.unwrap().next;
            if cursor.is_none() {
                break;
            }
        }
        let after = done_by(redis).await;
        costs.push((name.to_owned(), after.0 - before.0, after.1 - before.1));
    }
    let before = done_by(redis).await;
    client.stats().await.unwrap();
    let after = done_by(redis).await;
    costs.push(("totals".to_owned(), after.0 - before.0, after.1 - before.1));
    costs
}

/// Submits jobs in full calls, and completes as many others.
async fn fill(bench: &Bench, node: NodeId, from: u64, count: u64, turns: &mut u64) {
    for first in (from..from + count).step_by(100) {
        let make = |number| NewJob {
            id: Bench::job_id(number),
            spec: Bench::spec(),
        };
        let jobs: Vec<_> = (first..first + 100).map(make).collect();
        bench.submit_all(&jobs).await;
        let others: Vec<_> = (first..first + 100)
            .map(|number| make((1 << 40) + number))
            .collect();
        bench.submit_all(&others).await;
        *turns += 1;
        let claimed = bench.turn(node, *turns, &[], 100).await.claimed;
        *turns += 1;
        let settle = |run| {
            let result = paceline_types::Bytes::from_static(b"1");
            let settlement = Settlement::Completed { result };
            paceline_store::calls::turn::Settle::of(run, settlement, Bench::KEPT)
        };
        let settles: Vec<_> = claimed.iter().map(settle).collect();
        bench.turn(node, *turns, &settles, 0).await;
    }
}

/// Contract row 113, trap W38: the pages and totals of 200,000 jobs cost what those of 2,000 do.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_costs_the_same_among_two_hundred_thousand_jobs() {
    let redis = RedisServer::start().await;
    let options = StoreOptions {
        shards: Some(1),
        ..StoreOptions::default()
    };
    let bench = Bench {
        store: store_at(&redis.url(), options).await,
    };
    let node = bench.join(1, std::time::Duration::from_secs(3_600)).await;
    let client = Client::from_store(bench.store.clone());
    let mut turns = 0;
    fill(&bench, node, 0, 1_000, &mut turns).await;
    let few = costs(&redis, &client).await;
    fill(&bench, node, 1_000, 99_000, &mut turns).await;
    let many = costs(&redis, &client).await;
    for ((name, commands, bytes), (_, few_commands, few_bytes)) in many.iter().zip(&few) {
        // A filter that finds nothing reads on as far as its budget goes: 20 reads a page.
        let (most_commands, most_bytes) = match name.as_str() {
            "none that are dead" | "with a payload that nobody has" => (3 * 20 * 12, 6 << 20),
            _ => (few_commands + 5, few_bytes * 2),
        };
        assert!(
            *commands <= most_commands,
            "{name}: {commands} commands, {few_commands} before"
        );
        assert!(
            *bytes <= most_bytes,
            "{name}: {bytes} bytes, {few_bytes} before"
        );
    }
    // The last of them in the lane: what is ahead is counted to a bound.
    let last = Bench::job_id((1 << 40) + 99_999);
    let before = done_by(&redis).await;
    let why = client.why(last).await.unwrap();
    let after = done_by(&redis).await;
    let behind = Reason::Behind { ahead: MOST_AHEAD };
    assert!(why.reasons.contains(&behind), "{why:?}");
    // Counting looks at the holes of each entry, of which there are a hundred jobs.
    let counting = 10 * 4 + MOST_AHEAD / 100;
    assert!(
        after.0 - before.0 < counting + 50,
        "{} commands",
        after.0 - before.0
    );
}
