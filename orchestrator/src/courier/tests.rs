use std::collections::VecDeque;
use std::sync::Mutex;

use paceline_types::JobId;
use paceline_types::workflow::Origin;

use super::*;
use crate::ports::{ChildPhase, TaskOutcome};
use crate::term::Tenure;

/// An outbox, and what becomes of those whom its posts are about.
#[derive(Default)]
struct Box {
    posts: Mutex<VecDeque<(u64, Post)>>,
    refused: Mutex<BTreeSet<WorkflowId>>,
    silent: Mutex<BTreeSet<ShardIndex>>,
    delivered: Mutex<Vec<String>>,
    tries: Mutex<usize>,
}

impl Outbox for Box {
    async fn children(
        &self,
        _term: &Term,
        children: &[WorkflowId],
    ) -> Result<Vec<ChildPhase>, LedgerError> {
        Ok(children.iter().map(|_| ChildPhase::Unfinished).collect())
    }

    async fn posts(
        &self,
        _term: &Term,
        after: Option<&EntryId>,
        max: usize,
    ) -> Result<Vec<(EntryId, Post)>, LedgerError> {
        let after: u64 = after.map_or(0, |entry| entry.0.parse().expect("a number"));
        let posts = self.posts.lock().expect("lock");
        let later = posts.iter().filter(|(number, _)| *number > after).take(max);
        Ok(later
            .map(|(number, post)| (EntryId(number.to_string()), post.clone()))
            .collect())
    }

    async fn deliver(&self, _: &Term, entry: &EntryId, post: &Post) -> Result<(), LedgerError> {
        *self.tries.lock().expect("lock") += 1;
        let silent = self
            .silent
            .lock()
            .expect("lock")
            .contains(&post.target().shard());
        if silent {
            std::future::pending::<()>().await;
        }
        if self.refused.lock().expect("lock").contains(&post.about()) {
            return Err(LedgerError::Unavailable("refused".into()));
        }
        let mut posts = self.posts.lock().expect("lock");
        posts.retain(|(number, _)| number.to_string() != entry.0);
        self.delivered.lock().expect("lock").push(said(post));
        Ok(())
    }
}

fn said(post: &Post) -> String {
    match post {
        Post::Cancel { child, reason } => format!("{}:{reason}", child.random() >> 20),
        Post::Ended { child, .. } => format!("{}:ended", child.random() >> 20),
        other => format!("{other:?}"),
    }
}

fn child(number: u64, shard: u16) -> WorkflowId {
    WorkflowId::from_parts(1, ShardIndex(shard), number << 20)
}

impl Box {
    /// Says these words about children, in order.
    fn say(&self, posts: &[(WorkflowId, &str)]) {
        let mut kept = self.posts.lock().expect("lock");
        for &(child, reason) in posts {
            let number = kept.back().map_or(1, |(number, _)| number + 1);
            let reason = reason.to_owned();
            kept.push_back((number, Post::Cancel { child, reason }));
        }
    }

    fn delivered(&self) -> Vec<String> {
        std::mem::take(&mut self.delivered.lock().expect("lock"))
    }

    fn left(&self) -> usize {
        self.posts.lock().expect("lock").len()
    }
}

fn courier(outbox: &Arc<Box>, batch: usize) -> (Courier<Box>, Tenure, Term) {
    let (tenure, term) = Tenure::begin(1, Instant::now() + Duration::from_secs(3_600));
    let options = Options {
        batch,
        ..Options::default()
    };
    (Courier::new(outbox.clone(), options), tenure, term)
}

