//! `paceline bench await`: tasks side by side, each of which submits one job at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use futures::future::try_join_all;
use paceline_client::SubmitError;
use serde_json::json;

use super::super::failure::{Failure, Kind};
use super::super::options::Globals;
use super::chance::Chance;
use super::common::Common;
use super::report::{Report, Sheet};
use super::runs::{Run, measured};
use super::stage::Stage;
use super::statistics::{Sorted, count};
use super::workers::TASK_TYPE;

/// What `paceline bench await` may be told.
#[derive(Clone, Debug, Args)]
pub(crate) struct Singles {
    /// Jobs to submit
    #[arg(long, default_value_t = 50_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) count: u32,
    /// Tasks that submit at the same time
    #[arg(long, default_value_t = 64, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) tasks: u32,
    #[command(flatten)]
    pub(super) common: Common,
}

/// Measures.
pub(super) async fn report(options: &Singles, globals: &Globals) -> Result<Report, Failure> {
    let facts = json!({ "jobs": options.count, "tasks": options.tasks });
    measured(&options.common, globals, facts, async |run, sheet| {
        measure(options, run, sheet).await
    })
    .await
}

async fn measure(options: &Singles, run: &Run<'_>, sheet: &mut Sheet) -> Result<(), Failure> {
    let mut chance = Chance::new(run.seed, run.common.payload);
    let warm_up = run.common.warm_up_of(options.count);
    submit(run.stage, &mut chance, options.tasks, warm_up).await?;
    let (elapsed, waits) = submit(run.stage, &mut chance, options.tasks, options.count).await?;
    let jobs = count(u64::from(options.count));
    sheet.speed("await_jobs_per_s", "await_r2", jobs, elapsed);
    sheet.figure("accepted_p50_us", waits.percentile_us(0.5));
    sheet.figure("accepted_p99_us", waits.percentile_us(0.99));
    Ok(())
}

/// Submits `total` jobs; how long that took in all, and each of them.
async fn submit(
    stage: &Stage,
    chance: &mut Chance,
    tasks: u32,
    total: u32,
) -> Result<(Duration, Sorted), Failure> {
    let left = Arc::new(AtomicU32::new(total));
    let begun = Instant::now();
    let tasks = (0..tasks).map(|_| {
        let (client, left) = (stage.client.clone(), Arc::clone(&left));
        let payload = chance.payload();
        tokio::spawn(async move {
            let mut waits = Vec::new();
            let one_less = |left: u32| left.checked_sub(1);
            while left
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less)
                .is_ok()
            {
                let begun = Instant::now();
                client.submit_bytes(TASK_TYPE, payload.clone()).await?;
                waits.push(begun.elapsed());
            }
            Ok::<_, SubmitError>(waits)
        })
    });
    let ended = try_join_all(tasks).await;
    let elapsed = begun.elapsed();
    let ended = ended.map_err(|stopped| Failure::new(Kind::Outcome, stopped))?;
    let mut waits = Vec::new();
    for task in ended {
        waits.extend(task?);
    }
    Ok((elapsed, Sorted::new(waits)))
}
