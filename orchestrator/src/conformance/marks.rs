//! Marks: instances with work left over, moments that they wait for, and what is parked.

use std::collections::BTreeSet;
use std::time::Duration;

use super::hands::{FROM_START, begun, empty, is_committed, read, write};
use super::{Bed, term};
use crate::ports::{Alarm, Commit, CommitOutcome, Ledger, Parked, Turn};

pub(super) async fn unfinished_instances_are_marked<B: Bed>(bed: &B) {
    let (_tenure, term) = term(1);
    let (workflow, _, mut revision) = begun(bed, &term, "a").await;
    for more in [true, true, false, false] {
        let commit = Commit {
            more,
            ..empty(workflow, revision)
        };
        match write(bed, &term, commit).await {
            CommitOutcome::Committed { revision: next } => revision = next,
            outcome => panic!("{outcome:?}"),
        }
        let marked = bed
            .ledger()
            .unfinished(&term, 10)
            .await
            .expect("unfinished");
        assert_eq!(marked, if more { vec![workflow] } else { Vec::new() });
    }
}

/// What a commit says of an alarm.
type Said = (Alarm, Option<Duration>);

pub(super) async fn a_moment_passes<B: Bed>(bed: &B) {
    let (_tenure, term) = term(1);
    let (workflow, _, mut revision) = begun(bed, &term, "a").await;
    let hour = Some(Duration::from_secs(3_600));
    let signal = Alarm::Signal {
        task: 7,
        iteration: 2,
    };
    let table: [(&[Said], &[Alarm]); 8] = [
        (&[], &[]),
        (&[(Alarm::Deadline, hour), (signal, hour)], &[]),
        (
            &[(Alarm::Deadline, Some(Duration::ZERO))],
            &[Alarm::Deadline],
        ),
        (&[], &[Alarm::Deadline]),
        (
            &[(signal, Some(Duration::ZERO))],
            &[Alarm::Deadline, signal],
        ),
        (
            &[
                (Alarm::Deadline, None),
                (Alarm::Retry, Some(Duration::ZERO)),
            ],
            &[Alarm::Retry, signal],
        ),
        (&[(Alarm::Deadline, None), (Alarm::Retry, hour)], &[signal]),
        (&[(signal, None)], &[]),
    ];
    let mut waited = BTreeSet::new();
    for (alarms, passed) in table {
        let commit = Commit {
            alarms: alarms.to_vec(),
            ..empty(workflow, revision)
        };
        match write(bed, &term, commit).await {
            CommitOutcome::Committed { revision: next } => revision = next,
            outcome => panic!("{outcome:?}"),
        }
        let mut overdue = bed.ledger().overdue(&term, 10).await.expect("overdue");
        overdue.sort_unstable();
        let passed: Vec<_> = passed.iter().map(|&alarm| (workflow, alarm)).collect();
        assert_eq!(overdue, passed, "{alarms:?}");
        for (alarm, after) in alarms {
            waited.remove(alarm);
            waited.extend(after.map(|_| *alarm));
        }
        let moments = [Alarm::Deadline, Alarm::Retry, signal].map(|alarm| (workflow, alarm));
        let armed = bed.ledger().armed(&term, &moments).await.expect("armed");
        let expected = moments.map(|(_, alarm)| waited.contains(&alarm));
        assert_eq!(armed, expected, "{alarms:?}");
    }
}

pub(super) async fn what_is_parked_is_consumed<B: Bed>(bed: &B) {
    let (_tenure, term) = term(1);
    let (workflow, _, revision) = begun(bed, &term, "a").await;
    let marked = Commit {
        more: true,
        alarms: vec![(Alarm::Deadline, Some(Duration::ZERO))],
        ..empty(workflow, revision)
    };
    assert!(is_committed(write(bed, &term, marked).await));
    let entries = read(bed, &term, FROM_START).await;
    let parked = |unmark| Parked {
        batch: None,
        entry: Some(entries[0].entry.clone()),
        workflow: Some(workflow),
        unmark,
        event: "Start".to_owned(),
        state: "Completed".to_owned(),
        reason: "for the test".to_owned(),
    };
    for unmark in [false, true] {
        let turn = Turn {
            consumed: vec![entries[0].entry.clone()],
            parked: vec![parked(unmark)],
            ..Turn::default()
        };
        bed.ledger().commit(&term, turn).await.expect("commit");
        assert!(read(bed, &term, FROM_START).await.is_empty());
        let left = usize::from(!unmark);
        assert_eq!(
            bed.ledger()
                .unfinished(&term, 9)
                .await
                .expect("unfinished")
                .len(),
            left
        );
        assert_eq!(
            bed.ledger().overdue(&term, 9).await.expect("overdue").len(),
            left
        );
    }
}
