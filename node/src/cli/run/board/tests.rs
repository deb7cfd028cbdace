use paceline_types::event::EventCursor;
use paceline_types::workflow::{Hook, TaskKind, TaskState};
use paceline_types::{Event, EventKind, JobId, JobStatus, ShardIndex, TaskName};

use super::*;

const ROOT: u64 = 1;

pub(in crate::cli::run) fn id(n: u64) -> WorkflowId {
    WorkflowId::from_parts(1, ShardIndex(0), n)
}

pub(in crate::cli::run) fn job(n: u64) -> Option<JobId> {
    Some(JobId::from_parts(1, ShardIndex(0), n))
}

pub(in crate::cli::run) fn board(tasks: &str) -> Board {
    let definition = format!(r#"{{"name":"x","tasks":{tasks}}}"#);
    let definition = WorkflowDefinition::from_json(&definition).expect("definition");
    let mut board = Board::of(&definition);
    board.begin(id(ROOT));
    board
}

/// Of the task `a`, unless the kind is one of the workflow itself.
pub(in crate::cli::run) fn event(kind: EventKind) -> Event {
    Event {
        kind,
        timestamp: 10,
        shard: ShardIndex(0),
        cursor: EventCursor::default(),
        job_id: None,
        task_type: None,
        attempt: None,
        run: None,
        workflow_id: Some(id(ROOT)),
        workflow_task: Some(TaskName::new("a").expect("name")),
        batch_id: None,
        batch_item: None,
        batch_progress: None,
        schedule_id: None,
        node_id: None,
        term: None,
        error: None,
    }
}

pub(in crate::cli::run) fn of(task: &str, kind: EventKind) -> Event {
    Event {
        workflow_task: Some(TaskName::new(task).expect("name")),
        ..event(kind)
    }
}

pub(in crate::cli::run) fn saying(error: &str, event: Event) -> Event {
    Event {
        error: Some(error.to_owned()),
        ..event
    }
}

fn of_workflow(kind: EventKind) -> Event {
    Event {
        workflow_task: None,
        ..event(kind)
    }
}

pub(in crate::cli::run) const ONE: &str = r#"[{"name":"a","task_type":"t"}]"#;

#[test]
fn a_row_follows_its_events() {
    use EventKind as Kind;
    let table = [
        (Kind::WorkflowTaskDispatched, 0, None, Status::Queued),
        (Kind::JobStarted, 1, None, Status::Running),
        (Kind::JobFailed, 1, Some("no"), Status::Retrying),
        (Kind::JobDispatched, 1, None, Status::Queued),
        (Kind::JobStarted, 2, None, Status::Running),
        (Kind::JobAutoRecovered, 2, None, Status::Queued),
        (Kind::JobStarted, 3, None, Status::Running),
        (Kind::JobCompleted, 3, None, Status::Completed),
        (Kind::WorkflowTaskCompleted, 3, None, Status::Completed),
    ];
    let mut board = board(ONE);
    for (at, (kind, attempt, error, status)) in (10..).zip(&table) {
        board.apply(&Event {
            timestamp: at,
            attempt: Some(*attempt),
            error: error.map(str::to_owned),
            ..event(kind.clone())
        });
        assert_eq!(board.rows()[0].status, *status, "{kind}");
    }
    let row = &board.rows()[0];
    assert_eq!(
        (row.attempt, row.started_at, row.finished_at),
        (3, Some(16), Some(17))
    );
    assert_eq!(row.note, None, "of an earlier attempt");
    assert_eq!((board.ended(), row.starts), (1, 1));
}

#[test]
fn what_changes_nothing_is_not_told() {
    let mut board = board(ONE);
    let started = event(EventKind::JobStarted);
    let started = Event {
        attempt: Some(1),
        ..started
    };
    assert_eq!(board.apply(&started), [Change::Row(0)]);
    assert_eq!(board.apply(&started), []);
    assert_eq!(board.apply(&of_workflow(EventKind::WorkflowStarted)), []);
    let elsewhere = Event {
        workflow_id: Some(id(99)),
        ..event(EventKind::JobFailed)
    };
    assert_eq!(board.apply(&elsewhere), []);
    assert_eq!(board.wanted(), None);
}

/// Rows of one task: what happened to it, and what it then says.
#[test]
fn a_task_that_did_not_simply_complete_says_so() {
    use EventKind as Kind;
    let table = [
        (
            "it never ran",
            vec![saying("cancelled", event(Kind::WorkflowTaskFailed))],
            (Status::Cancelled, Some("cancelled")),
        ),
        (
            "its failure is allowed",
            vec![
                event(Kind::WorkflowTaskDispatched),
                saying("no", event(Kind::JobDead)),
                event(Kind::WorkflowTaskCompleted),
            ],
            (Status::DeadAllowed, Some("no")),
        ),
        (
            "no way led to it",
            vec![saying(
                "skipped: no route led here",
                event(Kind::WorkflowTaskCompleted),
            )],
            (Status::Skipped, Some("no route led here")),
        ),
        (
            "its handler had nothing to do",
            vec![
                event(Kind::WorkflowTaskDispatched),
                event(Kind::JobCompleted),
                saying("skipped", event(Kind::WorkflowTaskCompleted)),
            ],
            (Status::Skipped, None),
        ),
        (
            "its handler panicked",
            vec![
                event(Kind::WorkflowTaskDispatched),
                saying("handler panicked: x", event(Kind::WorkflowTaskPanicked)),
            ],
            (Status::Dead, Some("handler panicked: x")),
        ),
        (
            "it was cancelled without a job",
            vec![
                event(Kind::WorkflowTaskDispatched),
                saying("its job was cancelled", event(Kind::WorkflowTaskFailed)),
            ],
            (Status::Cancelled, Some("its job was cancelled")),
        ),
        (
            "its job was cancelled",
            vec![
                event(Kind::WorkflowTaskDispatched),
                saying("why", event(Kind::JobCancelled)),
                saying("cancelled", event(Kind::WorkflowTaskFailed)),
            ],
            (Status::Cancelled, Some("why")),
        ),
    ];
    for (what, events, expected) in table {
        let mut board = board(ONE);
        for event in events {
            board.apply(&event);
        }
        let row = &board.rows()[0];
        assert_eq!((row.status, row.note.as_deref()), expected, "{what}");
        assert!(row.status.is_final(), "{what}");
    }
}

#[test]
fn a_task_of_a_loop_counts_its_starts() {
    let mut board = board(ONE);
    for n in 0..3 {
        let dispatched = Event {
            job_id: job(n),
            ..event(EventKind::WorkflowTaskDispatched)
        };
        board.apply(&dispatched);
        assert_eq!(board.apply(&dispatched), [], "the same job");
        assert_eq!(board.rows()[0].status, Status::Queued);
        board.apply(&Event {
            job_id: job(n),
            attempt: Some(2),
            ..event(EventKind::JobStarted)
        });
        let before = board.rows()[0].clone();
        assert_eq!(
            (before.starts, before.attempt),
            (u32::try_from(n).expect("few") + 1, 2)
        );
        board.apply(&saying("no", event(EventKind::JobCompleted)));
    }
    // A task that was passed by is passed by again.
    let mut board = self::board(ONE);
    let bypassed = saying("skipped: no", event(EventKind::WorkflowTaskCompleted));
    board.apply(&bypassed);
    board.apply(&event(EventKind::WorkflowTaskDispatched));
    assert_eq!(board.rows()[0].status, Status::Queued);
    assert_eq!((board.rows()[0].starts, &board.rows()[0].note), (1, &None));
}

/// It has no job, and no event says that its turn came.
#[test]
fn an_expression_of_a_loop_counts_its_evaluations() {
    let mut board = board(
        r#"[{"name":"b","task_type":"t"},{"name":"a","type":"condition","condition":"input exists",
            "condition_routes":{"0":"b"},"depends_on":["b"]}]"#,
    );
    for n in 0..3 {
        let evaluated = Event {
            job_id: job(n),
            ..event(EventKind::WorkflowTaskCompleted)
        };
        assert_eq!(board.apply(&evaluated), [Change::Row(1)]);
        assert_eq!(board.apply(&evaluated), [], "the same");
        let row = &board.rows()[1];
        let starts = u32::try_from(n).expect("few") + 1;
        assert_eq!((row.status, row.starts), (Status::Completed, starts));
    }
}

