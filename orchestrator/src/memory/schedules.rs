//! Schedules in memory: what one step does to one of them, by the plainest means.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use paceline_types::schedule::OverlapPolicy;
use paceline_types::scheduled::{
    Advance, DueSchedule, DueSchedules, Fired, FiringAnswer, FiringCounts, FiringOutcome,
    FiringStep, MAX_BUFFERED, PlannedFiring,
};
use paceline_types::{JobId, ScheduleDefinition, ScheduleId, ShardIndex, UnixMillis};

use super::{MemoryLedger, State};
use crate::ports::{LedgerError, Schedules, StoredSchedule};
use crate::term::Term;

#[derive(Debug, Default)]
pub(super) struct Book {
    made: u64,
    kept: BTreeMap<ScheduleId, Kept>,
    /// Jobs of firings that have not ended.
    active: BTreeSet<JobId>,
    fired: Vec<FiredJob>,
}

#[derive(Debug)]
struct Kept {
    revision: u64,
    definition: String,
    anchored_at: UnixMillis,
    next: Option<UnixMillis>,
    look_at: Option<UnixMillis>,
    buffer: VecDeque<PlannedFiring>,
    last: Option<JobId>,
}

/// A firing that became a job.
#[derive(Clone, Debug, PartialEq)]
pub struct FiredJob {
    /// Of which schedule.
    pub schedule: ScheduleId,
    /// Which firing.
    pub firing: PlannedFiring,
    /// The job.
    pub job: JobId,
    /// How long it waits before it is dispatched.
    pub delay: Duration,
}

impl MemoryLedger {
    /// Keeps a schedule that stands at `next`, in place of any of its id.
    pub fn keep_schedule(&self, definition: &ScheduleDefinition, next: UnixMillis) {
        let text = serde_json::to_string(definition).unwrap_or_default();
        self.keep_schedule_text(&definition.id, text, next);
    }

    /// The same for a definition of any words.
    pub fn keep_schedule_text(&self, id: &ScheduleId, definition: String, next: UnixMillis) {
        let mut state = self.state();
        state.schedules.made += 1;
        let kept = Kept {
            revision: state.schedules.made,
            definition,
            anchored_at: next,
            next: Some(next),
            look_at: Some(next),
            buffer: VecDeque::new(),
            last: None,
        };
        state.schedules.kept.insert(id.clone(), kept);
    }

    /// Where a schedule stands; none if there is no such schedule, or it will not fire again.
    #[must_use]
    pub fn schedule_next(&self, id: &ScheduleId) -> Option<UnixMillis> {
        self.state().schedules.kept.get(id)?.next
    }

    /// Whether there is such a schedule.
    #[must_use]
    pub fn has_schedule(&self, id: &ScheduleId) -> bool {
        self.state().schedules.kept.contains_key(id)
    }

    /// Firings that became jobs, in order.
    #[must_use]
    pub fn fired(&self) -> Vec<FiredJob> {
        self.state().schedules.fired.clone()
    }

    /// Ends every job of a firing that has not ended.
    pub fn end_firings(&self) {
        self.state().schedules.active.clear();
    }
}

impl State {
    fn server_time(&self) -> UnixMillis {
        UnixMillis::try_from(self.now.as_millis()).unwrap_or(UnixMillis::MAX)
    }

    fn may_drain(&self, kept: &Kept) -> bool {
        let busy = kept
            .last
            .is_some_and(|job| self.schedules.active.contains(&job));
        !kept.buffer.is_empty() && !busy
    }

    pub(super) fn next_firing_in(&self) -> Option<Duration> {
        let now = self.server_time();
        let kept = || self.schedules.kept.values();
        if kept().any(|kept| self.may_drain(kept)) {
            return Some(Duration::ZERO);
        }
        let next = kept().filter_map(|kept| kept.look_at).min()?;
        Some(Duration::from_millis(next.saturating_sub(now)))
    }

