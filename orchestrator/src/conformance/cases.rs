//! The cases. Each is a sentence that must be true of a ledger.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use paceline_types::workflow::{Header, TaskRecord};
use paceline_types::{EventKind, JobId, WorkflowId, WorkflowStatus};

use super::{Bed, term};
use crate::advance::advance;
use crate::draft::Draft;
use crate::graph::graph;
use crate::instance::Instance;
use crate::ports::{
    Alarm, Cancels, Commit, CommitOutcome, Delivery, InboxItem, JobPhase, Ledger, LedgerError,
    LogEvent, Parked, ReadAhead, TaskOutcome, Timers, Turn,
};
use crate::term::Term;
use crate::transition::Event;

pub(super) const FROM_START: ReadAhead = ReadAhead {
    after: None,
    max: 10,
};

pub(super) async fn read<B: Bed>(bed: &B, term: &Term, ahead: ReadAhead) -> Vec<Delivery> {
    bed.ledger().inbox(term, ahead).await.expect("inbox")
}

pub(super) async fn revision<B: Bed>(bed: &B, term: &Term, workflow: WorkflowId) -> u64 {
    let stored = bed.ledger().load(term, &[workflow]).await.expect("load");
    stored[0].as_ref().expect("stored").revision
}

pub(super) fn empty(workflow: WorkflowId, expected: u64) -> Commit {
    Draft::changing(workflow, expected).finish(None)
}

pub(super) async fn write<B: Bed>(bed: &B, term: &Term, commit: Commit) -> CommitOutcome {
    let turn = Turn {
        commits: vec![commit],
        ..Turn::default()
    };
    let reply = bed.ledger().commit(term, turn).await.expect("commit");
    reply.outcomes[0]
}

pub(super) fn is_committed(outcome: CommitOutcome) -> bool {
    matches!(outcome, CommitOutcome::Committed { .. })
}

/// An accepted workflow of the graph, begun: its ready tasks are dispatched, nothing consumed.
pub(super) async fn begun<B: Bed>(bed: &B, term: &Term, line: &str) -> (WorkflowId, Instance, u64) {
    let definition = graph(line);
    let workflow = bed.submit(&definition).await;
    let plan = Arc::new(definition.validate(1024).expect("plan"));
    let mut instance = Instance::new(workflow, plan);
    let transition = advance(
        &mut instance,
        &Event::Start { shards: 1 },
        &crate::facts::Facts::new(),
        100,
    )
    .expect("started");
    let mut draft = Draft::changing(workflow, revision(bed, term, workflow).await);
    draft.add(&instance, transition);
    match write(bed, term, draft.finish(Some(&instance))).await {
        CommitOutcome::Committed { revision } => (workflow, instance, revision),
        outcome => panic!("{outcome:?}"),
    }
}

pub(super) async fn entries_come_in_order_until_they_are_consumed<B: Bed>(bed: &B) {
    let (_tenure, term) = term(1);
    let mut workflows = Vec::new();
    for _ in 0..3 {
        workflows.push(bed.submit(&graph("a")).await);
    }
    bed.cancel(workflows[0], "why").await;
    let all = read(bed, &term, FROM_START).await;
    let items: Vec<_> = all
        .iter()
        .flat_map(|delivery| delivery.items.clone())
        .collect();
    let start = |place: usize| InboxItem::Start {
        workflow: workflows[place],
    };
    let cancel = InboxItem::Cancel {
        workflow: workflows[0],
        reason: "why".to_owned(),
    };
    assert_eq!(items, [start(0), start(1), start(2), cancel]);
    assert_eq!(
        read(bed, &term, FROM_START).await,
        all,
        "not consumed, so they come again"
    );

    let two = ReadAhead {
        after: Some(all[0].entry.clone()),
        max: 2,
    };
    assert_eq!(read(bed, &term, two).await, all[1..3]);
    let turn = Turn {
        consumed: vec![all[1].entry.clone(), all[0].entry.clone()],
        ..Turn::default()
    };
    for _ in 0..2 {
        bed.ledger()
            .commit(&term, turn.clone())
            .await
            .expect("commit");
        assert_eq!(read(bed, &term, FROM_START).await, all[2..], "consumed");
    }
}

