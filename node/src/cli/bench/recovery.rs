//! `paceline bench recovery`: how soon the runs of a killed node have begun again elsewhere.

use std::time::Duration;

use clap::Args;
use paceline_types::{JobId, duration};
use serde_json::json;

use super::super::failure::{Failure, Kind};
use super::super::options::{Globals, parse_duration};
use super::chance::Chance;
use super::children::{ChildNode, Children};
use super::common::Common;
use super::report::{Report, Sheet};
use super::runs::{Run, measured};
use super::sleepers::{self, running, until};
use super::stage::Stage;

/// Kills come at a moment of chance within this time, which is longer than any beat or sweep.
const MOMENT: Duration = Duration::from_secs(1);

/// What `paceline bench recovery` may be told.
#[derive(Clone, Debug, Args)]
pub(crate) struct Recovery {
    /// Node processes
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u16).range(3..=32))]
    pub(super) nodes: u16,
    /// Jobs that run when a node is killed
    #[arg(long, default_value_t = 300, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) count: u32,
    /// How long a node may be silent before its jobs go to others
    #[arg(long, default_value = "10s", value_parser = parse_duration, value_name = "DURATION")]
    pub(super) lease: Duration,
    #[command(flatten)]
    pub(super) common: Common,
}

/// Measures.
pub(super) async fn report(options: &Recovery, globals: &Globals) -> Result<Report, Failure> {
    let facts = json!({
        "nodes": options.nodes,
        "jobs": options.count,
        "lease_s": options.lease.as_secs_f64(),
    });
    measured(&options.common, globals, facts, async |run, sheet| {
        measure(options, run, sheet).await
    })
    .await
}

async fn measure(options: &Recovery, run: &Run<'_>, sheet: &mut Sheet) -> Result<(), Failure> {
    let (stage, common) = (run.stage, run.common);
    let mut chance = Chance::new(run.seed, common.payload);
    let concurrency = common.concurrency.max(options.count).to_string();
    let lease = duration::format(options.lease);
    let arguments = ["--lease", &lease, "--concurrency", &concurrency];
    let mut nodes = Children::start(&stage.globals, options.nodes, &arguments).await?;
    spread_out(stage, options.count).await?;
    for (figure, leads) in [("recovery_s", false), ("recovery_of_leader_s", true)] {
        let victim = pick(stage, &mut nodes, leads).await?;
        tokio::time::sleep(MOMENT.mul_f64(chance.share())).await;
        let recovered_in = kill(stage, victim).await?;
        sheet.figure(figure, recovered_in.as_secs_f64());
    }
    Ok(())
}

/// Submits in waves, as one that comes at once may go to one node alone.
async fn spread_out(stage: &Stage, jobs: u32) -> Result<(), Failure> {
    let mut left = jobs;
    let mut wave = (jobs / 10).max(1);
    while left > 0 {
        wave = wave.min(left);
        sleepers::submit(stage, wave).await?;
        left -= wave;
        let wanted = usize::try_from(jobs - left).unwrap_or(usize::MAX);
        until("all jobs run", async || {
            Ok(running(stage).await?.len() == wanted)
        })
        .await?;
    }
    Ok(())
}

/// Takes the leader from among the nodes, or the one of the others that runs the most.
async fn pick(stage: &Stage, nodes: &mut Children, leads: bool) -> Result<ChildNode, Failure> {
    let mut leader = None;
    until("a node leads", async || {
        let told = stage.store.nodes().await?;
        let alive = |id: &str| nodes.0.iter().any(|node| node.id == id);
        leader = told
            .into_iter()
            .filter(|node| !node.leads.is_empty())
            .map(|node| node.node_id.to_string())
            .find(|id| alive(id));
        Ok(leader.is_some())
    })
    .await?;
    let held = running(stage).await?;
    let runs = |node: &ChildNode| held.values().filter(|id| id.to_string() == node.id).count();
    let candidates = nodes.0.iter().enumerate();
    let candidates =
        candidates.filter(|(_, node)| (Some(node.id.as_str()) == leader.as_deref()) == leads);
    let chosen = candidates.max_by_key(|(_, node)| runs(node));
    match chosen.map(|(index, node)| (index, runs(node))) {
        Some((index, 1..)) => Ok(nodes.0.swap_remove(index)),
        _ => Err(Failure::new(
            Kind::Outcome,
            "the node that was to be killed runs nothing: ask for more jobs with --count",
        )),
    }
}

/// Kills a node; how long it is until all that ran there runs elsewhere.
async fn kill(stage: &Stage, victim: ChildNode) -> Result<Duration, Failure> {
    let id = victim.id.clone();
    let held = running(stage).await?;
    let lost: Vec<JobId> = held
        .into_iter()
        .filter(|(_, node)| node.to_string() == id)
        .map(|(job, _)| job)
        .collect();
    victim.kill().await;
    until("what the killed node ran runs elsewhere", async || {
        let held = running(stage).await?;
        let elsewhere = |job| held.get(job).is_some_and(|node| node.to_string() != id);
        Ok(lost.iter().all(elsewhere))
    })
    .await
}
