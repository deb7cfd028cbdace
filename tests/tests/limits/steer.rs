//! Tiers and task types that are paused (row 48).

use paceline_types::{Priority, TaskType, Tier};

use crate::{Bay, ids};

/// Contract row 48: once it is acknowledged no claim gives a job of a paused tier; jobs are accepted as
/// before, other tiers go on, and nobody looks in vain.
#[tokio::test]
async fn nothing_of_a_paused_tier_is_claimed() {
    let bay = Bay::new().await;
    let store = &bay.bench.store;
    let early = bay.jobs_of(2, &[], "work", Priority::HIGH).await;
    assert!(store.pause_tier(Tier::High, true).await.unwrap());
    assert!(
        !store.pause_tier(Tier::High, true).await.unwrap(),
        "it is already"
    );
    let late = bay.jobs_of(2, &[], "work", Priority::HIGH).await;
    let normal = bay.jobs(1, &[]).await;
    let reply = bay.turn(&[], 10).await;
    assert_eq!(ids(&reply.claimed), normal);
    bay.silence("work").await;
    let reply = bay.turn(&[], 10).await;
    assert_eq!((reply.claimed.len(), reply.more), (0, false));
    assert_eq!(bay.rung("work").await, 0, "a claim in vain wakes nobody");
    let tiers = store.tiers().await.unwrap();
    let shown: Vec<_> = tiers
        .iter()
        .map(|it| (it.tier, it.paused, it.waiting))
        .collect();
    assert_eq!(
        shown,
        [
            (Tier::High, true, 4),
            (Tier::Normal, false, 0),
            (Tier::Low, false, 0)
        ]
    );
    assert!(store.pause_tier(Tier::High, false).await.unwrap());
    assert_eq!(bay.rung("work").await, 1, "an idle node is told");
    assert_eq!(ids(&bay.claim(10).await), [early, late].concat());
}

/// The share of a paused tier goes to the others.
#[tokio::test]
async fn a_paused_tier_takes_no_share() {
    let bay = Bay::new().await;
    for priority in [Priority::HIGH, Priority::LOW] {
        bay.jobs_of(50, &[], "work", priority).await;
    }
    bay.bench.store.pause_tier(Tier::High, true).await.unwrap();
    assert_eq!(bay.claim(40).await.len(), 40);
}

/// Row 48, of a task type.
#[tokio::test]
async fn nothing_of_a_paused_type_is_claimed() {
    let bay = Bay::new().await;
    let store = &bay.bench.store;
    let mail = TaskType::new("mail").unwrap();
    assert!(store.pause_type(&mail, true).await.unwrap());
    let mails = bay.jobs_of(3, &[], "mail", Priority::HIGH).await;
    let others = bay.jobs(2, &[]).await;
    let reply = bay.turn(&[], 10).await;
    assert_eq!(ids(&reply.claimed), others);
    assert!(!reply.more);
    bay.silence("mail").await;
    assert!(bay.claim(10).await.is_empty());
    assert_eq!(bay.rung("mail").await, 0, "a claim in vain wakes nobody");
    let types = store.types().await.unwrap();
    let shown: Vec<_> = types
        .iter()
        .map(|it| (it.task_type.as_str(), it.paused, it.waiting))
        .collect();
    assert_eq!(shown, [("mail", true, 3)]);
    assert!(store.pause_type(&mail, false).await.unwrap());
    assert!(!store.pause_type(&mail, false).await.unwrap());
    assert_eq!(bay.rung("mail").await, 1, "an idle node is told");
    assert_eq!(ids(&bay.claim(10).await), mails);
}

/// More than a page of lanes of a paused type keeps no other from being found.
#[tokio::test]
async fn many_paused_lanes_hide_no_work() {
    let bay = Bay::new().await;
    for number in 0..120 {
        let name = format!("mail{number}");
        bay.jobs_of(1, &[], &name, Priority::NORMAL).await;
        bay.bench
            .store
            .pause_type(&TaskType::new(&name).unwrap(), true)
            .await
            .unwrap();
    }
    let work = bay.jobs(1, &[]).await;
    assert_eq!(ids(&bay.claim(10).await), work);
}
