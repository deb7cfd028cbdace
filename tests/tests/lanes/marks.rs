//! Jobs that a claim must look at, among fresh ones: those that ran before, and those of
//! workflows.

use std::time::Duration;

use bytes::Bytes;
use paceline_store::calls::cancel::Cancelled;
use paceline_store::calls::commit::{Batch, Commit, Committed, Dispatch};
use paceline_store::calls::turn::{Settle, Settled, UpstreamRef, WorkflowRef};
use paceline_tests::eventually;
use paceline_types::{JobId, JobSpec, JobStatus, Settlement, TaskName, WorkflowId};

use crate::{Bench, LANE, LONG, Lanes, ids};

/// Moves every delayed job to its lane.
async fn promote(lanes: &Lanes, term: u64, count: usize) {
    let mut moved = 0;
    eventually(
        "delayed jobs are due",
        Duration::from_secs(10),
        async || {
            let store = &lanes.bench.store;
            moved += store.promote(Bench::SHARD, term, 100).await.unwrap().moved;
            moved == count
        },
    )
    .await;
}

#[tokio::test]
async fn jobs_that_ran_before_stand_among_fresh_ones() {
    let lanes = Lanes::new().await;
    let term = lanes.bench.lead().await;
    let old = lanes.pack(8).await;
    let begun = lanes.claim(8).await;
    let retry = Settlement::Retry {
        delay: Duration::from_millis(1),
        error: "boom".into(),
        uses_attempt: true,
    };
    let dead = Settlement::Dead {
        error: "boom".into(),
    };
    // A mixture of entries: fresh, handed back, fresh, failed, fresh, dead and retried, recovered.
    let mut expected = lanes.pack(3).await;
    lanes.end(&begun[..2], Settlement::Released).await;
    expected.extend(&old[..2]);
    expected.extend(lanes.singles(2).await);
    lanes.end(&begun[2..4], retry).await;
    promote(&lanes, term, 2).await;
    expected.extend(&old[2..4]);
    expected.extend(lanes.pack(40).await);
    lanes.end(&begun[4..6], dead).await;
    for job in [old[5], old[4]] {
        lanes.retry(job).await;
        expected.push(job);
    }
    lanes
        .bench
        .store
        .leave(Bench::SHARD, lanes.node)
        .await
        .unwrap();
    lanes.bench.recover(term).await;
    lanes.assert_waiting(LANE, expected.len() as u64 + 2).await;
    let last = lanes.pack(1).await[0];

    let node = lanes.bench.join(2, LONG).await;
    let mut claimed = Vec::new();
    while claimed.len() < expected.len() + 3 {
        claimed.extend(lanes.turn(node, &[], 11).await.claimed);
    }
    lanes.assert_gone(LANE).await;
    let ran = ids(&claimed);
    assert_eq!(ran[..expected.len()], expected);
    assert_eq!(ran.last(), Some(&last));
    let counters = |job: JobId| {
        let run = claimed.iter().find(|run| run.job == job).unwrap();
        (run.attempt, run.run, run.crashes, run.consecutive_errors)
    };
    // Attempt and run go on from where they were; a recovered run has burned a number.
    for (at, expected) in [
        (0, (1, 2, 0, 0)),
        (2, (2, 2, 0, 1)),
        (4, (1, 2, 0, 0)),
        (6, (2, 3, 1, 1)),
        (7, (2, 3, 1, 1)),
    ] {
        assert_eq!(counters(old[at]), expected, "job {at}");
    }
    assert_eq!(counters(last), (1, 1, 0, 0));
    for some in claimed.chunks(100) {
        let settles: Vec<_> = some.iter().map(Bench::completed).collect();
        let answers = lanes.turn(node, &settles, 0).await.settled;
        assert!(answers.iter().all(|answer| *answer == Settled::Accepted));
    }
    // What ran once and crashed keeps its count to the end.
    assert_eq!(lanes.job(old[6]).await.crashes, 1);
    lanes.ends().await;
}

