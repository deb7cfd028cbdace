//! What a schedule must be to be accepted: every mistake at once, each with its place.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::moment::{LATEST, text};
use super::{AtTime, LAST_YEAR, OverlapPolicy, Schedule, Timing};
use crate::{UnixMillis, duration};

/// Shortest interval. A leader looks once a second; what is due more often fires in a burst then.
pub const MIN_INTERVAL: Duration = Duration::from_millis(100);

/// Most times of day of one schedule: one for each minute.
pub const MAX_AT_TIMES: usize = 1_440;

/// One mistake of a schedule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path} {problem}")]
pub struct ScheduleError {
    /// Such as `schedule.at_times[1].hour`; `schedule` for the whole.
    pub path: String,
    /// What it must be.
    pub problem: String,
}

impl ScheduleError {
    pub(super) fn new(field: impl std::fmt::Display, problem: impl Into<String>) -> ScheduleError {
        ScheduleError {
            path: format!("schedule.{field}"),
            problem: problem.into(),
        }
    }
}

/// Says what is wrong with an interval.
pub(super) fn interval(interval: Duration) -> Result<(), String> {
    let shown = duration::format(interval);
    if interval < MIN_INTERVAL {
        let least = duration::format(MIN_INTERVAL);
        return Err(format!("must be at least {least}, not {shown}"));
    }
    if !interval.subsec_nanos().is_multiple_of(1_000_000) {
        return Err(format!("must be whole milliseconds, not {shown}"));
    }
    Ok(())
}

impl Schedule {
    /// Every mistake, each with the path of its field. `now` is when the schedule would be
    /// created.
    ///
    /// What cannot be held by a [`Schedule`] (an unknown type, zone or field, a cron expression
    /// that is none) has been refused before, by [`Schedule::from_json`].
    #[must_use]
    pub fn check(&self, now: UnixMillis) -> Vec<ScheduleError> {
        let mut errors = Vec::new();
        self.check_bounds(now, &mut errors);
        self.check_timing(now, &mut errors);
        self.check_policies(&mut errors);
        if errors.is_empty() {
            errors.extend(self.check_fires(now));
        }
        errors
    }

    fn check_bounds(&self, now: UnixMillis, errors: &mut Vec<ScheduleError>) {
        let run_at = match self.timing {
            Timing::OneTime { run_at } => Some(run_at),
            _ => None,
        };
        let named = [
            ("run_at", run_at),
            ("starts_at", self.starts_at),
            ("ends_at", self.ends_at),
        ];
        for (field, moment) in named {
            let Some(at) = moment else { continue };
            if at > LATEST {
                errors.push(ScheduleError::new(field, "must be before the year 10000"));
            } else if at <= now && field != "starts_at" {
                let problem = format!("must be in the future, not {}", text(at));
                errors.push(ScheduleError::new(field, problem));
            }
        }
        if let (Some(starts), Some(ends)) = (self.starts_at, self.ends_at)
            && starts > ends
        {
            let problem = format!("must not be after ends_at, which is {}", text(ends));
            errors.push(ScheduleError::new("starts_at", problem));
        }
        if let (Some(starts), Some(run_at)) = (self.starts_at, run_at)
            && starts > run_at
        {
            let problem = format!("must not be after run_at, which is {}", text(run_at));
            errors.push(ScheduleError::new("starts_at", problem));
        }
    }

    fn check_timing(&self, now: UnixMillis, errors: &mut Vec<ScheduleError>) {
        match &self.timing {
            Timing::Immediate => {
                if self.starts_at.is_some_and(|starts| starts > now) {
                    let problem = "must not be in the future, as IMMEDIATE fires at once; use \
                                   ONE_TIME with run_at";
                    errors.push(ScheduleError::new("starts_at", problem));
                }
            }
            // The expression was checked when it was read.
            Timing::OneTime { .. } | Timing::Cron { .. } => {}
            Timing::Every { interval: given } => {
                if let Err(problem) = interval(*given) {
                    errors.push(ScheduleError::new("interval", problem));
                }
            }
            Timing::Daily { every, at } => {
                check_every(*every, errors);
                check_at_times(at, errors);
            }
            Timing::Weekly { every, days, at } => {
                check_every(*every, errors);
                check_days(days, 0..=6, "the week, 0 (Sunday) to 6 (Saturday)", errors);
                check_at_times(at, errors);
            }
            Timing::Monthly { every, days, at } => {
                check_every(*every, errors);
                check_days(days, 1..=31, "the month, 1 to 31", errors);
                check_at_times(at, errors);
            }
        }
    }

