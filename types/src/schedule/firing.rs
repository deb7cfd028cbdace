//! The moments of a schedule, and what becomes of local times when clocks change.

use std::fmt;

use chrono::{DateTime, MappedLocalTime, NaiveDateTime, TimeZone, Timelike, Utc};
use chrono_tz::{GapInfo, Tz};
use serde::{Serialize, Serializer};

use super::{Schedule, Timing, Zone, calendar};
use crate::UnixMillis;

/// One moment at which a schedule fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Firing {
    /// The scheduled time: together with the schedule it names the firing. Without jitter.
    pub at: UnixMillis,
    /// Set where the clocks of the zone make it differ from what was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<ClockChange>,
}

/// What a change of clocks did to a firing; displayed as a sentence, and written as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockChange {
    /// The local time does not exist, as clocks go forward over it.
    Skipped {
        /// The local time that was asked for; the first of them, if several fire together.
        wanted: NaiveDateTime,
        /// The local time at which it fires: the first after the gap.
        fires: NaiveDateTime,
    },
    /// The local time exists twice, as clocks go back over it; the first of the two fires.
    Repeated {
        /// The local time.
        local: NaiveDateTime,
    },
}

impl fmt::Display for ClockChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = |local: &NaiveDateTime| match local.second() {
            0 => local.format("%H:%M"),
            _ => local.format("%H:%M:%S"),
        };
        match self {
            ClockChange::Skipped { wanted, fires } => {
                let wanted_time = time(wanted);
                write!(
                    f,
                    "{wanted_time} does not exist on this day, as clocks go forward; fires at "
                )?;
                if wanted.date() != fires.date() {
                    write!(f, "{} ", fires.format("%Y-%m-%d"))?;
                }
                write!(f, "{}", time(fires))
            }
            ClockChange::Repeated { local } => write!(
                f,
                "{} comes twice on this day, as clocks go back; fires at the first",
                time(local)
            ),
        }
    }
}

impl Serialize for ClockChange {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The firing of a local time. None: no calendar of ours reaches it.
fn firing(zone: Tz, local: NaiveDateTime) -> Option<Firing> {
    let (moment, note) = match zone.from_local_datetime(&local) {
        MappedLocalTime::Single(moment) => (moment, None),
        MappedLocalTime::Ambiguous(first, _) => (first, Some(ClockChange::Repeated { local })),
        MappedLocalTime::None => {
            let end = GapInfo::new(&local, &zone)?.end?;
            let fires = end.naive_local();
            let wanted = local;
            (end, Some(ClockChange::Skipped { wanted, fires }))
        }
    };
    let at = UnixMillis::try_from(moment.timestamp_millis()).ok()?;
    Some(Firing { at, note })
}

/// The local time of a moment. None: no calendar reaches it.
fn local(Zone(zone): Zone, at: UnixMillis) -> Option<NaiveDateTime> {
    let moment = DateTime::<Utc>::from_timestamp_millis(i64::try_from(at).ok()?)?;
    Some(moment.with_timezone(&zone).naive_local())
}

impl Schedule {
    /// The firing that a schedule created at `created` begins with: for IMMEDIATE `created`
    /// itself, else the first after `created`, or at `starts_at` if that is the same moment.
    ///
    /// None: it never fires.
    #[must_use]
    pub fn first(&self, created: UnixMillis) -> Option<Firing> {
        let starts_then = self.starts_at == Some(created);
        let before = match self.timing {
            Timing::Immediate => true,
            _ => starts_then,
        };
        self.next_after(created.saturating_sub(u64::from(before)), created)
    }

    /// The first firing strictly after `after`.
    ///
    /// `created` anchors intervals and every-N when `starts_at` is not given, and is when
    /// IMMEDIATE fires. It is no bound: of a schedule without `starts_at` the moments before its
    /// creation are known as well, for backfills.
    ///
    /// None: there is no more: `ends_at` has passed, or no later moment is in the calendar, which
    /// ends with the year [`super::LAST_YEAR`]. The work is bounded by that as well.
    #[must_use]
    pub fn next_after(&self, after: UnixMillis, created: UnixMillis) -> Option<Firing> {
        let starts = self.starts_at.unwrap_or(0);
        let single = |at| Firing { at, note: None };
        let found = match (&self.timing, self.timing.interval()) {
            (_, Some(interval)) => {
                let step = i128::try_from(interval.as_millis()).ok()?.max(1);
                let anchor = i128::from(self.starts_at.unwrap_or(created));
                let passed = (i128::from(after) - anchor).div_euclid(step) + 1;
                let steps = match self.starts_at {
                    Some(_) => passed.max(0),
                    None => passed,
                };
                let at = anchor.checked_add(steps.checked_mul(step)?)?;
                UnixMillis::try_from(at).ok().map(single)
            }
            (Timing::Immediate, _) => Some(single(created)).filter(|firing| firing.at > after),
            (Timing::OneTime { run_at }, _) => {
                Some(single(*run_at)).filter(|firing| firing.at > after && firing.at >= starts)
            }
            _ => self.next_of_calendar(after.max(starts.saturating_sub(1)), created),
        };
        found.filter(|firing| self.ends_at.is_none_or(|ends| firing.at <= ends))
    }

    fn next_of_calendar(&self, after: UnixMillis, created: UnixMillis) -> Option<Firing> {
        let anchor = local(self.timezone, self.starts_at.unwrap_or(created))?.date();
        let mut time = local(self.timezone, after)?;
        // Later local times fire no earlier, so the first that fires after `after` is the next.
        // Others come before it only where `after` is in an hour that is repeated.
        loop {
            time = match &self.timing {
                Timing::Cron { expr } => expr.next_local(time)?,
                timing => calendar::next_local(timing, anchor, time)?,
            };
            let firing = firing(self.timezone.0, time)?;
            if firing.at > after {
                return Some(firing);
            }
        }
    }

    /// The firings after `from_exclusive` up to `to_inclusive`, in order, each computed when it
    /// is asked for; [`Schedule::next_after`] says what `created` is for.
    pub fn firings(
        &self,
        from_exclusive: UnixMillis,
        to_inclusive: UnixMillis,
        created: UnixMillis,
    ) -> impl Iterator<Item = Firing> {
        let first = self.next_after(from_exclusive, created);
        std::iter::successors(first, move |last| self.next_after(last.at, created))
            .take_while(move |firing| firing.at <= to_inclusive)
    }
}