    fn fire_step(&mut self, step: FiringStep) -> FiringAnswer {
        let mut counts = FiringCounts::default();
        let refused = |outcome| FiringAnswer {
            outcome,
            counts: FiringCounts::default(),
        };
        let now = self.server_time();
        let book = &mut self.schedules;
        let Some(kept) = book.kept.get_mut(&step.id) else {
            return refused(FiringOutcome::Missing);
        };
        let stands_there = match step.advance {
            Advance::Stay => true,
            Advance::To(from, _) | Advance::Later(from) => kept.next == Some(from),
        };
        if kept.revision.to_string() != step.revision || !stands_there {
            return refused(FiringOutcome::Changed);
        }
        for (place, new) in step.firings.iter().enumerate() {
            let drains = step.drains && place == 0;
            let busy = kept.last.is_some_and(|job| book.active.contains(&job));
            let waits = matches!(
                step.overlap,
                OverlapPolicy::BufferOne | OverlapPolicy::BufferAll
            );
            let must_wait = busy || (waits && !kept.buffer.is_empty());
            let starts = match (drains, step.overlap) {
                (true, _) => !busy && kept.buffer.front() == Some(&new.firing),
                (false, OverlapPolicy::AllowAll | OverlapPolicy::Replace) => true,
                (false, _) => !must_wait,
            };
            if starts {
                if drains {
                    kept.buffer.pop_front();
                } else if busy && step.overlap == OverlapPolicy::Replace {
                    counts.replaced += 1;
                    book.active.retain(|job| Some(*job) != kept.last);
                }
                counts.fired += 1;
                kept.last = Some(new.job);
                book.active.insert(new.job);
                book.fired.push(FiredJob {
                    schedule: step.id.clone(),
                    firing: new.firing,
                    job: new.job,
                    delay: new.delay,
                });
            } else if drains {
                // It goes on waiting.
            } else if !waits {
                counts.skipped += 1;
            } else if step.overlap == OverlapPolicy::BufferAll && kept.buffer.len() >= MAX_BUFFERED
            {
                counts.dropped += 1;
            } else {
                if step.overlap == OverlapPolicy::BufferOne {
                    counts.dropped += kept.buffer.len() as u64;
                    kept.buffer.clear();
                }
                counts.buffered += 1;
                kept.buffer.push_back(new.firing);
            }
        }
        match step.advance {
            Advance::Stay => {}
            Advance::To(_, next) => (kept.next, kept.look_at) = (next, next),
            Advance::Later(_) => kept.look_at = Some(now + 60_000),
        }
        if kept.next.is_none() && kept.buffer.is_empty() {
            book.kept.remove(&step.id);
        }
        FiringAnswer {
            outcome: FiringOutcome::Done,
            counts,
        }
    }
}

impl Schedules for MemoryLedger {
    fn shard(&self) -> ShardIndex {
        ShardIndex(0)
    }

    async fn due_schedules(&self, term: &Term, max: usize) -> Result<DueSchedules, LedgerError> {
        let mut state = self.state();
        state.admit(term)?;
        let now = state.server_time();
        let is_due = |kept: &Kept| kept.look_at.is_some_and(|at| at <= now);
        let mut found: Vec<_> = state
            .schedules
            .kept
            .iter()
            .filter(|(_, kept)| is_due(kept) || state.may_drain(kept))
            .collect();
        found.sort_by_key(|(_, kept)| (!is_due(kept), kept.look_at));
        let schedules = found.into_iter().take(max).map(|(id, kept)| DueSchedule {
            id: id.clone(),
            revision: kept.revision.to_string(),
            anchored_at: kept.anchored_at,
            next: kept.next,
            waiting: kept.buffer.front().copied(),
            is_due: is_due(kept),
        });
        Ok(DueSchedules {
            now,
            schedules: schedules.collect(),
            next_due_in: state.next_firing_in(),
        })
    }

    async fn schedule_definitions(
        &self,
        term: &Term,
        ids: &[ScheduleId],
    ) -> Result<Vec<Option<StoredSchedule>>, LedgerError> {
        assert!(ids.len() <= 100, "too many ids");
        let mut state = self.state();
        state.admit(term)?;
        let stored = |id: &ScheduleId| {
            let kept = state.schedules.kept.get(id)?;
            Some(StoredSchedule {
                revision: kept.revision.to_string(),
                definition: kept.definition.clone(),
            })
        };
        Ok(ids.iter().map(stored).collect())
    }

    async fn fire(&self, term: &Term, steps: Vec<FiringStep>) -> Result<Fired, LedgerError> {
        let firings: usize = steps.iter().map(|step| step.firings.len()).sum();
        assert!(firings <= 100 && steps.len() <= 100, "too many firings");
        let mut state = self.state();
        state.admit(term)?;
        let answers = steps.into_iter().map(|step| state.fire_step(step));
        Ok(Fired {
            answers: answers.collect(),
            next_due_in: state.next_firing_in(),
        })
    }
}
