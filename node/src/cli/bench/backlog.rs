//! `paceline bench backlog`: how soon urgent jobs begin behind a backlog that is being worked on.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use paceline_types::Priority;
use serde_json::json;

use super::super::failure::{Failure, Kind};
use super::super::options::{Globals, parse_duration};
use super::chance::{Chance, number_in};
use super::common::Common;
use super::latency::{PROBE_EVERY, told};
use super::progress::Progress;
use super::report::{Report, Sheet};
use super::runs::{Run, measured};
use super::stage::Stage;
use super::statistics::{Sorted, count};
use super::steady::{Plan, Starts, submit_steadily};
use super::workers::node_here;

/// Jobs of the backlog that the client is given at once.
const CHUNK: u32 = 20_000;

/// Urgent jobs are submitted for this long before they are measured.
const WARM_UP: Duration = Duration::from_millis(500);

/// What `paceline bench backlog` may be told.
#[derive(Clone, Debug, Args)]
pub(crate) struct Backlog {
    /// Low jobs that wait when the first urgent one is submitted
    #[arg(long, default_value_t = 1_000_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) count: u32,
    /// Urgent jobs submitted in a second
    #[arg(long, default_value_t = 100, value_name = "JOBS", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) rate: u32,
    /// How long
    #[arg(long, default_value = "5s", value_parser = parse_duration, value_name = "DURATION")]
    pub(super) time: Duration,
    #[command(flatten)]
    pub(super) common: Common,
}

/// Measures.
pub(super) async fn report(options: &Backlog, globals: &Globals) -> Result<Report, Failure> {
    let facts = json!({
        "backlog": options.count,
        "rate_jobs_per_s": options.rate,
        "time_s": options.time.as_secs_f64(),
    });
    measured(&options.common, globals, facts, async |run, sheet| {
        measure(options, run, sheet).await
    })
    .await
}

async fn measure(options: &Backlog, run: &Run<'_>, sheet: &mut Sheet) -> Result<(), Failure> {
    let (stage, common) = (run.stage, run.common);
    let mut chance = Chance::new(run.seed, common.payload);
    fill(stage, &mut chance, options.count).await?;

    let starts = Starts::default();
    let low = Arc::new(Progress::default());
    let (noted, counted) = (starts.clone(), Arc::clone(&low));
    let result = Bytes::from_static(b"null");
    let node = node_here(stage, common, result, move |payload| {
        if number_in(payload).is_some() {
            noted.note(payload);
        } else {
            counted.add();
        }
    });
    let node = node.await?;
    let plan = Plan {
        rate: f64::from(options.rate),
        priority: Priority::HIGH,
    };
    let warm_up = WARM_UP.min(options.time);
    submit_steadily(stage, &mut chance, &starts, &plan, warm_up).await?;
    let probe = stage.store.probe(PROBE_EVERY, common.payload)?;
    let before = low.done();
    let taken = submit_steadily(stage, &mut chance, &starts, &plan, options.time).await;
    let passed = low.done();
    let set = Sorted::new(probe.end().await?);
    node.stop().await;

    if passed >= u64::from(options.count) {
        return Err(Failure::new(
            Kind::Usage,
            format!(
                "the backlog of {} jobs was gone before the time was over: ask for more with \
                 --count, or for a shorter --time",
                options.count
            ),
        ));
    }
    told(sheet, &Sorted::new(taken?));
    let low_per_s = count(passed - before) / options.time.as_secs_f64();
    sheet.figure("low_jobs_per_s", low_per_s);
    sheet.references.set("set_p50_us", set.percentile_us(0.5));
    sheet.references.set("set_p99_us", set.percentile_us(0.99));
    Ok(())
}

async fn fill(stage: &Stage, chance: &mut Chance, jobs: u32) -> Result<(), Failure> {
    let mut left = jobs;
    while left > 0 {
        let chunk = left.min(CHUNK);
        let jobs = chance.jobs(chunk, Priority::LOW)?;
        let results = stage.client.submit_many(jobs).await;
        if let Some(error) = results
            .map_err(Failure::redis)?
            .into_iter()
            .find_map(Result::err)
        {
            return Err(error.into());
        }
        left -= chunk;
    }
    Ok(())
}
