//! Turns: entries are read, and commits written, whole, once and under the newest term.

use std::sync::Arc;

use paceline_types::workflow::{Header, TaskRecord};
use paceline_types::{EventKind, JobId, WorkflowId, WorkflowStatus};

use super::hands::{FROM_START, begun, empty, is_committed, read, revision};
use super::{Bed, term};
use crate::advance::advance;
use crate::draft::Draft;
use crate::facts::Facts;
use crate::graph::graph;
use crate::instance::Instance;
use crate::ports::{
    Commit, CommitOutcome, InboxItem, JobPhase, Ledger, LedgerError, LogEvent, ReadAhead, Turn,
};
use crate::transition::Event;

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
        &Facts::new(),
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
