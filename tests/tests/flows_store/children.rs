//! What workflows tell one another across shards.

use bytes::Bytes;
use paceline_store::calls::commit::{ChildOf, Post};
use paceline_store::calls::inbox::{InboxItem, TaskEnd};
use paceline_store::calls::outbox::ChildPhase;
use paceline_types::workflow::{Ending, Origin, Stage};
use paceline_types::{JobId, MAX_PAYLOAD_CEILING, ShardIndex, WorkflowId, WorkflowStatus};
use serde_json::value::to_raw_value;

use crate::{Hand, Left, at, completed, dispatched, failed, name, plain};

/// A parent in the first shard and its child in the second one.
struct Family {
    hand: Hand,
    parent: WorkflowId,
    child: WorkflowId,
    origin: Origin,
}

/// The index of the parent's task.
const TASK: u32 = 1;

impl Family {
    async fn new() -> Family {
        let hand = Hand::of(2).await;
        let parent = hand.begin(&plain(&["a", "b"])).await;
        // One whose child is elsewhere.
        let of = |iteration| WorkflowId::of_child(parent, TASK, iteration, 2);
        let iteration = (0..100).find(|&n| of(n).shard() == ShardIndex(1)).unwrap();
        hand.commit(parent, |next| {
            next.tasks = vec![(TASK, dispatched(iteration))]
        })
        .await;
        let origin = Origin {
            parent,
            task: TASK,
            iteration,
            depth: 1,
        };
        let child = of(iteration);
        Family {
            hand,
            parent,
            child,
            origin,
        }
    }

    fn spawn(&self) -> Post {
        Post::Spawn {
            child: self.child,
            definition: to_raw_value(&plain(&["only", "other"])).unwrap(),
            input: Some(to_raw_value(&[1, 2]).unwrap()),
            of: ChildOf {
                origin: self.origin,
                name: name("b"),
            },
        }
    }

    fn ended(&self, child: WorkflowId, end: TaskEnd) -> Post {
        Post::Ended {
            child,
            origin: self.origin,
            end,
        }
    }

    async fn deliver(&self, post: &Post) {
        self.hand.store.deliver(post).await.unwrap();
    }

    /// What the shard of the parent was told of the task.
    async fn told(&self) -> Vec<TaskEnd> {
        let items = self.hand.inbox(0).await.into_iter();
        items
            .filter_map(|item| match item {
                InboxItem::TaskEnded {
                    workflow,
                    task,
                    iteration,
                    job,
                    end,
                    ..
                } => {
                    assert_eq!((workflow, task), (self.parent, name("b")));
                    assert_eq!(iteration, self.origin.iteration);
                    assert_eq!(job, JobId::of_task(workflow, TASK, iteration));
                    Some(end)
                }
                _ => None,
            })
            .collect()
    }

    async fn result(&self) -> Option<String> {
        self.hand
            .left(self.parent, TASK, self.origin.iteration)
            .await
    }
}

/// Row 74: made in its own shard, once, however often it is delivered.
#[tokio::test]
async fn a_child_is_made_in_its_own_shard() {
    let family = Family::new().await;
    let hand = &family.hand;
    for _ in 0..3 {
        family.deliver(&family.spawn()).await;
    }
    assert_eq!(hand.inbox(1).await, [InboxItem::Start(family.child)]);
    let stored = hand.stored(family.child).await;
    assert_eq!(stored.child_of.clone().unwrap().origin, family.origin);
    assert_eq!(stored.input.as_deref(), Some(&b"[1,2]"[..]));
    let view = hand.store.workflow(family.child).await.unwrap().unwrap();
    assert_eq!(view.parent_workflow_id, Some(family.parent));
    assert_eq!(view.parent_task_name, Some(name("b")));
    assert_eq!(family.told().await, []);
}

