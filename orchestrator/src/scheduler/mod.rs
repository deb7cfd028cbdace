//! The service that fires schedules when they are due, by the server's clock.
//!
//! It reads what is due, decides by [`decide`] which firings take place, and has them carried out
//! together with the advance of their schedules. Firings that wait for the end of a run are
//! started by the same step. Two leaders that do the same do it once: a step says where the
//! schedule stands, and the second finds it elsewhere.
//!
//! Metrics: `paceline_schedules_firings_total{outcome=fired|skipped|buffered|dropped|replaced}`.

mod decide;
mod kept;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use paceline_types::schedule::OverlapPolicy;
use paceline_types::scheduled::{
    Advance, DueSchedule, FiringCounts, FiringKind, FiringOutcome, FiringStep, NewFiring,
    PlannedFiring,
};
use paceline_types::{JobId, ScheduleDefinition, ScheduleId, UnixMillis};

use crate::ports::{LedgerError, Schedules};
use crate::term::Term;
use kept::{Kept, Plan, Read};

pub use decide::{DEFAULT_BACKFILL_PER_TICK, Decision, LATE, decide};

/// Schedules that are looked at in one tick unless configured otherwise.
pub const DEFAULT_BATCH: usize = 100;

/// Bytes of definitions that are kept in memory unless configured otherwise: 16 MiB.
pub const DEFAULT_CACHE_BYTES: usize = 16 * 1024 * 1024;

/// Most firings of one call.
const MOST_FIRINGS: usize = 100;

/// Most bytes of one call, in about; a single schedule may have more.
const MOST_BYTES: usize = 1024 * 1024;

/// How schedules are fired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Most schedules of one tick, 1 to 100.
    pub batch: usize,
    /// Bytes of definitions that are kept in memory, in about.
    pub cache_bytes: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            batch: DEFAULT_BATCH,
            cache_bytes: DEFAULT_CACHE_BYTES,
        }
    }
}

/// What one tick did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// What became of the firings.
    pub counts: FiringCounts,
    /// When to tick again: at once while schedules are due; none while there are none.
    pub again_in: Option<Duration>,
}

/// Fires schedules.
#[derive(Debug)]
pub struct Scheduler<P> {
    port: Arc<P>,
    options: Options,
    kept: Kept,
}

/// Steps of one call.
#[derive(Default)]
struct Batch {
    steps: Vec<FiringStep>,
    firings: usize,
    bytes: usize,
}

impl<P: Schedules> Scheduler<P> {
    /// A service with these options.
    #[must_use]
    pub fn new(port: Arc<P>, options: Options) -> Scheduler<P> {
        Scheduler {
            kept: Kept::new(options.cache_bytes),
            port,
            options,
        }
    }

    /// Fires what is due, and starts what may start of what waited.
    ///
    /// # Errors
    /// When the port fails; whatever was not carried out is due still.
    pub async fn tick(&mut self, term: &Term) -> Result<Report, LedgerError> {
        let batch = self.options.batch.clamp(1, 100);
        let due = self.port.due_schedules(term, batch).await?;
        let mut report = Report {
            counts: FiringCounts::default(),
            again_in: due.next_due_in,
        };
        if due.schedules.is_empty() {
            return Ok(report);
        }
        self.read_plans(term, &due.schedules).await?;
        let mut open = Batch::default();
        for schedule in &due.schedules {
            let Some((step, size)) = self.step(schedule, due.now) else {
                continue;
            };
            let firings = step.firings.len();
            let bytes = size + 500 * (1 + firings);
            let is_full = open.firings + firings > MOST_FIRINGS || open.bytes + bytes > MOST_BYTES;
            if is_full && !open.steps.is_empty() {
                self.carry_out(term, &mut report, std::mem::take(&mut open))
                    .await?;
            }
            open.steps.push(step);
            open.firings += firings;
            open.bytes += bytes;
        }
        if !open.steps.is_empty() {
            self.carry_out(term, &mut report, open).await?;
        }
        Ok(report)
    }

