//! One commit, written whole or refused, and what the ports demand of it.

use std::collections::BTreeSet;

use bytes::Bytes;
use paceline_types::workflow::Hook;
use paceline_types::{JobId, WorkflowId};

use super::{JobState, Kept, MemoryJob, State};
use crate::desk::MAX_EFFECTS;
use crate::ports::{BatchCommit, Commit, CommitOutcome, ConcludedBy, Post, TaskOutcome, Turn};

/// Most commits, ids or records of one call.
pub(super) const BOUND: usize = 100;

/// Most records of one turn: those of its effects, of what ended, and of what was decided.
const MAX_RECORDS: usize = 3 * BOUND;

/// What the ports demand of a turn.
pub(super) fn check_turn(turn: &Turn) {
    let ids: BTreeSet<_> = turn.commits.iter().map(|commit| commit.workflow).collect();
    assert_eq!(
        ids.len(),
        turn.commits.len(),
        "an instance is committed twice"
    );
    assert!(turn.commits.len() <= BOUND, "too many commits");
    let started: usize = turn.batches.iter().map(effects_of_batch).sum();
    let effects = turn.commits.iter().map(effects).sum::<usize>() + started;
    assert!(effects <= MAX_EFFECTS, "too many effects: {effects}");
    let records: usize = turn.commits.iter().map(|commit| commit.tasks.len()).sum();
    assert!(records <= MAX_RECORDS, "too many records: {records}");
    let history: usize = turn.commits.iter().map(|commit| commit.history.len()).sum();
    assert!(history <= BOUND, "too much history: {history}");
    let dropped: usize = turn.commits.iter().map(|commit| commit.dropped.len()).sum();
    assert!(dropped <= BOUND, "too much is dropped: {dropped}");
    for commit in &turn.commits {
        check(commit);
    }
}

fn effects(commit: &Commit) -> usize {
    let cancels = commit
        .cancels
        .as_ref()
        .map_or(0, |cancels| cancels.jobs.len());
    let launched = |post: &&Post| {
        matches!(
            post,
            Post::Spawn(_) | Post::Ask { .. } | Post::Cancel { .. }
        )
    };
    commit.dispatches.len() + cancels + commit.posts.iter().filter(launched).count()
}

fn effects_of_batch(commit: &BatchCommit) -> usize {
    let cancels = commit
        .cancels
        .as_ref()
        .map_or(0, |cancels| cancels.jobs.len());
    commit.starts.len() + usize::from(commit.onetime.is_some()) + cancels
}

fn check(commit: &Commit) {
    let tasks: BTreeSet<u32> = commit.tasks.iter().map(|(task, _)| *task).collect();
    assert_eq!(tasks.len(), commit.tasks.len(), "a task is written twice");
    let jobs: BTreeSet<JobId> = commit.dispatches.iter().map(|made| made.job).collect();
    assert_eq!(jobs.len(), commit.dispatches.len(), "a job is made twice");
    for made in &commit.dispatches {
        let job = JobId::of_task(commit.workflow, made.index, made.iteration);
        assert_eq!(made.job, job, "a job has another id than its task's");
    }
    let alarms: BTreeSet<_> = commit.alarms.iter().map(|(alarm, _)| *alarm).collect();
    assert_eq!(alarms.len(), commit.alarms.len(), "an alarm is named twice");
    let dropped: BTreeSet<_> = commit.dropped.iter().collect();
    assert_eq!(
        dropped.len(),
        commit.dropped.len(),
        "a task is dropped twice"
    );
}