/// Row 74, trap W22: its output is the result of the parent's task.
#[tokio::test]
async fn the_output_of_a_child_is_the_result_of_the_task() {
    let family = Family::new().await;
    let (hand, child) = (&family.hand, family.child);
    family.deliver(&family.spawn()).await;
    hand.commit(child, |next| {
        next.tasks = vec![(0, completed(0)), (1, completed(0))];
        next.conclusions = ["7", "[8]"]
            .iter()
            .zip(0..)
            .map(|(value, task)| (JobId::of_task(child, task, 0), Left::Value((*value).into())))
            .collect();
    })
    .await;
    hand.close(child, Stage::Completed).await;
    for _ in 0..2 {
        family
            .deliver(&family.ended(child, TaskEnd::Completed))
            .await;
        assert_eq!(family.told().await, [TaskEnd::Completed], "once");
    }
    assert_eq!(
        family.result().await.as_deref(),
        Some(r#"{"only":7,"other":[8]}"#)
    );
    // The parent asks again, as it has not heard of it.
    let ask = Post::Ask { child };
    for (times, asks) in (2..).zip([family.spawn(), ask]) {
        family.deliver(&asks).await;
        assert_eq!(family.told().await, vec![TaskEnd::Completed; times]);
    }
}

/// Row 74, trap W22.
#[tokio::test]
async fn a_child_that_does_not_complete_tells_why() {
    let error = "child workflow failed: boom".to_owned();
    let dead = TaskEnd::Dead { error };
    let cancelled = Stage::Ended(Ending::Cancelled {
        reason: String::new(),
    });
    for (end, stage, result) in [
        (dead, failed(), r#"{"error":"child workflow failed: boom"}"#),
        (
            TaskEnd::Cancelled,
            cancelled,
            r#"{"error":"the child workflow was cancelled"}"#,
        ),
    ] {
        let family = Family::new().await;
        family.deliver(&family.spawn()).await;
        family.hand.close(family.child, stage).await;
        family
            .deliver(&family.ended(family.child, end.clone()))
            .await;
        assert_eq!(family.told().await, [end]);
        assert_eq!(family.result().await.as_deref(), Some(result));
    }
}

/// What no job could return is not put into the shard of the parent either.
#[tokio::test]
async fn an_output_that_is_too_large_fails_the_task() {
    let family = Family::new().await;
    let (hand, child) = (&family.hand, family.child);
    family.deliver(&family.spawn()).await;
    let half = format!("\"{}\"", "x".repeat(MAX_PAYLOAD_CEILING / 2));
    for task in 0..2 {
        hand.commit(child, |next| {
            next.tasks = vec![(task, completed(0))];
            next.conclusions = vec![(JobId::of_task(child, task, 0), Left::Value(half.clone()))];
        })
        .await;
    }
    hand.close(child, Stage::Completed).await;
    family
        .deliver(&family.ended(child, TaskEnd::Completed))
        .await;
    let [TaskEnd::Dead { error }] = &family.told().await[..] else {
        panic!("it is not dead");
    };
    assert!(error.contains("more than 8388608"), "{error}");
}

/// Row 74: a parent that is gone needs nothing, and nothing is left for it.
#[tokio::test]
async fn an_end_without_a_parent_leaves_nothing() {
    let mut family = Family::new().await;
    family.deliver(&family.spawn()).await;
    family.hand.close(family.child, Stage::Completed).await;
    family.origin.parent = family.hand.id(0);
    let nobody = family.origin.parent;
    family
        .deliver(&family.ended(family.child, TaskEnd::Completed))
        .await;
    let left = family
        .hand
        .left(nobody, TASK, family.origin.iteration)
        .await;
    assert_eq!((left, family.told().await.len()), (None, 0));
    // Nor does one whose child is gone.
    let missing = family.hand.id(1);
    family
        .deliver(&family.ended(missing, TaskEnd::Completed))
        .await;
}

/// Rows 74, 86 and 87: a child that went on is cancelled and told as what it is by now.
#[tokio::test]
async fn a_child_that_goes_on_as_another_stays_the_child() {
    let family = Family::new().await;
    let (hand, child) = (&family.hand, family.child);
    family.deliver(&family.spawn()).await;
    let (mut from, mut line) = (child, vec![child]);
    for page in 0..3 {
        let (to, job) = (from.of_successor(), JobId::of_task(from, 0, 0));
        hand.commit(from, |next| {
            next.conclusions = vec![(job, Left::Value(page.to_string()))];
            next.header = Some(at(Stage::Continued { to }));
            next.successor = Some((to, job));
            (next.close, next.retire) = (true, true);
        })
        .await;
        let stored = hand.stored(to).await;
        assert_eq!(stored.input, Some(Bytes::from(page.to_string())));
        assert_eq!(stored.child_of, hand.stored(child).await.child_of);
        assert_eq!(stored.definition, hand.stored(child).await.definition);
        assert_eq!(stored.continued_from, Some(from));
        from = to;
        line.push(to);
    }
    let missing = hand.id(1);
    let phases = async || {
        let asked = [missing, child, family.parent];
        hand.store.child_phases(&asked).await.unwrap()
    };
    let (unfinished, ended) = (ChildPhase::Unfinished, ChildPhase::Ended);
    assert_eq!(
        phases().await,
        [ChildPhase::Missing, unfinished, unfinished]
    );
    // Asked while its last one runs, it tells nothing.
    let ask = Post::Ask { child };
    for asks in [family.spawn(), ask.clone()] {
        family.deliver(&asks).await;
        assert_eq!(family.told().await, []);
    }
    let reason = "its parent ends".to_owned();
    let cancel = Post::Cancel {
        child,
        reason: reason.clone(),
    };
    family.deliver(&cancel).await;
    let workflow = from;
    let last = hand.inbox(1).await.pop().unwrap();
    assert_eq!(last, InboxItem::Cancel { workflow, reason });
    hand.close(from, Stage::Completed).await;
    assert_eq!(phases().await, [ChildPhase::Missing, ended, unfinished]);
    family.deliver(&cancel).await;
    for (times, asks) in (1..).zip([family.spawn(), ask]) {
        family.deliver(&asks).await;
        assert_eq!(family.told().await, vec![TaskEnd::Completed; times]);
    }
    for id in &line[..3] {
        let view = hand.store.workflow(*id).await.unwrap().unwrap();
        assert_eq!(view.status, WorkflowStatus::Continued);
    }
}

/// Row 74: posts stay until they were delivered, and are read from a place on.
#[tokio::test]
async fn posts_stay_until_they_are_dropped() {
    let family = Family::new().await;
    let (hand, shard) = (&family.hand, ShardIndex(0));
    let child = family.child;
    let survey = async || hand.store.survey(shard, hand.term).await.unwrap().outbox;
    assert!(!survey().await);
    let reason = |n: u32| n.to_string();
    let posts = (0..3).map(|n| Post::Cancel {
        child,
        reason: reason(n),
    });
    let posts: Vec<Post> = posts.collect();
    hand.commit(family.parent, |next| next.posts = posts).await;
    assert!(survey().await);
    let read = async |after: Option<&str>, max| {
        let posts = hand.store.posts(shard, after, max).await.unwrap();
        let told = posts.iter().map(|(_, post)| match post {
            Post::Cancel { reason, .. } => reason.clone(),
            other => panic!("{other:?}"),
        });
        (told.collect::<Vec<_>>(), posts)
    };
    let (all, posts) = read(None, 10).await;
    assert_eq!(all, ["0", "1", "2"]);
    assert_eq!(read(Some(&posts[0].0), 1).await.0, ["1"]);
    for _ in 0..2 {
        hand.store
            .drop_post(shard, hand.term, &posts[1].0)
            .await
            .unwrap();
        assert_eq!(read(None, 10).await.0, ["0", "2"]);
    }
    for (entry, _) in &posts {
        hand.store.drop_post(shard, hand.term, entry).await.unwrap();
    }
    assert!(!survey().await);
    assert!(
        hand.store.drop_post(shard, 0, &posts[0].0).await.is_err(),
        "it leads no more"
    );
}
