//! What clients, workers and time do to a ledger in memory.

use std::time::Duration;

use bytes::Bytes;
use paceline_types::{
    EventKind, JobId, NodeId, ShardIndex, SignalName, WorkflowDefinition, WorkflowId,
    WorkflowStatus,
};

use super::{JobState, Kept, MemoryLedger, State};
use crate::ports::{InboxItem, LogEvent, TaskOutcome};

impl MemoryLedger {
    /// Accepts a workflow, as a client would; it must be valid.
    pub fn submit(&self, definition: &WorkflowDefinition) -> WorkflowId {
        self.submit_with(definition, None)
    }

    /// Accepts a workflow with an input, which is JSON.
    pub fn submit_with(&self, definition: &WorkflowDefinition, input: Option<Bytes>) -> WorkflowId {
        let mut state = self.state();
        state.made += 1;
        let id = WorkflowId::from_parts(1, ShardIndex(0), state.made << 20);
        let definition = serde_json::to_vec(definition).unwrap_or_default();
        let kept = Kept {
            input,
            ..Kept::new(definition.into())
        };
        state.workflows.insert(id, kept);
        state.deliver(vec![InboxItem::Start { workflow: id }]);
        id
    }

    /// Asks for a workflow to be cancelled, as a client would.
    pub fn cancel(&self, workflow: WorkflowId, reason: &str) {
        self.state().cancel(workflow, reason);
    }

    /// Gives a workflow a signal, as a client would; false if it has ended or is not there.
    pub fn signal(&self, workflow: WorkflowId, name: &SignalName, payload: Bytes) -> bool {
        let mut state = self.state();
        let Some(kept) = state.workflows.get_mut(&workflow) else {
            return false;
        };
        if kept.status().is_terminal() {
            return false;
        }
        kept.last_signal += 1;
        let number = kept.last_signal;
        kept.signals.insert(number, (name.clone(), payload));
        let event = LogEvent {
            kind: EventKind::WorkflowSignalReceived,
            task: None,
            error: None,
        };
        state.log.push((workflow, event));
        state.deliver(vec![InboxItem::Signal {
            workflow,
            number,
            name: name.clone(),
        }]);
        true
    }

    /// Suspends a workflow, as a client would; false if it has ended, is suspended already or is
    /// not there.
    pub fn suspend(&self, workflow: WorkflowId) -> bool {
        self.state().set_suspended(workflow, true)
    }

    /// Resumes a workflow, as a client would; false if it is not suspended.
    pub fn resume(&self, workflow: WorkflowId) -> bool {
        self.state().set_suspended(workflow, false)
    }

    /// Wants what failed of a workflow to be tried again, as a client would; false if it has not
    /// failed, and was not cancelled.
    pub fn retry(&self, workflow: WorkflowId) -> bool {
        let mut state = self.state();
        let Some(kept) = state.workflows.get_mut(&workflow) else {
            return false;
        };
        let Some(WorkflowStatus::Failed | WorkflowStatus::Cancelled) = kept.close else {
            return false;
        };
        kept.close = None;
        kept.cancelled = None;
        kept.retired = false;
        kept.revision += 1;
        state.deliver(vec![InboxItem::Retry { workflow }]);
        true
    }

    /// Puts an entry into the inbox.
    pub fn deliver(&self, items: Vec<InboxItem>) {
        self.state().deliver(items);
    }

    /// Takes waiting jobs, as a worker would, in the order in which they were made.
    pub fn claim(&self, max: usize) -> Vec<JobId> {
        let mut state = self.state();
        let mut claimed = Vec::new();
        while claimed.len() < max
            && let Some(id) = state.lane.pop_front()
        {
            if let Some(job) = state.jobs.get_mut(&id)
                && job.state == JobState::Waiting
            {
                job.state = JobState::Running;
                claimed.push(id);
            }
        }
        claimed
    }

    /// Ends jobs, as one turn of a worker would: those that had not ended become one entry. Those
    /// that complete leave `null`.
    pub fn end(&self, ended: impl IntoIterator<Item = (JobId, TaskOutcome)>) {
        let null = Bytes::from_static(b"null");
        self.end_with(
            ended
                .into_iter()
                .map(|(job, outcome)| (job, outcome, null.clone())),
        );
    }

    /// As [`MemoryLedger::end`], with what they leave if they complete.
    pub fn end_with(&self, ended: impl IntoIterator<Item = (JobId, TaskOutcome, Bytes)>) {
        let mut state = self.state();
        let items: Vec<_> = ended
            .into_iter()
            .filter_map(|(job, outcome, result)| state.end(job, outcome, result))
            .collect();
        if !items.is_empty() {
            state.deliver(items);
        }
    }

    /// Lets time pass.
    pub fn pass(&self, time: Duration) {
        self.state().now += time;
    }

    /// Lets time pass to the next moment that a workflow waits for; false if there is none.
    pub fn pass_to_next_alarm(&self) -> bool {
        let mut state = self.state();
        let kept = state.workflows.values();
        let next = kept.flat_map(|kept| kept.alarms.values().copied()).min();
        let Some(next) = next else {
            return false;
        };
        state.now = state.now.max(next);
        true
    }

    /// Makes something due at a time from now.
    pub fn delay(&self, due_in: Duration) {
        let mut state = self.state();
        state.made += 1;
        let due = (state.now + due_in, state.made);
        state.delayed.insert(due);
    }

    /// Makes a timer of a job pass at a time from now.
    pub fn arm(&self, passes_in: Duration) {
        let mut state = self.state();
        state.made += 1;
        let timer = (state.now + passes_in, state.made);
        state.timers.insert(timer);
    }

    /// Makes a group that is due at a time from now.
    pub fn collect(&self, due_in: Duration) {
        let mut state = self.state();
        state.made += 1;
        let due = (state.now + due_in, state.made);
        state.groups.insert(due);
    }

    /// Leaves so much in the lanes that it takes so many steps to sweep them.
    pub fn litter(&self, steps: usize) {
        self.state().untidy += steps;
    }

    /// Registers a node that holds so many runs until its lease ends.
    pub fn register(&self, node: NodeId, lease: Duration, runs: usize) {
        let mut state = self.state();
        let until = state.now + lease;
        state.leases.insert(node, (until, runs));
    }

    /// Adds records that are past their retention.
    pub fn age(&self, records: usize) {
        self.state().old_records += records;
    }
}

impl State {
    /// Its record says so, whoever had loaded it before must load it again, and it is looked at.
    fn set_suspended(&mut self, workflow: WorkflowId, suspended: bool) -> bool {
        let Some(kept) = self.workflows.get_mut(&workflow) else {
            return false;
        };
        if kept.suspended == suspended || (suspended && kept.status().is_terminal()) {
            return false;
        }
        kept.suspended = suspended;
        kept.revision += 1;
        let event = LogEvent {
            kind: match suspended {
                true => EventKind::WorkflowSuspended,
                false => EventKind::WorkflowResumed,
            },
            task: None,
            error: None,
        };
        self.log.push((workflow, event));
        self.deliver(vec![InboxItem::Look { workflow }]);
        true
    }
}
