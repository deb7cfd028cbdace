//! What cannot be, or comes too late.

use super::*;

/// W4, and what contradicts what is kept.
#[test]
fn what_cannot_be_is_refused_and_changes_nothing() {
    use BatchImpossible::{FutureIteration, NeverStarted, NoDeadline, UnknownItem};
    let mut batch = instance(&definition(3, 1));
    let early = advance_batch(&mut batch, &BatchEvent::Continue, PLENTY);
    assert_eq!(early, Err(BatchRefusal::Late(Late::NothingLeft)));
    apply(&mut batch, &BatchEvent::Start);
    let before = batch.clone();
    let foreign = BatchEvent::JobEnded {
        place: 0,
        item: "i0".into(),
        iteration: 0,
        job: batch.job(1, 0),
        outcome: dead(),
    };
    let onetime = NeverStarted {
        place: ONETIME_PLACE,
    };
    let future = FutureIteration {
        place: 0,
        current: 0,
        iteration: 1,
    };
    let table = [
        (BatchEvent::Start, BatchRefusal::Late(Late::Started)),
        (
            BatchEvent::RetryRequested { failed_only: true },
            BatchRefusal::Late(Late::Started),
        ),
        (
            ended(&batch, 1, 0, dead()),
            BatchRefusal::Impossible(NeverStarted { place: 1 }),
        ),
        (
            ended(&batch, 3, 0, dead()),
            BatchRefusal::Impossible(UnknownItem { place: 3 }),
        ),
        (
            ended(&batch, 0, 1, dead()),
            BatchRefusal::Impossible(future),
        ),
        (
            ended(&batch, ONETIME_PLACE, 0, dead()),
            BatchRefusal::Impossible(onetime),
        ),
        (
            BatchEvent::Rang(BatchAlarm::Deadline),
            BatchRefusal::Impossible(NoDeadline),
        ),
        (
            BatchEvent::Rang(BatchAlarm::Retry),
            BatchRefusal::Late(Late::Disarmed),
        ),
    ];
    for (event, expected) in table {
        assert_eq!(
            advance_batch(&mut batch, &event, PLENTY),
            Err(expected),
            "{event:?}"
        );
        assert_eq!(batch, before, "{event:?}");
    }
    let refused = advance_batch(&mut batch, &foreign, PLENTY);
    assert!(matches!(
        refused,
        Err(BatchRefusal::Impossible(BatchImpossible::ForeignJob { .. }))
    ));
    assert_eq!(batch, before);
}
