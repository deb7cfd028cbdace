//! What a plan is made of, beside its tasks.

use std::time::Duration;

use bytes::Bytes;

use super::Edges;
use crate::{Priority, RetryPolicy, TaskType};

/// What a plan says of the workflow as a whole.
#[derive(Clone, Debug, Default)]
pub(in crate::workflow) struct Head {
    pub(in crate::workflow) name: String,
    pub(in crate::workflow) execution_timeout: Option<Duration>,
    pub(in crate::workflow) retry_policy: Option<RetryPolicy>,
    /// In the order of [`Hook::ALL`](crate::workflow::Hook::ALL).
    pub(in crate::workflow) hooks: [Option<PlannedHook>; 4],
    pub(in crate::workflow) default_priority: Priority,
}

/// A hook of a plan.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedHook {
    /// Which handler runs it.
    pub task_type: TaskType,
    /// Given to the handler, as `original`; `null` when the definition has none.
    pub payload: Bytes,
    /// Longest execution of one attempt.
    pub timeout: Option<Duration>,
}

/// What conditions add to the edges.
#[derive(Clone, Debug)]
pub(in crate::workflow) struct Routed {
    /// Every edge, dependencies first.
    pub(in crate::workflow) waits: Edges,
    /// The conditions that lead forward to each task.
    pub(in crate::workflow) deciders: Edges,
    /// Sorted by condition and target.
    pub(in crate::workflow) bodies: Box<[Body]>,
}

/// The tasks of a loop: the target first, the condition last.
#[derive(Clone, Debug)]
pub(in crate::workflow) struct Body {
    pub(in crate::workflow) condition: u32,
    pub(in crate::workflow) target: u32,
    pub(in crate::workflow) tasks: Box<[u32]>,
}

impl Body {
    /// Whether a task is in it.
    pub(in crate::workflow) fn contains(&self, task: u32) -> bool {
        let inner = self.tasks.len().saturating_sub(1).max(1);
        task == self.target
            || task == self.condition
            || self.tasks[1..inner].binary_search(&task).is_ok()
    }
}
