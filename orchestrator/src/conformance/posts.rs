//! The cases about what instances tell one another.

use paceline_types::workflow::{Ending, Origin, Stage, TaskRecord};
use paceline_types::{JobId, TaskName, WorkflowId, WorkflowStatus};

use super::hands::{FROM_START, begun, empty, is_committed, read, revision, write};
use super::lives::{close, json, stored, told, value};
use super::{Bed, term};
use crate::graph::graph;
use crate::ports::{Commit, EntryId, InboxItem, Ledger, Outbox, Post, Spawn, TaskOutcome};
use crate::term::Term;

/// The child that the first start of a task of a workflow is, in the workflow's own shard.
fn spawn(parent: WorkflowId, task: u32, name: &str) -> Spawn {
    let definition = serde_json::to_vec(&graph("only")).expect("JSON");
    Spawn {
        child: WorkflowId::of_child(parent, task, 0, 1),
        definition: definition.into(),
        input: Some(json(r#"{"n":1}"#)),
        origin: Origin {
            parent,
            task,
            iteration: 0,
            depth: 1,
        },
        task: TaskName::new(name).expect("name"),
    }
}

async fn post<B: Bed>(bed: &B, term: &Term, workflow: WorkflowId, posts: Vec<Post>) {
    let commit = Commit {
        posts,
        ..empty(workflow, revision(bed, term, workflow).await)
    };
    assert!(is_committed(write(bed, term, commit).await));
}

async fn outbox<B: Bed>(bed: &B, term: &Term, after: Option<&EntryId>) -> Vec<(EntryId, Post)> {
    bed.ledger().posts(term, after, 100).await.expect("posts")
}

/// Delivers what is there, in order, each `times` times.
async fn deliver<B: Bed>(bed: &B, term: &Term, times: usize) {
    for (entry, post) in outbox(bed, term, None).await {
        for _ in 0..times {
            let done = bed.ledger().deliver(term, &entry, &post).await;
            done.expect("delivered");
        }
    }
    assert_eq!(outbox(bed, term, None).await, []);
}

async fn spawned<B: Bed>(bed: &B, term: &Term) -> (WorkflowId, Spawn) {
    let (parent, ..) = begun(bed, term, "p q<p").await;
    let spawn = spawn(parent, 1, "q");
    let dispatched = TaskRecord::Dispatched {
        iteration: 0,
        evaluations: 0,
    };
    let commit = Commit {
        tasks: vec![(1, dispatched)],
        posts: vec![Post::Spawn(Box::new(spawn.clone()))],
        ..empty(parent, revision(bed, term, parent).await)
    };
    assert!(is_committed(write(bed, term, commit).await));
    deliver(bed, term, 1).await;
    (parent, spawn)
}

pub(super) async fn posts_wait_in_order_until_they_are_delivered<B: Bed>(bed: &B) {
    let (_tenure, term) = term(1);
    let (parent, ..) = begun(bed, &term, "a b c").await;
    assert_eq!(outbox(bed, &term, None).await, []);
    let posts: Vec<Post> = [(0, "a"), (1, "b"), (2, "c")]
        .map(|(task, name)| Post::Spawn(Box::new(spawn(parent, task, name))))
        .into();
    post(bed, &term, parent, posts[..2].to_vec()).await;
    post(bed, &term, parent, posts[2..].to_vec()).await;
    let all = outbox(bed, &term, None).await;
    let kept: Vec<Post> = all.iter().map(|(_, post)| post.clone()).collect();
    assert_eq!(kept, posts);
    assert_eq!(outbox(bed, &term, Some(&all[0].0)).await, all[1..]);
    let one = bed.ledger().posts(&term, None, 1).await.expect("posts");
    assert_eq!(one, all[..1]);

    let (entry, second) = &all[1];
    let done = bed.ledger().deliver(&term, entry, second).await;
    done.expect("delivered");
    let left = outbox(bed, &term, None).await;
    assert_eq!(left, [all[0].clone(), all[2].clone()]);
    // A commit that is refused tells nobody anything.
    let stale = Commit {
        posts: posts[..1].to_vec(),
        ..empty(parent, 0)
    };
    assert!(!is_committed(write(bed, &term, stale).await));
    assert_eq!(outbox(bed, &term, None).await, left);
}

pub(super) async fn a_child_is_made_once<B: Bed>(bed: &B) {
    let (_tenure, term) = term(1);
    let (parent, ..) = begun(bed, &term, "p q<p").await;
    let spawn = spawn(parent, 1, "q");
    let before = read(bed, &term, FROM_START).await.len();
    for times in [2, 1] {
        let again = Post::Spawn(Box::new(spawn.clone()));
        post(bed, &term, parent, vec![again]).await;
        deliver(bed, &term, times).await;
        let start = InboxItem::Start {
            workflow: spawn.child,
        };
        assert_eq!(told(bed, &term, before).await, [start]);
    }
    let child = stored(bed, &term, spawn.child).await;
    assert_eq!(child.origin, Some(spawn.origin));
    assert_eq!(value(&child.definition), value(&spawn.definition));
    assert_eq!(
        child.input.map(|input| value(&input)),
        spawn.input.map(|input| value(&input))
    );
    assert_eq!(bed.status(spawn.child).await, Some(WorkflowStatus::Pending));
}

pub(super) async fn a_parent_is_told_and_given_the_output<B: Bed>(bed: &B) {
    let (_tenure, term) = term(1);
    let (parent, spawn) = spawned(bed, &term).await;
    let child = spawn.child;
    // The child's only task, run by hand.
    let job = JobId::of_task(child, 0, 0);
    let plan = std::sync::Arc::new(graph("only").validate(1024).expect("plan"));
    let instance = crate::instance::Instance::new(child, plan);
    let made = instance.task_job(0, 0).expect("a job");
    let dispatched = TaskRecord::Dispatched {
        iteration: 0,
        evaluations: 0,
    };
    let commit = Commit {
        tasks: vec![(0, dispatched)],
        dispatches: vec![made],
        ..empty(child, revision(bed, &term, child).await)
    };
    assert!(is_committed(write(bed, &term, commit).await));
    bed.end_with(job, TaskOutcome::Completed, json(r#"{"sum":3}"#))
        .await;
    let completed = TaskRecord::Completed {
        iteration: 0,
        continues: false,
    };
    let commit = Commit {
        tasks: vec![(0, completed)],
        ..empty(child, revision(bed, &term, child).await)
    };
    assert!(is_committed(write(bed, &term, commit).await));
    let ended = Post::ended(child, spawn.origin, &Stage::Completed).expect("an end");
    close(bed, &term, child, Stage::Completed).await;
    let before = read(bed, &term, FROM_START).await.len();
    post(bed, &term, parent, vec![ended]).await;
    deliver(bed, &term, 2).await;

    let job = JobId::of_task(parent, 1, 0);
    let told = told(bed, &term, before).await;
    let InboxItem::TaskEnded {
        workflow,
        task,
        iteration: 0,
        job: of,
        outcome: TaskOutcome::Completed,
        ..
    } = &told[0]
    else {
        panic!("{told:?}");
    };
    assert_eq!((*workflow, *of, task.as_str()), (parent, job, "q"));
    let results = bed.ledger().results(&term, &[job]).await.expect("results");
    let result = results[0].as_ref().expect("the output");
    assert_eq!(value(result), value(br#"{"sum":3}"#));
}

pub(super) async fn an_end_for_a_task_that_is_gone_leaves_nothing<B: Bed>(bed: &B) {
    let (_tenure, term) = term(1);
    let (parent, spawn) = spawned(bed, &term).await;
    let child = spawn.child;
    close(bed, &term, child, Stage::Completed).await;
    let commit = Commit {
        dropped: vec![1],
        ..empty(parent, revision(bed, &term, parent).await)
    };
    assert!(is_committed(write(bed, &term, commit).await));
    let before = read(bed, &term, FROM_START).await.len();
    let ended = Post::ended(child, spawn.origin, &Stage::Completed).expect("an end");
    post(bed, &term, parent, vec![ended, Post::Ask { child }]).await;
    deliver(bed, &term, 1).await;
    assert_eq!(told(bed, &term, before).await, []);
    let job = JobId::of_task(parent, 1, 0);
    let results = bed.ledger().results(&term, &[job]).await;
    assert_eq!(results.expect("results"), [None]);
}

pub(super) async fn a_parent_that_makes_its_child_again_is_told_again<B: Bed>(bed: &B) {
    let (_tenure, term) = term(1);
    let (parent, spawn) = spawned(bed, &term).await;
    let ending = Ending::TimedOut;
    close(bed, &term, spawn.child, Stage::Ended(ending)).await;
    let again = Post::Spawn(Box::new(spawn.clone()));
    assert_told_of_timeout(bed, &term, (parent, spawn.child), again).await;
}

pub(super) async fn a_parent_that_asks_is_told_again<B: Bed>(bed: &B) {
    let (_tenure, term) = term(1);
    let (parent, spawn) = spawned(bed, &term).await;
    let child = spawn.child;
    // Neither one that has not ended nor one that is not there says anything, or is made.
    let missing = WorkflowId::of_child(parent, 7, 0, 1);
    let before = read(bed, &term, FROM_START).await.len();
    let asked = vec![Post::Ask { child }, Post::Ask { child: missing }];
    post(bed, &term, parent, asked).await;
    deliver(bed, &term, 1).await;
    assert_eq!(told(bed, &term, before).await, []);
    assert_eq!(bed.status(missing).await, None);
    close(bed, &term, child, Stage::Ended(Ending::TimedOut)).await;
    assert_told_of_timeout(bed, &term, (parent, child), Post::Ask { child }).await;
}

/// What a parent is told of its child that has timed out, when it posts this.
async fn assert_told_of_timeout<B: Bed>(
    bed: &B,
    term: &Term,
    (parent, child): (WorkflowId, WorkflowId),
    asks: Post,
) {
    let before = read(bed, term, FROM_START).await.len();
    post(bed, term, parent, vec![asks]).await;
    deliver(bed, term, 1).await;
    let told = told(bed, term, before).await;
    let [
        InboxItem::TaskEnded {
            job,
            outcome: TaskOutcome::Dead { error },
            ..
        },
    ] = &told[..]
    else {
        panic!("{told:?}");
    };
    assert_eq!(*job, JobId::of_task(parent, 1, 0));
    let expected = format!("child workflow {child} failed: execution timed out");
    assert_eq!(error, &expected);
}

pub(super) async fn a_child_is_cancelled<B: Bed>(bed: &B) {
    let (_tenure, term) = term(1);
    let (parent, spawn) = spawned(bed, &term).await;
    let before = read(bed, &term, FROM_START).await.len();
    let cancel = |child| Post::Cancel {
        child,
        reason: "its parent ends".to_owned(),
    };
    // One that is not there is no reason to wait.
    let missing = WorkflowId::of_child(parent, 7, 0, 1);
    post(
        bed,
        &term,
        parent,
        vec![cancel(missing), cancel(spawn.child)],
    )
    .await;
    deliver(bed, &term, 1).await;
    let cancelled = InboxItem::Cancel {
        workflow: spawn.child,
        reason: "its parent ends".to_owned(),
    };
    assert_eq!(told(bed, &term, before).await, [cancelled]);
}

pub(super) async fn an_instance_goes_on_as_another<B: Bed>(bed: &B) {
    let (_tenure, term) = term(1);
    let (parent, spawn) = spawned(bed, &term).await;
    let (from, to) = (spawn.child, spawn.child.of_successor());
    let plan = std::sync::Arc::new(graph("only").validate(1024).expect("plan"));
    let made = crate::instance::Instance::new(from, plan).task_job(0, 0);
    let made = made.expect("a job");
    let job = made.job;
    let commit = Commit {
        dispatches: vec![made],
        ..empty(from, revision(bed, &term, from).await)
    };
    assert!(is_committed(write(bed, &term, commit).await));
    bed.end_with(job, TaskOutcome::Continued, json(r#"{"page":2}"#))
        .await;
    let before = read(bed, &term, FROM_START).await.len();
    let stage = Stage::Continued { to };
    let commit = Commit {
        posts: vec![Post::Succeed { from, to, job }],
        close: Some(stage.status()),
        header: Some(paceline_types::workflow::Header {
            stage,
            ..paceline_types::workflow::Header::NEW
        }),
        retire: true,
        ..empty(from, revision(bed, &term, from).await)
    };
    assert!(is_committed(write(bed, &term, commit).await));
    deliver(bed, &term, 2).await;
    assert_eq!(
        told(bed, &term, before).await,
        [InboxItem::Start { workflow: to }]
    );
    let next = stored(bed, &term, to).await;
    assert_eq!(next.origin, Some(spawn.origin), "the same parent");
    assert_eq!(next.continued_from, Some(from));
    assert_eq!(
        value(&next.input.expect("an input")),
        value(br#"{"page":2}"#)
    );
    assert_eq!(value(&next.definition), value(&spawn.definition));
    assert_eq!(bed.status(from).await, Some(WorkflowStatus::Continued));

    // Who cancels the child cancels what it goes on as.
    let before = read(bed, &term, FROM_START).await.len();
    let reason = "why".to_owned();
    post(
        bed,
        &term,
        parent,
        vec![Post::Cancel {
            child: from,
            reason: reason.clone(),
        }],
    )
    .await;
    deliver(bed, &term, 1).await;
    let cancel = InboxItem::Cancel {
        workflow: to,
        reason,
    };
    assert_eq!(told(bed, &term, before).await, [cancel]);
}