    /// Reads the definitions that are not in memory as they are now.
    async fn read_plans(&mut self, term: &Term, due: &[DueSchedule]) -> Result<(), LedgerError> {
        let unknown: Vec<ScheduleId> = due
            .iter()
            .filter(|due| self.kept.get(&due.id, &due.revision).is_none())
            .map(|due| due.id.clone())
            .collect();
        for ids in unknown.chunks(100) {
            let found = self.port.schedule_definitions(term, ids).await?;
            for (id, stored) in ids.iter().zip(found) {
                let Some(stored) = stored else { continue };
                let plan = match ScheduleDefinition::from_json(&stored.definition) {
                    Ok(definition) => Some(Arc::new(Plan {
                        spec: definition.job.spec(),
                        definition,
                        size: stored.definition.len(),
                    })),
                    Err(error) => {
                        tracing::warn!(
                            schedule = %id,
                            %error,
                            "a schedule does not fire: this version cannot read its definition"
                        );
                        None
                    }
                };
                let revision = stored.revision;
                self.kept.put(id.clone(), Read { revision, plan });
            }
        }
        Ok(())
    }

    /// What is to be done for a schedule, and bytes of its definition. None: it has changed
    /// since it was read, and comes again.
    fn step(&mut self, due: &DueSchedule, now: UnixMillis) -> Option<(FiringStep, usize)> {
        let mut step = FiringStep {
            id: due.id.clone(),
            revision: due.revision.clone(),
            advance: Advance::Stay,
            overlap: OverlapPolicy::AllowAll,
            drains: false,
            firings: Vec::new(),
        };
        // Without a record there is nothing to read, and the index is put right by the step.
        let plan = match due.revision.as_str() {
            "" => None,
            revision => self.kept.get(&due.id, revision)?.plan,
        };
        let Some(plan) = plan else {
            if let Some(next) = due.next {
                step.advance = Advance::Later(next);
            }
            return Some((step, 0));
        };
        let schedule = &plan.definition.schedule;
        step.overlap = schedule.overlap_policy;
        if let Some(waiting) = due.waiting {
            step.drains = true;
            step.firings.push(self.firing(&plan, waiting, now));
        }
        if let Some(next) = due.next.filter(|_| due.is_due) {
            let most = MOST_FIRINGS - step.firings.len();
            let decision = decide(schedule, due.anchored_at, next, now, most);
            step.advance = Advance::To(next, decision.next);
            let firings = decision.firings.into_iter();
            step.firings
                .extend(firings.map(|planned| self.firing(&plan, planned, now)));
        }
        Some((step, plan.size))
    }

    fn firing(&self, plan: &Plan, firing: PlannedFiring, now: UnixMillis) -> NewFiring {
        let jitter = plan.definition.schedule.jitter;
        let jitter = jitter.filter(|_| firing.kind == FiringKind::OnTime);
        let backfill = firing.kind.is_backfill();
        let spec = plan.definition.firing(&plan.spec, firing.at, backfill);
        NewFiring {
            firing,
            // The time in an id is for readers; the server's is the only one that is known here.
            job: JobId::from_parts(now, self.port.shard(), rand::random()),
            delay: jitter.map_or(Duration::ZERO, |jitter| {
                jitter.mul_f64(rand::random_range(0.0..1.0))
            }),
            spec,
        }
    }

    async fn carry_out(
        &mut self,
        term: &Term,
        report: &mut Report,
        batch: Batch,
    ) -> Result<(), LedgerError> {
        let ids: Vec<_> = batch.steps.iter().map(|step| step.id.clone()).collect();
        let fired = self.port.fire(term, batch.steps).await?;
        for (id, answer) in ids.iter().zip(&fired.answers) {
            report.counts = report.counts.plus(answer.counts);
            if answer.outcome == FiringOutcome::Missing {
                self.kept.forget(id);
            }
        }
        report.again_in = fired.next_due_in;
        let counts = fired
            .answers
            .iter()
            .fold(FiringCounts::default(), |sum, answer| {
                sum.plus(answer.counts)
            });
        for (outcome, count) in [
            ("fired", counts.fired),
            ("skipped", counts.skipped),
            ("buffered", counts.buffered),
            ("dropped", counts.dropped),
            ("replaced", counts.replaced),
        ] {
            if count > 0 {
                let labels = [("outcome", outcome)];
                metrics::counter!("paceline_schedules_firings_total", &labels).increment(count);
            }
        }
        Ok(())
    }
}
