//! DAILY, WEEKLY and MONTHLY: local dates and times of day.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use chrono::{Datelike, Days, NaiveDate, NaiveDateTime, NaiveTime};
use serde::{Deserialize, Serialize};

use super::Timing;

/// The last year that calendar schedules are computed for, where the tables of the search for
/// cron expressions end as well. It bounds the search for a next firing.
pub const LAST_YEAR: i32 = 2100;

/// A time of day. Checked by [`super::Schedule::check`], not by itself.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(default, deny_unknown_fields)]
pub struct AtTime {
    /// 0 to 23.
    pub hour: u32,
    /// 0 to 59.
    pub minute: u32,
    /// 0 to 59.
    pub second: u32,
}

impl AtTime {
    /// This hour and minute, at second 0.
    #[must_use]
    pub fn new(hour: u32, minute: u32) -> AtTime {
        AtTime {
            hour,
            minute,
            second: 0,
        }
    }

    /// None if it is no time of day.
    fn time(self) -> Option<NaiveTime> {
        NaiveTime::from_hms_opt(self.hour, self.minute, self.second)
    }
}

impl fmt::Display for AtTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.hour, self.minute)?;
        match self.second {
            0 => Ok(()),
            second => write!(f, ":{second:02}"),
        }
    }
}

/// Why a text is not a time of day.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a time of day; write it such as 09:30 or 09:30:15")]
pub struct AtTimeError(String);

impl FromStr for AtTime {
    type Err = AtTimeError;

    fn from_str(text: &str) -> Result<AtTime, AtTimeError> {
        let bad = || AtTimeError(text.chars().take(100).collect());
        let number = |part: &str| match part.len() {
            1..=2 if part.bytes().all(|byte| byte.is_ascii_digit()) => part.parse().ok(),
            _ => None,
        };
        let parts: Option<Vec<u32>> = text.split(':').map(number).collect();
        let at = match parts.as_deref() {
            Some(&[hour, minute]) => AtTime::new(hour, minute),
            Some(&[hour, minute, second]) => AtTime {
                hour,
                minute,
                second,
            },
            _ => return Err(bad()),
        };
        at.time().map(|_| at).ok_or_else(bad)
    }
}

/// The first local time after `after` that DAILY, WEEKLY or MONTHLY names; every-N counts from
/// `anchor`. None: there is none up to [`LAST_YEAR`], or the timing is another.
pub(super) fn next_local(
    timing: &Timing,
    anchor: NaiveDate,
    after: NaiveDateTime,
) -> Option<NaiveDateTime> {
    let at = match timing {
        Timing::Daily { at, .. } | Timing::Weekly { at, .. } | Timing::Monthly { at, .. } => at,
        _ => return None,
    };
    let times = || at.iter().filter_map(|at| at.time());
    let date = next_date(timing, anchor, after.date())?;
    if date == after.date() {
        if let Some(time) = times().filter(|time| *time > after.time()).min() {
            return Some(date.and_time(time));
        }
        let date = next_date(timing, anchor, date.checked_add_days(Days::new(1))?)?;
        return Some(date.and_time(times().min()?));
    }
    Some(date.and_time(times().min()?))
}

/// The first date from `from` on that the timing names.
fn next_date(timing: &Timing, anchor: NaiveDate, from: NaiveDate) -> Option<NaiveDate> {
    let date = match timing {
        Timing::Daily { every, .. } => {
            let number = |date: NaiveDate| i64::from(date.num_days_from_ce());
            forward(
                from,
                to_aligned(number(from) - number(anchor), i64::from(*every)),
            )
        }
        Timing::Weekly { every, days, .. } => next_of_week(i64::from(*every), days, anchor, from),
        Timing::Monthly { every, days, .. } => next_of_month(i64::from(*every), days, anchor, from),
        _ => None,
    };
    date.filter(|date| date.year() <= LAST_YEAR)
}

/// How many steps it is from one that is `distance` steps after the anchor to the next N-th one.
fn to_aligned(distance: i64, every: i64) -> i64 {
    (-distance).rem_euclid(every.max(1))
}

fn forward(date: NaiveDate, days: i64) -> Option<NaiveDate> {
    date.checked_add_days(Days::new(u64::try_from(days).ok()?))
}

/// Weeks since the first one, beginning on Monday: day 1 of the calendar was one.
fn week(date: NaiveDate) -> i64 {
    (i64::from(date.num_days_from_ce()) - 1).div_euclid(7)
}

fn next_of_week(
    every: i64,
    days: &BTreeSet<u8>,
    anchor: NaiveDate,
    from: NaiveDate,
) -> Option<NaiveDate> {
    let named = |date: &NaiveDate| {
        let day = u8::try_from(date.weekday().num_days_from_sunday());
        day.is_ok_and(|day| days.contains(&day))
    };
    let rest_of_week = |date: NaiveDate| {
        let left = 7 - i64::from(date.weekday().num_days_from_monday());
        (0..left).filter_map(move |day| forward(date, day))
    };
    let wait = to_aligned(week(from) - week(anchor), every);
    if wait == 0
        && let Some(date) = rest_of_week(from).find(named)
    {
        return Some(date);
    }
    let weeks = if wait == 0 { every.max(1) } else { wait };
    let monday = forward(
        from,
        weeks * 7 - i64::from(from.weekday().num_days_from_monday()),
    )?;
    rest_of_week(monday).find(named)
}

fn next_of_month(
    every: i64,
    days: &BTreeSet<u8>,
    anchor: NaiveDate,
    from: NaiveDate,
) -> Option<NaiveDate> {
    let number = |date: NaiveDate| i64::from(date.year()) * 12 + i64::from(date.month0());
    let mut month = number(from) + to_aligned(number(from) - number(anchor), every);
    // A month may have none of the days (30 February), so more than one is looked at.
    loop {
        let year = i32::try_from(month.div_euclid(12)).ok()?;
        if year > LAST_YEAR {
            return None;
        }
        let in_year = u32::try_from(month.rem_euclid(12)).ok()? + 1;
        let dates = days
            .iter()
            .filter_map(|day| NaiveDate::from_ymd_opt(year, in_year, u32::from(*day)));
        if let Some(date) = dates.into_iter().find(|date| *date >= from) {
            return Some(date);
        }
        month += every.max(1);
    }
}
