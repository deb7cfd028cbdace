//! What a built-in knows of the run that it serves.

use crate::Context;
use paceline_types::{JobId, NodeId, TaskName, WorkflowId};

/// One attempt of a job on this node.
#[derive(Debug, Clone)]
pub(super) struct Run {
    /// The job.
    pub(super) job: JobId,
    /// Number of this execution, from 1.
    pub(super) attempt: u32,
    /// Where it runs.
    pub(super) node: NodeId,
    /// The workflow and the task that the job belongs to, and which start of the task it is.
    pub(super) task: Option<(WorkflowId, TaskName, u32)>,
}

impl Run {
    /// The run of a handler.
    pub(super) fn of(context: &Context) -> Run {
        let task = || {
            let name = context.workflow_task()?.clone();
            Some((context.workflow_id()?, name, context.workflow_iteration()?))
        };
        Run {
            job: context.job_id(),
            attempt: context.attempt(),
            node: context.node_id(),
            task: task(),
        }
    }

    /// The variables that a program finds in its environment.
    pub(super) fn environment(&self) -> Vec<(&'static str, String)> {
        let mut variables = vec![
            ("PACELINE_JOB_ID", self.job.to_string()),
            ("PACELINE_ATTEMPT", self.attempt.to_string()),
            ("PACELINE_NODE", self.node.to_string()),
        ];
        if let Some((workflow, task, iteration)) = &self.task {
            variables.push(("PACELINE_WORKFLOW_ID", workflow.to_string()));
            variables.push(("PACELINE_TASK", task.to_string()));
            variables.push(("PACELINE_ITERATION", iteration.to_string()));
        }
        variables
    }
}
