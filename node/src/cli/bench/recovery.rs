//! `paceline bench recovery`: how soon the runs of a killed node have begun again elsewhere.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use clap::Args;
use paceline_types::{JobId, NodeId, duration};
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
        // Before the look at what runs where, which is then as fresh as it can be.
        tokio::time::sleep(MOMENT.mul_f64(chance.share())).await;
        let (victim, seat) = pick(stage, &mut nodes, leads).await?;
        let recovered_in = kill(stage, victim, seat).await?;
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

/// A node that is alive, and what it runs.
struct Seat {
    leads: bool,
    ids: HashSet<NodeId>,
    runs: Vec<JobId>,
}

/// Where everything stands, by the names of the nodes: their ids change when they join again.
async fn seats(stage: &Stage) -> Result<HashMap<String, Seat>, Failure> {
    let mut seats = HashMap::<String, Seat>::new();
    let held = running(stage).await?;
    for node in stage.store.nodes().await? {
        let seat = seats.entry(node.name).or_insert_with(|| Seat {
            leads: false,
            ids: HashSet::new(),
            runs: Vec::new(),
        });
        seat.leads |= !node.leads.is_empty();
        let here = held.iter().filter(|(_, id)| **id == node.node_id);
        seat.runs.extend(here.map(|(job, _)| *job));
        seat.ids.insert(node.node_id);
    }
    Ok(seats)
}

/// Takes the leader from among the nodes, or the one of the others that runs the most.
async fn pick(
    stage: &Stage,
    nodes: &mut Children,
    leads: bool,
) -> Result<(ChildNode, Seat), Failure> {
    let mut seats_now = HashMap::new();
    until("a node leads", async || {
        seats_now = seats(stage).await?;
        let led = |node: &ChildNode| seats_now.get(&node.name).is_some_and(|seat| seat.leads);
        Ok(nodes.0.iter().any(led))
    })
    .await?;
    let candidates = nodes.0.iter().enumerate().filter_map(|(index, node)| {
        let seat = seats_now.get(&node.name)?;
        (seat.leads == leads && !seat.runs.is_empty()).then_some((index, seat.runs.len()))
    });
    let chosen = candidates.max_by_key(|(_, runs)| *runs);
    let chosen = chosen.map(|(index, _)| nodes.0.swap_remove(index));
    let seat = chosen
        .as_ref()
        .and_then(|node| seats_now.remove(&node.name));
    chosen.zip(seat).ok_or_else(|| {
        Failure::new(
            Kind::Outcome,
            "the node that was to be killed runs nothing: ask for more jobs with --count",
        )
    })
}

/// Kills a node; how long it is until all that ran there runs elsewhere.
async fn kill(stage: &Stage, victim: ChildNode, seat: Seat) -> Result<Duration, Failure> {
    victim.kill().await;
    until("what the killed node ran runs elsewhere", async || {
        let held = running(stage).await?;
        let elsewhere = |job| held.get(job).is_some_and(|id| !seat.ids.contains(id));
        Ok(seat.runs.iter().all(elsewhere))
    })
    .await
}
