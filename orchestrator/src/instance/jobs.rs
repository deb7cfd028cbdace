//! What is asked for when a task or a hook is dispatched.

use bytes::Bytes;
use paceline_types::workflow::{Hook, PlannedTask, TaskRecord, UpstreamTasks, Work, object};
use paceline_types::{JobId, JobSpec, TaskName, WorkflowId, WorkflowStatus};
use serde_json::json;

use super::Instance;
use crate::ports::{Composition, TaskJob, Upstream, UpstreamJob};

impl Instance {
    /// The job of one start of a task.
    #[must_use]
    pub fn job_of(&self, index: u32, iteration: u32) -> JobId {
        JobId::of_task(self.id, index, iteration)
    }

    /// The child workflow that a task's start is.
    #[must_use]
    pub fn child_of(&self, index: u32, iteration: u32) -> WorkflowId {
        match self.planned(index).map(|planned| &planned.work) {
            Some(Work::Child { beside: true, .. }) => {
                WorkflowId::of_child_beside(self.id, index, iteration)
            }
            _ => {
                let shards = self.header().shards.max(1);
                WorkflowId::of_child(self.id, index, iteration, shards)
            }
        }
    }

    /// The job of a task's start, ready to be made; none if it has no task of this index, or one
    /// that runs no job. Elements of maps have none here.
    #[must_use]
    pub fn task_job(&self, index: u32, iteration: u32) -> Option<TaskJob> {
        let (plan, _, place) = self.place(index)?;
        let planned = plan.task(place);
        Some(TaskJob {
            job: self.job_of(index, iteration),
            index,
            task: planned.name.clone(),
            iteration,
            spec: plan.job_spec(place)?,
            composition: Composition {
                template: planned.template.is_some(),
                input: planned.uses_input,
                references: self.upstream_jobs(index, &planned.references),
                upstream: self.upstream(index, planned),
            },
        })
    }

    /// The job of an element of a map, which is given this payload.
    pub(crate) fn element_job(
        &self,
        index: u32,
        iteration: u32,
        payload: Bytes,
    ) -> Option<TaskJob> {
        let (map, _) = self.element(index)?;
        let (plan, _, place) = self.place(map)?;
        Some(TaskJob {
            job: self.job_of(index, iteration),
            index,
            task: self.task_name(index)?,
            iteration,
            spec: JobSpec {
                payload,
                ..plan.job_spec(place)?
            },
            composition: Composition::default(),
        })
    }

    /// The job of a hook of the present outcome; none if the definition has no such hook.
    pub(crate) fn hook_job(&self, hook: Hook) -> Option<TaskJob> {
        let planned = self.plan.hook(hook)?;
        let status = match hook {
            Hook::Init => WorkflowStatus::Running,
            Hook::Success | Hook::Failure | Hook::Exit => self.stage().status(),
        };
        let error = self.stage().ending().map(ToString::to_string);
        let workflow = json!({
            "id": self.id,
            "name": self.plan.name(),
            "status": status,
            "error": error,
        });
        let workflow = Bytes::from(workflow.to_string());
        let entries = [
            ("original", Some(&planned.payload)),
            ("workflow", Some(&workflow)),
        ];
        let payload = object(entries.into_iter());
        let iteration = self.hook_iteration(hook);
        Some(TaskJob {
            job: self.job_of(hook.index(), iteration),
            index: hook.index(),
            task: TaskName::new(&hook.task_name()).ok()?,
            iteration,
            spec: JobSpec {
                priority: self.plan.default_priority(),
                timeout: planned.timeout,
                ..JobSpec::new(planned.task_type.clone(), payload)
            },
            composition: Composition::default(),
        })
    }

    /// Where the result of a task that is done is.
    #[must_use]
    pub fn upstream_job(&self, index: u32) -> Option<UpstreamJob> {
        let job = match self.record_of(index) {
            None | Some(TaskRecord::Skipped { .. } | TaskRecord::Bypassed { .. }) => None,
            Some(record) => Some(self.job_of(index, record.iteration())),
        };
        let task = self.task_name(index)?;
        Some(UpstreamJob { task, job })
    }

    fn upstream(&self, index: u32, planned: &PlannedTask) -> Upstream {
        match &planned.result_from {
            None => Upstream::None,
            Some(UpstreamTasks::One(from)) => self
                .upstream_jobs(index, std::slice::from_ref(from))
                .pop()
                .map_or(Upstream::None, Upstream::One),
            Some(UpstreamTasks::Many(from)) => Upstream::Many(self.upstream_jobs(index, from)),
        }
    }

    /// Of tasks by their places in the plan of `index`.
    fn upstream_jobs(&self, index: u32, places: &[u32]) -> Vec<UpstreamJob> {
        let base = self.place(index).map_or(0, |(_, base, _)| base);
        let jobs = places
            .iter()
            .filter_map(|&place| self.upstream_job(base + place));
        jobs.collect()
    }
}