#[tokio::test]
async fn a_place_that_was_left_and_taken_again_is_looked_at() {
    let lanes = Lanes::new().await;
    let jobs = lanes.pack(5).await;
    let begun = lanes.claim(5).await;
    lanes.end(&begun, Settlement::Released).await;
    let fresh = lanes.pack(5).await;
    // Both in an entry of jobs that ran before and in one of fresh jobs.
    for job in [jobs[2], fresh[2]] {
        lanes.cancel(&[job]).await;
        lanes.retry(job).await;
    }
    let claimed = lanes.claim(100).await;
    let expected: Vec<_> = jobs.iter().chain(&fresh).copied().collect();
    assert_eq!(ids(&claimed), expected);
    let runs: Vec<_> = claimed.iter().map(|run| (run.attempt, run.run)).collect();
    assert_eq!(runs[..5], [(1, 2); 5]);
    assert_eq!(runs[5..], [(1, 1); 5]);
    lanes.complete(&claimed).await;
    assert_eq!(lanes.job(jobs[2]).await.run, 2);
    lanes.ends().await;
}

/// A workflow whose tasks are dispatched by hand.
struct Flow<'a> {
    lanes: &'a Lanes,
    id: WorkflowId,
    term: u64,
    revision: u64,
}

impl<'a> Flow<'a> {
    async fn new(lanes: &'a Lanes) -> Flow<'a> {
        let id = WorkflowId::from_parts(2, Bench::SHARD, 1 << 20);
        let term = lanes.bench.lead().await;
        let store = &lanes.bench.store;
        assert!(store.submit_workflow(id, b"{}", None).await.unwrap());
        Flow {
            lanes,
            id,
            term,
            revision: 0,
        }
    }

    /// Makes the jobs of tasks, and cancels jobs, in one step.
    async fn commit(&mut self, tasks: &[(u32, Option<JobId>)], cancels: &[JobId]) -> Vec<JobId> {
        let spec: JobSpec = Bench::spec();
        let job = |&(task, _): &(u32, _)| JobId::of_task(self.id, task, 0);
        let dispatches = tasks.iter().map(|(task, source)| Dispatch {
            job: job(&(*task, ())),
            place: WorkflowRef {
                workflow: self.id,
                task: TaskName::new(&format!("t{task}")).unwrap(),
                iteration: 0,
            },
            spec: &spec,
            upstream: source.map(|job| UpstreamRef {
                sources: vec![(TaskName::new("source").unwrap(), Some(job))],
                ..UpstreamRef::default()
            }),
        });
        let commit = Commit {
            dispatches: dispatches.collect(),
            cancels,
            reason: "enough",
            ..Commit::new(self.id, self.revision)
        };
        let batch = Batch {
            commits: vec![commit],
            ..Batch::default()
        };
        let store = &self.lanes.bench.store;
        let written = store.commit(Bench::SHARD, self.term, &batch).await.unwrap();
        self.revision += 1;
        assert_eq!(written.outcomes, [Committed::At(self.revision)]);
        tasks
            .iter()
            .map(|(task, _)| JobId::of_task(self.id, *task, 0))
            .collect()
    }
}

#[tokio::test]
async fn jobs_of_workflows_stand_among_others() {
    let lanes = Lanes::new().await;
    let mut flow = Flow::new(&lanes).await;
    let mut expected = lanes.pack(2).await;
    let source = flow.commit(&[(0, None)], &[]).await[0];
    expected.push(source);
    expected.extend(lanes.pack(2).await);
    let claimed = lanes.claim(100).await;
    assert_eq!(ids(&claimed), expected);
    let (own, others): (Vec<_>, Vec<_>) = claimed
        .into_iter()
        .partition(|run| run.record.workflow.is_some());
    assert_eq!(ids(&own), [source]);
    lanes.complete(&others).await;
    let result = Bytes::from_static(b"{\"from\":0}");
    lanes.end(&own, Settlement::Completed { result }).await;

    // Forty tasks over two stems, each with the result of the first one.
    let tasks: Vec<_> = (1..41).map(|task| (task, Some(source))).collect();
    let jobs = flow.commit(&tasks, &[]).await;
    let behind = lanes.pack(3).await;
    lanes.assert_waiting(LANE, 43).await;
    lanes.cancel(&[jobs[7], jobs[39]]).await;
    lanes.assert_waiting(LANE, 41).await;
    let first = lanes.claim(10).await;
    let payload = Bytes::from_static(b"{\"upstream\":{\"from\":0},\"original\":\"\"}");
    for run in &first {
        assert_eq!(run.handler_payload().unwrap(), payload);
    }
    // Handed back ones need their upstream results as well.
    lanes.end(&first[..4], Settlement::Released).await;
    lanes.complete(&first[4..]).await;
    let mut rest = Vec::new();
    while rest.len() < 35 {
        rest.extend(lanes.claim(9).await);
    }
    lanes.assert_gone(LANE).await;
    let mut order = crate::without(&jobs, &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 39]);
    order.extend(behind);
    order.extend(&jobs[..4]);
    assert_eq!(ids(&rest), order);
    for run in rest.iter().filter(|run| run.record.workflow.is_some()) {
        assert_eq!(run.handler_payload().unwrap(), payload);
    }
    lanes.complete(&rest).await;
    lanes.made.borrow_mut().extend(&jobs);
    let ends = lanes.ends().await;
    assert_eq!(ends["job.cancelled"], 2);
    // Each event names the task of its job, in whatever company it was written.
    for event in paceline_tests::log(&lanes.bench.store).await {
        let place = jobs.iter().position(|job| event.job_id == Some(*job));
        let task = place.map(|place| format!("t{}", place + 1));
        if task.is_some() {
            assert_eq!(
                event.workflow_task.as_ref().map(TaskName::as_str),
                task.as_deref()
            );
        }
    }
    // The workflow is told of each end once.
    let entries = lanes
        .bench
        .store
        .inbox(Bench::SHARD, None, 1_000)
        .await
        .unwrap();
    let told: usize = entries.iter().map(|entry| entry.items.len()).sum();
    assert_eq!(
        told,
        1 + 1 + 40,
        "its start, its first task, and the others"
    );
}

