//! How a workflow stands, as callers see it: its record, and those of its jobs.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use paceline_types::workflow::{
    Hook, Plan, Stage, TaskRecord, Workflow, WorkflowDefinition, WorkflowStatus,
};
use paceline_types::{JobId, ShardIndex, WorkflowId};

use super::StoredWorkflow;
use super::tasks::{Found, Placed, hook, place_tasks, task_view};
use crate::calls::MAX_BATCH;
use crate::calls::read;
use crate::calls::turn::{failure, upstream_result};
use crate::wire::state::State;
use crate::{Store, StoreError};

impl StoredWorkflow {
    /// The status of the public model.
    #[must_use]
    pub fn status(&self) -> WorkflowStatus {
        match &self.header.stage {
            // The leader has not looked at it yet.
            _ if self.retried => WorkflowStatus::Running,
            Stage::Opening | Stage::Running | Stage::Resting(_) | Stage::Restarting
                if self.suspended_at.is_some() =>
            {
                WorkflowStatus::Suspended
            }
            stage => stage.status(),
        }
    }
}

impl Store {
    /// How a workflow stands, with all its tasks but the elements of maps; none when there is no such
    /// workflow.
    ///
    /// The states of running tasks are read after the workflow itself, so a task may be seen a
    /// step further than its workflow.
    ///
    /// # Errors
    /// When there was no answer.
    pub async fn workflow(&self, id: WorkflowId) -> Result<Option<Workflow>, StoreError> {
        self.view(id, false).await
    }

    /// The same with the elements of its maps as tasks of their own, up to 10,000 of each.
    ///
    /// # Errors
    /// When there was no answer.
    pub async fn workflow_with_elements(
        &self,
        id: WorkflowId,
    ) -> Result<Option<Workflow>, StoreError> {
        self.view(id, true).await
    }

    async fn view(&self, id: WorkflowId, elements: bool) -> Result<Option<Workflow>, StoreError> {
        let loaded = self.load_workflows(id.shard(), &[id]).await?.pop();
        let Some(stored) = loaded.flatten() else {
            return Ok(None);
        };
        let definition = definition_of(&stored)?;
        let records = stored.records();
        let placed = place_tasks(&definition, &stored, &records, elements)?;
        let hooks: Vec<(Hook, Placed<'_>)> = Hook::ALL
            .into_iter()
            .filter(|which| records.contains_key(&which.index()))
            .filter_map(|which| Some((which, hook(&definition, which)?)))
            .collect();
        let all = || placed.iter().chain(hooks.iter().map(|(_, placed)| placed));
        let jobs: Vec<JobId> = all()
            .filter_map(|placed| {
                let record = records.get(&placed.index)?;
                Some(JobId::of_task(id, placed.index, record.iteration()))
            })
            .collect();
        let found = self.found(id.shard(), &jobs).await?;
        let show = |placed: &Placed<'_>| task_view(id, placed, &stored, &records, &found);

        let mut view = header_view(id, &definition.name, &stored);
        view.max_attempts = max_attempts(definition.retry_policy.as_ref());
        view.tasks = placed.iter().map(show).collect();
        view.hook_states = hooks
            .iter()
            .map(|(which, placed)| (which.as_str().to_owned(), show(placed)))
            .collect();
        if view.status == WorkflowStatus::Completed {
            view.output = Some(self.output_of(id, &definition, &records).await?);
        }
        Ok(Some(view))
    }

    /// Jobs that there are, and when those ended that are no jobs.
    async fn found(
        &self,
        shard: ShardIndex,
        jobs: &[JobId],
    ) -> Result<HashMap<JobId, Found>, StoreError> {
        let mut found = HashMap::with_capacity(jobs.len());
        for chunk in jobs.chunks(MAX_BATCH) {
            for (&job, reading) in chunk.iter().zip(self.readings(shard, chunk).await?) {
                let here = match read::view(job, &reading)? {
                    Some(job) => Some(Found::Job(Box::new(job))),
                    None => State::parse(&reading.state).map(|state| Found::Concluded(state.at)),
                };
                found.extend(here.map(|here| (job, here)));
            }
        }
        Ok(found)
    }

    /// What a workflow came to that completed.
    pub(crate) async fn workflow_output(
        &self,
        id: WorkflowId,
        stored: &StoredWorkflow,
    ) -> Result<Bytes, StoreError> {
        let definition = definition_of(stored)?;
        self.output_of(id, &definition, &stored.records()).await
    }

    async fn output_of(
        &self,
        id: WorkflowId,
        definition: &WorkflowDefinition,
        records: &HashMap<u32, &TaskRecord>,
    ) -> Result<Bytes, StoreError> {
        let plan = Plan::restore(definition).map_err(|errors| match errors.first() {
            Some(error) => broken(error),
            None => broken(&"nothing"),
        })?;
        let record = |leaf: &u32| records.get(leaf).copied();
        let left = |record: &TaskRecord| {
            matches!(
                record,
                TaskRecord::Completed { .. }
                    | TaskRecord::Routed { .. }
                    | TaskRecord::FailedAllowed { .. }
            )
        };
        let of = |leaf: &u32| {
            let iteration = record(leaf).filter(|record| left(record))?.iteration();
            Some(JobId::of_task(id, *leaf, iteration))
        };
        let ids: Vec<JobId> = plan.leaves().iter().filter_map(of).collect();
        let mut states = self.states(id.shard(), &ids).await?.into_iter();
        let results: Vec<Option<Bytes>> = plan
            .leaves()
            .iter()
            .map(|leaf| {
                let state = of(leaf).and_then(|_| states.next());
                let result = state.and_then(|state| upstream_result(&state));
                // What failed without a job has left nothing but its record.
                result.or_else(|| failure(record(leaf)?.error()?))
            })
            .collect();
        Ok(plan.output(&results))
    }
}

fn broken(problem: &dyn std::fmt::Display) -> StoreError {
    StoreError::protocol("GET", "a definition", &problem.to_string())
}

pub(super) fn definition_of(stored: &StoredWorkflow) -> Result<WorkflowDefinition, StoreError> {
    let text = String::from_utf8_lossy(&stored.definition);
    WorkflowDefinition::from_json(&text).map_err(|error| broken(&error))
}

/// How often a workflow is tried by its policy.
pub(crate) fn max_attempts(policy: Option<&paceline_types::RetryPolicy>) -> u32 {
    policy.map_or(1, |policy| policy.max_attempts.max(1))
}

/// Everything of a workflow but its tasks and its output.
pub(crate) fn header_view(id: WorkflowId, name: &str, stored: &StoredWorkflow) -> Workflow {
    let stage = &stored.header.stage;
    let status = stored.status();
    let parent = stored.child_of.as_ref();
    Workflow {
        id,
        workflow_name: name.to_owned(),
        status,
        error: stage
            .ending()
            .filter(|_| !stored.retried)
            .map(ToString::to_string),
        tasks: Vec::new(),
        hook_states: BTreeMap::new(),
        input: stored.input.clone(),
        output: None,
        attempt: stored.header.attempt,
        max_attempts: 1,
        signals_pending: u32::try_from(stored.signals.len()).unwrap_or(u32::MAX),
        parent_workflow_id: parent.map(|child| child.origin.parent),
        parent_task_name: parent.map(|child| child.name.clone()),
        continued_from: stored.continued_from,
        continued_to: match stage {
            Stage::Continued { to } => Some(*to),
            _ => None,
        },
        created_at: stored.created_at,
        deadline: stored.deadline,
        suspended_at: stored
            .suspended_at
            .filter(|_| status == WorkflowStatus::Suspended),
        completed_at: stored.ended_at,
    }
}
