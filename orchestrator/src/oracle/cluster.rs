//! A cluster in miniature: instances, advanced by [`advance`], and what chance does to them.
//!
//! There is no ledger. What a transition keeps is kept here, and instances are made anew of it at
//! random moments. Jobs end in any order, events come twice, limits are small.

mod effects;
mod looks;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use paceline_types::workflow::{Header, Hook, Origin, Plan, WorkflowDefinition};
use paceline_types::{JobId, ShardIndex, SignalName, TaskName, WorkflowId};
use serde_json::Value;

use super::chance::Chance;
use super::judge::{Disturbed, Seen};
use super::picture::Picture;
use crate::advance::advance;
use crate::facts::Facts;
use crate::instance::{Instance, Limits};
use crate::ports::{Alarm, StoredInstance, TaskJob};
use crate::transition::{Event, Refusal};

/// What may happen beside the ends of jobs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mishaps {
    /// Somebody cancels the workflow.
    pub cancel: bool,
    /// Its execution timeout passes.
    pub time_out: bool,
    /// It is suspended and resumed.
    pub suspend: bool,
    /// Somebody tries it again after it failed.
    pub retry: bool,
    /// Events come twice, and instances are made anew.
    pub forget: bool,
}

struct Job {
    workflow: WorkflowId,
    job: TaskJob,
    cancelled: bool,
}

/// What an ended job left.
#[derive(Clone, Debug)]
enum Left {
    Value(Bytes),
    Error(String),
    Nothing,
}

struct Kept {
    definition: Arc<WorkflowDefinition>,
    instance: Instance,
    facts: Facts,
    picture: Picture,
    signals: BTreeMap<u64, SignalName>,
    last_signal: u64,
    suspended: bool,
    input: Value,
    origin: Option<(Origin, TaskName)>,
    continued_from: Option<WorkflowId>,
    inbox: VecDeque<Event>,
    alarms: BTreeSet<Alarm>,
    /// Tasks whose records went to the history; they stay in the picture.
    dropped: BTreeSet<u32>,
    more: bool,
    wanted: Vec<JobId>,
    closed: bool,
    retired: bool,
    hooks: Vec<Hook>,
    made: BTreeMap<(u32, u32), u32>,
    children: BTreeMap<(u32, u32), WorkflowId>,
    next: Option<WorkflowId>,
}

/// All of it.
pub struct Cluster {
    chance: Chance,
    mishaps: Mishaps,
    small: bool,
    instances: BTreeMap<WorkflowId, Kept>,
    jobs: BTreeMap<JobId, Job>,
    left: BTreeMap<JobId, Left>,
    root: WorkflowId,
    steps: usize,
    /// What happened to the root.
    pub disturbed: Disturbed,
}

const SHARDS: u16 = 3;

impl Cluster {
    /// Runs a workflow to its end.
    ///
    /// # Errors
    /// What should not have happened, in words.
    pub fn run(
        definition: &WorkflowDefinition,
        plan: Plan,
        input: &Value,
        seed: u64,
        mishaps: Mishaps,
        most_steps: usize,
    ) -> Result<(Seen, Cluster), String> {
        let mut chance = Chance::new(seed);
        let root = WorkflowId::from_parts(1, ShardIndex(0), chance.number() >> 8);
        let mut cluster = Cluster {
            small: chance.percent(60),
            chance,
            mishaps,
            instances: BTreeMap::new(),
            jobs: BTreeMap::new(),
            left: BTreeMap::new(),
            root,
            steps: 0,
            disturbed: Disturbed::default(),
        };
        cluster.accept(
            root,
            Arc::new(definition.clone()),
            Arc::new(plan),
            input.clone(),
            None,
            None,
        );
        while cluster.step()? {
            cluster.steps += 1;
            if cluster.steps > most_steps {
                return Err(format!("it has not ended after {most_steps} steps"));
            }
        }
        let seen = cluster.seen(root);
        Ok((seen, cluster))
    }

    fn accept(
        &mut self,
        id: WorkflowId,
        definition: Arc<WorkflowDefinition>,
        plan: Arc<Plan>,
        input: Value,
        origin: Option<(Origin, TaskName)>,
        continued_from: Option<WorkflowId>,
    ) {
        let kept = Kept {
            instance: Instance::new(id, Arc::clone(&plan)),
            picture: Picture {
                id,
                plan,
                header: Header::NEW,
                tasks: BTreeMap::new(),
                history: BTreeMap::new(),
                sections: Vec::new(),
            },
            definition,
            facts: Facts::new(),
            signals: BTreeMap::new(),
            last_signal: 0,
            suspended: false,
            input,
            origin,
            continued_from,
            inbox: VecDeque::from([Event::Start { shards: SHARDS }]),
            alarms: BTreeSet::new(),
            dropped: BTreeSet::new(),
            more: false,
            wanted: Vec::new(),
            closed: false,
            retired: false,
            hooks: Vec::new(),
            made: BTreeMap::new(),
            children: BTreeMap::new(),
            next: None,
        };
        self.instances.insert(id, kept);
        self.reload(id).ok();
        for _ in 0..self.chance.below(3) {
            let name = *self.chance.pick(&["given", "other"]);
            self.signal(id, name);
        }
    }

