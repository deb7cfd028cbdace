//! The cases about what a workflow is given, and about what clients do to it while it runs.

use bytes::Bytes;
use paceline_types::workflow::{Ending, Header, Section, SectionBody, Stage, TaskRecord};
use paceline_types::{JobId, SignalName, TaskName, WorkflowId, WorkflowStatus};

use super::hands::{FROM_START, begun, empty, is_committed, read, revision, write};
use super::{Bed, term};
use crate::graph::graph;
use crate::ports::{
    Commit, CommitOutcome, ConcludedBy, Conclusion, InboxItem, Ledger, StoredInstance, TaskOutcome,
};
use crate::term::Term;

pub(super) fn json(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

/// The same JSON, however it is spaced.
pub(super) fn value(text: &[u8]) -> serde_json::Value {
    serde_json::from_slice(text).expect("JSON")
}

pub(super) async fn stored<B: Bed>(bed: &B, term: &Term, workflow: WorkflowId) -> StoredInstance {
    let stored = bed.ledger().load(term, &[workflow]).await.expect("load");
    stored.into_iter().flatten().next().expect("stored")
}

/// The items of the inbox's entries behind the first so many.
pub(super) async fn told<B: Bed>(bed: &B, term: &Term, before: usize) -> Vec<InboxItem> {
    let entries = read(bed, term, FROM_START).await;
    let items = entries.into_iter().skip(before);
    items.flat_map(|delivery| delivery.items).collect()
}

/// Ends a workflow as the leader does.
pub(super) async fn close<B: Bed>(bed: &B, term: &Term, workflow: WorkflowId, stage: Stage) {
    let commit = Commit {
        close: Some(stage.status()),
        header: Some(Header {
            stage,
            ..Header::NEW
        }),
        retire: true,
        ..empty(workflow, revision(bed, term, workflow).await)
    };
    assert!(is_committed(write(bed, term, commit).await));
}

pub(super) fn failed() -> Stage {
    Stage::Ended(Ending::TaskCancelled {
        task: TaskName::new("a").expect("name"),
    })
}

pub(super) async fn what_was_given_is_loaded<B: Bed>(bed: &B) {
    let (_tenure, term) = term(1);
    let input = json(r#"{"order":{"id":7}}"#);
    let workflow = bed.submit_with(&graph("a"), input.clone()).await;
    let stored = stored(bed, &term, workflow).await;
    let given = stored.input.expect("an input");
    assert_eq!(value(&given), value(&input));
    assert_eq!((stored.origin, stored.continued_from), (None, None));
    assert!(!stored.suspended && stored.signals.is_empty() && stored.sections.is_empty());
    let without = bed.submit(&graph("a")).await;
    assert_eq!(self::stored(bed, &term, without).await.input, None);
}

pub(super) async fn a_signal_is_kept_until_it_is_taken<B: Bed>(bed: &B) {
    let (_tenure, term) = term(1);
    let (workflow, _, revision) = begun(bed, &term, "a b").await;
    let before = read(bed, &term, FROM_START).await.len();
    let (go, stop) = (
        SignalName::new("go").expect("name"),
        SignalName::new("stop").expect("name"),
    );
    assert!(bed.signal(workflow, &go, json(r#"{"n":1}"#)).await);
    assert!(bed.signal(workflow, &stop, json("2")).await);
    let signal = |number, name: &SignalName| InboxItem::Signal {
        workflow,
        number,
        name: name.clone(),
    };
    assert_eq!(
        told(bed, &term, before).await,
        [signal(1, &go), signal(2, &stop)]
    );
    let mut instance = stored(bed, &term, workflow).await;
    assert_eq!(instance.revision, revision, "a signal changes no picture");
    instance.signals.sort_unstable();
    assert_eq!(instance.signals, [(1, go.clone()), (2, stop.clone())]);

    let job = JobId::of_task(workflow, 5, 0);
    let commit = Commit {
        conclusions: vec![Conclusion {
            job,
            task: TaskName::new("s").expect("name"),
            iteration: 0,
            result: ConcludedBy::Signal { number: 1 },
        }],
        ..empty(workflow, revision)
    };
    assert!(is_committed(write(bed, &term, commit).await));
    let results = bed.ledger().results(&term, &[job]).await.expect("results");
    let result = results[0].as_ref().expect("concluded");
    assert_eq!(value(result), value(br#"{"n":1}"#));
    assert_eq!(
        stored(bed, &term, workflow).await.signals,
        [(2, stop.clone())]
    );

    close(bed, &term, workflow, Stage::Completed).await;
    assert!(
        !bed.signal(workflow, &stop, json("3")).await,
        "it has ended"
    );
}

pub(super) async fn who_is_suspended_must_be_loaded_again<B: Bed>(bed: &B) {
    let (_tenure, term) = term(1);
    let (workflow, _, mut before) = begun(bed, &term, "a").await;
    assert!(!bed.resume(workflow).await, "it is not suspended");
    for (suspended, status) in [
        (true, WorkflowStatus::Suspended),
        (false, WorkflowStatus::Running),
    ] {
        let entries = read(bed, &term, FROM_START).await.len();
        for changes in [true, false] {
            let changed = match suspended {
                true => bed.suspend(workflow).await,
                false => bed.resume(workflow).await,
            };
            assert_eq!(changed, changes);
        }
        assert_eq!(
            told(bed, &term, entries).await,
            [InboxItem::Look { workflow }]
        );
        assert_eq!(bed.status(workflow).await, Some(status));
        let outcome = write(bed, &term, empty(workflow, before)).await;
        assert_eq!(outcome, CommitOutcome::Stale, "the picture was too old");
        let instance = stored(bed, &term, workflow).await;
        assert_eq!(instance.suspended, suspended);
        before = instance.revision;
    }
    let log = bed.log(workflow).await;
    assert_eq!(
        log[log.len() - 2..],
        ["workflow.suspended", "workflow.resumed"]
    );
    close(bed, &term, workflow, failed()).await;
    assert!(!bed.suspend(workflow).await, "it has ended");
}

pub(super) async fn what_failed_can_be_tried_again<B: Bed>(bed: &B) {
    let (_tenure, term) = term(1);
    let (workflow, ..) = begun(bed, &term, "a").await;
    assert!(!bed.retry(workflow).await, "it runs");
    close(bed, &term, workflow, failed()).await;
    let active = |page: crate::ports::Page<WorkflowId>| page.items.contains(&workflow);
    let walk = || async { bed.ledger().active(&term, None, 10).await.expect("active") };
    assert!(!active(walk().await));
    let old = revision(bed, &term, workflow).await;
    let entries = read(bed, &term, FROM_START).await.len();

    assert!(bed.retry(workflow).await);
    assert!(!bed.retry(workflow).await, "once is enough");
    assert_eq!(
        told(bed, &term, entries).await,
        [InboxItem::Retry { workflow }]
    );
    assert!(active(walk().await));
    assert_eq!(bed.status(workflow).await, Some(WorkflowStatus::Running));
    let outcome = write(bed, &term, empty(workflow, old)).await;
    assert_eq!(outcome, CommitOutcome::Stale, "the picture was too old");
    let stage = stored(bed, &term, workflow).await.header.stage;
    assert_eq!(stage, failed(), "the leader sees what it was");

    close(bed, &term, workflow, Stage::Completed).await;
    assert_eq!(bed.status(workflow).await, Some(WorkflowStatus::Completed));
    assert!(!bed.retry(workflow).await, "it completed");
}

pub(super) async fn results_are_read_as_dependents_are_given_them<B: Bed>(bed: &B) {
    let (_tenure, term) = term(1);
    let (workflow, ..) = begun(bed, &term, "a b c d").await;
    let job = |task| JobId::of_task(workflow, task, 0);
    bed.end_with(job(0), TaskOutcome::Completed, json(r#"{"x":[1,2]}"#))
        .await;
    bed.end_with(job(1), TaskOutcome::Continued, json("\"next\""))
        .await;
    let reason = "nothing to do".to_owned();
    bed.end(job(2), TaskOutcome::Skipped { reason }).await;
    let error = "boom".to_owned();
    bed.end(job(3), TaskOutcome::Dead { error }).await;
    let phases = bed.ledger().job_phases(&term, &[job(1)]).await;
    let phase = &phases.expect("phases")[0];
    assert!(
        matches!(phase, crate::ports::JobPhase::Ended { outcome, .. } if *outcome == TaskOutcome::Continued),
        "{phase:?}"
    );
    let jobs = [job(3), job(2), job(1), job(0), job(9)];
    let results = bed.ledger().results(&term, &jobs).await.expect("results");
    let results: Vec<Option<serde_json::Value>> = results
        .iter()
        .map(|result| result.as_ref().map(|result| value(result)))
        .collect();
    let expected = [
        Some(value(br#"{"error":"boom"}"#)),
        Some(value(b"null")),
        Some(value(b"\"next\"")),
        Some(value(br#"{"x":[1,2]}"#)),
        None,
    ];
    assert_eq!(results, expected);
}

pub(super) async fn a_conclusion_stays<B: Bed>(bed: &B) {
    let (_tenure, term) = term(1);
    let (workflow, _, mut now) = begun(bed, &term, "a").await;
    let job = JobId::of_task(workflow, 7, 2);
    for result in ["[1,null]", "[2]"] {
        let commit = Commit {
            conclusions: vec![Conclusion {
                job,
                task: TaskName::new("m").expect("name"),
                iteration: 2,
                result: ConcludedBy::Value(json(result)),
            }],
            ..empty(workflow, now)
        };
        match write(bed, &term, commit).await {
            CommitOutcome::Committed { revision } => now = revision,
            outcome => panic!("{outcome:?}"),
        }
        let results = bed.ledger().results(&term, &[job]).await.expect("results");
        assert_eq!(
            value(results[0].as_ref().expect("kept")),
            value(b"[1,null]")
        );
    }
}

pub(super) async fn starts_that_are_over_stand_beside<B: Bed>(bed: &B) {
    let (_tenure, term) = term(1);
    let (workflow, _, mut now) = begun(bed, &term, "a").await;
    for iteration in 0..3 {
        let over = TaskRecord::Completed {
            iteration,
            continues: false,
        };
        let again = TaskRecord::Again {
            iteration: iteration + 1,
            evaluations: 0,
        };
        let commit = Commit {
            history: vec![(0, over)],
            tasks: vec![(0, again.clone())],
            ..empty(workflow, now)
        };
        match write(bed, &term, commit).await {
            CommitOutcome::Committed { revision } => now = revision,
            outcome => panic!("{outcome:?}"),
        }
        let tasks = stored(bed, &term, workflow).await.tasks;
        assert_eq!(tasks, [(0, again)], "history is not loaded");
    }
}

pub(super) async fn the_newest_section_counts<B: Bed>(bed: &B) {
    let (_tenure, term) = term(1);
    let (workflow, _, mut now) = begun(bed, &term, "a b").await;
    let section = |generator, iteration, base, body| Section {
        generator,
        iteration,
        base,
        body,
    };
    let tasks = graph("x y<x").tasks;
    let steps = [
        section(0, 0, 2, SectionBody::Map { count: 3 }),
        section(1, 0, 5, SectionBody::Subflow(tasks)),
        section(0, 1, 7, SectionBody::Map { count: 2 }),
    ];
    for step in &steps {
        let commit = Commit {
            sections: vec![step.clone()],
            ..empty(workflow, now)
        };
        match write(bed, &term, commit).await {
            CommitOutcome::Committed { revision } => now = revision,
            outcome => panic!("{outcome:?}"),
        }
    }
    let mut sections = stored(bed, &term, workflow).await.sections;
    sections.sort_by_key(|section| section.base);
    assert_eq!(sections, steps[1..]);
}