#[test]
fn a_map_counts_its_elements() {
    let mut board = board(r#"[{"name":"a","type":"map","task_type":"t","items":[]}]"#);
    board.apply(&event(EventKind::WorkflowTaskDispatched));
    assert_eq!(board.wanted(), Some(id(ROOT)), "how many there are");
    assert_eq!(board.wanted(), None, "asked once");
    let placed = Place {
        name: "a".to_owned(),
        total: Some(4),
        ..Place::default()
    };
    let (changes, follow) = board.place(id(ROOT), &[placed]);
    assert_eq!((changes, follow), (vec![Change::Row(0)], Vec::new()));
    let steps = [
        (0, EventKind::JobStarted, (0, 0, 1)),
        (1, EventKind::JobStarted, (0, 0, 2)),
        (0, EventKind::JobCompleted, (1, 0, 1)),
        (0, EventKind::WorkflowTaskCompleted, (1, 0, 1)),
        (1, EventKind::JobFailed, (1, 0, 0)),
        (1, EventKind::JobStarted, (1, 0, 1)),
        (1, EventKind::JobDead, (2, 1, 0)),
        (1, EventKind::WorkflowTaskCompleted, (2, 1, 0)),
        (2, EventKind::JobCancelled, (3, 2, 0)),
        (2, EventKind::WorkflowTaskFailed, (3, 2, 0)),
    ];
    for (element, kind, expected) in steps {
        let told = board.apply(&of(&format!("a#{element}"), kind.clone()));
        let Kind::Map(elements) = &board.rows()[0].kind else {
            panic!("no map any more");
        };
        let counts = (elements.done, elements.failed, elements.running);
        assert_eq!(counts, expected, "{kind} of {element}");
        let ended = kind == EventKind::JobDead || kind == EventKind::JobFailed;
        assert_eq!(
            told.iter().any(|told| matches!(told, Change::Notice(_))),
            ended
        );
    }
    assert_eq!(board.rows().len(), 1, "elements have no rows");
    assert_eq!(board.wanted(), None);
    // A name with a number sign that is no element's is a task's.
    board.apply(&of("b#1", EventKind::WorkflowTaskDispatched));
    assert_eq!(board.rows()[1].name, "b#1");
}

#[test]
fn a_task_that_came_on_the_way_stands_under_the_one_that_added_it() {
    let mut board = board(r#"[{"name":"a","type":"subflow","task_type":"t"}]"#);
    board.apply(&event(EventKind::WorkflowTaskDispatched));
    assert_eq!(board.wanted(), None);
    board.apply(&event(EventKind::JobCompleted));
    assert_eq!(board.rows()[0].status, Status::Expanded);
    assert_eq!(board.wanted(), Some(id(ROOT)));
    board.apply(&of("part", EventKind::WorkflowTaskDispatched));
    assert_eq!(board.wanted(), Some(id(ROOT)));
    assert!(!board.rows()[1].placed);
    let place = |name: &str, parent: Option<&str>, kind| Place {
        name: name.to_owned(),
        parent: parent.map(str::to_owned),
        kind,
        ..Place::default()
    };
    let signal = Kind::Signal("go".to_owned());
    let (changes, _) = board.place(
        id(ROOT),
        &[
            place("a", None, None),
            place("part", Some("a"), Some(signal)),
        ],
    );
    assert_eq!(changes, [Change::Row(1)]);
    let row = &board.rows()[1];
    assert_eq!((row.parent, row.placed), (Some(0), true));
    assert_eq!((board.depth(row), row.status), (1, Status::Listening));
    board.apply(&event(EventKind::WorkflowTaskCompleted));
    assert_eq!(board.rows()[0].status, Status::Completed);
}

const PARENT: &str = r#"[{"name":"a","child_workflow_def":{"name":"c","tasks":[
    {"name":"x","task_type":"t"}]}}]"#;

