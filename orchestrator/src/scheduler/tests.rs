use paceline_types::Schedule;
use paceline_types::scheduled::JobTemplate;
use paceline_types::{TaskType, schedule::Timing};
use tokio::time::Instant;

use super::*;
use crate::memory::MemoryLedger;
use crate::term::{Tenure, Term};

fn id(text: &str) -> ScheduleId {
    ScheduleId::new(text).expect("id")
}

fn every(name: &str, millis: u64) -> ScheduleDefinition {
    let interval = Duration::from_millis(millis);
    ScheduleDefinition {
        id: id(name),
        schedule: Schedule::from(Timing::Every { interval }),
        job: JobTemplate::new(TaskType::new("t").expect("type")),
        provider: None,
    }
}

fn term() -> (Tenure, Term) {
    Tenure::begin(1, Instant::now() + Duration::from_secs(3_600))
}

fn times(ledger: &MemoryLedger) -> Vec<String> {
    let fired = ledger.fired().into_iter();
    fired
        .map(|job| format!("{} {}", job.schedule, job.firing))
        .collect()
}

#[tokio::test]
async fn schedules_fire_when_they_are_due_and_the_report_says_when_to_look_again() {
    let ledger = Arc::new(MemoryLedger::new());
    let (_tenure, term) = term();
    let mut scheduler = Scheduler::new(ledger.clone(), Options::default());
    let report = scheduler.tick(&term).await.expect("tick");
    assert_eq!(report, Report::default(), "there are none");
    ledger.keep_schedule(&every("a", 100), 100);
    ledger.keep_schedule(&every("b", 250), 250);
    let mut waits = Vec::new();
    for _ in 0..5 {
        let report = scheduler.tick(&term).await.expect("tick");
        let wait = report.again_in.expect("a next one");
        waits.push(wait.as_millis());
        ledger.pass(wait);
    }
    assert_eq!(waits, [100, 100, 50, 50, 100]);
    assert_eq!(times(&ledger), ["a 100s", "a 200s", "b 250s", "a 300s"]);
}

#[tokio::test]
async fn a_page_holds_no_more_than_the_batch_and_the_rest_follows_at_once() {
    let ledger = Arc::new(MemoryLedger::new());
    let (_tenure, term) = term();
    let batch = 3;
    let options = Options {
        batch,
        ..Options::default()
    };
    let mut scheduler = Scheduler::new(ledger.clone(), options);
    for number in 0..8 {
        ledger.keep_schedule(&every(&format!("s{number}"), 1_000), 5);
    }
    ledger.pass(Duration::from_millis(5));
    for (fired, at_once) in [(3, true), (3, true), (2, false)] {
        let report = scheduler.tick(&term).await.expect("tick");
        assert_eq!(report.counts.fired, fired);
        assert_eq!(report.again_in == Some(Duration::ZERO), at_once);
    }
}

#[tokio::test]
async fn many_missed_firings_of_many_schedules_go_in_bounded_calls() {
    let ledger = Arc::new(MemoryLedger::new());
    let (_tenure, term) = term();
    let mut scheduler = Scheduler::new(ledger.clone(), Options::default());
    for number in 0..30 {
        let mut definition = every(&format!("s{number}"), 100);
        definition.schedule.catchup_window = Some(Duration::from_secs(60));
        definition.schedule.max_backfill_per_tick = Some(40);
        ledger.keep_schedule(&definition, 100);
    }
    ledger.pass(Duration::from_secs(5));
    // The ledger in memory refuses a call of more than 100 firings.
    for fired in [30 * 40, 30 * 10, 0] {
        let report = scheduler.tick(&term).await.expect("tick");
        assert_eq!(report.counts.fired, fired);
    }
}

#[tokio::test]
async fn one_buffered_firing_starts_after_each_end_and_in_order() {
    let ledger = Arc::new(MemoryLedger::new());
    let (_tenure, term) = term();
    let mut scheduler = Scheduler::new(ledger.clone(), Options::default());
    let mut definition = every("a", 100);
    definition.schedule.overlap_policy = OverlapPolicy::BufferAll;
    definition.schedule.ends_at = Some(300);
    ledger.keep_schedule(&definition, 100);
    for _ in 0..3 {
        ledger.pass(Duration::from_millis(100));
        scheduler.tick(&term).await.expect("tick");
    }
    assert_eq!(times(&ledger), ["a 100s"]);
    assert!(ledger.has_schedule(&id("a")), "two wait, so it is not gone");
    for _ in 0..2 {
        ledger.end_firings();
        scheduler.tick(&term).await.expect("tick");
        let report = scheduler.tick(&term).await.expect("tick");
        assert_eq!(report.counts.fired, 0, "one a time");
    }
    assert_eq!(times(&ledger), ["a 100s", "a 200s", "a 300s"]);
    assert!(!ledger.has_schedule(&id("a")));
}

/// Contract row 59, trap W33: jitter delays the dispatch, and the identity knows nothing of it.
#[tokio::test]
async fn jitter_delays_the_dispatch_and_not_the_scheduled_time() {
    let ledger = Arc::new(MemoryLedger::new());
    let (_tenure, term) = term();
    let mut scheduler = Scheduler::new(ledger.clone(), Options::default());
    let mut definition = every("a", 1_000);
    let jitter = Duration::from_millis(400);
    definition.schedule.jitter = Some(jitter);
    ledger.keep_schedule(&definition, 1_000);
    for _ in 0..50 {
        ledger.pass(Duration::from_secs(1));
        scheduler.tick(&term).await.expect("tick");
    }
    let fired = ledger.fired();
    assert_eq!(fired.len(), 50);
    assert!(fired.iter().all(|job| job.delay < jitter));
    assert!(fired.iter().all(|job| job.firing.at % 1_000 == 0));
    let delays: std::collections::BTreeSet<_> = fired.iter().map(|job| job.delay).collect();
    assert!(delays.len() > 10, "they differ: {delays:?}");
}

#[tokio::test]
async fn a_definition_that_cannot_be_read_stands_where_it_is_and_hinders_no_other() {
    let ledger = Arc::new(MemoryLedger::new());
    let (_tenure, term) = term();
    let mut scheduler = Scheduler::new(ledger.clone(), Options::default());
    ledger.keep_schedule_text(&id("a"), r#"{"newer": true}"#.to_owned(), 100);
    ledger.keep_schedule(&every("b", 90_000), 100);
    ledger.pass(Duration::from_millis(100));
    let report = scheduler.tick(&term).await.expect("tick");
    assert_eq!(report.counts.fired, 1);
    assert_eq!(
        report.again_in,
        Some(Duration::from_secs(60)),
        "no spinning"
    );
    assert_eq!(ledger.schedule_next(&id("a")), Some(100), "nothing is lost");
    ledger.keep_schedule(&every("a", 1_000), 100);
    scheduler.tick(&term).await.expect("tick");
    assert_eq!(times(&ledger), ["b 100s", "a 100s"]);
}

#[tokio::test]
async fn what_failed_is_due_still_and_is_fired_once() {
    let ledger = Arc::new(MemoryLedger::new());
    let (_tenure, term) = term();
    let mut scheduler = Scheduler::new(ledger.clone(), Options::default());
    ledger.keep_schedule(&every("a", 1_000), 100);
    ledger.pass(Duration::from_millis(100));
    ledger.set_down(true);
    assert!(scheduler.tick(&term).await.is_err());
    ledger.set_down(false);
    for _ in 0..3 {
        scheduler.tick(&term).await.expect("tick");
    }
    assert_eq!(times(&ledger), ["a 100s"]);
}
