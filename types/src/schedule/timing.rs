//! The rule that moments follow, and the one for firings that overlap.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{AtTime, CronExpr};
use crate::UnixMillis;

/// The rule that the moments of a schedule follow.
#[derive(Clone, Debug, PartialEq)]
pub enum Timing {
    /// Once, when the schedule is created.
    Immediate,
    /// Once.
    OneTime {
        /// At this moment.
        run_at: UnixMillis,
    },
    /// Again and again, by real time.
    Every {
        /// From one firing to the next: whole milliseconds, at least [`super::MIN_INTERVAL`].
        interval: Duration,
    },
    /// By a cron expression.
    Cron {
        /// Five fields or a descriptor.
        expr: CronExpr,
    },
    /// Every N-th day.
    Daily {
        /// N, counted from the anchor's local date; at least 1.
        every: u32,
        /// When on such a day.
        at: Vec<AtTime>,
    },
    /// On days of every N-th week.
    Weekly {
        /// N, counted from the week of the anchor's local date; weeks begin on Monday.
        every: u32,
        /// Days of the week; 0 is Sunday, 6 is Saturday.
        days: BTreeSet<u8>,
        /// When on such a day.
        at: Vec<AtTime>,
    },
    /// On days of every N-th month.
    Monthly {
        /// N, counted from the month of the anchor's local date.
        every: u32,
        /// Days of the month, 1 to 31. A month that has no such day goes without it.
        days: BTreeSet<u8>,
        /// When on such a day.
        at: Vec<AtTime>,
    },
}

/// What happens with a firing while the run of an earlier one of the same schedule is active.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum OverlapPolicy {
    /// It starts all the same.
    #[default]
    AllowAll,
    /// It is left out.
    Skip,
    /// It waits for the end of that run; of several only the latest does.
    BufferOne,
    /// It waits for the end of that run, as all of them do, in order.
    BufferAll,
    /// That run is cancelled and this one starts.
    Replace,
}

impl OverlapPolicy {
    /// The spelling of the public model.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            OverlapPolicy::AllowAll => "ALLOW_ALL",
            OverlapPolicy::Skip => "SKIP",
            OverlapPolicy::BufferOne => "BUFFER_ONE",
            OverlapPolicy::BufferAll => "BUFFER_ALL",
            OverlapPolicy::Replace => "REPLACE",
        }
    }
}

impl std::fmt::Display for OverlapPolicy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

impl Timing {
    /// The type's name in the public model.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Timing::Immediate => "IMMEDIATE",
            Timing::OneTime { .. } => "ONE_TIME",
            Timing::Every { .. } => "DURATION",
            Timing::Cron { .. } => "CRON",
            Timing::Daily { .. } => "DAILY",
            Timing::Weekly { .. } => "WEEKLY",
            Timing::Monthly { .. } => "MONTHLY",
        }
    }

    /// The interval, if this counts real time.
    pub(super) fn interval(&self) -> Option<Duration> {
        match self {
            Timing::Every { interval } => Some(*interval),
            Timing::Cron { expr } => expr.interval(),
            _ => None,
        }
    }

    /// Whether moments depend on the zone.
    pub(super) fn is_calendar(&self) -> bool {
        let once = matches!(self, Timing::Immediate | Timing::OneTime { .. });
        !once && self.interval().is_none()
    }

    /// Whether both name the same moments, given the same bounds and zone.
    pub(super) fn same(&self, other: &Timing) -> bool {
        let sorted = |at: &[AtTime]| -> BTreeSet<AtTime> { at.iter().copied().collect() };
        match (self, other) {
            (Timing::Cron { expr }, Timing::Cron { expr: other }) => expr.same_times(other),
            (Timing::Daily { every, at }, Timing::Daily { every: n, at: t }) => {
                every == n && sorted(at) == sorted(t)
            }
            (
                Timing::Weekly { every, days, at },
                Timing::Weekly {
                    every: n,
                    days: d,
                    at: t,
                },
            )
            | (
                Timing::Monthly { every, days, at },
                Timing::Monthly {
                    every: n,
                    days: d,
                    at: t,
                },
            ) => every == n && days == d && sorted(at) == sorted(t),
            _ => self.interval().is_some() && self.interval() == other.interval() || self == other,
        }
    }
}
