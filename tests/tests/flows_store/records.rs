//! Records of tasks, starts that are over, sections, and conclusions.

use paceline_store::calls::commit::Committed;
use paceline_store::calls::inbox::TaskEnd;
use paceline_store::calls::results::TaskPhase;
use paceline_types::workflow::{Section, SectionBody, TaskRecord};
use paceline_types::{Bytes, JobError, JobId, JobStatus, RetryPolicy, Settlement, ShardIndex};

use crate::{Hand, Left, completed, dispatched, plain};

/// Every record that a task can have.
fn records() -> Vec<TaskRecord> {
    let (iteration, evaluations) = (2, 5);
    let text = || "why, \u{fc}ber alles\nand more".to_owned();
    vec![
        dispatched(2),
        TaskRecord::Dispatched {
            iteration,
            evaluations,
        },
        TaskRecord::Cancelling { iteration },
        TaskRecord::Returned {
            iteration,
            evaluations,
        },
        TaskRecord::Expanded { iteration },
        completed(2),
        TaskRecord::Completed {
            iteration,
            continues: true,
        },
        TaskRecord::Routed {
            iteration,
            route: Some(3),
            evaluations,
        },
        TaskRecord::Routed {
            iteration,
            route: None,
            evaluations,
        },
        TaskRecord::Rewinding {
            iteration,
            route: 0,
            evaluations,
        },
        TaskRecord::Again {
            iteration,
            evaluations,
        },
        TaskRecord::Skipped {
            iteration,
            reason: text(),
        },
        TaskRecord::Bypassed { iteration },
        TaskRecord::FailedAllowed {
            iteration,
            error: text(),
        },
        TaskRecord::Dead {
            iteration,
            error: text(),
        },
        TaskRecord::Cancelled { iteration },
    ]
}

/// Row 88: each task is a field of its own.
#[tokio::test]
async fn every_record_is_loaded_as_it_was_written() {
    let hand = Hand::new().await;
    let id = hand.begin(&plain(&["a"])).await;
    let expected: Vec<(u32, TaskRecord)> = (0..).zip(records()).collect();
    hand.commit(id, |next| next.tasks = expected.clone()).await;
    assert_eq!(hand.stored(id).await.tasks, expected);
    hand.store.workflow(id).await.unwrap().unwrap();
}

/// A commit may write more than a call of Lua takes at once.
#[tokio::test]
async fn thousands_of_records_are_one_commit() {
    let hand = Hand::new().await;
    let id = hand.begin(&plain(&["a"])).await;
    let expected: Vec<(u32, TaskRecord)> = (0..9_001).map(|index| (index, completed(1))).collect();
    hand.commit(id, |next| next.tasks = expected.clone()).await;
    assert_eq!(hand.stored(id).await.tasks, expected);
}

/// Rows 70 and 88: what loops have left behind is kept, and no load of the leader reads it.
#[tokio::test]
async fn starts_that_are_over_can_be_read_one_by_one() {
    let hand = Hand::new().await;
    let id = hand.begin(&plain(&["a", "b"])).await;
    for iteration in 0..150 {
        hand.commit(id, |next| {
            let job = JobId::of_task(id, 1, iteration);
            next.conclusions = vec![(job, Left::Value(format!("{{\"n\":{iteration}}}")))];
            next.history = vec![(1, completed(iteration))];
            next.tasks = vec![(
                1,
                TaskRecord::Again {
                    iteration: iteration + 1,
                    evaluations: 1,
                },
            )];
        })
        .await;
    }
    assert_eq!(hand.stored(id).await.tasks.len(), 1);
    let store = &hand.store;
    let one = store.task_result(id, "b", Some(17)).await.unwrap().unwrap();
    assert_eq!(one.result.as_deref(), Some(&b"{\"n\":17}"[..]));
    assert_eq!((one.iteration, one.status), (17, JobStatus::Completed));
    let newest = store.task_result(id, "b", None).await.unwrap().unwrap();
    assert_eq!((newest.iteration, newest.status), (150, JobStatus::Pending));
    assert_eq!(newest.result, None);
    assert_eq!(store.task_result(id, "b", Some(151)).await.unwrap(), None);
    assert_eq!(
        store.task_result(id, "a", None).await.unwrap(),
        None,
        "it has not begun"
    );
    assert_eq!(store.task_result(id, "c", None).await.unwrap(), None);
    let page = store.task_results(id, "b", 100, 1_000).await.unwrap();
    assert_eq!(page.len(), 51);
    assert_eq!(page[49].result.as_deref(), Some(&b"{\"n\":149}"[..]));
    let first = store.task_results(id, "b", 0, 2).await.unwrap();
    let iterations: Vec<u32> = first.iter().map(|start| start.iteration).collect();
    assert_eq!(iterations, [0, 1]);
}

