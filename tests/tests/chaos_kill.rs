//! Nodes are killed while they work: nothing is lost, nothing ends twice.
#![cfg(test)]

use std::time::Duration;

use paceline_client::Client;
use paceline_store::{RedisUrl, Store, StoreOptions};
use paceline_tests::{History, NodeProcess, RedisServer, eventually, rng};
use paceline_types::{Bytes, EventKind, JobId, JobSpec, RetryPolicy, TaskType};
use rand::RngExt;

/// The kills, and the jobs that they fall among.
const KILLS: usize = 30;
const JOBS: usize = 20_000;
const NODES: usize = 3;

/// Node and leader lease of the scenario.
const LEASE: &str = "1s";

async fn node(url: &str) -> NodeProcess {
    NodeProcess::start(url, &["--lease", LEASE, "--concurrency", "40"]).await
}

/// Jobs that are long enough to be hit, among many that are not.
fn jobs(count: usize) -> Vec<JobSpec> {
    let spec = |name: &str, payload: &'static str| {
        let task_type = TaskType::new(name).expect("a type");
        let mut spec = JobSpec::new(task_type, Bytes::from_static(payload.as_bytes()));
        // Crashes use attempts: a job that is hit three times is dead by the default policy,
        // which is an end too, but here every job should be able to complete.
        spec.retry_policy = Some(RetryPolicy {
            max_attempts: 20,
            ..RetryPolicy::default()
        });
        spec
    };
    (0..count)
        .map(|n| match n % 10 {
            0 => spec("sleep", r#"{"duration":"50ms"}"#),
            _ => spec("echo", r#"{"n":1}"#),
        })
        .collect()
}

/// Rows 20 to 23, traps W9 and W10.
#[tokio::test(flavor = "multi_thread")]
async fn twenty_thousand_jobs_survive_thirty_kills() {
    let redis = RedisServer::start().await;
    let url = redis.url();
    let mut random = rng("kills");
    let store = Store::open(
        &url.parse::<RedisUrl>().expect("a url"),
        StoreOptions::default(),
    )
    .await
    .expect("a store");
    let client = Client::from_store(store.clone());
    let mut nodes = Vec::new();
    for _ in 0..NODES {
        nodes.push(node(&url).await);
    }

    let mut accepted: Vec<JobId> = Vec::new();
    for round in 0..KILLS {
        let share = JOBS * (round + 1) / KILLS - JOBS * round / KILLS;
        let started = nodes_started(&nodes).await;
        for submission in client.submit_many(jobs(share)).await.expect("accepted") {
            accepted.push(submission.expect("accepted").id);
        }
        // The kill falls into work: somebody has claimed some of these jobs.
        eventually("the nodes work", Duration::from_secs(30), async || {
            nodes_started(&nodes).await > started
        })
        .await;
        let victim = nodes.swap_remove(random.random_range(0..nodes.len()));
        victim.kill();
        nodes.push(node(&url).await);
    }
    assert_eq!(accepted.len(), JOBS);

    // The promise is lease + 2 s after the last kill; a machine that also builds gets longer.
    eventually("all jobs end", Duration::from_secs(60), async || {
        let survey = unfinished(&store).await;
        if survey == 0 { Ok(()) } else { Err(survey) }
    })
    .await;
    let history = History::read(&store).await;
    let ends = history.assert_jobs_ended(&accepted);
    let recovered = history.count(&EventKind::JobAutoRecovered);
    let crashes = history.count(&EventKind::NodeCrashDetected);
    println!("{ends:?}, {recovered} runs recovered from {crashes} dead nodes");
    assert!(recovered > 0, "no kill hit a run");
    assert!(
        crashes >= KILLS - 2,
        "only {crashes} of {KILLS} kills were noticed"
    );
    // What the records say is what the log says.
    for chunk in accepted.chunks(1_000) {
        for (id, job) in chunk.iter().zip(store.jobs(chunk).await.expect("jobs")) {
            let job = job.unwrap_or_else(|| panic!("{id} is gone"));
            assert!(job.status.is_terminal(), "{id} is {}", job.status);
        }
    }
}

/// Runs that the nodes have claimed so far, as they tell it.
async fn nodes_started(nodes: &[NodeProcess]) -> f64 {
    let mut total = 0.0;
    for node in nodes {
        total += node
            .metric("paceline_jobs_claimed_total")
            .await
            .unwrap_or(0.0);
    }
    total
}

/// Jobs that wait or run.
async fn unfinished(store: &Store) -> usize {
    use paceline_store::calls::list::{JobFilter, PageRequest};
    use paceline_types::JobStatus;
    let mut total = 0;
    for status in [JobStatus::Running, JobStatus::Pending, JobStatus::Retrying] {
        let filter = JobFilter {
            status: Some(status),
            ..JobFilter::default()
        };
        total += store
            .list_jobs(&filter, &PageRequest::first(100))
            .await
            .expect("a list")
            .items
            .len();
    }
    total
}
