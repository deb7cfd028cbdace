//! Moments that workflows wait for.

use std::time::Duration;

use paceline_store::calls::commit::Alarm;
use paceline_store::{CallError, Fenced};
use paceline_tests::{PATIENCE, eventually};
use paceline_types::workflow::Stage;
use paceline_types::{NodeId, ShardIndex, WorkflowId};

use crate::{Hand, LONG, at, plain};

const NOW: Option<Duration> = Some(Duration::ZERO);

fn signal(task: u32, iteration: u32) -> Alarm {
    Alarm::Signal { task, iteration }
}

impl Hand {
    async fn arm(&self, id: WorkflowId, alarms: &[(Alarm, Option<Duration>)]) {
        self.commit(id, |next| next.alarms = alarms.to_vec()).await;
    }

    async fn overdue(&self) -> Vec<(WorkflowId, Alarm)> {
        let overdue = self.store.overdue_workflows(ShardIndex(0), self.term, 100);
        overdue.await.unwrap()
    }
}

/// Rows 82, 83 and 84.
#[tokio::test]
async fn each_moment_is_told_until_it_is_disarmed() {
    let hand = Hand::new().await;
    let (one, two) = (
        hand.begin(&plain(&["a"])).await,
        hand.begin(&plain(&["a"])).await,
    );
    hand.arm(
        one,
        &[(Alarm::Deadline, Some(LONG)), (signal(3, 1), Some(LONG))],
    )
    .await;
    assert_eq!(hand.overdue().await, []);
    assert!(hand.stored(one).await.deadline.is_some());
    hand.arm(two, &[(signal(4, 0), NOW)]).await;
    // The same moment for another reason; it does not become the deadline.
    hand.arm(two, &[(Alarm::Retry, NOW), (signal(4, 7), NOW)])
        .await;
    assert_eq!(hand.stored(two).await.deadline, None);
    hand.arm(one, &[(Alarm::Deadline, NOW)]).await;
    let all = [
        (one, Alarm::Deadline),
        (two, Alarm::Retry),
        (two, signal(4, 0)),
        (two, signal(4, 7)),
    ];
    for _ in 0..2 {
        let mut overdue = hand.overdue().await;
        overdue.sort_by_key(|(id, alarm)| (*id, format!("{alarm:?}")));
        assert_eq!(overdue, all, "until somebody disarms it");
    }
    let asked = [
        all[0],
        (one, signal(3, 1)),
        (one, Alarm::Retry),
        (two, signal(3, 1)),
    ];
    let armed = hand.store.armed(ShardIndex(0), &asked).await.unwrap();
    assert_eq!(armed, [true, true, false, false]);
    assert!(
        hand.store
            .survey(ShardIndex(0), hand.term)
            .await
            .unwrap()
            .overdue
    );

    hand.arm(two, &[(Alarm::Retry, None), (signal(4, 0), None)])
        .await;
    hand.arm(one, &[(Alarm::Deadline, None)]).await;
    assert_eq!(hand.overdue().await, [(two, signal(4, 7))]);
    hand.arm(two, &[(signal(4, 7), None)]).await;
    assert!(
        !hand
            .store
            .survey(ShardIndex(0), hand.term)
            .await
            .unwrap()
            .overdue
    );
}

/// Row 83: those of what is over are no concern of anybody.
#[tokio::test]
async fn what_is_retired_waits_for_nothing() {
    let hand = Hand::new().await;
    let id = hand.begin(&plain(&["a"])).await;
    let all = [
        (Alarm::Deadline, NOW),
        (Alarm::Retry, NOW),
        (signal(0, 0), NOW),
    ];
    hand.arm(id, &all).await;
    // Its hooks are under way.
    hand.commit(id, |next| {
        next.header = Some(at(Stage::Completed));
        next.close = true;
    })
    .await;
    eventually("they are due", PATIENCE, async || {
        hand.overdue().await.len() == 3
    })
    .await;
    let which = all.map(|(which, _)| (id, which));
    let armed = async || hand.store.armed(ShardIndex(0), &which).await.unwrap();
    assert_eq!(armed().await, [true; 3]);
    hand.commit(id, |next| {
        next.retire = true;
        next.alarms = vec![(Alarm::Deadline, Some(LONG))];
    })
    .await;
    assert_eq!(armed().await, [false, false, true]);
    assert_eq!(hand.overdue().await, []);
    assert_eq!(
        armed().await,
        [false; 3],
        "the walk has taken the last one away"
    );
}

/// Row 101: who does not lead takes nothing away.
#[tokio::test]
async fn an_older_term_is_refused() {
    let hand = Hand::new().await;
    let id = hand.begin(&plain(&["a"])).await;
    hand.arm(id, &[(signal(0, 0), NOW)]).await;
    hand.commit(id, |next| next.retire = true).await;
    let seen = hand.store.look(ShardIndex(0)).await.unwrap();
    let next = NodeId::from_parts(1, ShardIndex(0), 77);
    let term = hand
        .store
        .take(ShardIndex(0), next, seen.as_ref(), 1)
        .await
        .unwrap();
    let refused = hand.store.overdue_workflows(ShardIndex(0), 1, 10).await;
    assert!(
        matches!(refused, Err(CallError::Refused(Fenced { newest: 2 }))),
        "{refused:?}"
    );
    let armed = hand
        .store
        .armed(ShardIndex(0), &[(id, signal(0, 0))])
        .await
        .unwrap();
    assert_eq!(armed, [true]);
    let overdue = hand.store.overdue_workflows(ShardIndex(0), term, 10).await;
    assert_eq!(overdue.unwrap(), []);
}
