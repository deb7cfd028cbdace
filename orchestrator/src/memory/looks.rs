//! What a test may look at in a ledger in memory.

use std::collections::BTreeMap;

use bytes::Bytes;
use paceline_types::workflow::{Header, Origin, Section, TaskRecord};
use paceline_types::{JobId, WorkflowId, WorkflowStatus};

use super::{MemoryJob, MemoryLedger, Tally};
use crate::ports::{Alarm, Parked, Post};

impl MemoryLedger {
    /// The status of a workflow; none if there is none.
    #[must_use]
    pub fn status(&self, workflow: WorkflowId) -> Option<WorkflowStatus> {
        let state = self.state();
        state.workflows.get(&workflow).map(super::Kept::status)
    }

    /// Header and records of a workflow, as they are kept.
    #[must_use]
    pub fn kept(&self, workflow: WorkflowId) -> Option<(Header, BTreeMap<u32, TaskRecord>)> {
        let state = self.state();
        let kept = state.workflows.get(&workflow)?;
        Some((kept.header.clone(), kept.tasks.clone()))
    }

    /// Starts of tasks of a workflow that are over because the task was reset, by index and
    /// iteration.
    #[must_use]
    pub fn history(&self, workflow: WorkflowId) -> BTreeMap<(u32, u32), TaskRecord> {
        let state = self.state();
        let kept = state.workflows.get(&workflow);
        kept.map(|kept| kept.history.clone()).unwrap_or_default()
    }

    /// The newest section of each generator of a workflow, by its index.
    #[must_use]
    pub fn sections(&self, workflow: WorkflowId) -> BTreeMap<u32, Section> {
        let state = self.state();
        let kept = state.workflows.get(&workflow);
        kept.map(|kept| kept.sections.clone()).unwrap_or_default()
    }

    /// Moments that a workflow waits for.
    #[must_use]
    pub fn alarms(&self, workflow: WorkflowId) -> Vec<Alarm> {
        let state = self.state();
        let kept = state.workflows.get(&workflow);
        kept.map(|kept| kept.alarms.keys().copied().collect())
            .unwrap_or_default()
    }

    /// Signals of a workflow that no task has taken.
    #[must_use]
    pub fn pending_signals(&self, workflow: WorkflowId) -> usize {
        let state = self.state();
        let kept = state.workflows.get(&workflow);
        kept.map_or(0, |kept| kept.signals.len())
    }

    /// Every workflow that there is, with the task that it is the child of.
    #[must_use]
    pub fn workflows(&self) -> Vec<(WorkflowId, Option<Origin>)> {
        let state = self.state();
        let kept = state.workflows.iter();
        kept.map(|(id, kept)| (*id, kept.origin.as_ref().map(|(origin, _)| *origin)))
            .collect()
    }

    /// What a workflow was given.
    #[must_use]
    pub fn input(&self, workflow: WorkflowId) -> Option<Bytes> {
        self.state().workflows.get(&workflow)?.input.clone()
    }

    /// What a workflow came to, composed of its leaves.
    #[must_use]
    pub fn output(&self, workflow: WorkflowId) -> Option<Bytes> {
        self.state().output(workflow)
    }

    /// What a job left, or what was concluded in its place.
    #[must_use]
    pub fn result(&self, job: JobId) -> Option<Bytes> {
        self.state().result(job)
    }

    /// How a workflow was closed, if it was.
    #[must_use]
    pub fn closed(&self, workflow: WorkflowId) -> Option<WorkflowStatus> {
        self.state().workflows.get(&workflow)?.close
    }

    /// Whether a workflow has left the active ones.
    #[must_use]
    pub fn retired(&self, workflow: WorkflowId) -> bool {
        let state = self.state();
        state
            .workflows
            .get(&workflow)
            .is_none_or(|kept| kept.retired)
    }

    /// The log of a workflow: `workflow.task.dispatched a`, in order.
    #[must_use]
    pub fn log(&self, workflow: WorkflowId) -> Vec<String> {
        let told = |(kind, task): (String, Option<(String, u32)>)| match task {
            Some((task, _)) => format!("{kind} {task}"),
            None => kind,
        };
        self.told(workflow).into_iter().map(told).collect()
    }

    /// The log of a workflow with iterations: `workflow.task.dispatched a 0`, in order.
    #[must_use]
    pub fn full_log(&self, workflow: WorkflowId) -> Vec<String> {
        let told = |(kind, task): (String, Option<(String, u32)>)| match task {
            Some((task, iteration)) => format!("{kind} {task} {iteration}"),
            None => kind,
        };
        self.told(workflow).into_iter().map(told).collect()
    }

    fn told(&self, workflow: WorkflowId) -> Vec<(String, Option<(String, u32)>)> {
        let state = self.state();
        let own = state.log.iter().filter(|(id, _)| *id == workflow);
        own.map(|(_, event)| {
            let task = event.task.as_ref();
            let task = task.map(|about| (about.task.to_string(), about.iteration));
            (event.kind.to_string(), task)
        })
        .collect()
    }

    /// A job, if there is one.
    #[must_use]
    pub fn job(&self, job: JobId) -> Option<MemoryJob> {
        self.state().jobs.get(&job).cloned()
    }

    /// Every job of a workflow.
    #[must_use]
    pub fn jobs_of(&self, workflow: WorkflowId) -> Vec<(JobId, MemoryJob)> {
        let state = self.state();
        let own = state
            .jobs
            .iter()
            .filter(|(_, job)| job.workflow == workflow);
        own.map(|(id, job)| (*id, job.clone())).collect()
    }

    /// Posts that are not delivered, in order.
    #[must_use]
    pub fn outbox(&self) -> Vec<Post> {
        self.state().outbox.values().cloned().collect()
    }

    /// What was parked.
    #[must_use]
    pub fn parked(&self) -> Vec<Parked> {
        self.state().parked.clone()
    }

    /// Entries that wait in the inbox.
    #[must_use]
    pub fn inbox_len(&self) -> usize {
        self.state().inbox.len()
    }

    /// Steps of the lanes' sweep that are still to be taken.
    #[must_use]
    pub fn litter_left(&self) -> usize {
        self.state().untidy
    }

    /// What the ledger was asked to do so far.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.state().tally
    }
}
