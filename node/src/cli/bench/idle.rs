//! `paceline bench idle` and `paceline bench memory`: what a node costs that has little to do,
//! and what it holds.

use std::time::{Duration, Instant};

use clap::Args;
use paceline_types::JobStatus;
use serde_json::json;

use super::super::failure::Failure;
use super::super::options::{Globals, parse_duration};
use super::chance::Chance;
use super::children::ChildNode;
use super::common::Common;
use super::report::{Report, Sheet};
use super::runs::{Run, measured};
use super::sleepers::{self, running, until};
use super::statistics::count;

/// What a node does once, when it starts and comes to lead, is not what it does idle.
const SETTLE: Duration = Duration::from_secs(2);

const MIB: f64 = 1024.0 * 1024.0;

/// What `paceline bench idle` may be told.
#[derive(Clone, Debug, Args)]
pub(crate) struct Idle {
    /// How long
    #[arg(long, default_value = "10s", value_parser = parse_duration, value_name = "DURATION")]
    pub(super) time: Duration,
    #[command(flatten)]
    pub(super) common: Common,
}

/// What `paceline bench memory` may be told.
#[derive(Clone, Debug, Args)]
pub(crate) struct NodeMemory {
    /// Jobs that do nothing, which are processed
    #[arg(long, default_value_t = 50_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) count: u32,
    /// Jobs that are in flight at once
    #[arg(long, default_value_t = 10_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) in_flight: u32,
    #[command(flatten)]
    pub(super) common: Common,
}

/// Measures an idle node.
pub(super) async fn idle(options: &Idle, globals: &Globals) -> Result<Report, Failure> {
    let facts = json!({ "time_s": options.time.as_secs_f64() });
    measured(&options.common, globals, facts, async |run, sheet| {
        measure_idle(options, run, sheet).await
    })
    .await
}

async fn measure_idle(options: &Idle, run: &Run<'_>, sheet: &mut Sheet) -> Result<(), Failure> {
    let stage = run.stage;
    let node = ChildNode::start(&stage.globals, &[]).await?;
    until("the node leads", async || {
        let nodes = stage.store.nodes().await?;
        Ok(nodes.iter().any(|node| !node.leads.is_empty()))
    })
    .await?;
    tokio::time::sleep(SETTLE.min(options.time)).await;
    let (before, node_before) = (stage.usage().await?, node.cpu()?);
    let begun = Instant::now();
    tokio::time::sleep(options.time).await;
    let (after, node_after) = (stage.usage().await?, node.cpu()?);
    let seconds = begun.elapsed().as_secs_f64();
    let memory = node.memory()?;
    node.stop().await;

    let commands = after.requests.saturating_sub(before.requests);
    sheet.figure("idle_commands_per_s", count(commands) / seconds);
    let share =
        |from: Duration, to: Duration| to.saturating_sub(from).as_secs_f64() / seconds * 100.0;
    sheet.figure("idle_node_cpu_percent", share(node_before, node_after));
    sheet.figure("idle_redis_cpu_percent", share(before.cpu, after.cpu));
    sheet.figure("idle_node_memory_mib", count(memory.now) / MIB);
    Ok(())
}

/// Measures the memory of a node.
pub(super) async fn memory(options: &NodeMemory, globals: &Globals) -> Result<Report, Failure> {
    let facts = json!({ "jobs": options.count, "in_flight": options.in_flight });
    measured(&options.common, globals, facts, async |run, sheet| {
        measure_memory(options, run, sheet).await
    })
    .await
}

async fn measure_memory(
    options: &NodeMemory,
    run: &Run<'_>,
    sheet: &mut Sheet,
) -> Result<(), Failure> {
    let (stage, common) = (run.stage, run.common);
    let mut chance = Chance::new(run.seed, common.payload);
    super::jobs::submit(stage, &mut chance, options.count).await?;
    let concurrency = common.concurrency.to_string();
    let node = ChildNode::start(&stage.globals, &["--concurrency", &concurrency]).await?;
    until("all jobs are done", async || {
        let waiting = stage.any_job(JobStatus::Pending).await?;
        Ok(!waiting && !stage.any_job(JobStatus::Running).await?)
    })
    .await?;
    // The most so far: what it gave back meanwhile was needed all the same.
    let processing = node.memory()?.peak;
    node.stop().await;

    let concurrency = options.in_flight.to_string();
    let node = ChildNode::start(&stage.globals, &["--concurrency", &concurrency]).await?;
    sleepers::submit(stage, options.in_flight).await?;
    let wanted = usize::try_from(options.in_flight).unwrap_or(usize::MAX);
    until("all sleeping jobs run", async || {
        Ok(running(stage).await?.len() == wanted)
    })
    .await?;
    let in_flight = node.memory()?.peak;
    node.kill().await;

    sheet.figure("node_memory_noop_mib", count(processing) / MIB);
    sheet.figure("node_memory_in_flight_mib", count(in_flight) / MIB);
    Ok(())
}
