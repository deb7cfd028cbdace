//! What follows from a transition, and what happens to jobs.

use std::sync::Arc;

use bytes::Bytes;
use paceline_types::workflow::{Hook, Stage, WorkflowDefinition};
use paceline_types::{JobId, WorkflowId, WorkflowStatus};
use serde_json::{Value, json};

use super::super::interpret::signal_payload;
use super::super::worker::{self, Given};
use super::{Cluster, Job, Left};
use crate::ports::{Alarm, ConcludedBy, Post, Spawn, TaskJob, TaskOutcome};
use crate::transition::{Effect, Event, Transition};

impl Cluster {
    pub(super) fn carry_out(
        &mut self,
        id: WorkflowId,
        transition: Transition,
        limit: usize,
    ) -> Result<(), String> {
        let kept = self.kept(id)?;
        if let Some(header) = transition.header {
            kept.picture.header = header;
        }
        for (index, record) in transition.history {
            if kept
                .picture
                .history
                .insert((index, record.iteration()), record)
                .is_some()
            {
                return Err(format!("a start of task {index} is over twice"));
            }
        }
        kept.picture.tasks.extend(transition.tasks);
        kept.picture.sections.extend(transition.sections);
        let mut dropped = Vec::new();
        for task in transition.dropped {
            if kept.picture.is_live(task) {
                return Err(format!("task {task} is dropped and its section is there"));
            }
            kept.dropped.insert(task);
            let Some(record) = kept.picture.tasks.get(&task) else {
                return Err(format!("task {task} is dropped and had no record"));
            };
            dropped.push(JobId::of_task(id, task, record.iteration()));
        }
        kept.more = transition.more;
        kept.wanted = transition.wanted;
        if !kept.wanted.is_empty() && !kept.more {
            return Err("results are wanted, but nothing is left over".to_owned());
        }
        for job in dropped {
            if self.jobs.contains_key(&job) {
                return Err(format!("{job} is dropped and has not ended"));
            }
        }
        let costly = |effect: &&Effect| {
            matches!(
                effect,
                Effect::Dispatch(_)
                    | Effect::CancelJob(_)
                    | Effect::Spawn(_)
                    | Effect::CancelChild { .. }
            )
        };
        let costs = transition.effects.iter().filter(costly).count();
        // A hook that follows the end comes with it.
        if costs > limit + 1 {
            return Err(format!("{costs} effects at a limit of {limit}"));
        }
        for effect in transition.effects {
            self.effect(id, effect)?;
        }
        Ok(())
    }

    fn effect(&mut self, id: WorkflowId, effect: Effect) -> Result<(), String> {
        match effect {
            Effect::Dispatch(job) => self.dispatch(id, *job)?,
            Effect::CancelJob(job) => {
                if let Some(job) = self.jobs.get_mut(&job) {
                    job.cancelled = true;
                }
            }
            Effect::Spawn(spawn) => self.spawn(id, &spawn)?,
            Effect::CancelChild { child } => self.cancel(child),
            Effect::Conclude(conclusion) => {
                let value = match conclusion.result {
                    ConcludedBy::Value(value) => value,
                    ConcludedBy::Signal { number } => {
                        let name = self.kept(id)?.signals.remove(&number);
                        let name = name.ok_or(format!("signal {number} was taken already"))?;
                        signal_payload(name.as_str()).to_string().into()
                    }
                };
                self.left.insert(conclusion.job, Left::Value(value));
            }
            Effect::Arm(alarm, _) => {
                self.kept(id)?.alarms.insert(alarm);
            }
            Effect::Disarm(alarm) => {
                self.kept(id)?.alarms.remove(&alarm);
            }
            Effect::Succeed { to, job } => {
                let input = self
                    .result(job)
                    .ok_or("the input of what follows is gone")?;
                let input = serde_json::from_slice(&input).map_err(|error| error.to_string())?;
                let kept = self.kept(id)?;
                kept.next = Some(to);
                let (definition, plan) =
                    (Arc::clone(&kept.definition), Arc::clone(&kept.picture.plan));
                let origin = kept.origin.clone();
                self.accept(to, definition, plan, input, origin, Some(id));
            }
            Effect::Close { status } => self.close(id, status)?,
            Effect::Retire => {
                let kept = self.kept(id)?;
                kept.retired = true;
                kept.alarms.clear();
                if self.jobs.values().any(|job| job.workflow == id) {
                    return Err(format!("{id} retires with jobs under way"));
                }
            }
        }
        Ok(())
    }

    fn dispatch(&mut self, id: WorkflowId, job: TaskJob) -> Result<(), String> {
        let kept = self.kept(id)?;
        let hook = Hook::of_index(job.index);
        match hook {
            Some(hook) => kept.hooks.push(hook),
            None if kept.suspended => {
                return Err(format!("{} is dispatched while suspended", job.task));
            }
            None if kept.closed => return Err(format!("{} is dispatched after the end", job.task)),
            None => *kept.made.entry((job.index, job.iteration)).or_insert(0) += 1,
        }
        if self.jobs.contains_key(&job.job) || self.left.contains_key(&job.job) {
            return Err(format!(
                "{} of {} is dispatched twice",
                job.iteration, job.task
            ));
        }
        let workflow = id;
        self.jobs.insert(
            job.job,
            Job {
                workflow,
                job,
                cancelled: false,
            },
        );
        Ok(())
    }

