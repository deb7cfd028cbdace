//! `paceline bench chain`, `fanout`, `loop` and `map`: workflows at once, or one after another.

use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use futures::future::try_join_all;
use serde_json::json;

use super::super::failure::{Failure, Kind};
use super::super::options::Globals;
use super::chance::Chance;
use super::common::{Common, Nodes};
use super::one_by_one;
use super::progress::Progress;
use super::report::{Report, Sheet};
use super::runs::{Run, measured};
use super::shape::{Shape, result};
use super::stage::Stage;
use super::statistics::{count, micros};
use super::workers::Workers;

/// Between two looks at what other processes have left to do.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// Workflows one after another, where nothing else is said.
const ONE_BY_ONE: u32 = 200;

/// What `paceline bench chain` may be told.
#[derive(Clone, Debug, Args)]
pub(crate) struct Chain {
    /// Tasks of each chain; each is handed the result of the one before
    #[arg(long, default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(super) length: u32,
    /// Chains [default: 1000 at once, 200 one by one]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) count: Option<u32>,
    #[command(flatten)]
    pub(super) flows: Flows,
}

/// What `paceline bench fanout` may be told.
#[derive(Clone, Debug, Args)]
pub(crate) struct Fanout {
    /// Tasks between the first and the last
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(super) width: u32,
    /// Workflows [default: 50 at once, 200 one by one]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) count: Option<u32>,
    #[command(flatten)]
    pub(super) flows: Flows,
}

/// What `paceline bench loop` may be told.
#[derive(Clone, Debug, Args)]
pub(crate) struct Loop {
    /// Iterations of each loop
    #[arg(long, default_value_t = 20, value_name = "N", value_parser = clap::value_parser!(u32).range(2..=1_000))]
    pub(super) times: u32,
    /// Workflows [default: 500 at once, 200 one by one]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) count: Option<u32>,
    #[command(flatten)]
    pub(super) flows: Flows,
}

/// What `paceline bench map` may be told.
#[derive(Clone, Debug, Args)]
pub(crate) struct Map {
    /// Elements of each array
    #[arg(long, default_value_t = 1_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(super) elements: u32,
    /// Workflows [default: 10 at once, 200 one by one]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) count: Option<u32>,
    #[command(flatten)]
    pub(super) flows: Flows,
}

/// What all may be told.
#[derive(Clone, Debug, Args)]
pub(crate) struct Flows {
    /// One workflow at a time on an idle cluster, from its submit until its end is told
    #[arg(long)]
    pub(super) one: bool,
    #[command(flatten)]
    pub(super) nodes: Nodes,
    #[command(flatten)]
    pub(super) common: Common,
}

/// Measures chains.
pub(super) async fn chain(options: &Chain, globals: &Globals) -> Result<Report, Failure> {
    let shape = Shape::Chain(options.length);
    report(shape, options.count, 1_000, &options.flows, globals).await
}

/// Measures fan-outs.
pub(super) async fn fanout(options: &Fanout, globals: &Globals) -> Result<Report, Failure> {
    let shape = Shape::Fanout(options.width);
    report(shape, options.count, 50, &options.flows, globals).await
}

/// Measures loops.
pub(super) async fn loops(options: &Loop, globals: &Globals) -> Result<Report, Failure> {
    let shape = Shape::Loop(options.times);
    report(shape, options.count, 500, &options.flows, globals).await
}

/// Measures maps.
pub(super) async fn maps(options: &Map, globals: &Globals) -> Result<Report, Failure> {
    let shape = Shape::Map(options.elements);
    report(shape, options.count, 10, &options.flows, globals).await
}

async fn report(
    shape: Shape,
    asked: Option<u32>,
    at_once: u32,
    flows: &Flows,
    globals: &Globals,
) -> Result<Report, Failure> {
    if flows.one && flows.nodes.nodes > 1 {
        let sentence = "--one measures with a node in this process: leave --nodes out";
        return Err(Failure::usage(sentence));
    }
    let usual = if flows.one { ONE_BY_ONE } else { at_once };
    let workflows = asked.unwrap_or(usual);
    let facts = json!({
        "workflows": workflows,
        "tasks_per_workflow": shape.tasks(),
        "nodes": flows.nodes.nodes,
    });
    measured(&flows.common, globals, facts, async |run, sheet| {
        if flows.one {
            one_by_one::measure(shape, workflows, run, sheet).await
        } else {
            at_once_measured(shape, workflows, flows.nodes.nodes, run, sheet).await
        }
    })
    .await
}

