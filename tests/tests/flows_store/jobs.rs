//! Jobs of tasks that ask for more than a place in a lane.

use std::time::Duration;

use paceline_store::calls::commit::Committed;
use paceline_store::calls::inbox::{InboxItem, TaskEnd};
use paceline_store::calls::turn::{UpstreamRef, UpstreamResults};
use paceline_tests::{PATIENCE, eventually, log};
use paceline_types::{
    Bytes, EventKind, JobId, JobStatus, Limit, LimitKey, Settlement, ShardIndex, Tag,
};

use crate::{Hand, LONG, name, plain};

fn key(key: &str) -> LimitKey {
    LimitKey::new(key).unwrap()
}

/// Rows 39 and 77: a task counts against its limits as any job does.
#[tokio::test]
async fn tasks_with_a_limit_run_as_many_at_once_as_it_allows() {
    let hand = Hand::new().await;
    let id = hand.begin(&plain(&["a", "b", "c"])).await;
    let limit = Limit {
        concurrency: Some(1),
        rate: None,
    };
    hand.store
        .set_limit(&key("tenant 7"), Some(&limit))
        .await
        .unwrap();
    let node = hand.node().await;
    hand.commit(id, |next| {
        for (index, task) in (0..).zip(["a", "b", "c"]) {
            next.job(index, task, |spec| spec.limits = vec![key("tenant 7")]);
        }
    })
    .await;
    let mut order = Vec::new();
    for _ in 0..3 {
        let runs = hand.turn(node, &[], 10).await;
        let [run] = &runs[..] else {
            panic!("{} runs at once", runs.len());
        };
        order.push(run.record.workflow.clone().unwrap().task);
        hand.complete(node, run, "1").await;
    }
    assert_eq!(order, ["a", "b", "c"].map(name));
    let ends = hand.inbox(0).await.into_iter();
    let ends = ends.filter(|item| matches!(item, InboxItem::TaskEnded { .. }));
    assert_eq!(ends.count(), 3);
    let (usage, holders) = hand.store.limit(&key("tenant 7")).await.unwrap();
    assert_eq!((holders.len(), usage.holders), (0, 0), "{usage:?}");
}

/// Rows 28 and 29: with tags, a trail, moments, upstream results and all.
#[tokio::test]
async fn a_special_job_is_made_as_a_plain_one() {
    let hand = Hand::new().await;
    let id = hand.begin(&plain(&["a", "b"])).await;
    let node = hand.node().await;
    hand.commit(id, |next| {
        next.job(0, "a", |_| ());
    })
    .await;
    let run = hand.turn(node, &[], 1).await.pop().unwrap();
    hand.complete(node, &run, "{\"n\":1}").await;
    let tag = Tag::new("blue").unwrap();
    hand.commit(id, |next| {
        let made = next.job(1, "b", |spec| {
            spec.tags = vec![tag.clone()];
            spec.audited = true;
            spec.schedule_to_start_timeout = Some(LONG);
            spec.max_duration = Some(LONG);
            spec.heartbeat_timeout = Some(LONG);
        });
        let source = Some(run.job);
        made.upstream = Some(UpstreamRef {
            sources: vec![(name("a"), source)],
            template: true,
            input: true,
            references: vec![(name("a"), source), (name("x"), None)],
            ..UpstreamRef::default()
        });
    })
    .await;
    let job = JobId::of_task(id, 1, 0);
    let filter = paceline_store::calls::list::JobFilter {
        tag: Some(tag),
        ..Default::default()
    };
    let listed = hand
        .store
        .list_jobs(&filter, &Default::default())
        .await
        .unwrap()
        .items;
    assert_eq!((listed.len(), listed[0].id), (1, job));
    assert_eq!(listed[0].workflow_task, Some(name("b")));
    let run = hand.turn(node, &[], 5).await.pop().unwrap();
    assert_eq!((run.job, run.attempt), (job, 1));
    let composition = run.composition().unwrap().unwrap();
    assert!(composition.template && composition.input);
    let result = Bytes::from_static(b"{\"n\":1}");
    let null = Bytes::from_static(b"null");
    let references = [(name("a"), result.clone()), (name("x"), null)];
    assert_eq!(composition.references, references);
    assert_eq!(
        composition.upstream,
        UpstreamResults::One(name("a"), result)
    );
    assert_eq!(
        run.handler_payload().unwrap(),
        r#"{"upstream":{"n":1},"original":{}}"#
    );
    hand.complete(node, &run, "2").await;
    let survey = hand.store.survey(ShardIndex(0), hand.term).await.unwrap();
    assert_eq!(survey.next_timer_in, None, "none of its timers is left");
    assert!(survey.trails_due);
    let events = log(&hand.store).await.into_iter();
    let kinds: Vec<_> = events
        .filter(|event| event.job_id == Some(job))
        .inspect(|event| assert_eq!(event.workflow_task, Some(name("b"))))
        .map(|event| event.kind)
        .collect();
    let expected = [
        EventKind::JobEnqueued,
        EventKind::JobStarted,
        EventKind::JobCompleted,
    ];
    assert_eq!(kinds, expected);
}