/// Ticks to the end of a pass.
async fn pass(courier: &mut Courier<Box>, term: &Term) -> Report {
    let mut sum = Report::default();
    loop {
        let report = courier.tick(term).await.expect("tick");
        sum.delivered += report.delivered;
        sum.failed += report.failed;
        sum.again_in = report.again_in;
        if report.again_in != Some(Duration::ZERO) {
            return sum;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn everything_is_delivered_in_order_and_once() {
    for batch in [1, 2, 3, 100] {
        let outbox = Arc::new(Box::default());
        let (mut courier, _tenure, term) = courier(&outbox, batch);
        assert_eq!(pass(&mut courier, &term).await, Report::default());
        let (a, b) = (child(1, 0), child(2, 1));
        outbox.say(&[(a, "one"), (a, "two"), (b, "one"), (a, "three"), (b, "two")]);
        let report = pass(&mut courier, &term).await;
        assert_eq!(
            (report.delivered, report.failed, report.again_in),
            (5, 0, None)
        );
        let all = outbox.delivered();
        let about = |word: &str| -> Vec<String> {
            let own = all.iter().filter(|said| said.starts_with(word));
            own.cloned().collect()
        };
        assert_eq!(about("1:"), ["1:one", "1:two", "1:three"]);
        assert_eq!(about("2:"), ["2:one", "2:two"]);
        assert_eq!(outbox.left(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_delivered_holds_up_its_own_workflow_alone() {
    for batch in [1, 2, 100] {
        let outbox = Arc::new(Box::default());
        let (mut courier, _tenure, term) = courier(&outbox, batch);
        let (a, b) = (child(1, 0), child(2, 0));
        outbox.refused.lock().expect("lock").insert(a);
        let many: Vec<_> = (0..250).map(|_| (a, "stuck")).collect();
        outbox.say(&many);
        outbox.say(&[(b, "one"), (a, "two"), (b, "two")]);
        let report = pass(&mut courier, &term).await;
        assert_eq!((report.delivered, report.failed), (2, 1));
        assert_eq!(report.again_in, Some(DEFAULT_RETRY_AFTER));
        assert_eq!(outbox.delivered(), ["2:one", "2:two"]);

        // In vain, so that the next one waits longer, up to a bound.
        let mut waits = Vec::new();
        for _ in 0..10 {
            waits.extend(pass(&mut courier, &term).await.again_in);
        }
        assert_eq!(waits[0], DEFAULT_RETRY_AFTER * 2);
        assert!(waits.is_sorted() && waits[9] == DEFAULT_RETRY_AFTER * 64);

        outbox.refused.lock().expect("lock").clear();
        assert_eq!(pass(&mut courier, &term).await.delivered, 251);
        assert_eq!(outbox.delivered().last().map(String::as_str), Some("1:two"));
        assert_eq!(outbox.left(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_shard_that_does_not_answer_costs_little_time() {
    let outbox = Arc::new(Box::default());
    let (mut courier, _tenure, term) = courier(&outbox, 100);
    outbox.silent.lock().expect("lock").insert(ShardIndex(7));
    let many: Vec<_> = (0..1_000).map(|n| (child(n, 7), "lost")).collect();
    outbox.say(&many);
    outbox.say(&[(child(5_000, 1), "fine")]);
    let begun = Instant::now();
    let first = courier.tick(&term).await.expect("tick");
    assert!(first.failed <= DEFAULT_AT_ONCE);
    assert!(
        begun.elapsed() < DEFAULT_PATIENCE * 2,
        "one tick is bounded"
    );
    pass(&mut courier, &term).await;
    assert!(
        begun.elapsed() < DEFAULT_PATIENCE * 2,
        "one patience for the shard"
    );
    assert_eq!(outbox.delivered(), ["5000:fine"]);
    assert!(*outbox.tries.lock().expect("lock") <= DEFAULT_AT_ONCE + 1);
    outbox.silent.lock().expect("lock").clear();
    assert_eq!(pass(&mut courier, &term).await.delivered, 1_000);
}

#[tokio::test(start_paused = true)]
async fn children_of_one_parent_do_not_wait_for_one_another() {
    let outbox = Arc::new(Box::default());
    let (courier, _tenure, _term) = courier(&outbox, 100);
    let parent = child(1, 0);
    let ended = |task: u32| Post::Ended {
        child: WorkflowId::of_child(parent, task, 0, 3),
        origin: Origin {
            parent,
            task,
            iteration: 0,
            depth: 1,
        },
        outcome: TaskOutcome::Completed,
    };
    let entry = |task: u32| {
        (
            EntryId(JobId::of_task(parent, task, 0).to_string()),
            ended(task),
        )
    };
    let posts: Vec<_> = (0..50).map(entry).collect();
    assert_eq!(courier.together(&posts), DEFAULT_AT_ONCE);
}
