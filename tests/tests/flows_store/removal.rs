//! After its retention nothing of a workflow is left.

use std::time::Duration;

use paceline_store::calls::commit::{Alarm, ChildOf, Post};
use paceline_store::calls::inbox::InboxItem;
use paceline_store::calls::outbox::ChildPhase;
use paceline_store::calls::turn::Settle;
use paceline_tests::shared_redis;
use paceline_types::workflow::{Hook, Origin, Section, SectionBody, Stage, TaskRecord};
use paceline_types::{
    Bytes, IdempotencyKey, JobId, Settlement, ShardIndex, SignalName, Tag, WorkflowId,
};
use redis::AsyncTypedCommands;
use redis::aio::MultiplexedConnection;
use serde_json::value::to_raw_value;

use crate::{Hand, LONG, Left, at, completed, dispatched, failed, name, plain};

/// Keys of a shard that stay, whatever ran.
const FIXED: [&str; 11] = [
    "events",
    "events:count",
    "inbox",
    "outbox",
    "leader",
    "leases",
    "nodes",
    "lanes",
    "meta",
    "recovering",
    "stats:days",
];

impl Hand {
    fn key(&self, name: &str) -> String {
        format!("{{{}:0}}:{name}", self.store.namespace())
    }

    /// Makes it as old as its retention.
    async fn age(&self, raw: &mut MultiplexedConnection, id: WorkflowId) {
        let bare = id.bare(&mut [0; 26]).to_owned();
        raw.hset(self.key(&format!("wf:{bare}")), "x", 1)
            .await
            .unwrap();
        let ended = raw.zrange(self.key("ended"), 0, -1).await.unwrap();
        let packet = ended.iter().find(|packet| packet.ends_with(&bare)).unwrap();
        raw.zadd(self.key("ended"), packet, 1).await.unwrap();
    }

    /// Removes what is past its time, in small steps. Returns how many steps.
    async fn sweep(&self) -> usize {
        for step in 1..100_000 {
            let purged = self.store.purge(ShardIndex(0), self.term, 10).await;
            let (removed, more) = purged.unwrap();
            assert!(removed <= 21, "{removed} in one step");
            if !more {
                return step;
            }
        }
        panic!("it does not end");
    }

    /// Lets an instance go on as the next one of its line, and removes it. Returns the next.
    async fn turn_page(
        &self,
        raw: &mut MultiplexedConnection,
        from: WorkflowId,
        page: u32,
    ) -> WorkflowId {
        let (to, job) = (from.of_successor(), JobId::of_task(from, 0, 0));
        self.commit(from, |next| {
            next.conclusions = vec![(job, Left::Value(page.to_string()))];
            next.tasks = vec![(0, completed(0))];
            next.header = Some(at(Stage::Continued { to }));
            next.successor = Some((to, job));
            (next.close, next.retire) = (true, true);
        })
        .await;
        self.age(raw, from).await;
        self.sweep().await;
        assert!(self.store.workflow(from).await.unwrap().is_none());
        to
    }

    /// Keys that are not fixed.
    async fn left_over(&self, raw: &mut MultiplexedConnection) -> Vec<String> {
        let keys = raw.keys(self.key("*").replace('{', "\\{")).await.unwrap();
        let name = |key: &String| key.split_once("}:").unwrap().1.to_owned();
        let mut left: Vec<String> = keys
            .iter()
            .map(name)
            .filter(|name| !FIXED.contains(&name.as_str()))
            .filter(|name| !name.starts_with("bell") && !name.starts_with("turn:"))
            .collect();
        left.sort();
        left
    }
}

