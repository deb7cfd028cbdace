//! Which items run, and when: the preparation, the window, the limit of one commit, and memory.

use super::*;

/// Row 93: as many as the window allows, then one for each that ends.
#[test]
fn the_window_slides() {
    let mut batch = instance(&definition(5, 2));
    let begun = apply(&mut batch, &BatchEvent::Start);
    assert_eq!(kinds(&begun), ["batch.started"]);
    assert_eq!(started(&begun), [(0, 0), (1, 0)]);
    assert!(!begun.more, "a full window is not work left over");
    let next = end(&mut batch, 1, TaskOutcome::Completed);
    assert_eq!(kinds(&next), ["batch.item.completed"]);
    assert_eq!(started(&next), [(2, 0)]);
    for place in [0, 2, 3] {
        end(&mut batch, place, TaskOutcome::Completed);
    }
    let last = end(
        &mut batch,
        4,
        TaskOutcome::Skipped {
            reason: "none".into(),
        },
    );
    assert_eq!(kinds(&last), ["batch.item.completed", "batch.completed"]);
    assert_eq!(*batch.stage(), BatchStage::Completed);
    assert_eq!((batch.header().completed, batch.header().failed), (5, 0));
}

/// Row 92: it runs first; its failure is the batch's, and no item begins.
#[test]
fn a_onetime_task_runs_before_the_items() {
    let mut definition = definition(2, 2);
    definition.onetime_task_type = Some("prepare".into());
    for (outcome, events, begun) in [
        (TaskOutcome::Completed, &["batch.onetime.completed"][..], 2),
        (
            TaskOutcome::Skipped { reason: "x".into() },
            &["batch.onetime.completed"],
            2,
        ),
        (dead(), &["batch.onetime.failed", "batch.failed"], 0),
        (
            TaskOutcome::Cancelled,
            &["batch.onetime.failed", "batch.failed"],
            0,
        ),
    ] {
        let mut batch = instance(&definition);
        let first = apply(&mut batch, &BatchEvent::Start);
        assert_eq!(started(&first), []);
        assert!(
            first
                .effects
                .contains(&BatchEffect::DispatchOnetime { iteration: 0 })
        );
        let next = end(&mut batch, ONETIME_PLACE, outcome.clone());
        assert_eq!(kinds(&next), events, "{outcome:?}");
        assert_eq!(started(&next).len(), begun);
        let kept = next
            .effects
            .contains(&BatchEffect::KeepOnetime { iteration: 0 });
        assert_eq!(kept, begun > 0);
    }
}

/// A window of thousands is asked to stop step by step, what is left derived from what is kept.
#[test]
fn a_limit_leaves_the_rest_for_later() {
    let mut batch = instance(&definition(250, 200));
    let begun = advance_batch(&mut batch, &BatchEvent::Start, 90).expect("applies");
    assert_eq!((started(&begun).len(), begun.more), (90, true));
    let more = advance_batch(&mut batch, &BatchEvent::Continue, 90).expect("applies");
    assert_eq!((started(&more).len(), more.more), (90, true));
    let cancel = BatchEvent::CancelRequested {
        reason: String::new(),
    };
    let first = advance_batch(&mut batch, &cancel, 100).expect("applies");
    assert_eq!((cancelled(&first), first.more), (100, true));
    let second = advance_batch(&mut batch, &BatchEvent::Continue, 100).expect("applies");
    assert_eq!((cancelled(&second), second.more), (80, false));
    let none = advance_batch(&mut batch, &BatchEvent::Continue, 100);
    assert_eq!(none, Err(BatchRefusal::Late(Late::NothingLeft)));
    // With nothing to spare the event is taken in, and its consequences are left over.
    let mut batch = instance(&definition(3, 2));
    let begun = advance_batch(&mut batch, &BatchEvent::Start, 0).expect("applies");
    assert_eq!((started(&begun).len(), begun.more), (0, true));
}

/// Row 93: two bytes an item, and some for each that the window allows.
#[test]
fn memory_is_two_bytes_an_item() {
    let footprint = |items, window| instance(&definition(items, window)).footprint();
    let each = (footprint(100_000, 100) - footprint(10_000, 100)) / 90_000;
    assert_eq!(each, 2);
    assert_eq!(size_of::<ItemRecord>(), 2);
    assert!(footprint(100_000, 100) < 210_000);
}
