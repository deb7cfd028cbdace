//! What single starts of tasks came to, those included that loops and retries have left behind.

use paceline_types::workflow::{TaskRecord, TaskResult};
use paceline_types::{JobId, JobStatus, WorkflowId};

use super::StoredWorkflow;
use super::tasks::place_tasks;
use super::view::definition_of;
use crate::calls::MAX_BATCH;
use crate::wire::reply::Reply;
use crate::wire::state::State;
use crate::wire::workflow::parse_task;
use crate::{Store, StoreError};

impl Store {
    /// What one start of a task came to: the newest one, or that of an iteration from 0 on. The task
    /// may be an element of a map, such as `resize#17`. None when there is no such workflow, task or
    /// start.
    ///
    /// # Errors
    /// When there was no answer.
    pub async fn task_result(
        &self,
        workflow: WorkflowId,
        task: &str,
        iteration: Option<u32>,
    ) -> Result<Option<TaskResult>, StoreError> {
        let Some((index, newest)) = self.newest_start(workflow, task).await? else {
            return Ok(None);
        };
        let wanted = iteration.unwrap_or(newest.iteration());
        let starts = self.starts(workflow, task, index, &newest, wanted, 1);
        Ok(starts.await?.pop())
    }

    /// What the starts of a task came to from an iteration on, oldest first, at most `max` and at most
    /// [`MAX_BATCH`]; the newest may be under way. Empty when there is none.
    ///
    /// # Errors
    /// When there was no answer.
    pub async fn task_results(
        &self,
        workflow: WorkflowId,
        task: &str,
        from: u32,
        max: usize,
    ) -> Result<Vec<TaskResult>, StoreError> {
        match self.newest_start(workflow, task).await? {
            None => Ok(Vec::new()),
            Some((index, newest)) => {
                self.starts(workflow, task, index, &newest, from, max.min(MAX_BATCH))
                    .await
            }
        }
    }

    /// The index of a task, and the record of its newest start.
    async fn newest_start(
        &self,
        workflow: WorkflowId,
        task: &str,
    ) -> Result<Option<(u32, TaskRecord)>, StoreError> {
        let loaded = self.load_workflows(workflow.shard(), &[workflow]).await?;
        let Some(stored) = loaded.into_iter().next().flatten() else {
            return Ok(None);
        };
        index_of(&stored, task)
    }

    async fn starts(
        &self,
        workflow: WorkflowId,
        task: &str,
        index: u32,
        newest: &TaskRecord,
        from: u32,
        max: usize,
    ) -> Result<Vec<TaskResult>, StoreError> {
        let iterations: Vec<u32> = (from..=newest.iteration()).take(max).collect();
        if iterations.is_empty() {
            return Ok(Vec::new());
        }
        let mut command = redis::cmd("HMGET");
        command.arg(self.keys(workflow.shard())?.workflow_history(workflow));
        for iteration in &iterations {
            command.arg(format!("{index}.{iteration}"));
        }
        let history = Reply::list("HMGET", self.link.command(&command).await?)?.rest()?;
        let jobs: Vec<JobId> = iterations
            .iter()
            .map(|&iteration| JobId::of_task(workflow, index, iteration))
            .collect();
        let states = self.states(workflow.shard(), &jobs).await?;
        let task = paceline_types::TaskName::new(task)
            .map_err(|_| StoreError::protocol("HMGET", "the name of a task", &task))?;
        let starts = iterations.into_iter().zip(history).zip(states);
        Ok(starts
            .filter_map(|((iteration, past), state)| {
                let record = match iteration == newest.iteration() {
                    true => newest.clone(),
                    false => parse_task(&past)?,
                };
                let mut start = TaskResult {
                    task: task.clone(),
                    iteration,
                    status: JobStatus::Running,
                    result: None,
                    error: None,
                    skipped: false,
                };
                tell(&mut start, &record, State::parse(&state));
                Some(start)
            })
            .collect())
    }
}

/// The place of a task that has a record.
fn index_of(stored: &StoredWorkflow, task: &str) -> Result<Option<(u32, TaskRecord)>, StoreError> {
    let definition = definition_of(stored)?;
    let records = stored.records();
    let elements = task.contains('#');
    let placed = place_tasks(&definition, stored, &records, elements)?;
    let place = placed.iter().find(|placed| placed.name.as_str() == task);
    Ok(place.and_then(|placed| {
        let record = records.get(&placed.index)?;
        Some((placed.index, (*record).clone()))
    }))
}

fn tell(start: &mut TaskResult, record: &TaskRecord, state: Option<State>) {
    start.error = record.error().map(str::to_owned);
    match record {
        TaskRecord::Skipped { reason, .. } => {
            start.skipped = true;
            start.error = Some(reason.clone());
        }
        TaskRecord::Bypassed { .. } => {
            start.skipped = true;
            start.error = Some(super::tasks::NO_ROUTE.to_owned());
        }
        TaskRecord::Again { .. } => start.status = JobStatus::Pending,
        _ => {}
    }
    if let Some(state) = state {
        start.status = state.status().unwrap_or(start.status);
        match state.letter {
            'C' => start.result = Some(state.tail),
            _ => start.error = start.error.take().or_else(|| state.reason()),
        }
    }
    start.status = record.final_status().unwrap_or(start.status);
}
