//! Changes of clocks, day by day, and every-N over the calendar.

use chrono::SecondsFormat;
use chrono_tz::Tz;

use super::super::*;
use super::random::{millis, zoned};

const BERLIN: Tz = Tz::Europe__Berlin;
const NEW_YORK: Tz = Tz::America__New_York;
const LORD_HOWE: Tz = Tz::Australia__Lord_Howe;

fn cron(expr: &str) -> Schedule {
    Schedule::cron(expr).expect(expr)
}

/// The first firings after a moment, in local time.
fn firings(schedule: &Schedule, zone: Tz, after: &str, count: usize) -> Vec<(String, String)> {
    let after = millis(after);
    let schedule = schedule.clone().with_timezone(Zone(zone));
    let firings = schedule.firings(after, UnixMillis::MAX, after).take(count);
    firings
        .map(|firing| {
            let at = zoned(zone, firing.at).to_rfc3339_opts(SecondsFormat::AutoSi, true);
            let note = firing.note.map(|note| note.to_string());
            (at, note.unwrap_or_default())
        })
        .collect()
}

/// Asserts the firings after a moment; an empty note stands for none.
fn fires(schedule: &Schedule, zone: Tz, after: &str, expected: &[(&str, &str)]) {
    let expected: Vec<_> = expected
        .iter()
        .map(|(at, note)| ((*at).to_owned(), (*note).to_owned()))
        .collect();
    let found = firings(schedule, zone, after, expected.len());
    assert_eq!(found, expected, "{schedule:?} in {zone}");
}

const SKIPPED: &str = "02:30 does not exist on this day, as clocks go forward; fires at 03:00";

/// Contract row 50: a local time that is skipped fires at the next valid moment.
#[test]
fn a_skipped_time_fires_at_the_end_of_the_gap() {
    let daily = Schedule::daily(1, [AtTime::new(2, 30)]);
    let expected = [
        ("2026-03-28T02:30:00+01:00", ""),
        ("2026-03-29T03:00:00+02:00", SKIPPED),
        ("2026-03-30T02:30:00+02:00", ""),
    ];
    let sunday = Schedule::weekly(1, [0], [AtTime::new(2, 30)]);
    let monthly = Schedule::monthly(1, [29], [AtTime::new(2, 30)]);
    let before = "2026-03-27T12:00:00Z";
    fires(&daily, BERLIN, before, &expected);
    fires(&cron("30 2 * * *"), BERLIN, before, &expected);
    fires(&sunday, BERLIN, before, &expected[1..2]);
    fires(&monthly, BERLIN, before, &expected[1..2]);

    let expected = [
        ("2026-03-07T02:30:00-05:00", ""),
        ("2026-03-08T03:00:00-04:00", SKIPPED),
        ("2026-03-09T02:30:00-04:00", ""),
    ];
    let before = "2026-03-06T12:00:00Z";
    fires(&daily, NEW_YORK, before, &expected);
    fires(&cron("30 2 * * *"), NEW_YORK, before, &expected);

    // Half an hour is skipped here: 02:00 to 02:30.
    let daily = Schedule::daily(1, [AtTime::new(2, 15)]);
    let note = "02:15 does not exist on this day, as clocks go forward; fires at 02:30";
    let expected = [
        ("2026-10-03T02:15:00+10:30", ""),
        ("2026-10-04T02:30:00+11:00", note),
        ("2026-10-05T02:15:00+11:00", ""),
    ];
    let before = "2026-10-02T00:00:00Z";
    fires(&daily, LORD_HOWE, before, &expected);
    fires(&cron("15 2 * * *"), LORD_HOWE, before, &expected);
    fires(
        &cron("45 2 * * *"),
        LORD_HOWE,
        "2026-10-03T00:00:00Z",
        &[("2026-10-04T02:45:00+11:00", "")],
    );
}

/// Contract row 50: several skipped times, and one that stands at the end of the gap, fire once.
#[test]
fn what_a_gap_drives_together_fires_once() {
    let note = "02:00 does not exist on this day, as clocks go forward; fires at 03:00";
    let expected = [
        ("2026-03-29T01:40:00+01:00", ""),
        ("2026-03-29T03:00:00+02:00", note),
        ("2026-03-29T03:20:00+02:00", ""),
    ];
    let before = "2026-03-29T00:30:00Z";
    fires(&cron("*/20 * * * *"), BERLIN, before, &expected);
    let times = [(1, 40), (2, 0), (2, 59), (3, 0), (3, 20)];
    let daily = Schedule::daily(1, times.map(|(hour, minute)| AtTime::new(hour, minute)));
    fires(&daily, BERLIN, before, &expected);
    // The question may be asked at any moment, also just before the gap and at its end.
    let after = "2026-03-29T00:59:59.999Z";
    fires(&cron("*/20 * * * *"), BERLIN, after, &expected[1..]);
    let after = "2026-03-29T01:00:00Z";
    fires(&cron("*/20 * * * *"), BERLIN, after, &expected[2..]);
}