    fn kept(&mut self, id: WorkflowId) -> Result<&mut Kept, String> {
        self.instances
            .get_mut(&id)
            .ok_or_else(|| format!("there is no {id}"))
    }

    /// Makes an instance anew of what is kept of it.
    fn reload(&mut self, id: WorkflowId) -> Result<(), String> {
        let kept = self.kept(id)?;
        let picture = &kept.picture;
        let stored = StoredInstance {
            definition: Bytes::new(),
            input: Some(kept.input.to_string().into()),
            origin: kept.origin.as_ref().map(|(origin, _)| *origin),
            continued_from: kept.continued_from,
            suspended: kept.suspended,
            cancelled: None,
            retried: false,
            header: picture.header.clone(),
            revision: 0,
            tasks: picture
                .tasks
                .iter()
                .filter(|(index, _)| !kept.dropped.contains(index))
                .map(|(index, record)| (*index, record.clone()))
                .collect(),
            sections: {
                let mut sections = picture.newest_sections();
                sections.retain(|section| !kept.dropped.contains(&section.generator));
                sections
            },
            signals: kept
                .signals
                .iter()
                .map(|(number, name)| (*number, name.clone()))
                .collect(),
            last_signal: 0,
        };
        kept.instance = Instance::restore(id, Arc::clone(&picture.plan), stored, Limits::default())
            .map_err(|error| format!("what is kept of {id} is no instance: {error}"))?;
        kept.facts = Facts::new();
        Ok(())
    }

    /// One thing that happens; false when nothing can happen any more.
    fn step(&mut self) -> Result<bool, String> {
        self.meddle()?;
        let able: Vec<Deed> = self.deeds();
        if able.is_empty() {
            return self.rest();
        }
        let deed = self.chance.pick(&able).clone();
        match deed {
            Deed::Deliver(id) => {
                let Some(event) = self.kept(id)?.inbox.pop_front() else {
                    return Ok(true);
                };
                self.apply(id, &event)?;
                // A wish to try again is taken out of the inbox with what it changes, or comes again
                // before; later it would be another wish.
                let again = !matches!(event, Event::RetryRequested);
                if again && self.mishaps.forget && self.chance.percent(10) {
                    let kept = self.kept(id)?;
                    kept.inbox.push_back(event);
                }
            }
            Deed::GoOn(id) => {
                let wanted = std::mem::take(&mut self.kept(id)?.wanted);
                for job in wanted {
                    let left = self.result(job);
                    self.kept(id)?.facts.learn(job, left);
                }
                self.apply(id, &Event::Continue)?;
            }
            Deed::End(job) => self.end(job)?,
            Deed::Ring(id, alarm) => {
                self.kept(id)?.alarms.remove(&alarm);
                self.apply(id, &Event::Rang(alarm))?;
            }
        }
        Ok(true)
    }

    /// What can happen now by itself.
    fn deeds(&self) -> Vec<Deed> {
        let mut able = Vec::new();
        for (&id, kept) in &self.instances {
            if !kept.inbox.is_empty() {
                able.push(Deed::Deliver(id));
            }
            if kept.more {
                able.push(Deed::GoOn(id));
            }
            for &alarm in &kept.alarms {
                if self.may_ring(kept, alarm) {
                    able.push(Deed::Ring(id, alarm));
                }
            }
        }
        able.extend(self.jobs.keys().copied().map(Deed::End));
        able
    }

    /// Nothing happens by itself: somebody gives a signal that is waited for, or resumes what is
    /// suspended; else it must be the end.
    fn rest(&mut self) -> Result<bool, String> {
        let ids: Vec<WorkflowId> = self.instances.keys().copied().collect();
        for id in ids {
            if self.kept(id)?.suspended {
                self.suspend(id, false)?;
                return Ok(true);
            }
            for name in self.waited_for(id) {
                if name != "never" {
                    self.signal(id, &name);
                    return Ok(true);
                }
            }
        }
        if self.mishaps.retry && self.chance.percent(50) && self.retry()? {
            return Ok(true);
        }
        for (id, kept) in &self.instances {
            if !kept.closed || !kept.retired {
                return Err(format!(
                    "{id} hangs: {:?}, suspended {}, records {:?}",
                    kept.picture.header, kept.suspended, kept.picture.tasks
                ));
            }
        }
        Ok(false)
    }

    /// Applies an event, and what follows from it.
    fn apply(&mut self, id: WorkflowId, event: &Event) -> Result<(), String> {
        if self.mishaps.forget && self.chance.percent(5) {
            self.reload(id)?;
        }
        let limit = match self.small {
            true => 1 + self.chance.below(5),
            false => 100,
        };
        let kept = self.kept(id)?;
        match advance(&mut kept.instance, event, &kept.facts, limit) {
            Ok(transition) => self.carry_out(id, transition, limit),
            Err(Refusal::Late(_)) => {
                if matches!(event, Event::Continue) {
                    self.kept(id)?.more = false;
                }
                Ok(())
            }
            Err(Refusal::Impossible(why)) => Err(format!("{event:?} is impossible: {why}")),
        }
    }
}

#[derive(Clone, Debug)]
enum Deed {
    Deliver(WorkflowId),
    GoOn(WorkflowId),
    End(JobId),
    Ring(WorkflowId, Alarm),
}
