//! Tables of schedules; what is compared with other implementations is in its own files.

mod clocks;
mod compare;
mod forms;
mod random;

use super::*;
use random::millis;

/// Contract row 50: IMMEDIATE, ONE_TIME and DURATION.
#[test]
fn simple_types_fire_when_they_should() {
    let created = millis("2030-01-01T00:00:00Z");
    let fired = |schedule: &Schedule, after, most| -> Vec<UnixMillis> {
        let all = schedule.firings(after, u64::MAX, created);
        all.take(most).map(|firing| firing.at).collect()
    };
    let immediate = Schedule::immediate();
    assert_eq!(immediate.first(created).map(|f| f.at), Some(created));
    assert_eq!(fired(&immediate, created, 3), [0; 0]);
    let once = Schedule::one_time(created + 5);
    assert_eq!(fired(&once, created, 3), [created + 5]);
    assert_eq!(fired(&once, created + 5, 3), [0; 0]);
    let every = Schedule::every(Duration::from_secs(2));
    assert_eq!(
        fired(&every, created, 2),
        [created + 2_000, created + 4_000]
    );
    assert_eq!(fired(&every, created + 2_001, 1), [created + 4_000]);
    let ends = every.clone().with_ends_at(created + 4_000);
    assert_eq!(fired(&ends, created, 9), [created + 2_000, created + 4_000]);
    let starts = every.with_starts_at(created + 500);
    assert_eq!(fired(&starts, created, 2), [created + 500, created + 2_500]);
    let later = starts.clone().with_starts_at(created + 9_000);
    assert_eq!(
        fired(&later, created, 2),
        [created + 9_000, created + 11_000]
    );
    assert_eq!(
        starts.with_starts_at(created).first(created).map(|f| f.at),
        Some(created)
    );
}

/// Trap W32: a leader that comes late shifts nothing, as the next firing follows from the
/// scheduled time of the last one and not from when it was carried out.
#[test]
fn a_late_leader_shifts_nothing() {
    let created = millis("2030-01-01T00:00:00Z");
    let every = Schedule::every(Duration::from_secs(60));
    let mut scheduled = created;
    for n in 1..=5 {
        scheduled = every.next_after(scheduled, created).expect("next").at;
        assert_eq!(scheduled, created + n * 60_000);
    }
    // One that skips what it missed comes back to the same moments.
    let late = every.next_after(created + 234_567, created).expect("next");
    assert_eq!(late.at, created + 240_000);
}

/// Contract row 59, trap W33: jitter is no part of the moments, so that a firing has one name.
#[test]
fn jitter_does_not_move_the_scheduled_time() {
    let created = millis("2030-01-01T00:00:00Z");
    let plain = Schedule::cron("*/5 * * * *").expect("cron");
    let jittered = plain.clone().with_jitter(Duration::from_secs(30));
    let until = created + 3_600_000;
    let moments = |schedule: &Schedule| -> Vec<Firing> {
        schedule.firings(created, until, created).collect()
    };
    assert_eq!(moments(&plain).len(), 12);
    assert_eq!(moments(&plain), moments(&jittered));
    assert!(plain.same_times(&jittered));
}

/// What a preview shows of a firing that clocks moved.
#[test]
fn a_firing_is_written_with_its_note() {
    let zone: Zone = "Europe/Berlin".parse().expect("zone");
    let daily = Schedule::daily(1, [AtTime::new(2, 30)]).with_timezone(zone);
    let firing = daily.next_after(millis("2026-03-28T12:00:00Z"), 0);
    let written = serde_json::to_string(&firing).expect("json");
    assert_eq!(
        written,
        r#"{"at":1774746000000,"note":"02:30 does not exist on this day, as clocks go forward; fires at 03:00"}"#
    );
    let every = Schedule::every(Duration::from_secs(1)).next_after(5, 5);
    let written = serde_json::to_string(&every).expect("json");
    assert_eq!(written, r#"{"at":1005}"#);
}
