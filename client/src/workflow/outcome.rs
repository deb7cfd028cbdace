//! What workflows and their tasks come to.

use std::time::Duration;

use paceline_store::StoreError;
use paceline_types::workflow::{TaskResult, Workflow};
use paceline_types::{JobStatus, TaskName, WorkflowId, WorkflowStatus};
use serde::de::DeserializeOwned;

use super::WorkflowHandle;
use crate::handle::{decoded, unknown};
use crate::wait::{Ended, Entity, RECHECK};
use crate::{Client, MAX_PAGE, WaitError};

/// Why there is no result of a task.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TaskResultError {
    /// There is no such start of such a task.
    #[error(
        "{workflow} has no task {task:?} that has begun: its name is another one, it has not had its \
         turn, or the retention of the workflow is over"
    )]
    Unknown {
        /// The workflow.
        workflow: WorkflowId,
        /// What was asked for.
        task: String,
    },
    /// It has not ended.
    #[error("task {task} of {workflow} is {status}, so there is no result yet")]
    NotEnded {
        /// The workflow.
        workflow: WorkflowId,
        /// The task.
        task: TaskName,
        /// Where it stands.
        status: JobStatus,
    },
    /// It ended without a result: it failed, was cancelled, skipped or passed by.
    #[error("task {task} of {workflow} has no result: {reason}")]
    None {
        /// The workflow.
        workflow: WorkflowId,
        /// The task.
        task: TaskName,
        /// Why.
        reason: String,
    },
    /// The result is there, but is not of the type that was asked for.
    #[error("the result of task {task} of {workflow} does not have the expected type: {problem}")]
    Type {
        /// The workflow.
        workflow: WorkflowId,
        /// The task.
        task: TaskName,
        /// The words of the deserializer.
        problem: String,
    },
    /// Redis could not be asked.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Client {
    /// What the newest start of a task came to, which is the only one unless it is in a loop or its
    /// workflow was retried. The task may be an element of a map, such as `resize#17`. `None` when
    /// it has not begun, or is not known. Of a workflow that went on as a new one, it is that of the
    /// instance that is asked for.
    ///
    /// # Errors
    /// When Redis could not be asked.
    pub async fn task_result(
        &self,
        workflow: WorkflowId,
        task: &str,
    ) -> Result<Option<TaskResult>, StoreError> {
        self.store().task_result(workflow, task, None).await
    }

    /// What the starts of a task came to from an iteration on, oldest first: at most [`MAX_PAGE`]
    /// of them.
    ///
    /// # Errors
    /// When Redis could not be asked.
    pub async fn task_results(
        &self,
        workflow: WorkflowId,
        task: &str,
        from: u32,
    ) -> Result<Vec<TaskResult>, StoreError> {
        self.store()
            .task_results(workflow, task, from, MAX_PAGE)
            .await
    }
}

impl WorkflowHandle {
    /// What the handler of a task answered, read from JSON: of its newest start; see
    /// [`Client::task_result`].
    ///
    /// # Errors
    /// See [`TaskResultError`].
    pub async fn task_result<O: DeserializeOwned>(&self, task: &str) -> Result<O, TaskResultError> {
        let workflow = self.id;
        let found = self.client.task_result(workflow, task).await?;
        let start = found.ok_or_else(|| TaskResultError::Unknown {
            workflow,
            task: task.to_owned(),
        })?;
        let (task, status) = (start.task, start.status);
        let Some(result) = start.result else {
            return Err(if status.is_terminal() {
                let reason = start.error.unwrap_or_else(|| format!("it is {status}"));
                TaskResultError::None {
                    workflow,
                    task,
                    reason,
                }
            } else {
                TaskResultError::NotEnded {
                    workflow,
                    task,
                    status,
                }
            });
        };
        let result = if result.is_empty() {
            b"null"
        } else {
            &result[..]
        };
        serde_json::from_slice(result).map_err(|error| TaskResultError::Type {
            workflow,
            task,
            problem: error.to_string(),
        })
    }

    /// Waits until the workflow has completed, failed or been cancelled, and returns its record.
    ///
    /// Of one that goes on as a new one, the record is that of the last of the chain, also when that
    /// of the first is past its retention. Hooks may still run when it returns.
    ///
    /// # Errors
    /// [`WaitError::Unknown`] when there is no record of it, [`WaitError::Store`] when Redis
    /// could not be asked.
    pub async fn wait(&self) -> Result<Workflow, WaitError> {
        let mut at = self.id;
        loop {
            match self.ended(at).await {
                Ok(workflow) if workflow.status == WorkflowStatus::Continued => {}
                Err(WaitError::Unknown { .. }) => {}
                ended => return ended,
            }
            let newest = match self.newest(at).await? {
                // The first of a line is known for longer than the others.
                None => self.newest(self.id).await?,
                newest => newest,
            };
            match newest {
                Some(newest) if newest != at => at = newest,
                Some(_) | None => return Err(unknown(self.id)),
            }
        }
    }

    /// The newest of a line. As with a wait, a fault that passes by itself does not end it.
    async fn newest(&self, of: WorkflowId) -> Result<Option<WorkflowId>, StoreError> {
        loop {
            match self.client.newest_instance(of).await {
                Err(error) if error.is_temporary() => tokio::time::sleep(RECHECK).await,
                found => return found,
            }
        }
    }

    async fn ended(&self, id: WorkflowId) -> Result<Workflow, WaitError> {
        match self.client.waits().ended(Entity::Workflow(id)).await? {
            Ended::Workflow(workflow) => Ok(*workflow),
            Ended::Job(_) | Ended::Batch(_) => Err(unknown(id)),
        }
    }

    /// Waits until the workflow has ended, and returns its output: the result of its one leaf,
    /// or an object of the leaves' results by name. Of one that goes on as a new one, it is the
    /// output of the last of the chain.
    ///
    /// # Errors
    /// [`WaitError::Failed`] or [`WaitError::Cancelled`] when there is no output,
    /// [`WaitError::Output`] when it is not an `O`, and those of [`WorkflowHandle::wait`].
    pub async fn output<O: DeserializeOwned>(&self) -> Result<O, WaitError> {
        output_of(self.wait().await?)
    }

    /// [`WorkflowHandle::output`], for at most `limit`.
    ///
    /// # Errors
    /// [`WaitError::TimedOut`] when the workflow has not ended by then: it goes on.
    pub async fn output_within<O: DeserializeOwned>(
        &self,
        limit: Duration,
    ) -> Result<O, WaitError> {
        let timed_out = |_| WaitError::TimedOut {
            what: self.id.to_string(),
            waited: limit,
        };
        tokio::time::timeout(limit, self.output())
            .await
            .map_err(timed_out)?
    }
}

fn output_of<O: DeserializeOwned>(workflow: Workflow) -> Result<O, WaitError> {
    let said = |error: Option<String>| error.unwrap_or_else(|| "no reason was given".to_owned());
    match workflow.status {
        WorkflowStatus::Completed => decoded(workflow.id, workflow.output.as_ref()),
        WorkflowStatus::Failed => Err(WaitError::Failed {
            workflow: workflow.id,
            error: said(workflow.error),
        }),
        WorkflowStatus::Cancelled => Err(WaitError::Cancelled {
            what: workflow.id.to_string(),
            reason: said(workflow.error),
        }),
        // The outcome of the newest is what was waited for; it is followed before this is asked.
        WorkflowStatus::Pending
        | WorkflowStatus::Running
        | WorkflowStatus::Suspended
        | WorkflowStatus::Continued => Err(unknown(workflow.id)),
    }
}
