//! `paceline bench latency`: from submit to the start of the handler, at a fixed rate.

use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use paceline_types::Priority;
use serde_json::json;

use super::super::failure::Failure;
use super::super::options::{Globals, parse_duration};
use super::chance::Chance;
use super::common::Common;
use super::jobs;
use super::report::{Report, Sheet};
use super::runs::{Run, measured};
use super::stage::Stage;
use super::statistics::{Sorted, count, ratio};
use super::steady::{Plan, Starts, submit_steadily};
use super::workers::node_here;

/// Between two SETs beside the work: as often as jobs are submitted by default.
pub(super) const PROBE_EVERY: Duration = Duration::from_millis(5);

/// Jobs that find out the saturated rate.
const SATURATING: u32 = 20_000;

/// How long it is warmed up by default.
const WARM_UP: Duration = Duration::from_secs(1);

/// What `paceline bench latency` may be told.
#[derive(Clone, Debug, Args)]
pub(crate) struct Latency {
    /// Jobs submitted in a second
    #[arg(
        long,
        default_value_t = 200.0,
        value_name = "JOBS",
        conflicts_with = "load"
    )]
    pub(super) rate: f64,
    /// A share of what the same Redis submits and processes when saturated, in place of a rate
    #[arg(long, value_name = "SHARE")]
    pub(super) load: Option<f64>,
    /// How long
    #[arg(long, default_value = "10s", value_parser = parse_duration, value_name = "DURATION")]
    pub(super) time: Duration,
    #[command(flatten)]
    pub(super) common: Common,
}

/// Measures.
pub(super) async fn report(options: &Latency, globals: &Globals) -> Result<Report, Failure> {
    for (option, value) in [("--rate", Some(options.rate)), ("--load", options.load)] {
        if value.is_some_and(|value| !value.is_finite() || value <= 0.0) {
            return Err(Failure::usage(format!("{option} must be above zero")));
        }
    }
    let facts = json!({ "time_s": options.time.as_secs_f64(), "load": options.load });
    measured(&options.common, globals, facts, async |run, sheet| {
        measure(options, run, sheet).await
    })
    .await
}

async fn measure(options: &Latency, run: &Run<'_>, sheet: &mut Sheet) -> Result<(), Failure> {
    let (stage, common) = (run.stage, run.common);
    let mut chance = Chance::new(run.seed, common.payload);
    let mut rate = options.rate;
    if let Some(load) = options.load {
        let saturated = saturated(stage, common, &mut chance).await?;
        sheet.figure("saturated_jobs_per_s", saturated);
        rate = saturated * load;
    }
    sheet.figure("rate_jobs_per_s", rate);

    let starts = Starts::default();
    let noted = starts.clone();
    let result = Bytes::from_static(b"null");
    let node = node_here(stage, common, result, move |payload| noted.note(payload)).await?;
    let warm_up = match common.warm_up {
        Some(jobs) => Duration::from_secs_f64(f64::from(jobs) / rate),
        None => WARM_UP.min(options.time),
    };
    let plan = Plan {
        rate,
        priority: Priority::default(),
    };
    submit_steadily(stage, &mut chance, &starts, &plan, warm_up).await?;

    let before = stage.usage().await?;
    let probe = stage.store.probe(PROBE_EVERY, common.payload)?;
    let taken = submit_steadily(stage, &mut chance, &starts, &plan, options.time).await;
    let set = Sorted::new(probe.end().await?);
    let (taken, after) = (Sorted::new(taken?), stage.usage().await?);
    node.stop().await;

    let requests = after.requests.saturating_sub(before.requests);
    let jobs = count(u64::try_from(taken.len()).unwrap_or(u64::MAX));
    sheet.figure("commands_per_job", ratio(count(requests), jobs));
    told(sheet, &taken);
    let set_p50 = set.percentile_us(0.5);
    sheet.references.set("set_p50_us", set_p50);
    sheet.references.set("set_p99_us", set.percentile_us(0.99));
    let mut against = |name, share| {
        let ratio = ratio(taken.percentile_us(share), set_p50);
        sheet.ratios.set(name, ratio);
    };
    against("latency_p50_set", 0.5);
    against("latency_p99_set", 0.99);
    Ok(())
}

/// Jobs that go through in a second when there is always more to do.
async fn saturated(stage: &Stage, common: &Common, chance: &mut Chance) -> Result<f64, Failure> {
    let submitted_in = jobs::submit(stage, chance, SATURATING).await?;
    let processed = jobs::process(stage, common, 1, SATURATING).await?;
    let total = submitted_in + processed.elapsed;
    Ok(f64::from(SATURATING) / total.as_secs_f64())
}

/// Notes the percentiles of starts.
pub(super) fn told(sheet: &mut Sheet, taken: &Sorted) {
    for (name, share) in [
        ("latency_p50_us", 0.5),
        ("latency_p99_us", 0.99),
        ("latency_p99_9_us", 0.999),
    ] {
        sheet.figure(name, taken.percentile_us(share));
    }
}
