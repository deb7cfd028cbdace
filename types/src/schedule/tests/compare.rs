//! Schedules against others' opinion: the `croner` crate for what expressions mean, and a walk
//! over every minute for what clocks do.

use chrono::{Datelike, Duration as Span, NaiveDate, NaiveDateTime, Offset, Timelike};
use chrono_tz::Tz;
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};

use super::super::*;
use super::random::{Random, ZONES, local, millis, transitions, utc, zoned};

const MINUTE: u64 = 60_000;
const DAY: u64 = 24 * 60 * MINUTE;

/// The expression as `croner` reads it. It calls a field of days unrestricted only if it is `*`
/// itself, here one is that begins so (`*/2`); so it is told how to combine the two.
fn croner(expr: &str) -> Cron {
    let fields: Vec<_> = expr.split(' ').collect();
    let both = fields[2].starts_with('*') || fields[4].starts_with('*');
    CronParser::builder()
        .seconds(Seconds::Disallowed)
        .year(Year::Disallowed)
        .dom_and_dow(both)
        .build()
        .parse(expr)
        .unwrap_or_else(|error| panic!("croner refuses {expr}: {error}"))
}

/// What croner says comes next, up to the end of our calendar. It would carry over fractions of
/// a second.
fn by_croner(expr: &str, zone: Tz, after: UnixMillis) -> Option<UnixMillis> {
    let after = zoned(zone, after / 1_000 * 1_000);
    let next = croner(expr).find_next_occurrence(&after, false).ok()?;
    let at = UnixMillis::try_from(next.timestamp_millis()).expect("moment");
    Some(at).filter(|_| next.year() <= LAST_YEAR)
}

/// Contract row 50: the meaning of expressions, without zones.
#[test]
fn expressions_mean_what_another_implementation_reads() {
    let mut random = Random::new();
    for case in 0..70_000 {
        let expr = random.expression(case % 2 == 0);
        let schedule = Schedule::cron(&expr).expect(&expr);
        let after = random.moment();
        let ours = schedule.next_after(after, 0).map(|firing| firing.at);
        let theirs = by_croner(&expr, Tz::UTC, after);
        let seed = random.seed;
        assert_eq!(
            ours.map(utc),
            theirs.map(utc),
            "`{expr}` after {}, seed {seed}",
            utc(after)
        );
    }
}

/// Contract row 50: expressions in zones, where no clock changes on the way.
#[test]
fn expressions_in_zones_mean_the_same_between_changes_of_clocks() {
    let mut random = Random::new();
    let mut compared = 0;
    while compared < 35_000 {
        let expr = random.expression(true);
        let zone = random.pick(&ZONES);
        let schedule = Schedule::cron(&expr)
            .expect(&expr)
            .with_timezone(Zone(zone));
        let after = random.moment();
        let Some(ours) = schedule.next_after(after, 0) else {
            continue;
        };
        // Croner has a rule of its own for changes: they are looked at below.
        let offset = |at| zoned(zone, at).offset().fix();
        let samples = (after / DAY - 1..=ours.at / DAY + 1).map(|day| offset(day * DAY));
        if ours.at - after > 40 * DAY || samples.into_iter().any(|one| one != offset(after)) {
            continue;
        }
        compared += 1;
        let theirs = by_croner(&expr, zone, after);
        let seed = random.seed;
        assert_eq!(
            Some(ours.at),
            theirs,
            "`{expr}` in {zone} after {}, seed {seed}",
            utc(after)
        );
        assert_eq!(ours.note, None);
    }
}

