//! Tables of schedules; what is compared with other implementations is in its own files.

use super::*;

fn millis(text: &str) -> UnixMillis {
    let moment = chrono::DateTime::parse_from_rfc3339(text).expect(text);
    UnixMillis::try_from(moment.timestamp_millis()).expect(text)
}

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
    assert_eq!(
        starts.with_starts_at(created).first(created).map(|f| f.at),
        Some(created)
    );
}
