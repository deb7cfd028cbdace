//! Which firings of a schedule take place now: a pure decision.
//!
//! Whether a firing meets an active run is not decided here: that is only known at the moment at
//! which its job is made.

use paceline_types::scheduled::{FiringKind, PlannedFiring};
use paceline_types::{Schedule, UnixMillis};

/// Missed firings that one tick makes up for, unless the schedule says otherwise.
pub const DEFAULT_BACKFILL_PER_TICK: u32 = 10;

/// A firing that is later than this, by the server's clock, is one that was missed, also when it
/// is the latest: one minute.
pub const LATE: u64 = 60_000;

/// What becomes of a schedule that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Firings that take place, oldest first.
    pub firings: Vec<PlannedFiring>,
    /// Where the schedule stands then; it may be due already. None: it will not fire again.
    pub next: Option<UnixMillis>,
}

/// Decides for a schedule that stands at the scheduled time `next`, when it is `now`; at most
/// `most` firings take place, at least 1.
///
/// Without a catch-up window only the latest firing takes place of those that are due. With one
/// those of its length do, oldest first and a number of them at once; the schedule then stands at
/// the first that is left. What follows is always counted from the scheduled times.
#[must_use]
pub fn decide(
    schedule: &Schedule,
    anchored_at: UnixMillis,
    next: UnixMillis,
    now: UnixMillis,
    most: usize,
) -> Decision {
    if next > now {
        return Decision {
            firings: Vec::new(),
            next: Some(next),
        };
    }
    let after = |at| {
        let firing = schedule.next_after(at, anchored_at);
        firing.map(|firing| firing.at)
    };
    let planned = |at: UnixMillis, following: Option<UnixMillis>| {
        let superseded = following.is_some_and(|following| following <= now);
        let is_late = now - at > LATE;
        let kind = match superseded || is_late {
            true => FiringKind::Missed,
            false => FiringKind::OnTime,
        };
        PlannedFiring { at, kind }
    };
    let window = schedule.catchup_window.filter(|window| !window.is_zero());
    let Some(window) = window else {
        let latest = latest(next, now, after);
        let following = after(latest);
        return Decision {
            firings: vec![planned(latest, following)],
            next: following,
        };
    };
    let window = u64::try_from(window.as_millis()).unwrap_or(u64::MAX);
    let per_tick = schedule
        .max_backfill_per_tick
        .unwrap_or(DEFAULT_BACKFILL_PER_TICK);
    let per_tick = usize::try_from(per_tick).unwrap_or(usize::MAX);
    let per_tick = per_tick.min(most).max(1);
    let oldest = now.saturating_sub(window);
    let mut at = match next < oldest {
        true => after(oldest.saturating_sub(1)),
        false => Some(next),
    };
    let mut firings = Vec::new();
    while let Some(due) = at.filter(|&at| at <= now && firings.len() < per_tick) {
        at = after(due);
        firings.push(planned(due, at));
    }
    Decision { firings, next: at }
}

