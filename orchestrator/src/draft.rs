//! One instance's part of a turn in the making: several transitions, one commit.

use std::collections::BTreeMap;
use std::time::Duration;

use paceline_types::workflow::{Header, Section, TaskRecord};
use paceline_types::{JobId, WorkflowId, WorkflowStatus};

use crate::instance::Instance;
use crate::ports::{Alarm, Cancels, Commit, Conclusion, LogEvent, Post, TaskJob};
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
    history: Vec<(u32, TaskRecord)>,
    sections: Vec<Section>,
    conclusions: Vec<Conclusion>,
    posts: Vec<Post>,
    alarms: BTreeMap<Alarm, Option<Duration>>,
    close: Option<WorkflowStatus>,
    retire: bool,
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
            history: Vec::new(),
            sections: Vec::new(),
            conclusions: Vec::new(),
            posts: Vec::new(),
            alarms: BTreeMap::new(),
            close: None,
            retire: false,
        }
    }

    /// A commit that changes nothing and states the marks as they should be.
    pub(crate) fn restating(instance: &Instance, expected: u64) -> Draft {
        let over = instance.stage().is_closed() || instance.stage().ending().is_some();
        Draft {
            more: instance.has_leftover(),
            alarms: over
                .then_some((Alarm::Deadline, None))
                .into_iter()
                .collect(),
            ..Draft::changing(instance.id(), expected)
        }
    }

    /// A commit for an instance that is not there: it takes its marks away.
    pub(crate) fn absent(workflow: WorkflowId) -> Draft {
        Draft {
            alarms: [(Alarm::Deadline, None)].into(),
            ..Draft::changing(workflow, 0)
        }
    }

    /// Adds what was applied to the instance last.
    pub(crate) fn add(&mut self, instance: &Instance, transition: Transition) {
        self.header = transition.header.or(self.header.take());
        self.tasks.extend(transition.tasks);
        self.more = transition.more;
        self.history.extend(transition.history);
        self.sections.extend(transition.sections);
        for effect in transition.effects {
            match effect {
                Effect::Dispatch(job) => self.dispatches.push(*job),
                Effect::CancelJob(job) => self.cancels.push(job),
                Effect::Spawn(spawn) => self.posts.push(Post::Spawn(spawn)),
                Effect::CancelChild { child } => self.posts.push(Post::Cancel {
                    child,
                    reason: format!("its parent {} ends", instance.id()),
                }),
                Effect::Conclude(conclusion) => self.conclusions.push(conclusion),
                Effect::Arm(alarm, after) => {
                    self.alarms.insert(alarm, Some(after));
                }
                Effect::Disarm(alarm) => {
                    self.alarms.insert(alarm, None);
                }
                Effect::Succeed { to, job } => self.posts.push(Post::Succeed {
                    from: instance.id(),
                    to,
                    job,
                }),
                Effect::Close { status } => self.close = Some(status),
                Effect::Retire => self.retire = true,
            }
        }
        let told = |happening: Happening| LogEvent {
            kind: happening.kind,
            task: happening.task,
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
            history: self.history,
            sections: self.sections,
            conclusions: self.conclusions,
            posts: self.posts,
            alarms: self.alarms.into_iter().collect(),
            close: self.close,
            retire: self.retire,
        }
    }
}
