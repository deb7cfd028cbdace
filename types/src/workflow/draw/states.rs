//! How the tasks of an instance stand, drawn over its definition.

use super::graph::{Graph, Look};
use crate::JobStatus;
use crate::workflow::{TaskState, Workflow};

impl Graph {
    /// The same graph in the colours of how an instance of it stands.
    #[must_use]
    pub fn with_states(mut self, workflow: &Workflow) -> Graph {
        self.has_states = true;
        for state in &workflow.tasks {
            self.show(state);
        }
        self
    }

    fn show(&mut self, state: &TaskState) {
        let Some(&node) = self.by_name.get(state.name.as_str()) else {
            return;
        };
        let Some(node) = self.nodes.get_mut(node) else {
            return;
        };
        node.look = Some(look(state));
        if state.attempt > 1 {
            node.lines.push(format!("attempt {}", state.attempt));
        }
    }
}

fn look(state: &TaskState) -> Look {
    match state.status {
        JobStatus::Pending | JobStatus::Scheduled if state.job_id.is_none() => Look::Waiting,
        JobStatus::Pending | JobStatus::Scheduled | JobStatus::Paused => Look::Queued,
        JobStatus::Running | JobStatus::Retrying => Look::Running,
        JobStatus::Completed if state.skipped => Look::Skipped,
        JobStatus::Completed => Look::Completed,
        JobStatus::Dead => Look::Failed,
        JobStatus::Cancelled => Look::Cancelled,
    }
}
