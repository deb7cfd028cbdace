//! `paceline bench latency`: from submit to the start of the handler, at a fixed rate.
//!
//! Submits do not wait for each other: each is sent when its moment has come, and its time counts
//! from then. The moments are spread at random within their period, so that they keep no step
//! with any timer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use paceline_types::Priority;
use serde_json::json;

use super::super::failure::{Failure, Kind};
use super::super::options::{Globals, parse_duration};
use super::chance::{Chance, number_in};
use super::common::Common;
use super::jobs;
use super::progress::Progress;
use super::report::{Report, Sheet};
use super::runs::{Run, measured};
use super::stage::Stage;
use super::statistics::{Sorted, count, ratio};
use super::workers::{TASK_TYPE, node_here};

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
    let result = bytes::Bytes::from_static(b"null");
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

/// When numbered jobs were submitted, and when they began.
#[derive(Clone, Default)]
pub(super) struct Starts {
    now: Arc<std::sync::RwLock<Arc<Noted>>>,
    pub(super) progress: Arc<Progress>,
}

/// One moment of each job, in nanoseconds from the beginning, and how long its start took.
struct Noted {
    begun: Instant,
    submitted: Vec<AtomicU64>,
    took: Vec<AtomicU64>,
}

impl Default for Noted {
    fn default() -> Self {
        Noted::new(0)
    }
}

impl Noted {
    fn new(jobs: usize) -> Noted {
        let zeros = || (0..jobs).map(|_| AtomicU64::new(0)).collect();
        Noted {
            begun: Instant::now(),
            submitted: zeros(),
            took: zeros(),
        }
    }

    fn nanos(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

impl Starts {
    /// A handler began; a payload without a number is none of ours.
    pub(super) fn note(&self, payload: &[u8]) {
        let Some(number) = number_in(payload) else {
            return;
        };
        let noted = self.current();
        if let (Some(submitted), Some(took)) = (noted.submitted.get(number), noted.took.get(number))
        {
            let waited = noted
                .nanos()
                .saturating_sub(submitted.load(Ordering::Relaxed));
            took.store(waited, Ordering::Relaxed);
            self.progress.add();
        }
    }

    fn current(&self) -> Arc<Noted> {
        let current = self
            .now
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        Arc::clone(&current)
    }

    fn begin(&self, jobs: usize) -> Arc<Noted> {
        let fresh = Arc::new(Noted::new(jobs));
        let mut current = self
            .now
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        *current = Arc::clone(&fresh);
        fresh
    }
}

/// How jobs are submitted.
pub(super) struct Plan {
    pub(super) rate: f64,
    pub(super) priority: Priority,
}

/// Submits for `time` and waits until all have begun; how long each took to.
pub(super) async fn submit_steadily(
    stage: &Stage,
    chance: &mut Chance,
    starts: &Starts,
    plan: &Plan,
    time: Duration,
) -> Result<Vec<Duration>, Failure> {
    let moments = moments(plan.rate, time, chance);
    let payloads: Vec<_> = (0..moments.len()).map(|job| chance.numbered(job)).collect();
    let noted = starts.begin(moments.len());
    let jobs = u64::try_from(moments.len()).unwrap_or(u64::MAX);
    starts.progress.expect(jobs);
    let (client, priority) = (stage.client.clone(), plan.priority);
    let told = Arc::clone(&noted);
    // In a task of its own, which the runtime wakes as it wakes any other.
    let submitting = tokio::spawn(async move {
        let mut submits = tokio::task::JoinSet::new();
        for (job, (moment, payload)) in moments.into_iter().zip(payloads).enumerate() {
            let moment = told.begun + moment;
            if moment > Instant::now() {
                tokio::time::sleep_until(moment.into()).await;
            }
            let (client, told) = (client.clone(), Arc::clone(&told));
            submits.spawn(async move {
                if let Some(submitted) = told.submitted.get(job) {
                    submitted.store(told.nanos(), Ordering::Relaxed);
                }
                let submit = client.submit_bytes(TASK_TYPE, payload);
                submit.priority(priority).await.map(drop)
            });
        }
        while let Some(submitted) = submits.join_next().await {
            submitted.map_err(|stopped| Failure::new(Kind::Outcome, stopped))??;
        }
        Ok::<(), Failure>(())
    });
    submitting
        .await
        .map_err(|stopped| Failure::new(Kind::Outcome, stopped))??;
    starts.progress.reached().await?;
    let took = noted.took.iter().map(|took| took.load(Ordering::Relaxed));
    Ok(took.map(Duration::from_nanos).collect())
}

/// One moment in each period.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a number of jobs"
)]
fn moments(rate: f64, time: Duration, chance: &mut Chance) -> Vec<Duration> {
    let jobs = (rate * time.as_secs_f64()).round().max(1.0) as u32;
    (0..jobs)
        .map(|job| Duration::from_secs_f64((f64::from(job) + chance.share()) / rate))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_period_has_its_moment() {
        let mut chance = Chance::new(3, 0);
        let moments = moments(100.0, Duration::from_secs(1), &mut chance);
        assert_eq!(moments.len(), 100);
        for (job, moment) in moments.iter().enumerate() {
            let period = Duration::from_millis(10) * u32::try_from(job).expect("few");
            assert!(*moment >= period && *moment <= period + Duration::from_millis(10));
        }
    }

    #[test]
    fn starts_of_numbered_jobs_are_noted() {
        let starts = Starts::default();
        let noted = starts.begin(2);
        starts.note(b"0000000001...");
        starts.note(b"not a number");
        starts.note(b"0000000002 is not of this time");
        assert_eq!(starts.progress.done(), 1);
        assert_eq!(noted.took[0].load(Ordering::Relaxed), 0);
        assert!(noted.took[1].load(Ordering::Relaxed) > 0);
    }
}
