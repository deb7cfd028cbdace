//! Schedules: what fires, when, how often, and what becomes of it (rows 50 to 63 and 136).
// The lints of test code hold for the helpers as well, not only inside the test functions.
#![cfg(test)]

use std::time::Duration;

use paceline_client::{Client, Schedule};
use paceline_node::ledger::ShardLedger;
use paceline_orchestrator::scheduler::{Options, Report, Scheduler};
use paceline_orchestrator::term::{Tenure, Term};
use paceline_store::Store;
use paceline_tests::{Bench, WORK, eventually};
use paceline_types::schedule::OverlapPolicy;
use paceline_types::scheduled::{Advance, FiringKind, FiringStep, NewFiring, PlannedFiring};
use paceline_types::{
    Job, JobId, JobTemplate, ScheduleDefinition, ScheduleId, ScheduleInfo, TaskType, UnixMillis,
};
use tokio::time::Instant;

mod by_hand;
mod catch_up;
mod chaos;
mod ends;
mod life;
mod once;
mod overlap;
mod provider;
mod random;

const HOUR: u64 = 3_600_000;

fn id(text: &str) -> ScheduleId {
    ScheduleId::new(text).expect("an id")
}

/// A schedule of hours: its times are moved by the test and not by the clock.
fn hourly(name: &str) -> ScheduleDefinition {
    definition(name, Schedule::every(Duration::from_millis(HOUR)))
}

/// A schedule that fires at the time that it is kept at, and not again.
fn rarely(name: &str) -> ScheduleDefinition {
    definition(
        name,
        Schedule::every(Duration::from_secs(20 * 365 * 24 * 3_600)),
    )
}

fn definition(name: &str, schedule: Schedule) -> ScheduleDefinition {
    ScheduleDefinition {
        id: id(name),
        schedule,
        job: JobTemplate::new(TaskType::new(WORK).expect("a type")),
        provider: None,
    }
}

/// One shard with a scheduler that ticks when the test says so.
struct Stage {
    bench: Bench,
    client: Client,
    scheduler: Scheduler<ShardLedger>,
    term: Term,
    number: u64,
    _tenure: Tenure,
}

impl Stage {
    async fn new() -> Stage {
        let bench = Bench::new().await;
        let number = bench.lead().await;
        let (tenure, term) = Tenure::begin(number, Instant::now() + Duration::from_secs(3_600));
        let ledger = ShardLedger::new(bench.store.clone(), Bench::SHARD);
        Stage {
            client: Client::from_store(bench.store.clone()),
            scheduler: Scheduler::new(ledger.into(), Options::default()),
            bench,
            term,
            number,
            _tenure: tenure,
        }
    }

    fn store(&self) -> &Store {
        &self.bench.store
    }

    /// The server's time.
    async fn now(&self) -> UnixMillis {
        let (_, now) = self
            .store()
            .schedule(&id("nobody"))
            .await
            .expect("an answer");
        now
    }

    /// Keeps a schedule that stands at `next`, and counts from it.
    async fn keep(&self, definition: &ScheduleDefinition, next: UnixMillis) {
        // What is stored word for word already would stay as it is.
        let mut definition = definition.clone();
        let again = rand::random::<u64>().to_string();
        definition.job.headers.insert("again".to_owned(), again);
        let definition = &definition;
        let known = self.store().schedule(&definition.id).await;
        let seen = known.expect("an answer").0.map(|known| known.revision);
        self.store()
            .put_schedule(definition, seen, Some((next, next)))
            .await
            .expect("stored");
    }

    async fn tick(&mut self) -> Report {
        self.scheduler.tick(&self.term).await.expect("a tick")
    }

    async fn info(&self, name: &str) -> ScheduleInfo {
        let (known, _) = self.store().schedule(&id(name)).await.expect("an answer");
        known.expect("a schedule")
    }

    async fn is_gone(&self, name: &str) -> bool {
        let (known, _) = self.store().schedule(&id(name)).await.expect("an answer");
        known.is_none()
    }

    /// Jobs of a schedule, by their scheduled times.
    async fn jobs(&self, name: &str) -> Vec<Job> {
        jobs_of(&self.client, name).await
    }

    /// Scheduled times of the jobs of a schedule, as hours since `start`.
    async fn hours(&self, name: &str, start: UnixMillis) -> Vec<u64> {
        let jobs = self.jobs(name).await.into_iter();
        jobs.map(|job| (job.firing.expect("a firing").at - start) / HOUR)
            .collect()
    }

    /// A step that fires the schedule at one time and moves it on by an hour.
    async fn step(&self, name: &str, at: UnixMillis, job: JobId) -> FiringStep {
        let info = self.info(name).await;
        let definition = info.definition;
        let spec = definition.firing(&definition.job.spec(), at, false);
        let firing = PlannedFiring {
            at,
            kind: FiringKind::OnTime,
        };
        FiringStep {
            id: id(name),
            revision: info.revision.to_string(),
            advance: Advance::To(at, Some(at + HOUR)),
            overlap: definition.schedule.overlap_policy,
            drains: false,
            firings: vec![NewFiring {
                firing,
                job,
                delay: Duration::ZERO,
                spec,
            }],
        }
    }
}

/// Jobs of a schedule, by their scheduled times.
async fn jobs_of(client: &Client, name: &str) -> Vec<Job> {
    use futures::TryStreamExt;
    let all: Vec<Job> = client
        .jobs(Default::default())
        .stream()
        .try_collect()
        .await
        .expect("the jobs");
    let mut jobs: Vec<_> = all
        .into_iter()
        .filter(|job| {
            let firing = job.firing.as_ref();
            firing.is_some_and(|firing| firing.schedule.as_str() == name)
        })
        .collect();
    jobs.sort_by_key(|job| (job.firing.as_ref().map(|firing| firing.at), job.id));
    jobs.dedup_by_key(|job| job.id);
    jobs
}

/// Waits until a schedule is as the test wants it.
async fn until(
    client: &Client,
    name: &str,
    what: &str,
    wanted: impl Fn(&ScheduleInfo) -> bool,
) -> ScheduleInfo {
    eventually(what, paceline_tests::SOON, async || {
        let info = client
            .schedule_info(name)
            .await
            .map_err(|error| error.to_string())?;
        match wanted(&info) {
            true => Ok(info),
            false => Err(format!("{info:?}")),
        }
    })
    .await
}

/// The policies that keep runs apart, and that which does not.
const POLICIES: [OverlapPolicy; 5] = [
    OverlapPolicy::AllowAll,
    OverlapPolicy::Skip,
    OverlapPolicy::BufferOne,
    OverlapPolicy::BufferAll,
    OverlapPolicy::Replace,
];