/// Row 28: also for tasks, and their workflow is told.
#[tokio::test]
async fn a_task_that_does_not_start_in_time_is_dead() {
    let hand = Hand::new().await;
    let id = hand.begin(&plain(&["a"])).await;
    hand.commit(id, |next| {
        next.job(0, "a", |spec| {
            spec.schedule_to_start_timeout = Some(Duration::from_millis(1));
        });
    })
    .await;
    eventually("it is late", PATIENCE, async || {
        let step = hand.store.expire_jobs(ShardIndex(0), hand.term, 10).await;
        step.unwrap().seen == 1
    })
    .await;
    let told = hand.inbox(0).await.pop().unwrap();
    let InboxItem::TaskEnded {
        end: TaskEnd::Dead { error },
        ..
    } = told
    else {
        panic!("{told:?}");
    };
    assert!(error.starts_with("schedule_to_start_timeout"), "{error}");
}

/// Trap W4: a commit that comes again makes nothing again, and one whose job is there keeps it.
#[tokio::test]
async fn a_special_job_is_made_once() {
    let hand = Hand::new().await;
    let id = hand.begin(&plain(&["a", "b"])).await;
    let node = hand.node().await;
    let revision = hand.stored(id).await.revision;
    let dispatch = |next: &mut crate::Next| {
        next.job(0, "a", |spec| spec.tags = vec![Tag::new("t").unwrap()]);
        next.job(1, "b", |_| ());
    };
    assert_eq!(
        hand.commit_at(id, revision, dispatch).await,
        Committed::At(revision + 1)
    );
    assert_eq!(
        hand.commit_at(id, revision, dispatch).await,
        Committed::Stale
    );
    // The same jobs by another commit, as after a reset that went wrong.
    hand.commit(id, dispatch).await;
    let runs = hand.turn(node, &[], 10).await;
    assert_eq!(runs.len(), 2);
    for run in &runs {
        hand.settle(
            node,
            run,
            Settlement::Dead {
                error: "boom".to_owned(),
            },
        )
        .await;
    }
    hand.commit(id, dispatch).await;
    assert_eq!(hand.turn(node, &[], 10).await, []);
    let enqueued = log(&hand.store).await.into_iter();
    let enqueued = enqueued.filter(|event| event.kind == EventKind::JobEnqueued);
    assert_eq!(enqueued.count(), 2);
}

/// Row 86: what a commit makes it may cancel.
#[tokio::test]
async fn a_special_job_is_cancelled_by_the_commit_that_makes_it() {
    let hand = Hand::new().await;
    let id = hand.begin(&plain(&["a"])).await;
    let job = JobId::of_task(id, 0, 0);
    hand.commit(id, |next| {
        next.job(0, "a", |spec| spec.limits = vec![key("k")]);
        next.cancels = vec![job];
    })
    .await;
    let view = hand.store.job(job).await.unwrap().unwrap();
    assert_eq!(
        (view.status, view.last_error.as_deref()),
        (JobStatus::Cancelled, Some("enough"))
    );
}
