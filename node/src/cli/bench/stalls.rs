//! `paceline bench stalls`: many short runs, to see whether any of them ever stands still.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::super::failure::Failure;
use super::super::options::Globals;
use super::chance::Chance;
use super::common::Common;
use super::flows::at_once;
use super::jobs;
use super::progress::Progress;
use super::report::{Report, Sheet};
use super::runs::{Run, measured};
use super::shape::Shape;
use super::statistics::micros;
use super::workers::Workers;

/// A gap without progress that counts as a stall.
const STALL: Duration = Duration::from_secs(1);

/// What one run is: enough for every part to be used, and little enough for many runs.
const JOBS: u32 = 2_000;
const CHAINS: u32 = 50;
const FANOUTS: u32 = 5;

/// What `paceline bench stalls` may be told.
#[derive(Clone, Debug, Args)]
pub(crate) struct Stalls {
    /// Runs of each workload: jobs, chains and fan-outs, each with a node that was just started
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) count: u32,
    #[command(flatten)]
    pub(super) common: Common,
}

/// Measures.
pub(super) async fn report(options: &Stalls, globals: &Globals) -> Result<Report, Failure> {
    let facts = json!({ "runs_of_each": options.count });
    measured(&options.common, globals, facts, async |run, sheet| {
        measure(options, run, sheet).await
    })
    .await
}

async fn measure(options: &Stalls, run: &Run<'_>, sheet: &mut Sheet) -> Result<(), Failure> {
    let mut chance = Chance::new(run.seed, run.common.payload);
    let mut all = Gaps::default();
    for (figure, shape) in [
        ("stalls_of_jobs", None),
        ("stalls_of_chains", Some((Shape::Chain(10), CHAINS))),
        ("stalls_of_fanouts", Some((Shape::Fanout(100), FANOUTS))),
    ] {
        let mut gaps = Gaps::default();
        for _ in 0..options.count {
            gaps.note(match shape {
                None => of_jobs(run, &mut chance).await?,
                Some((shape, workflows)) => of_flows(run, &mut chance, shape, workflows).await?,
            });
        }
        sheet.figure(figure, f64::from(gaps.stalls));
        all.stalls += gaps.stalls;
        all.longest = all.longest.max(gaps.longest);
    }
    sheet.figure("stalls", f64::from(all.stalls));
    sheet.figure("longest_gap_ms", micros(all.longest) / 1e3);
    Ok(())
}

/// Gaps without progress, of many runs.
#[derive(Debug, Default, PartialEq)]
struct Gaps {
    stalls: u32,
    longest: Duration,
}

impl Gaps {
    fn note(&mut self, longest_of_a_run: Duration) {
        self.stalls += u32::from(longest_of_a_run > STALL);
        self.longest = self.longest.max(longest_of_a_run);
    }
}

/// The longest gap of one run of jobs.
async fn of_jobs(run: &Run<'_>, chance: &mut Chance) -> Result<Duration, Failure> {
    jobs::submit(run.stage, chance, JOBS).await?;
    let processed = jobs::process(run.stage, run.common, 1, JOBS).await?;
    Ok(processed.longest_gap.unwrap_or_default())
}

/// The longest gap of one run of workflows.
async fn of_flows(
    run: &Run<'_>,
    chance: &mut Chance,
    shape: Shape,
    workflows: u32,
) -> Result<Duration, Failure> {
    let progress = Arc::new(Progress::default());
    let workers = Workers::start(run.stage, run.common, 1, &progress).await?;
    let passed = at_once(shape, workflows, run.stage, chance, &workers, &progress).await?;
    workers.stop().await;
    Ok(passed.longest_gap.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_with_a_gap_above_a_second_counts_once() {
        let mut gaps = Gaps::default();
        for millis in [10, 1_000, 1_001, 90] {
            gaps.note(Duration::from_millis(millis));
        }
        let expected = Gaps {
            stalls: 1,
            longest: Duration::from_millis(1_001),
        };
        assert_eq!(gaps, expected);
    }
}
