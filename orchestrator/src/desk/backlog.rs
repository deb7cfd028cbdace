//! Instances with work left over, in the order of their turn.

use std::collections::BTreeMap;

use paceline_types::WorkflowId;

/// Instances with work left over, in the order of their turn, each once.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    tickets: u64,
    by_ticket: BTreeMap<u64, WorkflowId>,
    waiting: BTreeMap<WorkflowId, u64>,
}

impl Backlog {
    /// To the end of the queue, unless it waits already.
    pub(super) fn push(&mut self, workflow: WorkflowId) {
        if !self.waiting.contains_key(&workflow) {
            self.tickets += 1;
            self.waiting.insert(workflow, self.tickets);
            self.by_ticket.insert(self.tickets, workflow);
        }
    }

    pub(super) fn remove(&mut self, workflow: WorkflowId) {
        if let Some(ticket) = self.waiting.remove(&workflow) {
            self.by_ticket.remove(&ticket);
        }
    }

    /// After a commit: one with work left over goes to the end of the queue.
    pub(super) fn settle(&mut self, workflow: WorkflowId, more: bool) {
        self.remove(workflow);
        if more {
            self.push(workflow);
        }
    }

    /// Those whose turn is next, at most `max`.
    pub(super) fn first(&self, max: usize) -> Vec<WorkflowId> {
        self.by_ticket.values().take(max).copied().collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}