/// The last moment up to `now` that follows from `next`, which is one of them; by halving, since
/// there may be millions.
fn latest(
    next: UnixMillis,
    now: UnixMillis,
    after: impl Fn(UnixMillis) -> Option<UnixMillis>,
) -> UnixMillis {
    let due_after = |at| after(at).filter(|&at| at <= now);
    let Some(mut latest) = due_after(next) else {
        return next;
    };
    // Something is due after each moment before `latest`, and nothing after `bound`.
    let mut bound = now;
    while latest < bound {
        let middle = latest + (bound - latest) / 2;
        match due_after(middle) {
            Some(due) => latest = due,
            None if middle == latest => return latest,
            None => bound = middle,
        }
    }
    latest
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn schedule(text: &str) -> Schedule {
        Schedule::from_json(text).expect(text)
    }

    fn every(millis: u64) -> Schedule {
        schedule(&format!(r#"{{"type":"DURATION","interval":"{millis}ms"}}"#))
    }

    fn times(decision: &Decision) -> Vec<String> {
        decision.firings.iter().map(ToString::to_string).collect()
    }

    const START: UnixMillis = 1_700_000_000_000;

    /// Contract row 57: without a window only the latest missed firing takes place.
    #[test]
    fn without_a_window_the_latest_firing_takes_place() {
        let table = [
            // Time since the schedule stood, firings, and where it stands then.
            (-1, vec![], 0),
            (0, vec!["0s"], 100),
            (99, vec!["0s"], 100),
            (100, vec!["100s"], 200),
            (1_234, vec!["1200s"], 1_300),
            (100_000_000_050, vec!["100000000000s"], 100_000_000_100),
        ];
        for (late, fired, next) in table {
            let now = START.saturating_add_signed(late);
            let decision = decide(&every(100), START, START, now, 100);
            let fired: Vec<_> = fired
                .iter()
                .map(|text| {
                    let planned: PlannedFiring = text.parse().expect(text);
                    PlannedFiring {
                        at: START + planned.at,
                        ..planned
                    }
                })
                .collect();
            assert_eq!(decision.firings, fired, "{late}");
            assert_eq!(decision.next, Some(START + next), "{late}");
        }
    }

    /// Contract row 57: with a window, oldest first, ten a tick, the rest at once afterwards.
    #[test]
    fn a_window_is_made_up_for_in_ticks() {
        let mut schedule = every(1_000);
        schedule.catchup_window = Some(Duration::from_secs(25));
        let now = START + 100_500;
        let (mut next, mut seen) = (START, Vec::new());
        for count in [10, 10, 5, 0] {
            let decision = decide(&schedule, START, next, now, 100);
            assert_eq!(decision.firings.len(), count);
            seen.extend(decision.firings);
            next = decision.next.expect("a next firing");
        }
        let wanted: Vec<_> = (76..=100).map(|second| START + second * 1_000).collect();
        let times: Vec<_> = seen.iter().map(|firing| firing.at).collect();
        assert_eq!(times, wanted);
        let last = seen.pop().expect("the latest");
        assert_eq!(last.kind, FiringKind::OnTime, "nothing later is due");
        assert!(seen.iter().all(|firing| firing.kind == FiringKind::Missed));
        assert_eq!(next, START + 101_000);

        schedule.max_backfill_per_tick = Some(3);
        assert_eq!(decide(&schedule, START, START, now, 100).firings.len(), 3);
        schedule.max_backfill_per_tick = Some(u32::MAX);
        assert_eq!(decide(&schedule, START, START, now, 7).firings.len(), 7);
        schedule.catchup_window = Some(Duration::from_millis(400));
        let decision = decide(&schedule, START, START, now, 100);
        assert_eq!(
            (decision.firings.len(), decision.next),
            (0, Some(START + 101_000))
        );
    }

    /// Contract row 53.
    #[test]
    fn the_last_firing_takes_place_and_nothing_follows() {
        let mut ends = every(1_000);
        ends.ends_at = Some(START + 2_500);
        let decision = decide(&ends, START, START + 2_000, START + 9_000, 100);
        assert_eq!(times(&decision), [format!("{}s", START + 2_000)]);
        assert_eq!(decision.next, None);
        for text in [
            r#"{"type":"IMMEDIATE"}"#.to_owned(),
            format!(r#"{{"type":"ONE_TIME","run_at":{START}}}"#),
        ] {
            let decision = decide(&schedule(&text), START, START, START + 5, 100);
            assert_eq!((decision.firings.len(), decision.next), (1, None), "{text}");
        }
    }

    #[test]
    fn a_firing_that_is_late_by_a_minute_was_missed() {
        let daily = schedule(r#"{"type":"CRON","cron_expr":"0 3 * * *"}"#);
        let next = daily.next_after(START, START).expect("a firing").at;
        for (late, kind) in [(LATE, FiringKind::OnTime), (LATE + 1, FiringKind::Missed)] {
            let decision = decide(&daily, START, next, next + late, 100);
            assert_eq!(decision.firings[0].kind, kind);
            assert_eq!(decision.next, Some(next + 24 * 3_600_000));
        }
    }

    /// Trap W32: a late leader shifts nothing.
    #[test]
    fn moments_do_not_drift_with_a_leader_that_is_always_late() {
        let (mut next, mut now) = (START + 700, START);
        for late in [3, 250, 1, 699, 42] {
            now = now.max(next) + late;
            let decision = decide(&every(700), START, next, now, 100);
            for firing in decision.firings {
                assert_eq!((firing.at - START) % 700, 0);
            }
            next = decision.next.expect("next");
            assert_eq!((next - START) % 700, 0);
            assert!(next > now);
        }
    }

    #[test]
    fn halving_finds_what_walking_finds() {
        let every_minute = schedule(r#"{"type":"CRON","cron_expr":"*/7 1-3 * * MON"}"#);
        let first = every_minute.next_after(START, START).expect("first").at;
        for step in [
            0,
            1,
            59_999,
            420_000,
            3_600_000,
            86_400_000,
            604_800_000,
            9_999_999_999,
        ] {
            let now = first + step;
            let walked = every_minute.firings(first - 1, now, START).last();
            let decision = decide(&every_minute, START, first, now, 100);
            assert_eq!(decision.firings[0].at, walked.expect("one").at, "{step}");
        }
    }
}
