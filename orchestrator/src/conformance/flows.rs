//! The cases that take several turns: walking, reading ahead, and whole workflows.

use paceline_types::workflow::{Ending, Header, Section, SectionBody, Stage, TaskRecord};
use paceline_types::{JobId, TaskName, WorkflowId, WorkflowStatus};

use super::hands::{FROM_START, begun, empty, is_committed, read, revision, write};
use super::lives::{json, stored};
use super::{Bed, term};
use crate::desk::{DEFAULT_CACHE_BYTES, Desk};
use crate::graph::graph;
use crate::ports::{Commit, ConcludedBy, Conclusion, Ledger, ReadAhead, TaskOutcome, Turn};
use crate::term::Term;
use crate::workflows::{self, Workflows};

pub(super) async fn active_instances_are_walked_until_they_close<B: Bed>(bed: &B) {
    let (_tenure, term) = term(1);
    let mut submitted = Vec::new();
    for _ in 0..5 {
        submitted.push(bed.submit(&graph("a")).await);
    }
    let closed = submitted.pop().expect("five");
    let ending = Ending::Cancelled {
        reason: String::new(),
    };
    let commit = Commit {
        header: Some(Header {
            stage: Stage::Ended(ending),
            ..Header::NEW
        }),
        close: Some(WorkflowStatus::Cancelled),
        retire: true,
        ..empty(closed, revision(bed, &term, closed).await)
    };
    assert!(is_committed(write(bed, &term, commit).await));
    assert_eq!(bed.status(closed).await, Some(WorkflowStatus::Cancelled));

    let mut seen = Vec::new();
    let mut cursor = None;
    for _ in 0..100 {
        let page = bed.ledger().active(&term, cursor, 2).await.expect("active");
        seen.extend(page.items);
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert!(cursor.is_none(), "the walk comes to its end");
    seen.sort_unstable();
    seen.dedup();
    submitted.sort_unstable();
    assert_eq!(seen, submitted);
}

pub(super) async fn a_turn_reads_ahead<B: Bed>(bed: &B) {
    let (_tenure, term) = term(1);
    for _ in 0..4 {
        bed.submit(&graph("a")).await;
    }
    let all = read(bed, &term, FROM_START).await;
    let turn = Turn {
        consumed: vec![all[0].entry.clone()],
        read_ahead: Some(ReadAhead {
            after: Some(all[1].entry.clone()),
            max: 1,
        }),
        ..Turn::default()
    };
    let reply = bed.ledger().commit(&term, turn).await.expect("commit");
    assert_eq!(reply.next, all[2..3]);
    let turn = Turn {
        consumed: vec![all[1].entry.clone()],
        read_ahead: Some(FROM_START),
        ..Turn::default()
    };
    let reply = bed.ledger().commit(&term, turn).await.expect("commit");
    assert_eq!(
        reply.next,
        all[2..],
        "what this turn consumed does not come again"
    );
}

/// Runs a workflow by the service that empties the inbox; ends the jobs in this order.
async fn run<B: Bed>(bed: &B, term: &Term, line: &str, ends: &[(&str, TaskOutcome)]) -> WorkflowId {
    let definition = graph(line);
    let plan = definition.validate(1024).expect("plan");
    let workflow = bed.submit(&definition).await;
    let mut desk = Desk::new(bed.ledger(), DEFAULT_CACHE_BYTES);
    let mut workflows = Workflows::new(workflows::Options::default());
    let mut ends = ends.iter();
    loop {
        while workflows.tick(&mut desk, term).await.expect("tick").busy {}
        if !read(bed, term, FROM_START).await.is_empty() {
            continue;
        }
        let Some((task, outcome)) = ends.next() else {
            return workflow;
        };
        let index = plan.index_of(task).expect(task);
        bed.end(JobId::of_task(workflow, index, 0), outcome.clone())
            .await;
    }
}

pub(super) async fn a_workflow_runs_to_its_end<B: Bed>(bed: &B) {
    let (_tenure, term) = term(1);
    let well = || TaskOutcome::Completed;
    let boom = TaskOutcome::Dead {
        error: "boom".to_owned(),
    };
    let ends = [("a", well()), ("b", boom), ("c", well()), ("d", well())];
    let workflow = run(bed, &term, "@1h a b?<a=a c<a d<b,c=b,c", &ends).await;
    assert_eq!(bed.status(workflow).await, Some(WorkflowStatus::Completed));
    assert_eq!(
        bed.log(workflow).await,
        [
            "workflow.started",
            "workflow.task.dispatched a",
            "workflow.task.completed a",
            "workflow.task.dispatched b",
            "workflow.task.dispatched c",
            "workflow.task.failed b",
            "workflow.task.completed c",
            "workflow.task.dispatched d",
            "workflow.task.completed d",
            "workflow.completed",
        ]
    );
}

pub(super) async fn a_failing_workflow_stops_its_jobs<B: Bed>(bed: &B) {
    let (_tenure, term) = term(1);
    let boom = TaskOutcome::Dead {
        error: "boom".to_owned(),
    };
    let workflow = run(bed, &term, "a b c<a", &[("a", boom)]).await;
    assert_eq!(bed.status(workflow).await, Some(WorkflowStatus::Failed));
    assert_eq!(
        bed.log(workflow).await,
        [
            "workflow.started",
            "workflow.task.dispatched a",
            "workflow.task.dispatched b",
            "workflow.task.failed a",
            "workflow.task.failed b",
            "workflow.failed",
        ]
    );
}

pub(super) async fn what_went_with_its_section_is_put_away<B: Bed>(bed: &B) {
    let (_tenure, term) = term(1);
    let (workflow, _, now) = begun(bed, &term, "a").await;
    let completed = |iteration| TaskRecord::Completed {
        iteration,
        continues: false,
    };
    let stays = (0, completed(1));
    let starts = [(2, 0), (2, 1), (3, 0)];
    let jobs = starts.map(|(index, iteration)| JobId::of_task(workflow, index, iteration));
    let left = |(index, iteration): (u32, u32)| Conclusion {
        job: JobId::of_task(workflow, index, iteration),
        task: TaskName::new("t").expect("name"),
        iteration,
        result: ConcludedBy::Value(json("1")),
    };
    let section = |generator, base| Section {
        generator,
        iteration: 0,
        base,
        body: SectionBody::Map { count: 2 },
    };
    let commit = Commit {
        tasks: vec![stays.clone(), (2, completed(1))],
        history: vec![(0, completed(0)), (2, completed(0))],
        sections: vec![section(0, 2), section(2, 4)],
        conclusions: starts[..2].iter().copied().map(left).collect(),
        ..empty(workflow, now)
    };
    assert!(is_committed(write(bed, &term, commit).await));
    // The last of them is written by the commit that puts it away; what is gone is no mistake.
    let last = Commit {
        tasks: vec![(3, completed(0))],
        conclusions: vec![left((3, 0))],
        dropped: vec![2, 3],
        ..empty(workflow, revision(bed, &term, workflow).await)
    };
    assert!(is_committed(write(bed, &term, last).await));
    let again = Commit {
        dropped: vec![2, 3],
        ..empty(workflow, revision(bed, &term, workflow).await)
    };
    assert!(is_committed(write(bed, &term, again).await));
    let stored = stored(bed, &term, workflow).await;
    assert_eq!(stored.tasks, [stays]);
    assert_eq!(stored.sections, [section(0, 2)]);
    let results = bed.ledger().results(&term, &jobs).await.expect("results");
    assert_eq!(results, vec![Some(json("1")); 3], "they stay");
}
