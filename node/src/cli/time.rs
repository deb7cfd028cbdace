//! Moments and spans of time, as people read them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chrono::{DateTime, SecondsFormat, Utc};
use paceline_types::schedule::Zone;
use paceline_types::{UnixMillis, duration};

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// A moment of the server's clock in UTC: `2026-01-31 08:15:00`.
pub(crate) fn moment(at: UnixMillis) -> String {
    let seconds = at / 1000;
    let (year, month, day) = date(seconds / DAY);
    let (hour, minute) = (seconds % DAY / HOUR, seconds % HOUR / MINUTE);
    let second = seconds % MINUTE;
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
}

/// Year, month and day of a number of days since 1970-01-01.
///
/// Counts in eras of 400 years that begin on the first of March, so that the leap day comes last:
/// Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, day)
}

/// A moment in the time of a zone, with its offset: `2026-01-31T09:15:00+01:00`.
pub(crate) fn local(zone: Zone, at: UnixMillis) -> String {
    let moment = i64::try_from(at).ok();
    match moment.and_then(DateTime::<Utc>::from_timestamp_millis) {
        Some(moment) => moment
            .with_timezone(&zone.0)
            .to_rfc3339_opts(SecondsFormat::AutoSi, true),
        None => at.to_string(),
    }
}

/// Days since 1970-01-01 of a date; the inverse of [`date`].
fn days(year: u64, month: u64, day: u64) -> u64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year / 400, year % 400);
    let shifted = (month + 9) % 12;
    let day_of_year = (153 * shifted + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// For options that take a moment: with an offset or in UTC, milliseconds since 1970, or how long
/// ago it was.
pub(crate) fn parse_moment(text: &str) -> Result<UnixMillis, String> {
    if let Ok(ago) = duration::parse(text) {
        let ago = UnixMillis::try_from(ago.as_millis()).unwrap_or(UnixMillis::MAX);
        return Ok(now().saturating_sub(ago));
    }
    if let Ok(millis) = text.parse() {
        return Ok(millis);
    }
    let moment = DateTime::parse_from_rfc3339(text).ok();
    let millis = moment.and_then(|moment| UnixMillis::try_from(moment.timestamp_millis()).ok());
    if let Some(millis) = millis {
        return Ok(millis);
    }
    let read = || {
        let (date_part, time_part) = text.split_once(['T', ' ']).unwrap_or((text, "00:00:00"));
        let time_part = time_part.strip_suffix('Z').unwrap_or(time_part);
        let numbers = |text: &str, by| -> Option<[u64; 3]> {
            let mut parts = text.split(by).map(|part| part.parse().ok());
            let numbers = [parts.next()??, parts.next()??, parts.next()??];
            parts.next().is_none().then_some(numbers)
        };
        let [year, month, day] = numbers(date_part, '-')?;
        let [hour, minute, second] = numbers(time_part, ':')?;
        let in_range = (1970..10_000).contains(&year) && hour < 24 && minute < 60 && second < 60;
        if !in_range || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
            return None;
        }
        let at = days(year, month, day);
        // The 31st of a month that has less days is another date.
        let seconds = at * DAY + hour * HOUR + minute * MINUTE + second;
        (date(at) == (year, month, day)).then_some(seconds * 1000)
    };
    read().ok_or_else(|| {
        format!(
            "`{text}` is not a time; write 2026-01-31, 2026-01-31T08:15:00Z or 2h for so long ago"
        )
    })
}

/// How long something took: `340ms`, `2.4s`, `3m12s`.
pub(crate) fn span(from: UnixMillis, to: UnixMillis) -> String {
    let took = Duration::from_millis(to.saturating_sub(from));
    match took.as_millis() {
        0..1_000 => duration::format(took),
        1_000..60_000 => format!("{:.1}s", took.as_secs_f64()),
        _ => duration::format(Duration::from_secs(took.as_secs())),
    }
}

/// Now, by the clock of this machine: for what is shown, never for what is decided.
pub(crate) fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        UnixMillis::try_from(since.as_millis()).unwrap_or(UnixMillis::MAX)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_dates() {
        let table = [
            (0, "1970-01-01 00:00:00"),
            (951_782_399_999, "2000-02-28 23:59:59"),
            (951_782_400_000, "2000-02-29 00:00:00"),
            (1_709_164_800_000, "2024-02-29 00:00:00"),
            (1_735_689_599_000, "2024-12-31 23:59:59"),
            (4_107_542_400_000, "2100-03-01 00:00:00"),
        ];
        for (at, text) in table {
            assert_eq!(moment(at), text);
        }
    }

    #[test]
    fn moments_read_back_and_wrong_ones_are_refused() {
        for at in [
            0,
            951_782_399_000,
            951_782_400_000,
            1_709_164_800_000,
            4_107_542_400_000,
        ] {
            let text = moment(at);
            assert_eq!(parse_moment(&text), Ok(at), "{text}");
            assert_eq!(
                parse_moment(&format!("{}Z", text.replace(' ', "T"))),
                Ok(at)
            );
        }
        assert_eq!(parse_moment("2000-02-29"), Ok(951_782_400_000));
        let ago = parse_moment("2h").expect("a span");
        assert!(now() - ago >= 7_200_000);
        for wrong in [
            "",
            "soon",
            "2001-02-29",
            "2000-13-01",
            "2000-01-01T25:00:00",
            "1-2-3-4",
        ] {
            assert!(parse_moment(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn spans_are_short() {
        let table = [
            (0, "0s"),
            (340, "340ms"),
            (2_449, "2.4s"),
            (192_900, "3m12s"),
            (3_600_000, "1h0m0s"),
        ];
        for (millis, text) in table {
            assert_eq!(span(1_000, 1_000 + millis), text);
        }
        assert_eq!(span(5, 3), "0s");
    }
}
