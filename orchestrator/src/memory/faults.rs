//! How a test makes a ledger in memory fail, repeat itself and forget.

use bytes::Bytes;
use paceline_types::{JobId, WorkflowId};

use super::{Fault, MemoryLedger};

impl MemoryLedger {
    /// From now on every entry is delivered once more after it was consumed.
    pub fn repeat_deliveries(&self) {
        self.state().repeat = true;
    }

    /// The next commit fails like this; the one after it like the next fault that was given.
    pub fn fail_commit(&self, fault: Fault) {
        self.state().faults.push_back(fault);
    }

    /// The next delivery of a post fails like this; after it took effect, the post stays.
    pub fn fail_delivery(&self, fault: Fault) {
        self.state().delivery_faults.push_back(fault);
    }

    /// Takes back the faults that nothing has met yet.
    pub fn clear_faults(&self) {
        let mut state = self.state();
        state.faults.clear();
        state.delivery_faults.clear();
    }

    /// Whether posts to a workflow fail.
    pub fn set_unreachable(&self, workflow: WorkflowId, unreachable: bool) {
        let mut state = self.state();
        match unreachable {
            true => state.unreachable.insert(workflow),
            false => state.unreachable.remove(&workflow),
        };
    }

    /// Whether every call fails.
    pub fn set_down(&self, down: bool) {
        self.state().down = down;
    }

    /// From now on every turn with a commit of this workflow fails.
    pub fn poison(&self, workflow: WorkflowId) {
        self.state().poisoned.insert(workflow);
    }

    /// Forgets a job, as a rollback would.
    pub fn lose_job(&self, job: JobId) {
        self.state().jobs.remove(&job);
    }

    /// Forgets everything in the inbox, as a rollback would.
    pub fn lose_inbox(&self) {
        self.state().inbox.clear();
    }

    /// Forgets all posts, as a rollback would.
    pub fn lose_posts(&self) {
        self.state().outbox.clear();
    }

    /// Forgets what a workflow waits for, as a rollback would.
    pub fn lose_alarms(&self, workflow: WorkflowId) {
        if let Some(kept) = self.state().workflows.get_mut(&workflow) {
            kept.alarms.clear();
        }
    }

    /// Forgets which workflows have work left over, as a rollback would.
    pub fn lose_marks(&self) {
        let mut state = self.state();
        for kept in state.workflows.values_mut() {
            kept.unfinished = false;
        }
        state.batches.forget_marks();
    }

    /// Overwrites the kept definition, as a fault of the data would.
    pub fn break_definition(&self, workflow: WorkflowId) {
        if let Some(kept) = self.state().workflows.get_mut(&workflow) {
            kept.definition = Bytes::from_static(b"{");
        }
    }

    /// Changes an instance behind the leader's back.
    pub fn touch(&self, workflow: WorkflowId) {
        if let Some(kept) = self.state().workflows.get_mut(&workflow) {
            kept.revision += 1;
        }
    }
}
