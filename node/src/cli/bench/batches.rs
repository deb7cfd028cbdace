//! `paceline bench batch`: batches whose items do nothing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use paceline_client::{BatchBuilder, BatchDefinition, BatchHandle};
use paceline_store::calls::measure::ServerUsage;
use paceline_types::BatchStatus;
use serde_json::json;

use super::super::failure::{Failure, Kind};
use super::super::options::Globals;
use super::chance::Chance;
use super::common::{Common, Nodes};
use super::progress::Progress;
use super::report::{Report, Sheet};
use super::runs::{Run, measured};
use super::stage::Stage;
use super::statistics::{count, micros};
use super::workers::{TASK_TYPE, Workers};

/// What `paceline bench batch` may be told.
#[derive(Clone, Debug, Args)]
pub(crate) struct Batch {
    /// Items of the batch
    #[arg(long, default_value_t = 50_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(super) items: u32,
    /// Items that may be under way at once
    #[arg(long, default_value_t = 1_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(super) chunk: u32,
    #[command(flatten)]
    pub(super) nodes: Nodes,
    #[command(flatten)]
    pub(super) common: Common,
}

/// Measures.
pub(super) async fn report(options: &Batch, globals: &Globals) -> Result<Report, Failure> {
    let facts = json!({
        "items": options.items,
        "chunk_size": options.chunk,
        "nodes": options.nodes.nodes,
    });
    measured(&options.common, globals, facts, async |run, sheet| {
        measure(options, run, sheet).await
    })
    .await
}

async fn measure(options: &Batch, run: &Run<'_>, sheet: &mut Sheet) -> Result<(), Failure> {
    let (stage, common) = (run.stage, run.common);
    let mut chance = Chance::new(run.seed, common.payload);
    let progress = Arc::new(Progress::default());
    let workers = Workers::start(stage, common, options.nodes.nodes, &progress).await?;
    let warm_up = common.warm_up_of(options.items);
    if warm_up > 0 {
        let batch = definition(warm_up, options.chunk, &mut chance)?;
        pass(stage, batch, &workers, &progress).await?;
    }
    let idle = stage.settled_usage().await?;
    let before = stage.usage().await?;
    let cpu_before = workers.cpu_since(Duration::ZERO)?;
    let batch = definition(options.items, options.chunk, &mut chance)?;
    let passed = pass(stage, batch, &workers, &progress).await?;
    let node_cpu = workers
        .cpu_since(Duration::ZERO)?
        .saturating_sub(cpu_before);
    let after = stage.usage().await?;
    let finished = stage.settled_usage().await?;
    workers.stop().await;

    let items = f64::from(options.items);
    sheet.speed("batch_items_per_s", "batch_r2", items, passed.elapsed);
    sheet.figure(
        "submit_items_per_s",
        items / passed.submitted_in.as_secs_f64(),
    );
    sheet.figure("submit_ms", micros(passed.submitted_in) / 1e3);
    let redis_cpu = micros(after.cpu.saturating_sub(before.cpu)) / items;
    sheet.redis_cpu("redis_cpu_us_per_item", "batch_cpu_r2", redis_cpu);
    sheet.figure("node_cpu_us_per_item", micros(node_cpu) / items);
    let sent =
        |what: fn(&ServerUsage) -> u64| count(what(&after).saturating_sub(what(&before))) / items;
    sheet.figure("commands_per_item", sent(|usage| usage.requests));
    sheet.figure("bytes_sent_per_item", sent(|usage| usage.bytes_in));
    let held = finished.memory.saturating_sub(idle.memory);
    sheet.figure("bytes_per_finished_item", count(held) / items);
    if let Some(gap) = passed.longest_gap {
        sheet.figure("longest_gap_ms", micros(gap) / 1e3);
    }
    Ok(())
}

fn definition(items: u32, chunk: u32, chance: &mut Chance) -> Result<BatchDefinition, Failure> {
    let items = (0..items).map(|place| (format!("item-{place}"), chance.json()));
    let batch = BatchBuilder::new("bench batch", TASK_TYPE)
        .items(items)
        .chunk_size(chunk);
    let definition = batch.build();
    definition.map_err(|_| Failure::usage("the payloads cannot be written as JSON"))
}

/// What a batch came to.
struct Passed {
    /// From before its submit until its end was told.
    elapsed: Duration,
    submitted_in: Duration,
    /// The longest time without progress, where that is seen.
    longest_gap: Option<Duration>,
}

async fn pass(
    stage: &Stage,
    batch: BatchDefinition,
    workers: &Workers,
    progress: &Progress,
) -> Result<Passed, Failure> {
    let items = batch.items.len();
    progress.expect(u64::try_from(items).unwrap_or(u64::MAX));
    let begun = Instant::now();
    let client = stage.client.clone();
    // In a task of its own, which the runtime wakes as it wakes any other.
    let submit = tokio::spawn(async move { client.submit_batch(batch).await });
    let handle: BatchHandle = submit
        .await
        .map_err(|stopped| Failure::new(Kind::Outcome, stopped))??;
    let submitted_in = begun.elapsed();
    let longest_gap = match workers.are_counted() {
        true => Some(progress.reached().await?),
        false => None,
    };
    let all_ran = Instant::now();
    let ended = handle.wait().await?;
    if ended.status != BatchStatus::Completed {
        let error = ended.error.unwrap_or_default();
        let sentence = format!("the batch is {}: {error}", ended.status);
        return Err(Failure::new(Kind::Outcome, sentence));
    }
    Ok(Passed {
        elapsed: begun.elapsed(),
        submitted_in,
        longest_gap: longest_gap.map(|gap| gap.max(all_ran.elapsed())),
    })
}
