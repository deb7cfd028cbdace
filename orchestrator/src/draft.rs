//! One instance's part of a turn in the making: several transitions, one commit.

use std::collections::BTreeMap;

use paceline_types::workflow::{Header, TaskRecord};
use paceline_types::{JobId, WorkflowId, WorkflowStatus};

use crate::instance::Instance;
use crate::ports::{Cancels, Close, Commit, Deadline, LogEvent, TaskEvent, TaskJob};
use crate::transition::{Effect, Happening, Transition};

#[derive(Debug)]
pub(crate) struct Draft {
    workflow: WorkflowId,
    expected: u64,
    header: Option<Header>,
    /// By index, so that a task that changed twice is written once.
    tasks: BTreeMap<u32, TaskRecord>,
    dispatches: Vec<TaskJob>,
    cancels: Vec<JobId>,
    events: Vec<LogEvent>,
    more: bool,
    deadline: Deadline,
    close: Option<Close>,
}

impl Draft {
    /// A commit that transitions are added to.
    pub(crate) fn changing(workflow: WorkflowId, expected: u64) -> Draft {
        Draft {
            workflow,
            expected,
            header: None,
            tasks: BTreeMap::new(),
            dispatches: Vec::new(),
            cancels: Vec::new(),
            events: Vec::new(),
            more: false,
            deadline: Deadline::Keep,
            close: None,
        }
    }

    /// A commit that changes nothing and states the marks as they should be.
    pub(crate) fn restating(instance: &Instance, expected: u64) -> Draft {
        let over = instance.stage().is_closed() || instance.stage().ending().is_some();
        Draft {
            more: instance.has_leftover(),
            deadline: if over {
                Deadline::Disarm
            } else {
                Deadline::Keep
            },
            ..Draft::changing(instance.id(), expected)
        }
    }

    /// A commit for an instance that is not there: it takes its marks away.
    pub(crate) fn absent(workflow: WorkflowId) -> Draft {
        Draft {
            deadline: Deadline::Disarm,
            ..Draft::changing(workflow, 0)
        }
    }

    /// Adds what was applied to the instance last.
    pub(crate) fn add(&mut self, instance: &Instance, transition: Transition) {
        self.header = transition.header.or(self.header.take());
        self.tasks.extend(transition.tasks);
        self.more = transition.more;
        let job = |task, iteration| JobId::of_task(instance.id(), task, iteration);
        for effect in transition.effects {
            match effect {
                Effect::Dispatch { task, iteration } => {
                    self.dispatches.push(instance.task_job(task, iteration));
                }
                Effect::CancelJob { task, iteration } => self.cancels.push(job(task, iteration)),
                Effect::ArmDeadline { after } => self.deadline = Deadline::Arm(after),
                Effect::DisarmDeadline => self.deadline = Deadline::Disarm,
                Effect::Close { status } => self.close = Some(close(instance, status)),
            }
        }
        let told = |happening: Happening| LogEvent {
            kind: happening.kind,
            task: happening.task.map(|(task, iteration)| TaskEvent {
                task: instance.plan().task(task).name.clone(),
                task_type: instance.plan().task(task).task_type.clone(),
                job: job(task, iteration),
                iteration,
            }),
            error: happening.error,
        };
        self.events.extend(transition.events.into_iter().map(told));
    }

    /// The commit, given the instance as it stands after the last transition.
    pub(crate) fn finish(self, instance: Option<&Instance>) -> Commit {
        let reason = || {
            let ending = instance.and_then(|instance| instance.stage().ending());
            ending.map(ToString::to_string).unwrap_or_default()
        };
        let cancels = (!self.cancels.is_empty()).then(|| Cancels {
            jobs: self.cancels,
            reason: reason(),
        });
        Commit {
            workflow: self.workflow,
            expected: self.expected,
            header: self.header,
            tasks: self.tasks.into_iter().collect(),
            dispatches: self.dispatches,
            cancels,
            events: self.events,
            more: self.more,
            deadline: self.deadline,
            close: self.close,
        }
    }
}

fn close(instance: &Instance, status: WorkflowStatus) -> Close {
    let leaves = match status {
        WorkflowStatus::Completed => {
            let leaves = instance.plan().leaves().iter();
            leaves.map(|&leaf| instance.upstream_job(leaf)).collect()
        }
        WorkflowStatus::Pending
        | WorkflowStatus::Running
        | WorkflowStatus::Failed
        | WorkflowStatus::Cancelled => Vec::new(),
    };
    Close { status, leaves }
}
