//! `paceline bench jobs`: submit a backlog, then process it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use paceline_client::Client;
use paceline_store::calls::list::{JobFilter, PageRequest};
use paceline_store::calls::measure::ServerUsage;
use paceline_store::{RedisUrl, Store, StoreOptions};
use paceline_types::{Bytes, JobSpec, JobStatus, TaskType};
use serde::Serialize;

use super::super::failure::{Failure, Kind};
use super::super::options::{DEFAULT_REDIS, Globals};
use super::super::output::Output;
use super::super::private_redis::PrivateRedis;
use paceline_node::{HandlerOptions, Node};

const TASK_TYPE: &str = "bench.noop";

/// What `paceline bench jobs` may be told.
#[derive(Debug, Args)]
pub(crate) struct Jobs {
    /// Jobs to submit and process
    #[arg(long, default_value_t = 50_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    count: u32,
    /// Bytes of each payload
    #[arg(long, default_value_t = 100, value_name = "BYTES")]
    payload: usize,
    /// Jobs that the node runs at once
    #[arg(long, default_value_t = 1_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    concurrency: u32,
    /// Keep an append-only file (everysec) on the private server
    #[arg(long)]
    append_only: bool,
}

#[derive(Debug, Serialize)]
struct Report {
    environment: Environment,
    figures: Figures,
    references: References,
    ratios: Ratios,
}

#[derive(Debug, Serialize)]
struct Environment {
    version: &'static str,
    cpus: usize,
    jobs: u32,
    payload_bytes: usize,
    concurrency: u32,
    shards: u16,
    private_server: bool,
    append_only: bool,
}

#[derive(Debug, Serialize)]
struct Figures {
    submit_jobs_per_s: f64,
    process_jobs_per_s: f64,
    total_jobs_per_s: f64,
    redis_cpu_s_per_1000_jobs: f64,
    commands_per_job: f64,
    bytes_sent_per_job: f64,
    bytes_per_waiting_job: f64,
    bytes_per_finished_job: f64,
}

#[derive(Debug, Serialize)]
struct References {
    xadd_per_s_before: f64,
    xadd_per_s_after: f64,
}

#[derive(Debug, Serialize)]
struct Ratios {
    submit_xadd: f64,
    process_xadd: f64,
    total_xadd: f64,
}

/// Measures on a private server, unless `--redis` names another than the default.
pub(crate) async fn run(options: Jobs, globals: &Globals, output: Output) -> Result<(), Failure> {
    if globals.redis != DEFAULT_REDIS {
        let report = measure(&options, globals, false).await?;
        return show(&report, output);
    }
    let folder = if options.append_only {
        Some(tempfile::tempdir()?)
    } else {
        None
    };
    let redis = PrivateRedis::start(folder.as_ref().map(tempfile::TempDir::path)).await?;
    let private = Globals {
        redis: redis.url(),
        ..globals.clone()
    };
    let report = measure(&options, &private, true).await;
    redis.stop().await;
    show(&report?, output)
}