    fn spawn(&mut self, id: WorkflowId, spawn: &Spawn) -> Result<(), String> {
        let kept = self.kept(id)?;
        let start = (spawn.origin.task, spawn.origin.iteration);
        *kept.made.entry(start).or_insert(0) += 1;
        if kept.suspended {
            return Err(format!("{} is spawned while suspended", spawn.task));
        }
        kept.children.insert(start, spawn.child);
        if self.instances.contains_key(&spawn.child) {
            return Err(format!("{} is spawned twice", spawn.task));
        }
        let text = String::from_utf8_lossy(&spawn.definition);
        let definition = WorkflowDefinition::from_json(&text).map_err(|error| error.to_string())?;
        let plan = definition
            .validate(256 << 10)
            .map_err(|errors| format!("child: {errors:?}"))?;
        let input = spawn.input.as_deref().unwrap_or(b"null");
        let input = serde_json::from_slice(input).map_err(|error| error.to_string())?;
        let origin = Some((spawn.origin, spawn.task.clone()));
        self.accept(
            spawn.child,
            Arc::new(definition),
            Arc::new(plan),
            input,
            origin,
            None,
        );
        Ok(())
    }

    /// Cancels an instance and what it goes on as.
    pub(super) fn cancel(&mut self, id: WorkflowId) {
        let mut next = Some(id);
        while let Some(id) = next {
            let Some(kept) = self.instances.get_mut(&id) else {
                return;
            };
            let reason = "enough".to_owned();
            kept.inbox.push_back(Event::CancelRequested { reason });
            next = kept.next;
        }
    }

    fn close(&mut self, id: WorkflowId, status: WorkflowStatus) -> Result<(), String> {
        let output = self.output(id);
        let kept = self.kept(id)?;
        if kept.closed {
            return Err(format!("{id} is closed twice"));
        }
        kept.closed = true;
        if kept.picture.header.stage.status() != status {
            return Err(format!(
                "{id} is closed as {status}, but is {:?}",
                kept.picture.header.stage
            ));
        }
        if let Some((index, record)) = kept.picture.open() {
            return Err(format!("{id} is closed, but task {index} is {record:?}"));
        }
        let stage = kept.picture.header.stage.clone();
        let Some((origin, task)) = kept.origin.clone() else {
            return Ok(());
        };
        if let Stage::Continued { .. } = stage {
            return Ok(());
        }
        let Some(Post::Ended { outcome, .. }) = Post::ended(id, origin, &stage) else {
            return Err(format!(
                "{id} is closed, but there is nothing to tell its parent"
            ));
        };
        let job = JobId::of_task(origin.parent, origin.task, origin.iteration);
        if outcome == TaskOutcome::Completed {
            self.left
                .insert(job, Left::Value(output.unwrap_or_default()));
        }
        let told = Event::TaskEnded {
            task,
            iteration: origin.iteration,
            job,
            outcome,
        };
        self.kept(origin.parent)?.inbox.push_back(told);
        Ok(())
    }

    /// What a job left, as those that depend on it are given it.
    pub(super) fn result(&self, job: JobId) -> Option<Bytes> {
        Some(match self.left.get(&job)? {
            Left::Value(value) => value.clone(),
            Left::Error(error) => json!({ "error": error }).to_string().into(),
            Left::Nothing => Bytes::from_static(b"null"),
        })
    }

    pub(super) fn read(&self, job: JobId) -> Option<Value> {
        serde_json::from_slice(&self.result(job)?).ok()
    }

    /// Ends a job as the script has it.
    pub(super) fn end(&mut self, id: JobId) -> Result<(), String> {
        let Some(Job {
            workflow,
            job,
            cancelled,
        }) = self.jobs.remove(&id)
        else {
            return Ok(());
        };
        let cancelled = cancelled.then(|| (TaskOutcome::Cancelled, Bytes::new()));
        let (outcome, result) = match cancelled {
            Some(cancelled) => cancelled,
            None => self.perform(workflow, &job)?,
        };
        let left = match &outcome {
            TaskOutcome::Completed | TaskOutcome::Continued => Left::Value(result),
            TaskOutcome::Skipped { .. } => Left::Nothing,
            TaskOutcome::Dead { error } => Left::Error(error.clone()),
            TaskOutcome::Cancelled => Left::Error("cancelled".to_owned()),
        };
        self.left.insert(id, left);
        self.kept(workflow)?.inbox.push_back(Event::TaskEnded {
            task: job.task,
            iteration: job.iteration,
            job: id,
            outcome,
        });
        Ok(())
    }

    fn perform(&self, workflow: WorkflowId, job: &TaskJob) -> Result<(TaskOutcome, Bytes), String> {
        let kept = self.instances.get(&workflow).ok_or("a job of nothing")?;
        let given = Given {
            task: job.task.as_str(),
            index: job.index,
            iteration: job.iteration,
            attempt: kept.picture.header.attempt,
            spec: &job.spec,
            composition: &job.composition,
            input: &kept.input,
        };
        worker::perform(&given, &|job| self.read(job))
    }

    pub(super) fn may_ring(&self, kept: &super::Kept, alarm: Alarm) -> bool {
        match alarm {
            Alarm::Deadline => false,
            Alarm::Retry => true,
            Alarm::Signal { task, .. } => kept
                .signal_name(task)
                .is_some_and(|name| name.as_str() == "never"),
        }
    }
}
