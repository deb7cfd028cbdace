//! Submits at a steady rate, and how long each job took to begin.
//!
//! Submits do not wait for each other: each is sent when its moment has come, and its time counts
//! from then. The moments are spread at random within their period, so that they keep no step
//! with any timer.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use paceline_types::Priority;

use super::super::failure::{Failure, Kind};
use super::chance::{Chance, number_in};
use super::progress::Progress;
use super::stage::Stage;
use super::workers::TASK_TYPE;

/// When numbered jobs were submitted, and when they began.
#[derive(Clone, Default)]
pub(super) struct Starts {
    now: Arc<RwLock<Arc<Noted>>>,
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
        let current = self.now.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&current)
    }

    fn begin(&self, jobs: usize) -> Arc<Noted> {
        let fresh = Arc::new(Noted::new(jobs));
        let mut current = self.now.write().unwrap_or_else(PoisonError::into_inner);
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