pub(super) async fn what_was_submitted_is_loaded<B: Bed>(bed: &B) {
    let (_tenure, term) = term(1);
    let definition = graph("@1m a^3 b?<a=a");
    let workflow = bed.submit(&definition).await;
    let other = WorkflowId::from_parts(1, workflow.shard(), 1);
    let stored = bed
        .ledger()
        .load(&term, &[other, workflow])
        .await
        .expect("load");
    assert!(stored[0].is_none());
    let stored = stored[1].as_ref().expect("stored");
    assert_eq!((&stored.header, stored.tasks.len()), (&Header::NEW, 0));
    let text = std::str::from_utf8(&stored.definition).expect("text");
    let read = paceline_types::WorkflowDefinition::from_json(text).expect("definition");
    let json = |definition| serde_json::to_string(definition).expect("json");
    assert_eq!(json(&read), json(&definition));
    assert_eq!(bed.status(workflow).await, Some(WorkflowStatus::Pending));
}

pub(super) async fn a_commit_is_written_whole<B: Bed>(bed: &B) {
    let (_tenure, term) = term(1);
    let (workflow, instance, revision) = begun(bed, &term, "b a c<a").await;
    let stored = bed.ledger().load(&term, &[workflow]).await.expect("load");
    let mut stored = stored.into_iter().flatten().next().expect("stored");
    stored.tasks.sort_by_key(|(task, _)| *task);
    let dispatched = |task| {
        (
            task,
            TaskRecord::Dispatched {
                iteration: 0,
                evaluations: 0,
            },
        )
    };
    assert_eq!(stored.tasks, [dispatched(0), dispatched(1)]);
    assert_eq!(
        (&stored.header, stored.revision),
        (instance.header(), revision)
    );
    assert_eq!(bed.status(workflow).await, Some(WorkflowStatus::Running));
    assert_eq!(
        bed.log(workflow).await,
        [
            "workflow.started",
            "workflow.task.dispatched a",
            "workflow.task.dispatched b"
        ]
    );
    let jobs: Vec<JobId> = (0..3)
        .map(|task| JobId::of_task(workflow, task, 0))
        .collect();
    let phases = bed.ledger().job_phases(&term, &jobs).await.expect("phases");
    assert_eq!(
        phases,
        [
            JobPhase::Unfinished,
            JobPhase::Unfinished,
            JobPhase::Missing
        ]
    );
}

pub(super) async fn a_stale_commit_writes_nothing_and_consumes_nothing<B: Bed>(bed: &B) {
    let (_tenure, term) = term(1);
    let fresh = bed.submit(&graph("a")).await;
    let (workflow, instance, now) = begun(bed, &term, "a").await;
    let entries = read(bed, &term, FROM_START).await;
    let stale = Commit {
        header: Some(Header::NEW),
        tasks: vec![(
            0,
            TaskRecord::Completed {
                iteration: 0,
                continues: false,
            },
        )],
        events: vec![LogEvent {
            kind: EventKind::WorkflowCompleted,
            task: None,
            error: None,
        }],
        more: true,
        ..empty(workflow, now + 7)
    };
    let turn = Turn {
        commits: vec![stale, empty(fresh, revision(bed, &term, fresh).await)],
        consumed: entries
            .iter()
            .map(|delivery| delivery.entry.clone())
            .collect(),
        ..Turn::default()
    };
    let reply = bed.ledger().commit(&term, turn).await.expect("commit");
    assert_eq!(reply.outcomes[0], CommitOutcome::Stale);
    assert!(
        is_committed(reply.outcomes[1]),
        "one commit does not hinder the other"
    );
    assert_eq!(
        read(bed, &term, FROM_START).await,
        entries,
        "the entries come again"
    );
    let stored = bed.ledger().load(&term, &[workflow]).await.expect("load");
    let stored = stored[0].as_ref().expect("stored");
    assert_eq!((&stored.header, stored.revision), (instance.header(), now));
    assert_eq!(
        stored.tasks,
        [(
            0,
            TaskRecord::Dispatched {
                iteration: 0,
                evaluations: 0
            }
        )]
    );
    assert_eq!(bed.log(workflow).await.len(), 2);
    assert!(
        bed.ledger()
            .unfinished(&term, 10)
            .await
            .expect("unfinished")
            .is_empty()
    );
}

