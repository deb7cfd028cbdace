//! `paceline bench limits`: what limits cost that never hold anything back.

use clap::Args;
use paceline_client::{Limit, Rate};
use paceline_types::{LimitKey, Priority};
use serde_json::json;

use super::super::failure::Failure;
use super::super::options::Globals;
use super::chance::Chance;
use super::common::Common;
use super::jobs;
use super::report::{Report, Sheet};
use super::runs::{Run, measured};
use super::stage::Stage;

/// The keys of every job; in one shard of a cluster.
const KEYS: [&str; 2] = ["{bench}:slots", "{bench}:rate"];

/// Generous: more at once than any node has slots, and more a second than any Redis does.
const SLOTS: u32 = 1_000_000;
const PER_SECOND: f64 = 1_000_000.0;

/// What `paceline bench limits` may be told.
#[derive(Clone, Debug, Args)]
pub(crate) struct Limits {
    /// Jobs to submit and process, with limits and without
    #[arg(long, default_value_t = 50_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    count: u32,
    #[command(flatten)]
    common: Common,
}

/// Measures.
pub(super) async fn report(options: &Limits, globals: &Globals) -> Result<Report, Failure> {
    let facts = json!({ "jobs": options.count });
    measured(&options.common, globals, facts, async |run, sheet| {
        measure(options, run, sheet).await
    })
    .await
}

async fn measure(options: &Limits, run: &Run<'_>, sheet: &mut Sheet) -> Result<(), Failure> {
    let (stage, common) = (run.stage, run.common);
    let mut chance = Chance::new(run.seed, common.payload);
    let slots = Limit {
        concurrency: Some(SLOTS),
        rate: None,
    };
    let rate = Limit {
        concurrency: None,
        rate: Some(Rate::per_second(PER_SECOND).map_err(Failure::usage)?),
    };
    for (key, limit) in KEYS.into_iter().zip([slots, rate]) {
        let set = stage.client.set_limit(key, limit).await;
        set.map_err(Failure::usage)?;
    }
    let warm_up = common.warm_up_of(options.count);
    if warm_up > 0 {
        speed(stage, common, &mut chance, warm_up, &[]).await?;
        speed(stage, common, &mut chance, warm_up, &KEYS).await?;
    }
    // Before and after, as the machine may become slower meanwhile.
    let before = speed(stage, common, &mut chance, options.count, &[]).await?;
    let limited = speed(stage, common, &mut chance, options.count, &KEYS).await?;
    let after = speed(stage, common, &mut chance, options.count, &[]).await?;
    let free = f64::midpoint(before, after);
    sheet.figure("unlimited_jobs_per_s", free);
    sheet.figure("limited_jobs_per_s", limited);
    sheet.figure("limits_loss_percent", 100.0 * (1.0 - limited / free));
    Ok(())
}

/// Jobs a second, submitted and then processed.
async fn speed(
    stage: &Stage,
    common: &Common,
    chance: &mut Chance,
    count: u32,
    keys: &[&str],
) -> Result<f64, Failure> {
    let mut jobs = chance.jobs(count, Priority::default())?;
    let keys = keys.iter().map(|key| LimitKey::new(key));
    let keys: Vec<LimitKey> = keys.collect::<Result<_, _>>().map_err(Failure::usage)?;
    for job in &mut jobs {
        job.limits.clone_from(&keys);
    }
    let submitted_in = jobs::submit_all(stage, jobs).await?;
    let processed = jobs::process(stage, common, 1, count).await?;
    let total = submitted_in + processed.elapsed;
    Ok(f64::from(count) / total.as_secs_f64())
}