/// Rows 38 and 75, traps W19 and W26: what a task left stays as long as its workflow, however short the
/// retention of jobs is.
#[tokio::test]
async fn what_a_task_left_stays_as_long_as_its_workflow() {
    let hand = Hand::new().await;
    let mut raw = shared_redis().await.connect().await;
    let id = hand.begin(&plain(&["a", "b", "c"])).await;
    let node = hand.node().await;
    hand.commit(id, |next| {
        for (index, task) in (0..).zip(["a", "b", "c"]) {
            next.job(index, task, |_| ());
        }
    })
    .await;
    let stopped = JobId::of_task(id, 2, 0);
    hand.store.cancel(&[stopped], "enough").await.unwrap();
    let result = Bytes::from_static(b"1");
    let error = "boom".to_owned();
    let ends = [Settlement::Completed { result }, Settlement::Dead { error }];
    let moment = Duration::from_millis(1);
    for (run, end) in hand.turn(node, &[], 10).await.iter().zip(ends) {
        let settle = Settle::of(run, end, moment);
        hand.turn(node, &[settle], 0).await;
    }
    assert_eq!(raw.zcard(hand.key("ended")).await.unwrap(), 0);
    assert_eq!(hand.sweep().await, 1);
    for (index, left) in [
        (0, "1"),
        (1, r#"{"error":"boom"}"#),
        (2, r#"{"error":"enough"}"#),
    ] {
        assert_eq!(hand.left(id, index, 0).await.as_deref(), Some(left));
        let job = hand.store.job(JobId::of_task(id, index, 0)).await.unwrap();
        assert!(job.is_some(), "its record stays with it");
    }
}

/// Trap W35: jobs, earlier starts, sections, signals and their keys, conclusions, alarms.
#[tokio::test]
async fn nothing_of_a_workflow_is_left() {
    let hand = Hand::new().await;
    let mut raw = shared_redis().await.connect().await;
    let id = hand.begin(&plain(&["a", "b", "c"])).await;
    let node = hand.node().await;
    for iteration in 0..30_u32 {
        hand.commit(id, |next| {
            let made = next.job(0, "a", |spec| {
                spec.tags = vec![Tag::new("t").unwrap()];
                spec.audited = iteration % 2 == 0;
            });
            made.iteration = iteration;
            next.tasks = vec![(0, dispatched(iteration))];
        })
        .await;
        let run = hand.turn(node, &[], 1).await.pop().unwrap();
        hand.complete(node, &run, "1").await;
        hand.commit(id, |next| {
            next.history = vec![(0, completed(iteration)), (1, completed(iteration))];
            let concluded = JobId::of_task(id, 1, iteration);
            next.conclusions = vec![(concluded, Left::Value("[]".to_owned()))];
            let again = TaskRecord::Again {
                iteration: iteration + 1,
                evaluations: 0,
            };
            next.tasks = vec![(0, again)];
        })
        .await;
    }
    hand.store
        .copy_audit(ShardIndex(0), hand.term)
        .await
        .unwrap();
    let signal = SignalName::new("s").unwrap();
    for number in 0..40 {
        let key = IdempotencyKey::new(&format!("k{number}")).unwrap();
        let sent = hand.store.signal_workflow(id, &signal, b"1", Some(&key));
        sent.await.unwrap();
    }
    let exit = Hook::Exit.index();
    hand.commit(id, |next| {
        next.sections = (0..20)
            .map(|generator| Section {
                generator,
                iteration: 0,
                base: 3 + generator,
                body: SectionBody::Map { count: 1 },
            })
            .collect();
        next.tasks = (2..300).map(|task| (task, completed(0))).collect();
        next.tasks.push((exit, completed(0)));
        next.conclusions = (2..300)
            .map(|task| (JobId::of_task(id, task, 0), Left::Value("2".to_owned())))
            .collect();
        let wait = |task| (Alarm::Signal { task, iteration: 0 }, Some(LONG));
        next.alarms = (2..300).map(wait).collect();
        next.alarms.push((Alarm::Deadline, Some(LONG)));
    })
    .await;
    hand.store.suspend_workflow(id).await.unwrap();
    hand.close(id, failed()).await;
    hand.store.retry_workflow(id).await.unwrap();
    hand.close(id, failed()).await;
    assert_eq!(hand.sweep().await, 1, "it is kept as long as it should");
    assert!(!hand.left_over(&mut raw).await.is_empty());

    hand.age(&mut raw, id).await;
    assert!(hand.sweep().await > 10);
    assert_eq!(hand.left_over(&mut raw).await, [] as [&str; 0]);
    assert_eq!(hand.store.workflow(id).await.unwrap(), None);
}

/// Rows 38 and 88: what went with its section is not loaded any more, and stays as long as the workflow,
/// with its jobs.
#[tokio::test]
async fn a_dropped_section_goes_with_its_workflow() {
    let hand = Hand::new().await;
    let mut raw = shared_redis().await.connect().await;
    let id = hand.begin(&plain(&["a"])).await;
    let node = hand.node().await;
    hand.commit(id, |next| next.tasks = vec![(0, completed(0))])
        .await;
    for iteration in 0..2_u32 {
        hand.commit(id, |next| {
            let made = next.job(5, "m#1", |spec| {
                spec.tags = vec![Tag::new("t").unwrap()];
                spec.audited = true;
            });
            made.iteration = iteration;
            next.tasks = vec![(5, dispatched(iteration))];
            next.history = (0..iteration).map(|over| (5, completed(over))).collect();
        })
        .await;
        let run = hand.turn(node, &[], 1).await.pop().unwrap();
        hand.complete(node, &run, "1").await;
    }
    hand.store
        .copy_audit(ShardIndex(0), hand.term)
        .await
        .unwrap();
    hand.commit(id, |next| {
        let (generator, iteration, base) = (6, 0, 7);
        next.tasks = vec![(5, completed(1)), (6, completed(0))];
        next.sections = vec![Section {
            generator,
            iteration,
            base,
            body: SectionBody::Map { count: 1 },
        }];
        let concluded = JobId::of_task(id, 6, 0);
        next.conclusions = vec![(concluded, Left::Value("[]".to_owned()))];
        next.dropped = vec![5, 6];
    })
    .await;
    let mut fields = async |kind: &str| -> Vec<String> {
        let name = hand.key(&format!("{kind}:{}", id.bare(&mut [0; 26]) as &str));
        let mut fields = raw.hkeys(name).await.unwrap();
        fields.retain(|field| field.starts_with(['t', 'x', '5', '6']));
        fields.sort();
        fields
    };
    assert_eq!(fields("wf").await, ["t0"]);
    assert_eq!(fields("wh").await, ["5.0", "5.1", "6.0"]);
    for (task, iteration, result) in [(5, 0, "1"), (5, 1, "1"), (6, 0, "[]")] {
        let left = hand.left(id, task, iteration).await;
        assert_eq!(left.as_deref(), Some(result), "{task} {iteration}");
    }
    hand.close(id, Stage::Completed).await;
    hand.age(&mut raw, id).await;
    hand.sweep().await;
    assert_eq!(hand.left_over(&mut raw).await, [] as [&str; 0]);
}

/// Row 81: a hook may take longer than the retention of its workflow.
#[tokio::test]
async fn a_workflow_whose_hooks_run_is_not_removed() {
    let hand = Hand::new().await;
    let mut raw = shared_redis().await.connect().await;
    let id = hand.begin(&plain(&["a"])).await;
    hand.commit(id, |next| {
        next.header = Some(at(Stage::Completed));
        next.close = true;
        next.job(Hook::Exit.index(), "__hook.on_exit", |_| ());
    })
    .await;
    hand.age(&mut raw, id).await;
    assert_eq!(hand.sweep().await, 1, "it is looked at later");
    let node = hand.node().await;
    let run = hand.turn(node, &[], 1).await.pop().unwrap();
    hand.complete(node, &run, "1").await;
    hand.commit(id, |next| {
        next.retire = true;
        next.tasks = vec![(Hook::Exit.index(), completed(0))];
    })
    .await;
    hand.age(&mut raw, id).await;
    hand.sweep().await;
    assert_eq!(hand.store.workflow(id).await.unwrap(), None);
    assert_eq!(hand.left_over(&mut raw).await, [] as [&str; 0]);
}

/// Rows 74, 86 and 87: a child whose first instance is past its retention is not begun again while it
/// goes on as another, which is found, cancelled and told all the same.
#[tokio::test]
async fn a_line_outlives_its_first_instance() {
    let hand = Hand::new().await;
    let mut raw = shared_redis().await.connect().await;
    let parent = hand.begin(&plain(&["a", "b"])).await;
    hand.commit(parent, |next| next.tasks = vec![(1, dispatched(0))])
        .await;
    let child = WorkflowId::of_child(parent, 1, 0, 1);
    let spawn = Post::Spawn {
        child,
        definition: to_raw_value(&plain(&["only"])).unwrap(),
        input: None,
        of: ChildOf {
            origin: Origin {
                parent,
                task: 1,
                iteration: 0,
                depth: 1,
            },
            name: name("b"),
        },
    };
    hand.store.deliver(&spawn).await.unwrap();
    let mut from = child;
    for page in 0..3 {
        from = hand.turn_page(&mut raw, from, page).await;
    }
    let phases = async || hand.store.child_phases(&[child]).await.unwrap();
    assert_eq!(phases().await, [ChildPhase::Unfinished]);
    hand.store.deliver(&spawn).await.unwrap();
    assert!(hand.store.workflow(child).await.unwrap().is_none());
    let reason = "its parent ends".to_owned();
    let cancel = Post::Cancel {
        child,
        reason: reason.clone(),
    };
    hand.store.deliver(&cancel).await.unwrap();
    let workflow = from;
    let last = hand.inbox(0).await.pop().unwrap();
    assert_eq!(last, InboxItem::Cancel { workflow, reason });

    hand.close(from, Stage::Completed).await;
    assert_eq!(phases().await, [ChildPhase::Ended]);
    hand.age(&mut raw, from).await;
    hand.sweep().await;
    assert_eq!(phases().await, [ChildPhase::Missing]);
    let left = hand.left_over(&mut raw).await;
    assert!(!left.contains(&"lines".to_owned()), "{left:?}");
}

/// Row 87: a line of instances takes the room of its newest one, however often it went on.
#[tokio::test]
async fn a_line_takes_the_room_of_its_newest_instance() {
    let hand = Hand::new().await;
    let mut raw = shared_redis().await.connect().await;
    let first = hand.begin(&plain(&["only"])).await;
    let mut newest = hand.turn_page(&mut raw, first, 0).await;
    let mut kept = Vec::new();
    for page in [1, 100] {
        for _ in 0..page {
            newest = hand.turn_page(&mut raw, newest, page).await;
        }
        let bare = newest.bare(&mut [0; 26]).to_owned();
        let keys = hand.left_over(&mut raw).await;
        let keys: Vec<String> = keys
            .iter()
            .map(|key| key.replace(&bare, "newest"))
            .collect();
        let lines = raw.hlen(hand.key("lines")).await.unwrap();
        let active = raw.zcard(hand.key("workflows:active")).await.unwrap();
        kept.push((keys, lines, active));
    }
    assert_eq!(kept[0], kept[1]);
    assert_eq!((kept[1].1, kept[1].2), (1, 1));
    hand.close(newest, Stage::Completed).await;
    hand.age(&mut raw, newest).await;
    hand.sweep().await;
    assert_eq!(hand.left_over(&mut raw).await, [] as [&str; 0]);
}
