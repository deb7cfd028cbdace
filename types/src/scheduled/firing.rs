//! Firings on their way to becoming jobs, as the scheduler and the store exchange them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::Serialize;

use crate::schedule::OverlapPolicy;
use crate::{JobId, JobSpec, ScheduleId, UnixMillis};

/// Why a firing takes place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FiringKind {
    /// Its time has come.
    OnTime,
    /// It makes up for one that was missed.
    Missed,
    /// Somebody asked for one now.
    ByHand,
    /// Somebody asked for those of a range of time.
    Backfill,
}

impl FiringKind {
    const ALL: [(FiringKind, char); 4] = [
        (FiringKind::OnTime, 's'),
        (FiringKind::Missed, 'c'),
        (FiringKind::ByHand, 'm'),
        (FiringKind::Backfill, 'b'),
    ];

    /// The letter that it is stored as.
    #[must_use]
    pub fn letter(self) -> char {
        let found = FiringKind::ALL.iter().find(|(kind, _)| *kind == self);
        found.map_or('s', |(_, letter)| *letter)
    }

    /// Whether its job is marked as one of a backfill.
    #[must_use]
    pub fn is_backfill(self) -> bool {
        matches!(self, FiringKind::Missed | FiringKind::Backfill)
    }
}

/// One firing that takes place: written `<scheduled ms><letter>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlannedFiring {
    /// Its scheduled time.
    pub at: UnixMillis,
    /// Why.
    pub kind: FiringKind,
}

impl fmt::Display for PlannedFiring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.at, self.kind.letter())
    }
}

/// A text that is not a firing as it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a firing; expected <scheduled ms><letter>")]
pub struct PlannedFiringError;

impl FromStr for PlannedFiring {
    type Err = PlannedFiringError;

    fn from_str(text: &str) -> Result<PlannedFiring, PlannedFiringError> {
        let last = text.chars().next_back().ok_or(PlannedFiringError)?;
        let found = FiringKind::ALL.iter().find(|(_, letter)| *letter == last);
        let (kind, _) = found.ok_or(PlannedFiringError)?;
        let at = text[..text.len() - 1].parse();
        Ok(PlannedFiring {
            at: at.map_err(|_| PlannedFiringError)?,
            kind: *kind,
        })
    }
}

/// A schedule that there is something to do for, as of one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueSchedule {
    /// Which.
    pub id: ScheduleId,
    /// Names its definition: another definition has another one.
    pub revision: String,
    /// What intervals and every-N count from.
    pub anchored_at: UnixMillis,
    /// The scheduled time that it stands at; none when it will not fire again.
    pub next: Option<UnixMillis>,
    /// The first of the firings that wait for the end of an active run.
    pub waiting: Option<PlannedFiring>,
    /// Whether it is time to look at `next`.
    pub is_due: bool,
}

/// What there is to do for schedules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DueSchedules {
    /// The server's time.
    pub now: UnixMillis,
    /// Those that are due, longest first, then those whose buffer may start.
    pub schedules: Vec<DueSchedule>,
    /// When the next one is due; zero while one is.
    pub next_due_in: Option<Duration>,
}

/// Where a schedule goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advance {
    /// It stays where it is, whatever that is.
    Stay,
    /// From this scheduled time to that one; none when it will not fire again. Only done if it
    /// still stands at the first.
    To(UnixMillis, Option<UnixMillis>),
    /// It stays at this scheduled time, and is due again in a minute: nobody here can read it.
    Later(UnixMillis),
}

/// A firing that may become a job.
#[derive(Clone, Debug, PartialEq)]
pub struct NewFiring {
    /// Which.
    pub firing: PlannedFiring,
    /// The id of its job; made by the caller, so that repeating a call makes nothing twice.
    pub job: JobId,
    /// How long the dispatch waits: jitter.
    pub delay: Duration,
    /// What is asked for.
    pub spec: JobSpec,
}

/// What is to be done for one schedule, in one go.
#[derive(Clone, Debug, PartialEq)]
pub struct FiringStep {
    /// Which.
    pub id: ScheduleId,
    /// The revision that the decision rests on; nothing is done for another one.
    pub revision: String,
    /// Where it goes on.
    pub advance: Advance,
    /// What happens with a firing while the last job has not ended.
    pub overlap: OverlapPolicy,
    /// Whether the first firing is the one that waited longest, and still must be: it starts if
    /// no run is active, and goes on waiting otherwise.
    pub drains: bool,
    /// In order; at most 100.
    pub firings: Vec<NewFiring>,
}

/// What became of firings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FiringCounts {
    /// Became jobs.
    pub fired: u64,
    /// Were left out, as a run was active.
    pub skipped: u64,
    /// Wait for the end of the active run.
    pub buffered: u64,
    /// Had waited, and were replaced by a later one, or found no room.
    pub dropped: u64,
    /// Active runs that were cancelled to make room.
    pub replaced: u64,
}

impl FiringCounts {
    /// Both together.
    #[must_use]
    pub fn plus(self, other: FiringCounts) -> FiringCounts {
        FiringCounts {
            fired: self.fired + other.fired,
            skipped: self.skipped + other.skipped,
            buffered: self.buffered + other.buffered,
            dropped: self.dropped + other.dropped,
            replaced: self.replaced + other.replaced,
        }
    }
}

/// Whether a step was carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FiringOutcome {
    /// Whole.
    Done,
    /// Not at all: the schedule is not as the caller read it, or another leader has done it.
    Changed,
    /// Not at all: there is none.
    Missing,
    /// Not at all: it is paused.
    Paused,
}

/// What became of one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FiringAnswer {
    /// Whether it was carried out.
    pub outcome: FiringOutcome,
    /// What became of its firings.
    pub counts: FiringCounts,
}

/// What became of several steps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fired {
    /// Of each, in order.
    pub answers: Vec<FiringAnswer>,
    /// When the next schedule is due; zero while one is.
    pub next_due_in: Option<Duration>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planned_firings_read_back() {
        for (kind, letter) in FiringKind::ALL {
            let firing = PlannedFiring { at: 1_700, kind };
            assert_eq!(firing.to_string(), format!("1700{letter}"));
            assert_eq!(firing.to_string().parse(), Ok(firing));
        }
        for text in ["", "s", "17", "xs", "17x"] {
            assert!(text.parse::<PlannedFiring>().is_err(), "{text}");
        }
    }
}