/// Contract row 50: a local time that comes twice fires once, at the first.
#[test]
fn a_repeated_time_fires_once() {
    let note = "02:30 comes twice on this day, as clocks go back; fires at the first";
    let expected = [
        ("2026-10-24T02:30:00+02:00", ""),
        ("2026-10-25T02:30:00+02:00", note),
        ("2026-10-26T02:30:00+01:00", ""),
    ];
    let daily = Schedule::daily(1, [AtTime::new(2, 30)]);
    let before = "2026-10-23T12:00:00Z";
    fires(&daily, BERLIN, before, &expected);
    fires(&cron("30 2 * * *"), BERLIN, before, &expected);
    let sunday = Schedule::weekly(1, [0], [AtTime::new(2, 30)]);
    fires(&sunday, BERLIN, before, &expected[1..2]);
    let monthly = Schedule::monthly(1, [25], [AtTime::new(2, 30)]);
    fires(&monthly, BERLIN, before, &expected[1..2]);
    // Asked within the hour that is repeated.
    fires(&daily, BERLIN, "2026-10-25T01:10:00Z", &expected[2..]);

    let note = "01:30 comes twice on this day, as clocks go back; fires at the first";
    let expected = [
        ("2026-10-31T01:30:00-04:00", ""),
        ("2026-11-01T01:30:00-04:00", note),
        ("2026-11-02T01:30:00-05:00", ""),
    ];
    let daily = Schedule::daily(1, [AtTime::new(1, 30)]);
    let before = "2026-10-30T12:00:00Z";
    fires(&daily, NEW_YORK, before, &expected);
    fires(&cron("30 1 * * *"), NEW_YORK, before, &expected);

    // Half an hour comes twice here: 01:30 to 02:00.
    let note = "01:45 comes twice on this day, as clocks go back; fires at the first";
    let expected = [
        ("2026-04-05T01:20:00+11:00", ""),
        ("2026-04-05T01:45:00+11:00", note),
        ("2026-04-06T01:20:00+10:30", ""),
        ("2026-04-06T01:45:00+10:30", ""),
    ];
    let daily = Schedule::daily(1, [AtTime::new(1, 20), AtTime::new(1, 45)]);
    let before = "2026-04-04T12:00:00Z";
    fires(&daily, LORD_HOWE, before, &expected);
    fires(&cron("20,45 1 * * *"), LORD_HOWE, before, &expected);
}

/// Contract row 50: what counts real time knows nothing of clocks.
#[test]
fn intervals_know_no_daylight_saving() {
    let hourly = Schedule::every(Duration::from_secs(3_600));
    for schedule in [hourly, cron("@every 1h")] {
        let spring = [
            ("2026-03-29T01:30:00+01:00", ""),
            ("2026-03-29T03:30:00+02:00", ""),
            ("2026-03-29T04:30:00+02:00", ""),
        ];
        fires(&schedule, BERLIN, "2026-03-28T23:30:00Z", &spring);
        let autumn = [
            ("2026-10-25T02:30:00+02:00", ""),
            ("2026-10-25T02:30:00+01:00", ""),
            ("2026-10-25T03:30:00+01:00", ""),
        ];
        fires(&schedule, BERLIN, "2026-10-24T23:30:00Z", &autumn);
    }
    let day = Schedule::every(Duration::from_secs(24 * 3_600));
    let expected = [
        ("2026-10-04T03:15:00+11:00", ""),
        ("2026-10-05T03:15:00+11:00", ""),
    ];
    fires(&day, LORD_HOWE, "2026-10-02T16:15:00Z", &expected);
}

/// Contract row 50: zones are known beyond the year that 32 bits of seconds end with.
#[test]
fn clocks_change_after_2037_as_well() {
    let daily = Schedule::daily(1, [AtTime::new(2, 30)]);
    let spring = [
        ("2040-03-24T02:30:00+01:00", ""),
        ("2040-03-25T03:00:00+02:00", SKIPPED),
        ("2040-03-26T02:30:00+02:00", ""),
    ];
    fires(&daily, BERLIN, "2040-03-23T12:00:00Z", &spring);
    let spring = [
        ("2058-03-09T02:30:00-05:00", ""),
        ("2058-03-10T03:00:00-04:00", SKIPPED),
        ("2058-03-11T02:30:00-04:00", ""),
    ];
    fires(
        &cron("30 2 * * *"),
        NEW_YORK,
        "2058-03-08T12:00:00Z",
        &spring,
    );
    let note = "01:45 comes twice on this day, as clocks go back; fires at the first";
    let autumn = [
        ("2060-04-04T01:45:00+11:00", note),
        ("2060-04-05T01:45:00+10:30", ""),
    ];
    fires(
        &cron("45 1 * * *"),
        LORD_HOWE,
        "2060-04-03T12:00:00Z",
        &autumn,
    );
}