/// Rows 73 and 89: one of a generator, the newest.
#[tokio::test]
async fn a_section_replaces_the_one_before() {
    let hand = Hand::new().await;
    let id = hand.begin(&plain(&["a", "b"])).await;
    let section = |generator, iteration, base, count| Section {
        generator,
        iteration,
        base,
        body: SectionBody::Map { count },
    };
    hand.commit(id, |next| {
        next.sections = vec![section(1, 0, 2, 3), section(0, 0, 5, 1)]
    })
    .await;
    hand.commit(id, |next| next.sections = vec![section(1, 1, 6, 4)])
        .await;
    let expected = [section(0, 0, 5, 1), section(1, 1, 6, 4)];
    assert_eq!(hand.stored(id).await.sections, expected);
}

/// Rows 68 and 89: a conclusion takes the place of what a job answered, which was of no use then; never
/// of another conclusion.
#[tokio::test]
async fn a_conclusion_takes_the_place_of_an_answer_alone() {
    let hand = Hand::new().await;
    let id = hand.begin(&plain(&["a", "b"])).await;
    let node = hand.node().await;
    hand.commit(id, |next| {
        next.job(0, "a", |_| ());
    })
    .await;
    let run = hand.turn(node, &[], 1).await.pop().unwrap();
    hand.complete(node, &run, "\"first\"").await;
    for (task, value, left) in [(0, "1", "1"), (1, "2", "2"), (1, "3", "2")] {
        let job = JobId::of_task(id, task, 0);
        let conclusion = (job, Left::Value(value.to_owned()));
        hand.commit(id, |next| next.conclusions = vec![conclusion])
            .await;
        assert_eq!(hand.left(id, task, 0).await.as_deref(), Some(left));
    }
    let concluded = JobId::of_task(id, 1, 0);
    assert_eq!(
        hand.store.job(concluded).await.unwrap(),
        None,
        "it is no job"
    );
    let jobs = [concluded, JobId::of_task(id, 1, 1)];
    let phases = hand.store.task_phases(ShardIndex(0), &jobs).await.unwrap();
    let (end, attempt) = (TaskEnd::Completed, 0);
    assert_eq!(
        phases,
        [TaskPhase::Ended { end, attempt }, TaskPhase::Missing]
    );
    let stale = hand
        .commit_at(id, 0, |next| {
            next.conclusions = vec![(jobs[1], Left::Value("4".to_owned()))];
        })
        .await;
    assert_eq!((stale, hand.left(id, 1, 1).await), (Committed::Stale, None));
}

/// Row 87, and what a leader is told that comes later: the record says it as well.
#[tokio::test]
async fn the_end_of_a_run_says_that_its_workflow_goes_on() {
    let hand = Hand::new().await;
    let id = hand.begin(&plain(&["a", "b", "c"])).await;
    let node = hand.node().await;
    hand.commit(id, |next| {
        for (index, task) in (0..).zip(["a", "b", "c"]) {
            next.job(index, task, |_| ());
        }
    })
    .await;
    let runs = hand.turn(node, &[], 3).await;
    // Whoever was asked to stop ends cancelled, whatever it says.
    hand.store.cancel(&[runs[1].job], "enough").await.unwrap();
    for run in &runs[..2] {
        let outcome = Err(JobError::continue_as_new(7));
        let settlement =
            paceline_types::outcome::settle(outcome, &RetryPolicy::default(), 1, 0, 0.5);
        hand.settle(node, run, settlement).await;
    }
    let reason = "no news".to_owned();
    hand.settle(
        node,
        &runs[2],
        Settlement::Skipped {
            reason: reason.clone(),
        },
    )
    .await;
    let ends: Vec<TaskEnd> = hand
        .inbox(0)
        .await
        .into_iter()
        .filter_map(|item| match item {
            paceline_store::calls::inbox::InboxItem::TaskEnded { end, .. } => Some(end),
            _ => None,
        })
        .collect();
    let expected = [
        TaskEnd::Continued,
        TaskEnd::Cancelled,
        TaskEnd::Skipped { reason },
    ];
    assert_eq!(ends, expected);
    let jobs: Vec<JobId> = runs.iter().map(|run| run.job).collect();
    let phases = hand.store.task_phases(ShardIndex(0), &jobs).await.unwrap();
    let ended = expected.map(|end| TaskPhase::Ended { end, attempt: 1 });
    assert_eq!(phases, ended);
    let job = hand.store.job(jobs[0]).await.unwrap().unwrap();
    assert_eq!(
        (job.status, job.result),
        (JobStatus::Completed, Some(Bytes::from_static(b"7")))
    );
}

/// An error that is cut within a character must not stop the leader for good.
#[tokio::test]
async fn an_error_of_any_length_and_script_is_told() {
    let hand = Hand::new().await;
    let id = hand.begin(&plain(&["a"])).await;
    let node = hand.node().await;
    hand.commit(id, |next| {
        next.job(0, "a", |_| ());
    })
    .await;
    let run = hand.turn(node, &[], 1).await.pop().unwrap();
    let error = format!("{}\u{e9}{}", "x".repeat(499), "y".repeat(100));
    hand.settle(node, &run, Settlement::Dead { error }).await;
    let told = hand.inbox(0).await.pop().unwrap();
    let text = format!("{told:?}");
    assert!(text.contains("Dead") && text.contains("xxx"), "{text}");
}