async fn measure(options: &Jobs, globals: &Globals, private: bool) -> Result<Report, Failure> {
    let url: RedisUrl = globals.redis.parse().map_err(Failure::usage)?;
    let namespace = globals.namespace.parse().map_err(Failure::usage)?;
    let store_options = StoreOptions {
        namespace,
        ..StoreOptions::default()
    };
    let store = Store::open(&url, store_options)
        .await
        .map_err(Failure::redis)?;
    let client = Client::from_store(store.clone());
    let before = reference(&store, options).await?;
    let idle = store.server_usage().await?;

    let submitted_in = submit(&client, options).await?;
    let waiting = store.server_usage().await?;

    let processed_in = process(&store, globals, options).await?;
    let finished = store.server_usage().await?;
    let after = reference(&store, options).await?;

    let count = f64::from(options.count);
    let per_second = |elapsed: Duration| count / elapsed.as_secs_f64();
    let figures = Figures {
        submit_jobs_per_s: per_second(submitted_in),
        process_jobs_per_s: per_second(processed_in),
        total_jobs_per_s: per_second(submitted_in + processed_in),
        redis_cpu_s_per_1000_jobs: (finished.cpu.saturating_sub(idle.cpu)).as_secs_f64() * 1000.0
            / count,
        commands_per_job: spent(idle, finished, |usage| usage.requests) / count,
        bytes_sent_per_job: spent(idle, finished, |usage| usage.bytes_in) / count,
        bytes_per_waiting_job: spent(idle, waiting, |usage| usage.memory) / count,
        bytes_per_finished_job: spent(idle, finished, |usage| usage.memory) / count,
    };
    let references = References {
        xadd_per_s_before: per_second(before),
        xadd_per_s_after: per_second(after),
    };
    let xadd = (references.xadd_per_s_before + references.xadd_per_s_after) / 2.0;
    Ok(Report {
        environment: Environment {
            version: env!("CARGO_PKG_VERSION"),
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            jobs: options.count,
            payload_bytes: options.payload,
            concurrency: options.concurrency,
            shards: store.shards(),
            private_server: private,
            append_only: private && options.append_only,
        },
        ratios: Ratios {
            submit_xadd: figures.submit_jobs_per_s / xadd,
            process_xadd: figures.process_jobs_per_s / xadd,
            total_xadd: figures.total_jobs_per_s / xadd,
        },
        figures,
        references,
    })
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn spent(from: ServerUsage, to: ServerUsage, what: fn(&ServerUsage) -> u64) -> f64 {
    what(&to).saturating_sub(what(&from)) as f64
}

async fn reference(store: &Store, options: &Jobs) -> Result<Duration, Failure> {
    let count = usize::try_from(options.count).unwrap_or(usize::MAX);
    Ok(store.reference_xadd(count, options.payload).await?)
}

async fn submit(client: &Client, options: &Jobs) -> Result<Duration, Failure> {
    let task_type = TaskType::new(TASK_TYPE).map_err(Failure::usage)?;
    let payload = Bytes::from(vec![b'x'; options.payload]);
    let jobs: Vec<JobSpec> = (0..options.count)
        .map(|_| JobSpec::new(task_type.clone(), payload.clone()))
        .collect();
    let begun = Instant::now();
    let results = client.submit_many(jobs).await.map_err(Failure::redis)?;
    let elapsed = begun.elapsed();
    match results.into_iter().find_map(Result::err) {
        Some(error) => Err(error.into()),
        None => Ok(elapsed),
    }
}

/// From the start of the node's first claim to the last settlement.
async fn process(store: &Store, globals: &Globals, options: &Jobs) -> Result<Duration, Failure> {
    let left = Arc::new(AtomicUsize::new(
        usize::try_from(options.count).unwrap_or(usize::MAX),
    ));
    let done = Arc::new(tokio::sync::Notify::new());
    let (counter, signal) = (left.clone(), done.clone());
    let node = Node::builder()
        .redis(globals.redis.clone())
        .namespace(globals.namespace.clone())
        .concurrency(options.concurrency)
        .handle_raw(TASK_TYPE, HandlerOptions::default(), move |_, _| {
            let (counter, signal) = (counter.clone(), signal.clone());
            async move {
                if counter.fetch_sub(1, Ordering::Relaxed) == 1 {
                    signal.notify_one();
                }
                Ok(Bytes::from_static(b"null"))
            }
        });
    let begun = Instant::now();
    let node = node
        .start()
        .await
        .map_err(|error| Failure::new(Kind::Redis, error))?;
    done.notified().await;
    let running = JobFilter {
        status: Some(JobStatus::Running),
        ..JobFilter::default()
    };
    while !store
        .list_jobs(&running, &PageRequest::first(1))
        .await?
        .items
        .is_empty()
    {
        tokio::task::yield_now().await;
    }
    let elapsed = begun.elapsed();
    node.stop().await;
    Ok(elapsed)
}

fn show(report: &Report, output: Output) -> Result<(), Failure> {
    if output.is_json() {
        return output.json(report);
    }
    let (figures, ratios) = (&report.figures, &report.ratios);
    let speed = |name: &str, value: f64, ratio: f64| {
        format!("{name:<24}{value:>12.0} jobs/s  {ratio:>6.2} of plain XADD")
    };
    for line in [
        speed("submit", figures.submit_jobs_per_s, ratios.submit_xadd),
        speed("process", figures.process_jobs_per_s, ratios.process_xadd),
        speed(
            "submit and process",
            figures.total_jobs_per_s,
            ratios.total_xadd,
        ),
        format!(
            "{:<24}{:>12.1} ms per 1,000 jobs",
            "Redis CPU",
            figures.redis_cpu_s_per_1000_jobs * 1e3
        ),
        format!(
            "{:<24}{:>12.3} per job",
            "commands", figures.commands_per_job
        ),
        format!(
            "{:<24}{:>12.0} per job",
            "bytes sent", figures.bytes_sent_per_job
        ),
        format!(
            "{:<24}{:>12.0} bytes per job",
            "memory, waiting", figures.bytes_per_waiting_job
        ),
        format!(
            "{:<24}{:>12.0} bytes per job",
            "memory, finished", figures.bytes_per_finished_job
        ),
        format!(
            "{:<24}{:>12.0} per s before, {:.0} after",
            "plain pipelined XADD",
            report.references.xadd_per_s_before,
            report.references.xadd_per_s_after
        ),
    ] {
        output.line(&line)?;
    }
    Ok(())
}