/// The next firing after `after` up to `until`, by looking at every minute that passes: one fires
/// if its local time was asked for and had not been there before, or if clocks went forward over
/// local times of which one was.
fn by_walking(
    zone: Tz,
    after: UnixMillis,
    until: UnixMillis,
    wanted: &dyn Fn(NaiveDateTime) -> bool,
) -> Option<UnixMillis> {
    let first = after / MINUTE * MINUTE + MINUTE;
    // Local times that were there before, for as long as clocks can go back.
    let mut latest = (0..=240)
        .map(|back| local(zone, first - MINUTE - back * MINUTE))
        .max()
        .expect("some");
    let mut at = first;
    while at <= until {
        let now = local(zone, at);
        let mut skipped = latest + Span::minutes(1);
        while skipped <= now {
            if wanted(skipped) {
                return Some(at);
            }
            skipped += Span::minutes(1);
        }
        latest = latest.max(now);
        at += MINUTE;
    }
    None
}

/// A random schedule of the calendar, and what it asks for, told without its code.
fn any_calendar(random: &mut Random, created: UnixMillis, zone: Tz) -> (Schedule, Wanted) {
    let anchor = local(zone, created).date();
    let every = random.small(1, 3);
    let at = random.at_times();
    let asked = at.clone();
    let at_time = move |time: NaiveDateTime| {
        let found = asked
            .iter()
            .any(|at| at.hour == time.hour() && at.minute == time.minute());
        found && time.second() == 0
    };
    let count = i64::from(every);
    let days = move |date: NaiveDate| (date - anchor).num_days();
    let (schedule, wanted): (Schedule, Wanted) = match random.from(0, 4) {
        0 => {
            let wanted = move |time: NaiveDateTime| at_time(time) && days(time.date()) % count == 0;
            (Schedule::daily(every, at), Box::new(wanted))
        }
        1 => {
            let names = random.days(0, 6);
            let schedule = Schedule::weekly(every, names.clone(), at);
            let monday = anchor.week(chrono::Weekday::Mon).first_day();
            let wanted = move |time: NaiveDateTime| {
                let day = time.weekday().num_days_from_sunday();
                let week = (time.date() - monday).num_days().div_euclid(7);
                at_time(time) && week % count == 0 && names.iter().any(|n| u32::from(*n) == day)
            };
            (schedule, Box::new(wanted))
        }
        2 => {
            let names = random.days(1, 31);
            let schedule = Schedule::monthly(every, names.clone(), at);
            let wanted = move |time: NaiveDateTime| {
                let month = |date: NaiveDate| i64::from(date.year() * 12) + i64::from(date.month());
                let months = month(time.date()) - month(anchor);
                at_time(time)
                    && months % count == 0
                    && names.iter().any(|n| u32::from(*n) == time.day())
            };
            (schedule, Box::new(wanted))
        }
        _ => {
            let expr = random.expression(true);
            let cron = croner(&expr);
            let wanted =
                move |time: NaiveDateTime| cron.is_time_matching(&time.and_utc()).expect("match");
            (Schedule::cron(&expr).expect(&expr), Box::new(wanted))
        }
    };
    (schedule.with_timezone(Zone(zone)), wanted)
}

type Wanted = Box<dyn Fn(NaiveDateTime) -> bool>;

/// Contract row 50: a skipped local time fires at the next valid moment, a repeated one once.
#[test]
fn around_changes_of_clocks_firings_are_those_of_a_walk_over_every_minute() {
    let mut random = Random::new();
    let changing: Vec<_> = ZONES
        .into_iter()
        .map(|zone| (zone, transitions(zone)))
        .filter(|(_, moments)| !moments.is_empty())
        .collect();
    assert!(changing.len() >= 8);
    let (mut found, mut noted) = (0, 0);
    for _ in 0..5_000 {
        let which = random.from(0, changing.len() as u64 - 1);
        let (zone, moments) = &changing[usize::try_from(which).expect("index")];
        let change = random.pick(moments);
        let created = change - random.from(0, 90) * DAY - random.from(0, DAY);
        let (schedule, wanted) = any_calendar(&mut random, created, *zone);
        let after = change - 5 * 60 * MINUTE + random.from(0, 8 * 60 * MINUTE);
        let until = after + 16 * 60 * MINUTE;
        let expected = by_walking(*zone, after, until, &wanted);
        let ours = schedule.next_after(after, created);
        let ours = ours.filter(|firing| firing.at <= until);
        let seed = random.seed;
        assert_eq!(
            ours.map(|firing| utc(firing.at)),
            expected.map(utc),
            "{schedule:?} in {zone} after {}, created {}, seed {seed}",
            utc(after),
            utc(created)
        );
        found += u32::from(ours.is_some());
        noted += u32::from(ours.is_some_and(|firing| firing.note.is_some()));
    }
    assert!(found > 500, "the walk meets firings: {found}");
    assert!(noted > 50, "and such as clocks changed: {noted}");
}