#[test]
fn a_child_is_followed_and_a_next_one_takes_its_rows() {
    let mut board = board(PARENT);
    let starts = |board: &mut Board, n: u64| {
        board.apply(&Event {
            job_id: job(n),
            ..event(EventKind::WorkflowTaskDispatched)
        });
        assert_eq!(board.wanted(), Some(id(ROOT)));
        let place = Place {
            name: "a".to_owned(),
            child: Some(id(n)),
            ..Place::default()
        };
        let (_, follow) = board.place(id(ROOT), std::slice::from_ref(&place));
        assert_eq!(follow, [id(n)]);
        assert_eq!(board.place(id(ROOT), &[place]).1, [], "followed already");
    };
    let of_child = |n: u64, kind| Event {
        workflow_id: Some(id(n)),
        ..of("x", kind)
    };
    starts(&mut board, 7);
    let row = &board.rows()[1];
    assert_eq!((board.path(row), board.depth(row)), ("a/x".to_owned(), 1));
    assert_eq!(board.workflow_of(row), Some(id(7)));
    board.apply(&of_child(7, EventKind::JobStarted));
    board.apply(&of_child(7, EventKind::JobCompleted));
    assert_eq!(board.rows()[1].status, Status::Completed);
    starts(&mut board, 8);
    assert_eq!(board.rows().len(), 2);
    assert_eq!(board.rows()[1].status, Status::Waiting);
    board.apply(&of_child(8, EventKind::JobStarted));
    assert_eq!(board.rows()[1].status, Status::Running);
    let notice = board.apply(&Event {
        workflow_id: Some(id(8)),
        ..of_workflow(EventKind::WorkflowRetrying)
    });
    assert_eq!(notice, [Change::Notice("a is tried again".to_owned())]);
}

