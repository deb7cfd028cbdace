//! Each script is delivered twice, and nothing happens twice.

use paceline_store::calls::commit::{Alarm, ChildOf, Post};
use paceline_store::calls::inbox::{InboxItem, TaskEnd};
use paceline_types::workflow::{Origin, Stage};
use paceline_types::{IdempotencyKey, JobId, LimitKey, ShardIndex, SignalName, WorkflowId};
use serde_json::value::to_raw_value;

use crate::{LONG, Left, at, completed, dispatched, everything_twice, failed, name, plain};

/// Trap W4, rows 74, 82, 84, 85 and 87.
#[tokio::test(flavor = "multi_thread")]
async fn a_life_of_calls_that_come_twice() {
    let (_redis, proxy, hand) = everything_twice().await;
    let store = &hand.store;
    let id = hand.begin(&plain(&["a", "b", "c"])).await;
    let signal = SignalName::new("s").unwrap();
    let key = IdempotencyKey::new("k").unwrap();
    for (key, number) in [(None, 1), (Some(&key), 2), (None, 3)] {
        let sent = store.signal_workflow(id, &signal, b"[1]", key).await;
        assert_eq!(sent.unwrap(), number);
    }
    let node = hand.node().await;
    let child = WorkflowId::of_child(id, 2, 0, 1);
    let origin = Origin {
        parent: id,
        task: 2,
        iteration: 0,
        depth: 1,
    };
    let spawn = || Post::Spawn {
        child,
        definition: to_raw_value(&plain(&["x"])).unwrap(),
        input: None,
        of: ChildOf {
            origin,
            name: name("c"),
        },
    };
    hand.commit(id, |next| {
        next.job(0, "a", |spec| {
            spec.limits = vec![LimitKey::new("l").unwrap()]
        });
        next.job(7, "b", |_| ());
        next.conclusions = vec![
            (JobId::of_task(id, 1, 0), Left::Signal(1)),
            (JobId::of_task(id, 3, 0), Left::Value("3".to_owned())),
        ];
        next.history = vec![(1, completed(0))];
        next.tasks = vec![(2, dispatched(0))];
        next.alarms = vec![(Alarm::Retry, Some(LONG))];
        next.posts = vec![spawn()];
    })
    .await;
    assert_eq!(hand.left(id, 1, 0).await.as_deref(), Some("[1]"));
    assert!(store.ack_signal(id, 2).await.unwrap());
    assert_eq!(hand.stored(id).await.signals, [(3, signal.clone())]);
    let posts = store.posts(ShardIndex(0), None, 10).await.unwrap();
    assert_eq!(posts.len(), 1);
    for (entry, post) in &posts {
        store.deliver(post).await.unwrap();
        store
            .drop_post(ShardIndex(0), hand.term, entry)
            .await
            .unwrap();
    }
    let runs = hand.turn(node, &[], 10).await;
    assert_eq!(runs.len(), 2);
    for run in &runs {
        hand.complete(node, run, "1").await;
    }
    assert!(store.suspend_workflow(id).await.unwrap());
    assert!(store.resume_workflow(id).await.unwrap());
    hand.close(child, Stage::Completed).await;
    let end = TaskEnd::Completed;
    store
        .deliver(&Post::Ended { child, origin, end })
        .await
        .unwrap();
    hand.close(id, failed()).await;
    store.retry_workflow(id).await.unwrap();
    let to = id.of_successor();
    hand.commit(id, |next| {
        next.header = Some(at(Stage::Continued { to }));
        next.successor = Some((to, JobId::of_task(id, 3, 0)));
        (next.close, next.retire) = (true, true);
    })
    .await;

    let items = hand.inbox(0).await;
    let count =
        |wanted: &dyn Fn(&InboxItem) -> bool| items.iter().filter(|item| wanted(item)).count();
    assert_eq!(count(&|item| matches!(item, InboxItem::Start(_))), 3);
    assert_eq!(count(&|item| matches!(item, InboxItem::Signal { .. })), 3);
    assert_eq!(count(&|item| *item == InboxItem::Look(id)), 2);
    assert_eq!(count(&|item| *item == InboxItem::Retry(id)), 1);
    assert_eq!(
        count(&|item| matches!(item, InboxItem::TaskEnded { .. })),
        3
    );
    assert_eq!(items.len(), 12);
    assert_eq!(hand.stored(to).await.input.as_deref(), Some(&b"3"[..]));
    let events = hand.events().await;
    let received = "workflow.signal.received";
    let expected = [
        received,
        received,
        received,
        "workflow.suspended",
        "workflow.resumed",
    ];
    assert_eq!(events, expected);
    assert!(proxy.tally().faults >= 20, "hardly a call came twice");
}