pub(super) async fn a_repeated_turn_changes_nothing<B: Bed>(bed: &B) {
    let (_tenure, term) = term(1);
    let workflow = bed.submit(&graph("a")).await;
    let plan = Arc::new(graph("a").validate(1024).expect("plan"));
    let mut instance = Instance::new(workflow, plan);
    let transition = advance(
        &mut instance,
        &Event::Start { shards: 1 },
        &crate::facts::Facts::new(),
        100,
    )
    .expect("started");
    let mut draft = Draft::changing(workflow, revision(bed, &term, workflow).await);
    draft.add(&instance, transition);
    let entries = read(bed, &term, FROM_START).await;
    let turn = Turn {
        commits: vec![draft.finish(Some(&instance))],
        consumed: entries.into_iter().map(|delivery| delivery.entry).collect(),
        ..Turn::default()
    };
    let first = bed
        .ledger()
        .commit(&term, turn.clone())
        .await
        .expect("commit");
    assert!(is_committed(first.outcomes[0]));
    let log = bed.log(workflow).await;
    let again = bed.ledger().commit(&term, turn).await.expect("commit");
    assert_eq!(again.outcomes, [CommitOutcome::Stale]);
    assert_eq!(bed.log(workflow).await, log);
    assert!(read(bed, &term, FROM_START).await.is_empty());
}

pub(super) async fn a_commit_for_nothing_is_missing<B: Bed>(bed: &B) {
    let (_tenure, term) = term(1);
    let workflow = bed.submit(&graph("a")).await;
    let entries = read(bed, &term, FROM_START).await;
    let other = WorkflowId::from_parts(1, workflow.shard(), 1);
    let turn = Turn {
        commits: vec![empty(other, 0)],
        consumed: vec![entries[0].entry.clone()],
        ..Turn::default()
    };
    let reply = bed.ledger().commit(&term, turn).await.expect("commit");
    assert_eq!(reply.outcomes, [CommitOutcome::Missing]);
    assert!(
        read(bed, &term, FROM_START).await.is_empty(),
        "its entry is done with"
    );
    let stored = bed.ledger().load(&term, &[other]).await.expect("load");
    assert!(stored[0].is_none(), "a commit makes no instance");
}

/// Row 66, W8.
pub(super) async fn an_older_term_writes_nothing<B: Bed>(bed: &B) {
    let (_old_tenure, old) = term(3);
    let (_new_tenure, new) = term(4);
    let workflow = bed.submit(&graph("a")).await;
    let before = revision(bed, &old, workflow).await;
    let entries = read(bed, &old, FROM_START).await;
    // A write of the newer term is what fences the older one.
    bed.ledger()
        .commit(&new, Turn::default())
        .await
        .expect("commit");
    let commit = Commit {
        more: true,
        ..empty(workflow, before)
    };
    let turn = Turn {
        commits: vec![commit],
        consumed: vec![entries[0].entry.clone()],
        ..Turn::default()
    };
    let ledger = bed.ledger();
    for _ in 0..2 {
        let answer = ledger.commit(&old, turn.clone()).await.err();
        let fenced = matches!(answer, Some(LedgerError::Fenced { newest: 4 }));
        assert!(fenced, "{answer:?}");
    }
    assert_eq!(revision(bed, &new, workflow).await, before);
    assert_eq!(read(bed, &new, FROM_START).await, entries);
    assert!(
        ledger
            .unfinished(&new, 1)
            .await
            .expect("unfinished")
            .is_empty()
    );
}

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
