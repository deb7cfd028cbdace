//! Schedules: at which moments work starts by itself, and by which rules.
//!
//! A schedule is a function from a moment to the next one ([`Schedule::next_after`]); it has no
//! state and knows no clock. The next firing follows from the scheduled time of the last one, so
//! a late leader shifts nothing, and jitter is no part of it: it delays the dispatch, not the
//! scheduled time that names a firing.
//!
//! Calendar schedules (CRON, DAILY, WEEKLY, MONTHLY) count in local time of their zone. Where
//! clocks change: a local time that is skipped fires at the first moment after the gap, together
//! with what fires there anyway; a local time that comes twice fires once, at the first. So
//! `*/5 * * * *` rests for the repeated hour in autumn; what must not rest is an interval
//! (DURATION), which counts real time and knows no daylight saving.
//!
//! The calendar ends with the year [`LAST_YEAR`]: nothing but intervals fires later.

mod calendar;
mod check;
mod cron;
mod firing;
mod form;
mod moment;
mod timing;
mod zone;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::UnixMillis;

pub use calendar::{AtTime, AtTimeError, LAST_YEAR};
pub use check::{MAX_AT_TIMES, MIN_INTERVAL, ScheduleError};
pub use cron::{CronError, CronExpr};
pub use firing::{ClockChange, Firing};
pub use timing::{OverlapPolicy, Timing};
pub use zone::{Zone, ZoneError};

/// When work starts, and what happens with firings that overlap or were missed.
///
/// Read from JSON with [`Schedule::from_json`] or as a part of something greater; it is only
/// accepted when [`Schedule::check`] finds nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "form::Form", into = "form::Form")]
pub struct Schedule {
    /// The rule that the moments follow.
    pub timing: Timing,
    /// Nothing fires earlier. Anchors intervals and every-N: an interval first fires at this
    /// moment exactly.
    pub starts_at: Option<UnixMillis>,
    /// Nothing fires later; a firing at this moment exactly takes place.
    pub ends_at: Option<UnixMillis>,
    /// Where calendar rules count.
    pub timezone: Zone,
    /// What happens with a firing while the run of an earlier one is active.
    pub overlap_policy: OverlapPolicy,
    /// How old a missed firing may be to be made up for; none or zero: only the latest one is.
    pub catchup_window: Option<Duration>,
    /// Most missed firings that one tick makes up for.
    pub max_backfill_per_tick: Option<u32>,
    /// Each dispatch is delayed by a random time below this; the scheduled time stays.
    pub jitter: Option<Duration>,
}

impl From<Timing> for Schedule {
    /// In UTC, without bounds, with everything else at its default.
    fn from(timing: Timing) -> Schedule {
        Schedule {
            timing,
            starts_at: None,
            ends_at: None,
            timezone: Zone::default(),
            overlap_policy: OverlapPolicy::default(),
            catchup_window: None,
            max_backfill_per_tick: None,
            jitter: None,
        }
    }
}

impl Schedule {
    /// Once, when it is created.
    #[must_use]
    pub fn immediate() -> Schedule {
        Timing::Immediate.into()
    }

    /// Once, at this moment.
    #[must_use]
    pub fn one_time(run_at: UnixMillis) -> Schedule {
        Timing::OneTime { run_at }.into()
    }

    /// Again and again after this time: first one interval after creation, or at `starts_at`.
    #[must_use]
    pub fn every(interval: Duration) -> Schedule {
        Timing::Every { interval }.into()
    }

    /// By a cron expression.
    ///
    /// # Errors
    /// When it is not one, with the place of the mistake.
    pub fn cron(expr: &str) -> Result<Schedule, CronError> {
        let expr = expr.parse()?;
        Ok(Timing::Cron { expr }.into())
    }

    /// Every `every`-th day at these times.
    #[must_use]
    pub fn daily(every: u32, at: impl IntoIterator<Item = AtTime>) -> Schedule {
        let at = at.into_iter().collect();
        Timing::Daily { every, at }.into()
    }

    /// On these days (0 is Sunday) of every `every`-th week at these times.
    #[must_use]
    pub fn weekly(
        every: u32,
        days: impl IntoIterator<Item = u8>,
        at: impl IntoIterator<Item = AtTime>,
    ) -> Schedule {
        let (days, at) = (days.into_iter().collect(), at.into_iter().collect());
        Timing::Weekly { every, days, at }.into()
    }

    /// On these days of every `every`-th month at these times.
    #[must_use]
    pub fn monthly(
        every: u32,
        days: impl IntoIterator<Item = u8>,
        at: impl IntoIterator<Item = AtTime>,
    ) -> Schedule {
        let (days, at) = (days.into_iter().collect(), at.into_iter().collect());
        Timing::Monthly { every, days, at }.into()
    }

    /// With this start: see [`Schedule::starts_at`].
    #[must_use]
    pub fn with_starts_at(mut self, at: UnixMillis) -> Schedule {
        self.starts_at = Some(at);
        self
    }

    /// With this end: see [`Schedule::ends_at`].
    #[must_use]
    pub fn with_ends_at(mut self, at: UnixMillis) -> Schedule {
        self.ends_at = Some(at);
        self
    }

    /// In this zone.
    #[must_use]
    pub fn with_timezone(mut self, zone: Zone) -> Schedule {
        self.timezone = zone;
        self
    }

    /// With this overlap policy.
    #[must_use]
    pub fn with_overlap_policy(mut self, policy: OverlapPolicy) -> Schedule {
        self.overlap_policy = policy;
        self
    }

    /// Makes up for missed firings that are no older than this.
    #[must_use]
    pub fn with_catchup_window(mut self, window: Duration) -> Schedule {
        self.catchup_window = Some(window);
        self
    }

    /// Makes up for at most so many missed firings in one tick.
    #[must_use]
    pub fn with_max_backfill_per_tick(mut self, most: u32) -> Schedule {
        self.max_backfill_per_tick = Some(most);
        self
    }

    /// Delays each dispatch by a random time below this.
    #[must_use]
    pub fn with_jitter(mut self, jitter: Duration) -> Schedule {
        self.jitter = Some(jitter);
        self
    }

    /// Whether it can fire more than once by its rule: all but IMMEDIATE and ONE_TIME.
    #[must_use]
    pub fn is_recurring(&self) -> bool {
        !matches!(self.timing, Timing::Immediate | Timing::OneTime { .. })
    }

    /// Whether both describe the same moments, however they are written (`@daily` and
    /// `0 0 * * *`; times of day in another order). An upsert that changes none keeps the time
    /// of the next firing. Policies and jitter are not looked at.
    #[must_use]
    pub fn same_times(&self, other: &Schedule) -> bool {
        self.timing.same(&other.timing)
            && (self.starts_at, self.ends_at) == (other.starts_at, other.ends_at)
            && (self.timezone == other.timezone || !self.timing.is_calendar())
    }
}

#[cfg(test)]
mod tests;
