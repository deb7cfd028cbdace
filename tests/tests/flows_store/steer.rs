//! Workflows are suspended, resumed, retried and cancelled.

use std::time::Duration;

use paceline_store::CallError;
use paceline_store::calls::commit::{Alarm, Committed};
use paceline_store::calls::inbox::InboxItem;
use paceline_store::calls::workflow::{SteerRefusal, WorkflowRefusal};
use paceline_tests::{Fault, PATIENCE, Proxy, RedisServer, shared_redis, within};
use paceline_types::workflow::{Ending, Stage};
use paceline_types::{JobId, ShardIndex, WorkflowId, WorkflowStatus};

use redis::AsyncTypedCommands as _;

use crate::{Hand, LONG, Next, at, failed, plain};

type Answer = Result<bool, CallError<SteerRefusal>>;

fn refusal(answer: Answer) -> SteerRefusal {
    match answer {
        Err(CallError::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    }
}

/// Lets a workflow go on as another.
async fn go_on(hand: &Hand, id: WorkflowId) -> WorkflowId {
    let to = id.of_successor();
    hand.commit(id, |next| {
        next.header = Some(at(Stage::Continued { to }));
        next.successor = Some((to, JobId::of_task(id, 0, 0)));
        (next.close, next.retire) = (true, true);
    })
    .await;
    to
}

async fn status(hand: &Hand, id: WorkflowId) -> WorkflowStatus {
    hand.store.workflow(id).await.unwrap().unwrap().status
}

/// Row 85, trap W20: what the leader decided before it knew is not dispatched.
#[tokio::test]
async fn nothing_is_dispatched_on_a_picture_from_before_the_suspension() {
    let hand = Hand::new().await;
    let id = hand.begin(&plain(&["a"])).await;
    let before = hand.stored(id).await.revision;
    assert!(hand.store.suspend_workflow(id).await.unwrap());
    let dispatch = |next: &mut Next| {
        next.job(0, "a", |_| ());
    };
    assert_eq!(hand.commit_at(id, before, dispatch).await, Committed::Stale);
    let job = JobId::of_task(id, 0, 0);
    assert_eq!(hand.store.job(job).await.unwrap(), None);
    assert!(hand.stored(id).await.suspended_at.is_some());
    assert_eq!(status(&hand, id).await, WorkflowStatus::Suspended);

    // Ends of what runs are taken in, and change nothing of that.
    hand.commit(id, |next| next.more = true).await;
    assert_eq!(status(&hand, id).await, WorkflowStatus::Suspended);
    let suspended = hand.stored(id).await.revision;
    assert!(hand.store.resume_workflow(id).await.unwrap());
    assert_eq!(
        hand.commit_at(id, suspended, dispatch).await,
        Committed::Stale
    );
    hand.commit(id, dispatch).await;
    assert_eq!(status(&hand, id).await, WorkflowStatus::Running);
}

/// Row 85: once is one event, and one look of the leader.
#[tokio::test]
async fn suspending_and_resuming_twice_is_once() {
    let hand = Hand::new().await;
    let id = hand.begin(&plain(&["a"])).await;
    let before = hand.inbox(0).await.len();
    let store = &hand.store;
    assert!(
        !store.resume_workflow(id).await.unwrap(),
        "it is not suspended"
    );
    assert!(store.suspend_workflow(id).await.unwrap());
    assert!(!store.suspend_workflow(id).await.unwrap());
    assert_eq!(hand.inbox(0).await[before..], [InboxItem::Look(id)]);
    assert!(store.resume_workflow(id).await.unwrap());
    assert!(!store.resume_workflow(id).await.unwrap());
    assert_eq!(hand.inbox(0).await[before + 1..], [InboxItem::Look(id)]);
    let events = hand.events().await;
    assert_eq!(events, ["workflow.suspended", "workflow.resumed"]);
}

/// Rows 85 and 115: whatever is not running is told how it stands.
#[tokio::test]
async fn what_does_not_run_is_not_suspended() {
    let hand = Hand::new().await;
    let store = &hand.store;
    let unknown = hand.id(0);
    assert_eq!(
        refusal(store.suspend_workflow(unknown).await),
        SteerRefusal::Unknown
    );
    assert_eq!(
        refusal(store.resume_workflow(unknown).await),
        SteerRefusal::Unknown
    );
    let state = SteerRefusal::State;
    let pending = hand.accept(&plain(&["a"])).await;
    let mut table = vec![(pending, state(WorkflowStatus::Pending))];
    for (stage, refusal) in [
        (Stage::Ending(Ending::TimedOut), SteerRefusal::Ending),
        (Stage::Completed, state(WorkflowStatus::Completed)),
        (failed(), state(WorkflowStatus::Failed)),
        (
            Stage::Ended(Ending::Cancelled {
                reason: String::new(),
            }),
            state(WorkflowStatus::Cancelled),
        ),
        (
            Stage::Continued { to: pending },
            state(WorkflowStatus::Continued),
        ),
    ] {
        let id = hand.begin(&plain(&["a"])).await;
        hand.commit(id, |next| next.header = Some(at(stage))).await;
        table.push((id, refusal));
    }
    for (id, expected) in table {
        let before = hand.stored(id).await;
        assert_eq!(refusal(store.suspend_workflow(id).await), expected);
        assert_eq!(refusal(store.resume_workflow(id).await), expected);
        assert_eq!(hand.stored(id).await, before);
    }
    // While it waits for its next attempt, it counts as running.
    let id = hand.begin(&plain(&["a"])).await;
    let resting = Stage::Resting(Ending::TimedOut);
    hand.commit(id, |next| next.header = Some(at(resting)))
        .await;
    assert!(store.suspend_workflow(id).await.unwrap());
    assert_eq!(status(&hand, id).await, WorkflowStatus::Suspended);
}

/// Row 82: back among the active ones, and out of its retention.
#[tokio::test]
async fn a_workflow_that_is_retried_is_not_removed() {
    let hand = Hand::new().await;
    let id = hand.begin(&plain(&["a"])).await;
    hand.commit(id, |next| {
        next.job(0, "a", |_| ());
    })
    .await;
    hand.store
        .cancel(&[JobId::of_task(id, 0, 0)], "enough")
        .await
        .unwrap();
    hand.close(id, failed()).await;
    assert_eq!(status(&hand, id).await, WorkflowStatus::Failed);
    let before = hand.stored(id).await;
    let entries = hand.inbox(0).await.len();

    hand.store.retry_workflow(id).await.unwrap();
    assert_eq!(hand.inbox(0).await[entries..], [InboxItem::Retry(id)]);
    let mut raw = shared_redis().await.connect().await;
    let ended = format!("{{{}:0}}:ended", hand.store.namespace());
    assert_eq!(raw.zcard(&ended).await.unwrap(), 0);
    let stored = hand.stored(id).await;
    assert_eq!(stored.header, before.header, "the leader sees what it was");
    assert!(stored.revision > before.revision && stored.retried);
    let view = hand.store.workflow(id).await.unwrap().unwrap();
    assert_eq!(
        (view.status, view.error, view.completed_at),
        (WorkflowStatus::Running, None, None)
    );
    let listed = hand
        .store
        .list_workflows(None, &Default::default())
        .await
        .unwrap()
        .items;
    assert_eq!(
        (listed.len(), listed[0].status),
        (1, WorkflowStatus::Running)
    );
    let again = hand.store.retry_workflow(id).await.map(|()| true);
    assert_eq!(refusal(again), SteerRefusal::State(WorkflowStatus::Running));

    // Its second end begins a retention of its own.
    hand.close(id, Stage::Completed).await;
    let listed = hand
        .store
        .list_workflows(None, &Default::default())
        .await
        .unwrap()
        .items;
    assert_eq!(
        (listed.len(), listed[0].status),
        (1, WorkflowStatus::Completed)
    );
    let purged = hand
        .store
        .purge(ShardIndex(0), hand.term, 100)
        .await
        .unwrap();
    assert_eq!(purged, (0, false));
}

/// Row 82: only what failed or was cancelled, and only once its hooks are done.
#[tokio::test]
async fn what_has_not_failed_is_not_retried() {
    let hand = Hand::new().await;
    let store = &hand.store;
    let retry = async |id| refusal(store.retry_workflow(id).await.map(|()| true));
    assert_eq!(retry(hand.id(0)).await, SteerRefusal::Unknown);
    let pending = hand.accept(&plain(&["a"])).await;
    let state = SteerRefusal::State;
    assert_eq!(retry(pending).await, state(WorkflowStatus::Pending));
    for (stage, expected) in [
        (Stage::Running, state(WorkflowStatus::Running)),
        (Stage::Ending(Ending::TimedOut), SteerRefusal::Ending),
        (Stage::Completed, state(WorkflowStatus::Completed)),
        (
            Stage::Continued { to: pending },
            state(WorkflowStatus::Continued),
        ),
        (failed(), SteerRefusal::Hooks),
    ] {
        let id = hand.begin(&plain(&["a"])).await;
        hand.commit(id, |next| next.header = Some(at(stage))).await;
        let before = hand.stored(id).await;
        assert_eq!(retry(id).await, expected);
        assert_eq!(hand.stored(id).await, before);
    }
}

/// Row 82.
#[tokio::test(flavor = "multi_thread")]
async fn a_retry_whose_reply_is_lost_is_one() {
    let redis = RedisServer::start().await;
    let proxy = Proxy::before(redis.addr());
    let hand = Hand::behind(&proxy).await;
    let id = hand.begin(&plain(&["a"])).await;
    for times in 1..=2 {
        hand.close(id, failed()).await;
        let lost = proxy.once(Fault::LoseReply, |request| {
            request.is("EVALSHA") && request.mentions("workflows:active")
        });
        hand.store.retry_workflow(id).await.unwrap();
        within("the loss", PATIENCE, lost).await;
        let told = hand.inbox(0).await;
        let retries = told.iter().filter(|item| **item == InboxItem::Retry(id));
        assert_eq!(retries.count(), times);
    }
}

/// Rows 86 and 87: who cancels what went on as another is told as what.
#[tokio::test]
async fn a_continued_workflow_names_its_successor() {
    let hand = Hand::new().await;
    let id = hand.begin(&plain(&["a"])).await;
    let to = go_on(&hand, id).await;
    let refused = hand.store.cancel_workflow(id, "").await;
    assert!(
        matches!(&refused, Err(CallError::Refused(WorkflowRefusal::Continued(next))) if *next == to),
        "{refused:?}"
    );
    hand.store.cancel_workflow(to, "").await.unwrap();
    let (old, new) = (
        hand.store.workflow(id).await.unwrap().unwrap(),
        hand.store.workflow(to).await.unwrap().unwrap(),
    );
    assert_eq!(
        (old.status, old.continued_to),
        (WorkflowStatus::Continued, Some(to))
    );
    assert_eq!(
        (new.status, new.continued_from),
        (WorkflowStatus::Pending, Some(id))
    );
    assert_eq!(
        hand.stored(to).await.header,
        paceline_types::workflow::Header::NEW
    );
    let page = Default::default();
    let ended = hand
        .store
        .list_workflows(Some(WorkflowStatus::Continued), &page);
    assert_eq!(ended.await.unwrap().items.len(), 1);
}

/// Rows 86 and 87: what goes on as another one after it was cancelled, and before the leader has heard
/// of that, is cancelled as that, however often it goes on.
#[tokio::test]
async fn a_cancellation_goes_on_with_the_workflow() {
    let hand = Hand::new().await;
    let mut id = hand.begin(&plain(&["a"])).await;
    hand.store.cancel_workflow(id, "enough").await.unwrap();
    for _ in 0..2 {
        id = go_on(&hand, id).await;
        let cancel = InboxItem::Cancel {
            workflow: id,
            reason: "enough".to_owned(),
        };
        let told = hand.inbox(0).await;
        assert!(told.contains(&cancel), "{told:?}");
    }
}

/// Rows 82, 85, 86 and 87: a retry is neither suspended, late nor cancelled because the attempt before
/// it was.
#[tokio::test]
async fn a_retry_is_free_of_what_held_before() {
    let hand = Hand::new().await;
    let id = hand.begin(&plain(&["a"])).await;
    let deadline = (Alarm::Deadline, Some(LONG));
    hand.commit(id, |next| next.alarms = vec![deadline]).await;
    assert!(hand.store.suspend_workflow(id).await.unwrap());
    hand.store.cancel_workflow(id, "enough").await.unwrap();
    let reason = "enough".to_owned();
    hand.close(id, Stage::Ended(Ending::Cancelled { reason }))
        .await;
    hand.store.retry_workflow(id).await.unwrap();
    let stored = hand.stored(id).await;
    assert_eq!((stored.suspended_at, stored.deadline), (None, None));
    assert_eq!(status(&hand, id).await, WorkflowStatus::Running);
    let to = go_on(&hand, id).await;
    let cancelled =
        |item: &InboxItem| matches!(item, InboxItem::Cancel { workflow, .. } if *workflow == to);
    assert!(!hand.inbox(0).await.iter().any(cancelled));
}

/// Row 82: what is being removed is not taken back.
#[tokio::test]
async fn what_is_past_its_retention_is_not_retried() {
    let hand = Hand::new().await;
    let id = hand.begin(&plain(&["a"])).await;
    hand.close(id, failed()).await;
    let mut raw = shared_redis().await.connect().await;
    let record = format!(
        "{{{}:0}}:wf:{}",
        hand.store.namespace(),
        id.bare(&mut [0; 26])
    );
    let kept: u64 = raw
        .hget(&record, "x")
        .await
        .unwrap()
        .unwrap()
        .parse()
        .unwrap();
    let ended = hand.stored(id).await.ended_at.unwrap();
    assert_eq!(
        Duration::from_millis(kept - ended),
        Duration::from_secs(7 * 24 * 3600)
    );
    raw.hset(&record, "x", 1).await.unwrap();
    let answer = hand.store.retry_workflow(id).await.map(|()| true);
    assert_eq!(refusal(answer), SteerRefusal::Unknown);
}