    fn check_policies(&self, errors: &mut Vec<ScheduleError>) {
        if self.max_backfill_per_tick == Some(0) {
            let problem = "must be at least 1, not 0";
            errors.push(ScheduleError::new("max_backfill_per_tick", problem));
        }
        if self.is_recurring() {
            return;
        }
        let name = self.timing.name();
        let given = [
            (
                "overlap_policy",
                self.overlap_policy != OverlapPolicy::AllowAll,
            ),
            ("catchup_window", self.catchup_window.is_some()),
            (
                "max_backfill_per_tick",
                self.max_backfill_per_tick.is_some(),
            ),
            ("jitter", self.jitter.is_some()),
        ];
        for (field, _) in given.into_iter().filter(|(_, is_given)| *is_given) {
            let problem = format!("is only for schedules that recur, not for {name}; remove it");
            errors.push(ScheduleError::new(field, problem));
        }
    }

    /// A schedule that would never fire is one that nobody meant.
    fn check_fires(&self, now: UnixMillis) -> Option<ScheduleError> {
        let endless = Schedule {
            ends_at: None,
            ..self.clone()
        };
        let Some(first) = endless.first(now) else {
            let field = match &self.timing {
                Timing::Immediate | Timing::OneTime { .. } => return None,
                Timing::Every { .. } => "interval",
                Timing::Cron { .. } => "cron_expr",
                Timing::Daily { .. } => "regular_interval",
                Timing::Weekly { .. } | Timing::Monthly { .. } => "included_days",
            };
            let what = match &self.timing {
                Timing::Cron { expr } => format!("`{expr}` "),
                _ => String::new(),
            };
            let problem = format!(
                "{what}never fires: no such day comes from the start to the end of {LAST_YEAR}"
            );
            return Some(ScheduleError::new(field, problem));
        };
        let ends = self.ends_at.filter(|ends| first.at > *ends)?;
        let problem = format!(
            "is {}, before the first firing, which would be at {}",
            text(ends),
            text(first.at)
        );
        Some(ScheduleError::new("ends_at", problem))
    }
}

fn check_every(every: u32, errors: &mut Vec<ScheduleError>) {
    if every == 0 {
        let problem = "must be at least 1, not 0";
        errors.push(ScheduleError::new("regular_interval", problem));
    }
}

fn check_days(
    days: &BTreeSet<u8>,
    range: std::ops::RangeInclusive<u8>,
    what: &str,
    errors: &mut Vec<ScheduleError>,
) {
    if days.is_empty() {
        let problem = format!("must name at least one day of {what}");
        errors.push(ScheduleError::new("included_days", problem));
    }
    for day in days.iter().filter(|day| !range.contains(day)) {
        let problem = format!("must be days of {what}, not {day}");
        errors.push(ScheduleError::new("included_days", problem));
    }
}

fn check_at_times(at: &[AtTime], errors: &mut Vec<ScheduleError>) {
    if at.is_empty() {
        let problem = "must have at least one time of day";
        errors.push(ScheduleError::new("at_times", problem));
    }
    if at.len() > MAX_AT_TIMES {
        let problem = format!("must have at most {MAX_AT_TIMES} times, not {}", at.len());
        errors.push(ScheduleError::new("at_times", problem));
        return;
    }
    let mut seen = BTreeMap::new();
    for (index, time) in at.iter().enumerate() {
        let parts = [
            ("hour", time.hour, 23),
            ("minute", time.minute, 59),
            ("second", time.second, 59),
        ];
        for (part, value, max) in parts {
            if value > max {
                let field = format!("at_times[{index}].{part}");
                let problem = format!("must be 0 to {max}, not {value}");
                errors.push(ScheduleError::new(field, problem));
            }
        }
        match seen.get(time) {
            None => {
                seen.insert(*time, index);
            }
            Some(first) => {
                let field = format!("at_times[{index}]");
                let problem = format!("is {time} as at_times[{first}] is; remove one of them");
                errors.push(ScheduleError::new(field, problem));
            }
        }
    }
}
