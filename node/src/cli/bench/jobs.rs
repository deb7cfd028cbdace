//! `paceline bench jobs`: submit a backlog, then process it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use paceline_store::calls::list::{JobFilter, PageRequest};
use paceline_store::calls::measure::ServerUsage;
use paceline_types::{JobSpec, JobStatus, Priority};
use serde_json::json;

use super::super::failure::Failure;
use super::super::options::Globals;
use super::chance::Chance;
use super::common::{Common, Nodes};
use super::progress::Progress;
use super::report::{Report, Sheet};
use super::runs::{Run, measured};
use super::stage::{Stage, is_private};
use super::statistics::{count, micros, ratio};
use super::workers::Workers;

/// Between two looks at what other processes have left to do.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// What `paceline bench jobs` may be told.
#[derive(Clone, Debug, Args)]
pub(crate) struct Jobs {
    /// Jobs to submit and process
    #[arg(long, default_value_t = 50_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) count: u32,
    #[command(flatten)]
    pub(super) nodes: Nodes,
    #[command(flatten)]
    pub(super) common: Common,
}

/// Measures.
pub(super) async fn report(options: &Jobs, globals: &Globals) -> Result<Report, Failure> {
    let facts = json!({ "jobs": options.count, "nodes": options.nodes.nodes });
    measured(&options.common, globals, facts, async |run, sheet| {
        measure(options, globals, run, sheet).await
    })
    .await
}

async fn measure(
    options: &Jobs,
    globals: &Globals,
    run: &Run<'_>,
    sheet: &mut Sheet,
) -> Result<(), Failure> {
    let (stage, common) = (run.stage, run.common);
    let mut chance = Chance::new(run.seed, common.payload);
    let nodes = options.nodes.nodes;
    warm_up(stage, common, nodes, &mut chance, options.count).await?;

    let idle = stage.settled_usage().await?;
    let submitted_in = submit(stage, &mut chance, options.count).await?;
    let submitted = stage.usage().await?;
    let waiting = stage.settled_usage().await?;
    let processed = process(stage, common, nodes, options.count).await?;
    let finished = stage.settled_usage().await?;

    let jobs = f64::from(options.count);
    let total = submitted_in + processed.elapsed;
    sheet.speed("submit_jobs_per_s", "submit_r2", jobs, submitted_in);
    sheet.speed("process_jobs_per_s", "process_r2", jobs, processed.elapsed);
    sheet.speed("total_jobs_per_s", "total_r2", jobs, total);

    let submit_cpu = cpu_us(&idle, &submitted) / jobs;
    let process_cpu = cpu_us(&processed.before, &processed.after) / jobs;
    let redis_cpu = submit_cpu + process_cpu;
    let node_cpu = micros(processed.node_cpu) / jobs;
    sheet.redis_cpu("redis_cpu_us_per_job", "redis_cpu_r2", redis_cpu);
    sheet.figure("redis_submit_cpu_us_per_job", submit_cpu);
    sheet.figure("redis_process_cpu_us_per_job", process_cpu);
    sheet.figure("node_cpu_us_per_job", node_cpu);
    sheet.ratios.set("node_cpu", ratio(node_cpu, redis_cpu));

    let sent = |what: fn(&ServerUsage) -> u64| {
        let submit = what(&submitted).saturating_sub(what(&idle));
        let process = what(&processed.after).saturating_sub(what(&processed.before));
        count(submit + process) / jobs
    };
    sheet.figure("commands_per_job", sent(|usage| usage.requests));
    sheet.figure("bytes_sent_per_job", sent(|usage| usage.bytes_in));
    let held = |usage: &ServerUsage| count(usage.memory.saturating_sub(idle.memory)) / jobs;
    sheet.figure("bytes_per_waiting_job", held(&waiting));
    sheet.figure("bytes_per_finished_job", held(&finished));
    if let Some(gap) = processed.longest_gap {
        sheet.figure("longest_gap_ms", micros(gap) / 1e3);
    }

    if common.primaries > 1 && is_private(globals) {
        let single = single_cpu_us(options, globals, &mut chance).await?;
        sheet.references.set("single_redis_cpu_us_per_job", single);
        sheet.ratios.set("cluster_cpu", ratio(redis_cpu, single));
    }
    Ok(())
}