impl State {
    pub(super) fn apply(&mut self, commit: Commit) -> CommitOutcome {
        let Some(kept) = self.workflows.get_mut(&commit.workflow) else {
            return CommitOutcome::Missing;
        };
        if kept.revision != commit.expected {
            return CommitOutcome::Stale;
        }
        demand(kept, &commit);
        kept.revision += 1;
        let revision = kept.revision;
        self.tally.headers += u64::from(commit.header.is_some());
        self.tally.records += commit.tasks.len() as u64;
        self.tally.history += commit.history.len() as u64;
        self.tally.events += commit.events.len() as u64;
        self.tally.posts += commit.posts.len() as u64;
        if let Some(header) = commit.header {
            kept.header = header;
        }
        kept.tasks.extend(commit.tasks);
        for (task, record) in commit.history {
            let start = (task, record.iteration());
            let before = kept.history.insert(start, record);
            assert!(before.is_none(), "start {start:?} is over twice");
        }
        for section in commit.sections {
            kept.sections.insert(section.generator, section);
        }
        kept.unfinished = commit.more;
        for (alarm, after) in commit.alarms {
            match after {
                Some(after) => kept.alarms.insert(alarm, self.now + after),
                None => kept.alarms.remove(&alarm),
            };
        }
        kept.close = commit.close.or(kept.close);
        if commit.retire {
            kept.retired = true;
            kept.alarms.clear();
        }
        for conclusion in commit.conclusions {
            self.tally.conclusions += 1;
            match conclusion.result {
                // In place of what the job answered, if there was one: it is not what was asked for.
                ConcludedBy::Value(result) => match self.jobs.get_mut(&conclusion.job) {
                    Some(job) => job.result = Some(result),
                    None => {
                        self.concluded.entry(conclusion.job).or_insert(result);
                    }
                },
                ConcludedBy::Signal { number } => match kept.signals.remove(&number) {
                    Some((_, payload)) => {
                        self.concluded.entry(conclusion.job).or_insert(payload);
                    }
                    None => panic!("signal {number} is taken twice, or is not there"),
                },
            }
        }
        for made in commit.dispatches {
            self.tally.dispatches += 1;
            let job = MemoryJob {
                workflow: commit.workflow,
                task: made.task,
                iteration: made.iteration,
                index: made.index,
                spec: made.spec,
                composition: made.composition,
                state: JobState::Waiting,
                result: None,
            };
            let before = self.jobs.insert(made.job, job);
            assert!(before.is_none(), "job {} is made twice", made.job);
            self.lane.push_back(made.job);
        }
        self.stop(commit.cancels.into_iter().flat_map(|cancels| cancels.jobs));
        for post in commit.posts {
            self.post(post);
        }
        let workflow = commit.workflow;
        for task in commit.dropped {
            self.put_away(workflow, task);
        }
        self.log
            .extend(commit.events.into_iter().map(|event| (workflow, event)));
        CommitOutcome::Committed { revision }
    }

    /// Cancels jobs: those that wait at once, those that run by asking.
    fn stop(&mut self, jobs: impl IntoIterator<Item = JobId>) {
        let mut stopped = Vec::new();
        for id in jobs {
            self.tally.cancels += 1;
            match self.jobs.get_mut(&id) {
                Some(job) if job.state == JobState::Waiting => {
                    stopped.extend(self.end(id, TaskOutcome::Cancelled, Bytes::new()));
                }
                Some(job) if job.state == JobState::Running => {
                    job.state = JobState::CancelRequested;
                }
                Some(_) | None => {}
            }
        }
        if !stopped.is_empty() {
            self.deliver(stopped);
        }
    }

    /// Moves the record of a task that went with its section to the history.
    fn put_away(&mut self, workflow: WorkflowId, index: u32) {
        self.tally.dropped += 1;
        let Some(kept) = self.workflows.get_mut(&workflow) else {
            return;
        };
        kept.sections.remove(&index);
        let Some(record) = kept.tasks.remove(&index) else {
            return;
        };
        let job = JobId::of_task(workflow, index, record.iteration());
        let ended = |job: &MemoryJob| matches!(job.state, JobState::Ended(_));
        let before = self.jobs.get(&job);
        assert!(
            before.is_none_or(ended),
            "{job} is dropped and has not ended"
        );
        let start = (index, record.iteration());
        let before = kept.history.insert(start, record);
        assert!(before.is_none(), "start {start:?} is over twice");
    }
}

/// What must hold of a commit, given the instance that it changes.
fn demand(kept: &Kept, commit: &Commit) {
    assert!(
        kept.close.is_none() || commit.close.is_none(),
        "{} is closed twice",
        commit.workflow
    );
    assert!(!kept.retired || !commit.retire, "it is retired twice");
    if kept.suspended {
        // An instance that ends is over, suspended or not: its hooks run.
        let launched = |index: u32| Hook::of_index(index).is_none();
        assert!(
            !commit.dispatches.iter().any(|made| launched(made.index)),
            "a task is dispatched while the workflow is suspended"
        );
        let spawned = |post: &Post| matches!(post, Post::Spawn(_));
        assert!(
            !commit.posts.iter().any(spawned),
            "a child is made while the workflow is suspended"
        );
    }
}