#[tokio::test]
async fn a_workflow_cancels_what_it_has_just_dispatched_and_what_runs() {
    let lanes = Lanes::new().await;
    let mut flow = Flow::new(&lanes).await;
    let tasks: Vec<_> = (0..6).map(|task| (task, None)).collect();
    let jobs = flow.commit(&tasks, &[]).await;
    let running = lanes.claim(2).await;
    let gone = JobId::of_task(flow.id, 6, 0);
    flow.commit(&[(6, None), (7, None)], &[jobs[0], jobs[2], gone])
        .await;
    lanes.assert_waiting(LANE, 4).await;
    let answers = lanes
        .bench
        .store
        .cancel(&[jobs[0], jobs[2], gone], "again")
        .await
        .unwrap();
    let ended = Cancelled::Ended(JobStatus::Cancelled);
    assert_eq!(answers, [Cancelled::Requested, ended, ended]);
    let settles: Vec<Settle> = running.iter().map(Bench::completed).collect();
    let answers = lanes.settle(&settles).await;
    assert_eq!(answers, [Settled::Cancelled, Settled::Accepted]);
    let last = JobId::of_task(flow.id, 7, 0);
    assert_eq!(lanes.drain(3).await, [jobs[3], jobs[4], jobs[5], last]);
    lanes.assert_gone(LANE).await;
    lanes
        .made
        .borrow_mut()
        .extend(jobs.into_iter().chain([gone, last]));
    assert_eq!(lanes.ends().await["job.cancelled"], 3);
}