/// CPU time of one Redis with one node for each of as many jobs, which a cluster stands against.
async fn single_cpu_us(
    options: &Jobs,
    globals: &Globals,
    chance: &mut Chance,
) -> Result<f64, Failure> {
    let common = Common {
        primaries: 1,
        ..options.common.clone()
    };
    let stage = Stage::open(&common, globals).await?;
    let spent = async {
        warm_up(&stage, &common, 1, chance, options.count).await?;
        let idle = stage.usage().await?;
        submit(&stage, chance, options.count).await?;
        let submitted = stage.usage().await?;
        let processed = process(&stage, &common, 1, options.count).await?;
        Ok(cpu_us(&idle, &submitted) + cpu_us(&processed.before, &processed.after))
    };
    let spent: Result<f64, Failure> = spent.await;
    stage.close().await?;
    Ok(spent? / f64::from(options.count))
}

async fn warm_up(
    stage: &Stage,
    common: &Common,
    nodes: u16,
    chance: &mut Chance,
    count: u32,
) -> Result<(), Failure> {
    let jobs = common.warm_up_of(count);
    if jobs > 0 {
        submit(stage, chance, jobs).await?;
        process(stage, common, nodes, jobs).await?;
    }
    Ok(())
}

fn cpu_us(from: &ServerUsage, to: &ServerUsage) -> f64 {
    micros(to.cpu.saturating_sub(from.cpu))
}

/// Submits jobs, all in one call of the client; how long that took.
pub(super) async fn submit(
    stage: &Stage,
    chance: &mut Chance,
    count: u32,
) -> Result<Duration, Failure> {
    submit_all(stage, chance.jobs(count, Priority::default())?).await
}

/// Submits these jobs, all in one call of the client; how long that took.
pub(super) async fn submit_all(stage: &Stage, jobs: Vec<JobSpec>) -> Result<Duration, Failure> {
    let begun = Instant::now();
    let results = stage.client.submit_many(jobs).await;
    let elapsed = begun.elapsed();
    match results
        .map_err(Failure::redis)?
        .into_iter()
        .find_map(Result::err)
    {
        Some(error) => Err(error.into()),
        None => Ok(elapsed),
    }
}

/// What processing came to.
pub(super) struct Processed {
    /// From before the start of the nodes to the last settlement.
    pub(super) elapsed: Duration,
    node_cpu: Duration,
    before: ServerUsage,
    after: ServerUsage,
    /// The longest time without progress, where that is seen.
    pub(super) longest_gap: Option<Duration>,
}

/// Starts nodes, lets them process what waits, and stops them.
pub(super) async fn process(
    stage: &Stage,
    common: &Common,
    nodes: u16,
    count: u32,
) -> Result<Processed, Failure> {
    let progress = Arc::new(Progress::default());
    progress.expect(u64::from(count));
    let before = stage.usage().await?;
    let begun = Instant::now();
    let own_cpu = super::process::own_cpu();
    let workers = Workers::start(stage, common, nodes, &progress).await?;
    let mut longest_gap = None;
    if workers.are_counted() {
        let gap = progress.reached().await?;
        let all_ran = Instant::now();
        while stage.any_job(JobStatus::Running).await? {
            tokio::task::yield_now().await;
        }
        longest_gap = Some(gap.max(all_ran.elapsed()));
    } else {
        // In this order: a job that moves is seen before it does, or after.
        while stage.any_job(JobStatus::Pending).await? || stage.any_job(JobStatus::Running).await? {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
    let elapsed = begun.elapsed();
    let node_cpu = workers.cpu_since(own_cpu)?;
    let after = stage.usage().await?;
    workers.stop().await;
    Ok(Processed {
        elapsed,
        node_cpu,
        before,
        after,
        longest_gap,
    })
}

impl Stage {
    /// Whether any job is in this status.
    pub(super) async fn any_job(&self, status: JobStatus) -> Result<bool, Failure> {
        let filter = JobFilter {
            status: Some(status),
            ..JobFilter::default()
        };
        let page = self
            .store
            .list_jobs(&filter, &PageRequest::first(1))
            .await?;
        Ok(!page.items.is_empty() || page.next.is_some())
    }
}
