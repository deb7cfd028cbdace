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
    history: Vec<(u32, TaskRecord)>,
    sections: Vec<Section>,
    dropped: Vec<u32>,
    conclusions: Vec<Conclusion>,
    posts: Vec<Post>,
    dispatches: Vec<TaskJob>,
    cancels: Vec<JobId>,
    events: Vec<LogEvent>,
    more: bool,
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
            history: Vec::new(),
            sections: Vec::new(),
            dropped: Vec::new(),
            conclusions: Vec::new(),
            posts: Vec::new(),
            dispatches: Vec::new(),
            cancels: Vec::new(),
            events: Vec::new(),
            more: false,
            alarms: BTreeMap::new(),
            close: None,
            retire: false,
        }
    }

    /// A commit for an instance that is not there: it takes its marks away.
    pub(crate) fn absent(workflow: WorkflowId) -> Draft {
        Draft::changing(workflow, 0)
    }

    /// Adds what was applied to the instance last.
    pub(crate) fn add(&mut self, instance: &Instance, transition: Transition) {
        self.header = transition.header.or(self.header.take());
        self.tasks.extend(transition.tasks);
        self.more = transition.more;
        self.history.extend(transition.history);
        self.sections.extend(transition.sections);
        self.dropped.extend(transition.dropped);
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
                Effect::Close { status } => {
                    self.close = Some(status);
                    let told = |origin: &_| Post::ended(instance.id(), *origin, instance.stage());
                    self.posts.extend(instance.origin().and_then(told));
                }
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

    /// States whether work is left over.
    pub(crate) fn set_more(&mut self, more: bool) {
        self.more = more;
    }

    /// Arms an alarm, unless the draft says something of it already.
    pub(crate) fn rearm(&mut self, alarm: Alarm, after: Duration) {
        self.alarms.entry(alarm).or_insert(Some(after));
    }

    /// Takes an alarm away that rang for nothing, unless the draft says something of it already.
    pub(crate) fn disarm(&mut self, alarm: Alarm) {
        self.alarms.entry(alarm).or_insert(None);
    }

    /// Adds something that another instance must be told once more.
    pub(crate) fn post(&mut self, post: Post) {
        self.posts.push(post);
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
            history: self.history,
            sections: self.sections,
            dropped: self.dropped,
            conclusions: self.conclusions,
            posts: self.posts,
            dispatches: self.dispatches,
            cancels,
            events: self.events,
            more: self.more,
            alarms: self.alarms.into_iter().collect(),
            close: self.close,
            retire: self.retire,
        }
    }
}