/// Contract row 51, and the enumeration of row 57: one firing leads to the next.
#[test]
fn the_next_firing_is_later_than_the_last_and_the_first_of_the_rest() {
    let mut random = Random::new();
    for case in 0..10_000 {
        let zone = random.pick(&ZONES);
        let created = random.moment();
        let schedule = match case % 5 {
            0 => {
                let interval = Duration::from_millis(random.from(100, 10_000_000));
                Schedule::every(interval)
            }
            _ => any_calendar(&mut random, created, zone).0,
        };
        let schedule = match case % 3 {
            0 => schedule.with_starts_at(created + random.from(0, 10 * DAY)),
            _ => schedule,
        };
        let after = created + random.from(0, 100 * DAY);
        let says = |problem: &str| {
            let seed = random.seed;
            format!("{problem}: {schedule:?} after {after}, created {created}, seed {seed}")
        };
        let Some(next) = schedule.next_after(after, created) else {
            continue;
        };
        assert!(next.at > after, "{}", says("not later"));
        let between = after + (next.at - after) / 2;
        for earlier in [between, next.at - 1] {
            let again = schedule.next_after(earlier, created);
            assert_eq!(again, Some(next), "{}", says("depends on the question"));
        }
        let later = schedule.next_after(next.at, created);
        assert!(
            later.is_none_or(|later| later.at > next.at),
            "{}",
            says("not later")
        );
        let until = later.map_or(u64::MAX, |later| later.at);
        let listed: Vec<_> = schedule.firings(after, until, created).take(9).collect();
        let expected: Vec<_> = [Some(next), later].into_iter().flatten().collect();
        assert_eq!(listed, expected, "{}", says("listed otherwise"));
    }
}

/// A tick asks once for each schedule that is due, so the answer must be cheap. The bound is far
/// from what a release build needs, but a search that looks at every minute would break it.
#[test]
fn rare_moments_are_found_without_looking_at_every_one() {
    let now = millis("2026-03-01T12:00:00Z");
    let table = [
        ("0 0 29 2 *", Some("2028-02-29T00:00:00Z")),
        ("0 0 29 2 */7", Some("2032-02-29T00:00:00Z")),
        ("59 23 31 12 *", Some("2026-12-31T23:59:00Z")),
        ("0 0 30 2 *", None),
        ("0 0 31 2,4,6,9,11 *", None),
    ];
    for (expr, expected) in table {
        let schedule = Schedule::cron(expr).expect(expr);
        let next = schedule.next_after(now, now).map(|firing| firing.at);
        assert_eq!(next, expected.map(millis), "{expr}");
    }
    let schedule = Schedule::cron("0 0 29 2 *").expect("leap day");
    let next = schedule.next_after(millis("2096-03-01T00:00:00Z"), now);
    assert_eq!(next, None, "2100 has no leap day and the calendar ends");
    let noon = [AtTime::new(12, 0)];
    for schedule in [
        Schedule::cron("0 12 * * *").expect("daily"),
        Schedule::daily(1, noon),
        Schedule::weekly(1, 0..=6, noon),
        Schedule::monthly(1, 1..=31, noon),
    ] {
        let last = millis("2100-12-31T12:00:00Z");
        let next = schedule.next_after(last - 1, now);
        assert_eq!(next.map(|firing| firing.at), Some(last), "{schedule:?}");
        assert_eq!(schedule.next_after(last, now), None, "{schedule:?}");
        assert_eq!(schedule.next_after(UnixMillis::MAX, now), None);
    }
}