/// A whole day is skipped where a zone changes sides of the date line.
#[test]
fn a_skipped_day_fires_when_the_next_one_begins() {
    let note = "09:00 does not exist on this day, as clocks go forward; fires at 2011-12-31 00:00";
    let expected = [
        ("2011-12-29T09:00:00-10:00", ""),
        ("2011-12-31T00:00:00+14:00", note),
        ("2011-12-31T09:00:00+14:00", ""),
    ];
    let daily = Schedule::daily(1, [AtTime::new(9, 0)]);
    fires(&daily, Tz::Pacific__Apia, "2011-12-29T00:00:00Z", &expected);
}

/// Contract row 50: every-N counts days, weeks from Monday and months of the local calendar.
#[test]
fn every_nth_period_counts_from_the_anchor() {
    let noon = [AtTime::new(12, 0)];
    let table = [
        (
            Schedule::daily(3, noon),
            // 2026-01-01 is a Thursday.
            ["2026-01-01", "2026-01-04", "2026-01-07", "2026-01-10"],
        ),
        (
            Schedule::weekly(2, [0, 1, 4], noon),
            ["2026-01-01", "2026-01-04", "2026-01-12", "2026-01-15"],
        ),
        (
            Schedule::monthly(2, [1, 31], noon),
            ["2026-01-01", "2026-01-31", "2026-03-01", "2026-03-31"],
        ),
        (
            Schedule::monthly(1, [30, 31], noon),
            ["2026-01-30", "2026-01-31", "2026-03-30", "2026-03-31"],
        ),
        (
            Schedule::monthly(12, [1], noon),
            ["2026-01-01", "2027-01-01", "2028-01-01", "2029-01-01"],
        ),
        (
            cron("0 12 29 2 *"),
            ["2028-02-29", "2032-02-29", "2036-02-29", "2040-02-29"],
        ),
    ];
    for (schedule, dates) in table {
        let expected = dates.map(|date| format!("{date}T12:00:00Z"));
        let created = "2026-01-01T05:00:00Z";
        let found = firings(&schedule, Tz::UTC, created, 4);
        let found: Vec<_> = found.into_iter().map(|(at, _)| at).collect();
        assert_eq!(found, expected, "{schedule:?}");
        // The start anchors in place of the creation.
        let moved = schedule.clone().with_starts_at(millis(created));
        let first = moved.next_after(0, millis("2025-07-04T00:00:00Z"));
        assert_eq!(
            first.map(|firing| firing.at),
            Some(millis(&expected[0])),
            "{schedule:?}"
        );
    }
}

/// The anchor's date is the local one: at this moment it is another day in New York.
#[test]
fn the_anchor_is_a_local_date() {
    let schedule = Schedule::daily(2, [AtTime::new(23, 0)]);
    let created = "2026-06-02T02:00:00Z";
    let expected = [
        ("2026-06-01T23:00:00-04:00", ""),
        ("2026-06-03T23:00:00-04:00", ""),
    ];
    fires(&schedule, NEW_YORK, created, &expected);
    let expected = [
        ("2026-06-02T23:00:00+02:00", ""),
        ("2026-06-04T23:00:00+02:00", ""),
    ];
    fires(&schedule, BERLIN, created, &expected);
}

/// Contract rows 50 and 53: nothing fires before the start or after the end; both are inside.
#[test]
fn start_and_end_bound_the_firings() {
    let schedule = cron("0 * * * *")
        .with_starts_at(millis("2026-01-01T10:00:00Z"))
        .with_ends_at(millis("2026-01-01T12:00:00Z"));
    let expected = [10, 11, 12].map(|hour| format!("2026-01-01T{hour}:00:00Z"));
    let found = firings(&schedule, Tz::UTC, "2025-12-01T00:00:00Z", 9);
    let found: Vec<_> = found.into_iter().map(|(at, _)| at).collect();
    assert_eq!(found, expected);
    let once = Schedule::one_time(5_000).with_ends_at(4_000);
    assert_eq!(once.first(1_000), None);
    assert_eq!(
        Schedule::one_time(5_000).with_starts_at(6_000).first(0),
        None
    );
}

/// Contract row 57: missed firings are enumerated from the schedule alone, oldest first.
#[test]
fn a_range_lists_what_lies_in_it() {
    let schedule = cron("*/15 * * * *");
    let from = millis("2026-01-01T10:00:00Z");
    let to = millis("2026-01-01T11:00:00Z");
    let listed: Vec<_> = schedule.firings(from, to, to).map(|f| f.at).collect();
    assert_eq!(listed, [1, 2, 3, 4].map(|n| from + n * 15 * 60_000));
    // Moments before the creation too: a backfill may ask for them.
    let every = Schedule::every(Duration::from_secs(900));
    let listed: Vec<_> = every.firings(from, to, to + 1).map(|f| f.at).collect();
    assert_eq!(listed, [1, 2, 3, 4].map(|n| from + (n - 1) * 900_000 + 1));
    assert_eq!(every.firings(to, from, to).count(), 0);
}
