use std::time::Duration;

use super::*;

const ONE: ShardIndex = ShardIndex(1);
const TWO: ShardIndex = ShardIndex(2);

fn slots<const N: usize>(total: u32, limits: [Option<u32>; N]) -> Arc<Slots> {
    Arc::new(Slots::new(total, limits.map(|limit| (limit, None))))
}

#[test]
fn what_is_reserved_returns() {
    let slots = slots(10, [None, Some(3)]);
    let mut first = slots.reserve(ONE, 8);
    assert_eq!(
        (first.left(), first.left_of(0), first.left_of(1)),
        (8, 8, 3)
    );
    let second = slots.reserve(ONE, 8);
    assert_eq!((second.left(), second.left_of(1)), (2, 0));
    assert!(!slots.has_room(0));
    assert_eq!(slots.room(ONE), 0);

    let run = first.slot(1).expect("slot");
    drop((first, second));
    assert_eq!(slots.free(), 9);
    assert_eq!(slots.reserve(ONE, 100).left_of(1), 2);
    drop(run);
    assert_eq!(slots.free(), 10);
    assert_eq!(slots.reserve(ONE, 100).left_of(1), 3);
}

#[test]
fn no_more_slots_are_given_than_were_reserved() {
    let slots = slots(2, [Some(1), None]);
    let mut claim = slots.reserve(ONE, 5);
    let one = claim.slot(0);
    assert!(one.is_some());
    assert!(claim.slot(0).is_none());
    let two = claim.slot(1);
    assert!(two.is_some());
    assert!(claim.slot(1).is_none());
    assert!(claim.slot(7).is_none());
    drop(claim);
    assert_eq!(slots.free(), 0);
}

#[tokio::test]
async fn a_starving_pump_hears_of_a_release() {
    let slots = slots(1, [None]);
    let run = slots.reserve(ONE, 1).slot(0);
    let freed = slots.freed();
    let _place = slots.stand_in_line(TWO, true, &[]);
    drop(run);
    freed.await;
    assert!(slots.has_room(0));
}

#[test]
fn who_waits_first_is_served_first() {
    let slots = slots(2, [Some(1), None]);
    let run = slots.reserve(ONE, 2).slot(0);
    assert_eq!(slots.reserve(TWO, 2).missed(), [0]);
    let place = slots.stand_in_line(TWO, false, &[0]);
    // The one that is busy may go on with everything else.
    assert_eq!(slots.reserve(ONE, 2).left_of(1), 1);
    drop(run);
    // Now the other one may start: the busy one leaves it the slots that this takes.
    assert_eq!(slots.reserve(ONE, 2).left(), 0);
    assert_eq!(slots.room(ONE), 0);
    assert!(slots.has_room_for(TWO, &[0]));
    assert_eq!(slots.reserve(TWO, 2).left_of(0), 1);
    drop(place);
    assert_eq!(slots.reserve(ONE, 2).left_of(0), 1);
}

#[test]
fn limits_change_while_runs_hold_slots() {
    let slots = slots(10, [None, Some(1)]);
    let mut claim = slots.reserve(ONE, 3);
    let runs: Vec<_> = (0..3).filter_map(|_| claim.slot(0)).collect();
    drop(claim);
    assert_eq!(runs.len(), 3);
    // Below what runs: nothing more until there is room again, and nothing is miscounted.
    slots.set_limit(0, Some(2));
    assert_eq!(slots.reserve(ONE, 10).left_of(0), 0);
    slots.set_limit(0, Some(5));
    assert_eq!(slots.reserve(ONE, 10).left_of(0), 2);
    slots.set_limit(0, None);
    assert_eq!(slots.reserve(ONE, 10).left_of(0), 7);
    slots.set_total(2);
    assert_eq!((slots.free(), slots.room(ONE)), (0, 0));
    slots.set_total(4);
    assert_eq!(slots.reserve(ONE, 10).left(), 1);
    slots.set_closed(true);
    assert_eq!((slots.free(), slots.total(), slots.running()), (0, 4, 3));
    slots.set_closed(false);
    drop(runs);
    assert_eq!((slots.free(), slots.running()), (4, 0));
}

