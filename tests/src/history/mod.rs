//! The offline checker: reads a whole event log and says what cannot have happened.
//!
//! The state of a job is folded from its events alone. What the fold does not allow breaks an
//! invariant of the project: one terminal state a generation, one owner an attempt, attempts
//! without gaps, each settlement with a start of the same run.

mod fold;

use std::collections::BTreeMap;

use paceline_store::Store;
use paceline_types::workflow::Hook;
use paceline_types::{Event, EventKind, JobId, TaskName, WorkflowId};

use fold::JobFold;

/// Everything that the event log of a namespace tells.
#[derive(Debug, Default)]
pub struct History {
    jobs: BTreeMap<JobId, JobFold>,
    workflows: BTreeMap<WorkflowId, Vec<EventKind>>,
    dispatches: BTreeMap<JobId, usize>,
    /// What broke an invariant, one sentence each.
    pub violations: Vec<String>,
    /// Every event, in the order of its shard.
    pub events: Vec<Event>,
}

impl History {
    /// Reads the log from its beginning, which must still be there.
    ///
    /// # Panics
    /// The log was trimmed, or Redis does not answer.
    pub async fn read(store: &Store) -> History {
        let mut history = History::default();
        for shard in store.each_shard() {
            let mut after = None;
            let mut expected = 0;
            loop {
                let page = store
                    .read_events(shard, after, 1_000)
                    .await
                    .expect("the event log");
                let Some(end) = page.end else { break };
                assert_eq!(
                    page.ordinal,
                    Some(expected),
                    "the log of shard {shard} has a hole"
                );
                expected += u64::try_from(page.events.len()).expect("a count");
                for event in page.events {
                    history.take(event);
                }
                after = Some(end);
            }
        }
        history
    }

    fn take(&mut self, event: Event) {
        if let (EventKind::WorkflowTaskDispatched, Some(job)) = (&event.kind, event.job_id) {
            *self.dispatches.entry(job).or_default() += 1;
        }
        if let (Some(workflow), true) = (
            event.workflow_id,
            event.kind.as_str().starts_with("workflow."),
        ) {
            let kinds = self.workflows.entry(workflow).or_default();
            let end = kinds.iter().find(|kind| ends_workflow(kind));
            if let Some(end) = end.filter(|_| !follows_the_end(&event)) {
                self.violations
                    .push(format!("{workflow}: {} after {end}", event.kind));
            }
            kinds.push(event.kind.clone());
        } else if let (Some(job), false) = (event.job_id, event.kind.as_str().starts_with("batch."))
        {
            let fold = self.jobs.entry(job).or_default();
            if let Err(problem) = fold.apply(&event) {
                self.violations.push(format!("{job}: {problem}"));
            }
        }
        self.events.push(event);
    }

    /// Checks jobs that were accepted: each has ended, exactly once. Returns how many ended in
    /// which way.
    ///
    /// # Panics
    /// With everything that is wrong.
    pub fn assert_jobs_ended(&self, accepted: &[JobId]) -> BTreeMap<String, usize> {
        let mut wrong = self.violations.clone();
        let mut ends = BTreeMap::new();
        for job in accepted {
            match self.jobs.get(job) {
                None => wrong.push(format!("{job}: accepted, but the log does not know it")),
                Some(fold) => match fold.end() {
                    Some(end) => *ends.entry(end.to_string()).or_default() += 1,
                    None => wrong.push(format!("{job}: has not ended, it is {fold}")),
                },
            }
        }
        self.refuse(&wrong);
        ends
    }

    /// Checks workflows that were accepted: each has ended, and no task was dispatched twice.
    ///
    /// # Panics
    /// With everything that is wrong.
    pub fn assert_workflows_ended(&self, accepted: &[WorkflowId]) {
        let mut wrong = self.violations.clone();
        for workflow in accepted {
            let kinds = self.workflows.get(workflow).map_or(&[][..], Vec::as_slice);
            let ends = kinds.iter().filter(|kind| ends_workflow(kind)).count();
            let starts = kinds
                .iter()
                .filter(|kind| **kind == EventKind::WorkflowStarted)
                .count();
            if (starts, ends) != (1, 1) {
                wrong.push(format!("{workflow}: {starts} starts and {ends} ends"));
            }
        }
        for (job, count) in &self.dispatches {
            if *count != 1 {
                wrong.push(format!("the task of {job} was dispatched {count} times"));
            }
        }
        self.refuse(&wrong);
    }

    /// Jobs that the log knows and that have not ended.
    #[must_use]
    pub fn open_jobs(&self) -> Vec<JobId> {
        let open = self.jobs.iter().filter(|(_, fold)| fold.end().is_none());
        open.map(|(job, _)| *job).collect()
    }

    /// Events of one kind.
    pub fn count(&self, kind: &EventKind) -> usize {
        self.events
            .iter()
            .filter(|event| event.kind == *kind)
            .count()
    }

    fn refuse(&self, wrong: &[String]) {
        assert!(
            wrong.is_empty(),
            "{} things cannot be, of {} events; the first are:\n{}",
            wrong.len(),
            self.events.len(),
            wrong
                .iter()
                .take(20)
                .map(String::as_str)
                .collect::<Vec<_>>()
                .join("\n")
        );
    }
}

/// The hooks that a workflow's end calls for run after it.
fn follows_the_end(event: &Event) -> bool {
    let task = event.workflow_task.as_ref().map(TaskName::as_str);
    let hook = task.and_then(Hook::of_task_name);
    hook.is_some_and(|hook| hook != Hook::Init)
}

fn ends_workflow(kind: &EventKind) -> bool {
    matches!(
        kind,
        EventKind::WorkflowCompleted
            | EventKind::WorkflowFailed
            | EventKind::WorkflowCancelled
            | EventKind::WorkflowTimedOut
    )
}
