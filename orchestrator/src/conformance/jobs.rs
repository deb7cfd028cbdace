//! Jobs: how their ends are told, and how they are stopped.

use std::time::Duration;

use paceline_types::JobId;

use super::hands::{FROM_START, begun, empty, is_committed, read, write};
use super::{Bed, term};
use crate::ports::{
    Cancels, Commit, InboxItem, JobPhase, Ledger, LedgerError, TaskOutcome, Timers,
};

pub(super) async fn the_end_of_a_job_reaches_the_inbox<B: Bed>(bed: &B) {
    let (_tenure, term) = term(1);
    let (workflow, instance, _) = begun(bed, &term, "a b c").await;
    let outcomes = [
        TaskOutcome::Completed,
        TaskOutcome::Skipped {
            reason: "nothing to do".to_owned(),
        },
        TaskOutcome::Dead {
            error: "boom".to_owned(),
        },
    ];
    let entries = read(bed, &term, FROM_START).await;
    for (task, outcome) in (0..).zip(outcomes) {
        let id = JobId::of_task(workflow, task, 0);
        bed.end(id, outcome.clone()).await;
        let phases = bed.ledger().job_phases(&term, &[id]).await.expect("phases");
        let JobPhase::Ended {
            outcome: kept,
            attempt: 1,
        } = &phases[0]
        else {
            panic!("{phases:?}");
        };
        assert_eq!(kept, &outcome);
    }
    let told = read(bed, &term, FROM_START).await;
    let told: Vec<_> = told[entries.len()..]
        .iter()
        .flat_map(|entry| &entry.items)
        .collect();
    assert_eq!(told.len(), 3);
    for (index, item) in (0..).zip(told) {
        let InboxItem::TaskEnded {
            workflow: of,
            task,
            iteration: 0,
            attempt: 1,
            job,
            ..
        } = item
        else {
            panic!("{item:?}");
        };
        assert_eq!((*of, *job), (workflow, JobId::of_task(workflow, index, 0)));
        assert_eq!(task, &instance.plan().task(index).name);
    }
}

pub(super) async fn a_waiting_job_is_cancelled_at_once<B: Bed>(bed: &B) {
    let (_tenure, term) = term(1);
    let (workflow, _, revision) = begun(bed, &term, "a b").await;
    let (waiting, ended) = (
        JobId::of_task(workflow, 0, 0),
        JobId::of_task(workflow, 1, 0),
    );
    bed.end(ended, TaskOutcome::Completed).await;
    let before = read(bed, &term, FROM_START).await.len();
    let commit = Commit {
        cancels: Some(Cancels {
            jobs: vec![waiting, ended, JobId::of_task(workflow, 9, 0)],
            reason: "execution timed out".to_owned(),
        }),
        ..empty(workflow, revision)
    };
    assert!(is_committed(write(bed, &term, commit).await));
    let phases = bed
        .ledger()
        .job_phases(&term, &[waiting, ended])
        .await
        .expect("phases");
    let outcome = |phase: &JobPhase| match phase {
        JobPhase::Ended { outcome, .. } => Some(outcome.clone()),
        JobPhase::Missing | JobPhase::Unfinished => None,
    };
    assert_eq!(outcome(&phases[0]), Some(TaskOutcome::Cancelled));
    assert_eq!(outcome(&phases[1]), Some(TaskOutcome::Completed));
    let told = read(bed, &term, FROM_START).await;
    let told: Vec<_> = told[before..]
        .iter()
        .flat_map(|entry| &entry.items)
        .collect();
    assert!(
        matches!(told[..], [InboxItem::TaskEnded { job, outcome: TaskOutcome::Cancelled, .. }] if *job == waiting),
        "{told:?}"
    );
    bed.end(waiting, TaskOutcome::Completed).await;
    let phases = bed
        .ledger()
        .job_phases(&term, &[waiting])
        .await
        .expect("phases");
    assert_eq!(
        outcome(&phases[0]),
        Some(TaskOutcome::Cancelled),
        "cancelled stays cancelled"
    );
}

pub(super) async fn a_timer_is_seen_to_once<B: Bed>(bed: &B) {
    let (_old_tenure, old) = term(3);
    let (_new_tenure, new) = term(4);
    let ledger = bed.ledger();
    bed.arm(Duration::from_secs(3_600)).await;
    let step = ledger.expire_jobs(&old, 10).await.expect("a step");
    assert_eq!(step.seen, 0);
    let wait = step.next_in.expect("one is armed");
    assert!(wait > Duration::from_secs(3_000) && wait <= Duration::from_secs(3_600));
    for _ in 0..3 {
        bed.arm(Duration::ZERO).await;
    }
    // A call of the newer term is what fences the older one.
    for (seen, more) in [(2, true), (1, false), (0, false)] {
        let step = ledger.expire_jobs(&new, 2).await.expect("a step");
        assert_eq!(step.seen, seen);
        assert_eq!(step.next_in.is_some_and(|wait| wait.is_zero()), more);
    }
    let answer = ledger.expire_jobs(&old, 10).await.err();
    let fenced = matches!(answer, Some(LedgerError::Fenced { newest: 4 }));
    assert!(fenced, "{answer:?}");
}