#[tokio::test]
async fn a_pump_in_line_hears_of_a_limit_that_was_raised() {
    let slots = slots(1, [Some(0)]);
    assert_eq!(slots.reserve(ONE, 1).missed(), [0]);
    let freed = slots.freed();
    let _place = slots.stand_in_line(ONE, false, &[0]);
    slots.set_limit(0, Some(1));
    freed.await;
    assert!(slots.has_room_for(ONE, &[0]));
}

#[test]
fn what_was_claimed_does_not_begin_once_it_is_shut() {
    let slots = slots(4, [Some(2), None]);
    let mut claim = slots.reserve(ONE, 4);
    slots.set_limit(0, Some(0));
    assert!(claim.slot(0).is_none());
    let one = claim.slot(1);
    assert!(one.is_some());
    slots.set_closed(true);
    assert!(claim.slot(1).is_none());
    slots.set_closed(false);
    slots.set_limit(0, Some(2));
    drop((claim, one));
    assert_eq!((slots.free(), slots.reserve(ONE, 9).left_of(0)), (4, 2));
}

#[tokio::test(start_paused = true)]
async fn an_open_breaker_leaves_no_slot_and_a_half_open_one_leaves_one() {
    let rule = Breaker {
        failures: 2,
        open_for: Duration::from_secs(5),
    };
    let slots = Arc::new(Slots::new(9, [(None, Some(rule)), (None, None)]));
    let mut claim = slots.reserve(ONE, 9);
    let mut runs: Vec<_> = (0..3).filter_map(|_| claim.slot(0)).collect();
    assert_eq!(runs[0].judge(Verdict::Failed), None);
    let opened = runs[1].judge(Verdict::Failed);
    let until = Instant::now() + rule.open_for;
    assert_eq!(opened, Some(Turned::Open(until)));
    // What was claimed before goes back, others go on.
    assert!(claim.slot(0).is_none());
    assert!(claim.slot(1).is_some());
    drop(claim);
    assert_eq!(slots.open_breakers().collect::<Vec<_>>(), [(0, until)]);
    assert_eq!(slots.reserve(ONE, 9).missed(), [0]);

    // Whoever waits is told when one may try.
    let freed = slots.freed();
    let place = slots.stand_in_line(TWO, false, &[0]);
    freed.await;
    assert!(Instant::now() >= until);
    assert!(slots.has_room_for(TWO, &[0]));
    let mut probe = slots.reserve(TWO, 9);
    drop(place);
    assert_eq!(probe.left_of(0), 1);
    assert_eq!(slots.reserve(ONE, 9).left_of(0), 0);
    let mut run = probe.slot(0).expect("the probe");
    drop(probe);
    assert!(!slots.has_room(0), "one at a time");
    // One from before says nothing.
    assert_eq!(runs[2].judge(Verdict::Worked), None);
    assert!(!slots.has_room(0));
    assert_eq!(run.judge(Verdict::Worked), Some(Turned::Closed));
    drop((run, runs));
    assert_eq!(slots.reserve(ONE, 9).left_of(0), 9);
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_found_no_work_or_broke_off_leaves_its_slot_to_the_next() {
    let rule = Breaker {
        failures: 1,
        open_for: Duration::from_secs(5),
    };
    let slots = Arc::new(Slots::new(9, [(None, Some(rule))]));
    let mut run = slots.reserve(ONE, 1).slot(0).expect("a slot");
    assert!(run.judge(Verdict::Failed).is_some());
    drop(run);
    tokio::time::advance(rule.open_for).await;
    drop(slots.reserve(ONE, 9));
    let run = slots.reserve(ONE, 9).slot(0);
    assert!(run.is_some());
    assert!(!slots.has_room(0));
    drop(run);
    assert!(slots.has_room(0));
}