#[test]
fn an_expression_fails_without_having_been_dispatched() {
    let mut board = board(
        r#"[{"name":"a","type":"condition","condition":"input exists",
            "condition_routes":{"0":"a"}}]"#,
    );
    let error = "condition \"a\" exceeded max iterations (1)";
    board.apply(&saying(error, event(EventKind::WorkflowTaskFailed)));
    assert_eq!(board.rows()[0].status, Status::Dead);
}

#[test]
fn a_workflow_that_goes_on_as_another_begins_afresh() {
    let mut board = board(ONE);
    board.apply(&event(EventKind::WorkflowTaskDispatched));
    board.apply(&event(EventKind::JobCompleted));
    let error = format!("continued as {}", id(5));
    let told = board.apply(&saying(&error, of_workflow(EventKind::WorkflowCompleted)));
    let sentence = format!("workflow goes on as {}", id(5));
    assert_eq!(told, [Change::Row(0), Change::Notice(sentence)]);
    assert_eq!(board.rows()[0].status, Status::Waiting);
    board.apply(&Event {
        workflow_id: Some(id(5)),
        ..event(EventKind::JobStarted)
    });
    assert_eq!(board.rows()[0].status, Status::Running);
    assert_eq!(board.workflow_of(&board.rows()[0]), Some(id(5)));
    assert_eq!(
        board.newest_of(id(ROOT)),
        Some(id(5)),
        "which is followed from here on"
    );
}

#[test]
fn hooks_have_rows_and_those_that_are_due_are_waited_for() {
    let definition = r#"{"name":"x","tasks":[{"name":"a","task_type":"t"}],"hooks":{
        "on_init":{"task_type":"t"},"on_failure":{"task_type":"t"},"on_exit":{"task_type":"t"}}}"#;
    let definition = WorkflowDefinition::from_json(definition).expect("definition");
    let mut board = Board::of(&definition);
    board.begin(id(ROOT));
    let names = board.rows().iter().map(|row| &*row.name);
    assert_eq!(
        names.collect::<Vec<_>>(),
        ["on_init", "a", "on_failure", "on_exit"]
    );
    assert!(!board.hooks_ended(WorkflowStatus::Completed));
    let exit = Hook::Exit.task_name();
    board.apply(&of(&exit, EventKind::WorkflowHookDispatched));
    board.apply(&of(&exit, EventKind::JobStarted));
    board.apply(&of(&exit, EventKind::WorkflowHookFailed));
    assert_eq!(board.rows()[3].status, Status::Dead);
    assert!(board.hooks_ended(WorkflowStatus::Completed));
    assert!(!board.hooks_ended(WorkflowStatus::Failed));
    assert!(board.hooks_ended(WorkflowStatus::Continued));
}

#[test]
fn the_record_at_the_end_has_the_last_word() {
    let mut board = board(ONE);
    board.apply(&event(EventKind::JobStarted));
    let name = TaskName::new("a").expect("name");
    let state = TaskState {
        skipped: true,
        skip_reason: Some("no route led here".to_owned()),
        iteration: 2,
        ..TaskState::new(name, TaskKind::Static, JobStatus::Completed)
    };
    assert_eq!(board.reconcile(id(ROOT), std::slice::from_ref(&state)), [0]);
    let row = &board.rows()[0];
    assert_eq!((row.status, row.starts), (Status::Skipped, 3));
    assert_eq!(row.note.as_deref(), Some("no route led here"));
    assert_eq!(board.reconcile(id(ROOT), &[state]), [] as [usize; 0]);
}