async fn at_once_measured(
    shape: Shape,
    workflows: u32,
    nodes: u16,
    run: &Run<'_>,
    sheet: &mut Sheet,
) -> Result<(), Failure> {
    let (stage, common) = (run.stage, run.common);
    let mut chance = Chance::new(run.seed, common.payload);
    let progress = Arc::new(Progress::default());
    let workers = Workers::start_with(stage, common, nodes, &progress, result(&mut chance)).await?;
    let warm_up = common.warm_up_of(workflows);
    if warm_up > 0 {
        at_once(shape, warm_up, stage, &mut chance, &workers, &progress).await?;
    }
    let before = stage.usage().await?;
    let cpu_before = workers.cpu_since(Duration::ZERO)?;
    let passed = at_once(shape, workflows, stage, &mut chance, &workers, &progress).await?;
    let node_cpu = workers
        .cpu_since(Duration::ZERO)?
        .saturating_sub(cpu_before);
    let after = stage.usage().await?;
    workers.stop().await;

    let name = shape.name();
    let tasks = count(u64::from(workflows) * u64::from(shape.tasks()));
    sheet.speed(
        &format!("{name}_tasks_per_s"),
        &format!("{name}_r2"),
        tasks,
        passed.elapsed,
    );
    sheet.figure(
        &format!("{name}_workflows_per_s"),
        f64::from(workflows) / passed.elapsed.as_secs_f64(),
    );
    sheet.figure("submit_ms", micros(passed.submitted_in) / 1e3);
    let redis_cpu = micros(after.cpu.saturating_sub(before.cpu)) / tasks;
    sheet.figure("redis_cpu_us_per_task", redis_cpu);
    sheet.figure("node_cpu_us_per_task", micros(node_cpu) / tasks);
    let requests = count(after.requests.saturating_sub(before.requests));
    sheet.figure("commands_per_task", requests / tasks);
    let sent = count(after.bytes_in.saturating_sub(before.bytes_in));
    sheet.figure("bytes_sent_per_task", sent / tasks);
    if let Some(gap) = passed.longest_gap {
        sheet.figure("longest_gap_ms", micros(gap) / 1e3);
    }
    Ok(())
}

/// What a pass of workflows came to.
pub(super) struct Passed {
    /// From before the first submit until all have ended.
    pub(super) elapsed: Duration,
    submitted_in: Duration,
    /// The longest time without progress, where that is seen.
    pub(super) longest_gap: Option<Duration>,
}

/// Submits workflows, all at once, and waits until all have ended.
pub(super) async fn at_once(
    shape: Shape,
    workflows: u32,
    stage: &Stage,
    chance: &mut Chance,
    workers: &Workers,
    progress: &Progress,
) -> Result<Passed, Failure> {
    let definitions: Vec<_> = (0..workflows)
        .map(|_| shape.definition(chance))
        .collect::<Result<_, _>>()?;
    progress.expect(u64::from(workflows) * u64::from(shape.tasks()));
    let begun = Instant::now();
    let client = stage.client.clone();
    let submits = tokio::spawn(async move {
        let submits = definitions.into_iter();
        try_join_all(submits.map(|definition| client.submit_workflow(definition, None))).await?;
        Ok::<_, Failure>(begun.elapsed())
    });
    let submitted = async {
        let ended = submits.await;
        ended.map_err(|stopped| Failure::new(Kind::Outcome, stopped))?
    };
    let done = async {
        if workers.are_counted() {
            progress.reached().await.map(Some)
        } else {
            Ok(None)
        }
    };
    let (submitted_in, longest_gap) = futures::future::try_join(submitted, done).await?;
    let all_ran = Instant::now();
    while stage.any_workflow().await? {
        if workers.are_counted() {
            tokio::task::yield_now().await;
        } else {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
    Ok(Passed {
        elapsed: begun.elapsed(),
        submitted_in,
        longest_gap: longest_gap.map(|gap| gap.max(all_ran.elapsed())),
    })
}

impl Stage {
    /// Whether any workflow has not ended.
    async fn any_workflow(&self) -> Result<bool, Failure> {
        for shard in self.store.each_shard() {
            let (active, more) = self.store.active_page(shard, "", 1).await?;
            if !active.is_empty() || more.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
