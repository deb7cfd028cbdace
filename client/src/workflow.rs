//! Workflows: submit, look at, wait for, cancel.

mod build;

use std::fmt;
use std::time::Duration;

use paceline_store::calls::workflow::WorkflowRefusal;
use paceline_store::{CallError, StoreError};
use paceline_types::workflow::{DefinitionError, Workflow};
use paceline_types::{WorkflowId, WorkflowStatus};
use serde::de::DeserializeOwned;

pub use self::build::{IntoDefinition, Step, WorkflowBuilder};
use crate::handle::{decoded, unknown};
use crate::submit::new_workflow_id;
use crate::wait::{Ended, Entity};
use crate::{Client, Listing, WaitError};

/// Why a workflow was not accepted. Nothing was stored, unless
/// [`WorkflowSubmitError::maybe_stored`] says so.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkflowSubmitError {
    /// The definition is wrong. Nothing was sent.
    #[error("the workflow is not valid: {}", Listed(.0))]
    Invalid(Vec<DefinitionError>),
    /// The input is over the client's limit. Nothing was sent.
    #[error(
        "the input of the workflow has {size} bytes, at most {limit} are allowed; store it \
         elsewhere and submit a reference, or raise max_payload (8 MiB at most)"
    )]
    InputTooLarge {
        /// Bytes of the input.
        size: usize,
        /// The client's limit.
        limit: usize,
    },
    /// Redis did not take it. It says itself whether **the workflow may have been stored**.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl WorkflowSubmitError {
    /// Whether the workflow may have been stored although it was not acknowledged.
    #[must_use]
    pub fn maybe_stored(&self) -> bool {
        match self {
            WorkflowSubmitError::Store(error) => error.maybe_stored(),
            WorkflowSubmitError::Invalid(_) | WorkflowSubmitError::InputTooLarge { .. } => false,
        }
    }
}

/// All mistakes behind each other: `tasks[0].name: …; tasks[3]: …`.
struct Listed<'a>(&'a [DefinitionError]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mistake) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{mistake}")?;
        }
        Ok(())
    }
}

/// Why a workflow was not cancelled. Nothing was changed, unless [`CancelWorkflowError::Store`]
/// says that the call may have been carried out.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CancelWorkflowError {
    /// There is no record of it.
    #[error("{workflow} is not known: its retention is over, or its id is from another cluster")]
    Unknown {
        /// The workflow.
        workflow: WorkflowId,
    },
    /// It has ended already.
    #[error("{workflow} cannot be cancelled: it is {status}")]
    Ended {
        /// The workflow.
        workflow: WorkflowId,
        /// How it ended.
        status: WorkflowStatus,
    },
    /// It went on as a new one.
    #[error("{workflow} cannot be cancelled: it went on as {next}; cancel that one")]
    Continued {
        /// The workflow.
        workflow: WorkflowId,
        /// What it went on as.
        next: WorkflowId,
    },
    /// Redis did not carry it out.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// An accepted workflow.
#[derive(Clone, Debug)]
pub struct WorkflowHandle {
    client: Client,
    id: WorkflowId,
}

impl Client {
    /// Validates a workflow and submits it. On `Ok` it is accepted, and the leader begins it.
    ///
    /// `input` is readable by every task of it.
    ///
    /// ```no_run
    /// # use paceline_client::{Client, Step, WorkflowBuilder};
    /// # use serde_json::json;
    /// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let etl = WorkflowBuilder::new("etl")
    ///     .task(Step::new("extract", "db.extract"))
    ///     .task(Step::new("load", "db.load").after(["extract"]).result_from("extract"));
    /// let handle = client.submit_workflow(etl, Some(json!({ "day": "2026-01-31" }))).await?;
    /// let rows: u64 = handle.output().await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`WorkflowSubmitError::Invalid`] with every mistake of the definition and its place,
    /// before anything is sent; else see [`WorkflowSubmitError`].
    pub async fn submit_workflow(
        &self,
        definition: impl IntoDefinition,
        input: Option<serde_json::Value>,
    ) -> Result<WorkflowHandle, WorkflowSubmitError> {
        let (definition, input) = self.written(definition, input)?;
        let id = new_workflow_id(self.spread());
        self.store()
            .submit_workflow(id, &definition, input.as_deref())
            .await?;
        Ok(self.workflow_handle(id))
    }

    /// The definition and the input as they are stored; apart, so that what is not `Send` is
    /// gone before anything is awaited.
    fn written(
        &self,
        definition: impl IntoDefinition,
        input: Option<serde_json::Value>,
    ) -> Result<(Vec<u8>, Option<Vec<u8>>), WorkflowSubmitError> {
        let limit = self.max_payload();
        let definition = definition
            .into_definition()
            .and_then(|definition| definition.validate(limit).map(|_plan| definition))
            .map_err(WorkflowSubmitError::Invalid)?;
        let whole = |error: serde_json::Error| {
            WorkflowSubmitError::Invalid(vec![DefinitionError {
                path: "definition".to_owned(),
                problem: format!("cannot be written as JSON: {error}"),
            }])
        };
        let definition = serde_json::to_vec(&definition).map_err(whole)?;
        let input = input.map(|input| input.to_string().into_bytes());
        let size = input.as_ref().map_or(0, Vec::len);
        if size > limit {
            return Err(WorkflowSubmitError::InputTooLarge { size, limit });
        }
        Ok((definition, input))
    }

    /// Every mistake of a definition, with its place; none when it would be accepted. Asks
    /// nothing of Redis.
    #[must_use]
    pub fn validate(&self, definition: impl IntoDefinition) -> Vec<DefinitionError> {
        let validated = definition
            .into_definition()
            .and_then(|definition| definition.validate(self.max_payload()));
        validated.err().unwrap_or_default()
    }

    /// A handle on a workflow that was submitted elsewhere. Asks nothing of Redis.
    #[must_use]
    pub fn workflow_handle(&self, id: WorkflowId) -> WorkflowHandle {
        WorkflowHandle {
            client: self.clone(),
            id,
        }
    }

    /// How a workflow stands, with all its tasks; `None` when there is no record of it (any
    /// more).
    ///
    /// # Errors
    /// When Redis could not be asked.
    pub async fn workflow(&self, id: WorkflowId) -> Result<Option<Workflow>, StoreError> {
        self.store().workflow(id).await
    }

    /// Lists workflows, without their tasks; of one status, or all.
    pub fn workflows(&self, status: Option<WorkflowStatus>) -> Listing<Workflow> {
        let store = self.store().clone();
        Listing::new(move |page| {
            let store = store.clone();
            Box::pin(async move { Ok(store.list_workflows(status, &page).await?.into()) })
        })
    }

    /// Cancels a workflow: nothing of it is dispatched any more, its waiting jobs are cancelled,
    /// and its running ones are told.
    ///
    /// On `Ok` the cancellation is accepted; the workflow is cancelled once its running jobs have
    /// ended.
    ///
    /// # Errors
    /// See [`CancelWorkflowError`].
    pub async fn cancel_workflow(
        &self,
        id: WorkflowId,
        reason: &str,
    ) -> Result<(), CancelWorkflowError> {
        let cancelled = self.store().cancel_workflow(id, reason).await;
        cancelled.map_err(|error| match error {
            CallError::Refused(WorkflowRefusal::Unknown) => {
                CancelWorkflowError::Unknown { workflow: id }
            }
            CallError::Refused(WorkflowRefusal::Ended(status)) => CancelWorkflowError::Ended {
                workflow: id,
                status,
            },
            CallError::Refused(WorkflowRefusal::Continued(next)) => {
                CancelWorkflowError::Continued { workflow: id, next }
            }
            CallError::Store(error) => CancelWorkflowError::Store(error),
        })
    }
}

impl WorkflowHandle {
    /// The workflow's id.
    #[must_use]
    pub fn id(&self) -> WorkflowId {
        self.id
    }

    /// Where the workflow stands now; `None` when there is no record of it (any more).
    ///
    /// # Errors
    /// When Redis could not be asked.
    pub async fn status(&self) -> Result<Option<WorkflowStatus>, StoreError> {
        let workflow = self.client.workflow(self.id).await?;
        Ok(workflow.map(|workflow| workflow.status))
    }

    /// Waits until the workflow has completed, failed or been cancelled, and returns its record.
    ///
    /// # Errors
    /// [`WaitError::Unknown`] when there is no record of it, [`WaitError::Store`] when Redis
    /// could not be asked.
    pub async fn wait(&self) -> Result<Workflow, WaitError> {
        match self.client.waits().ended(Entity::Workflow(self.id)).await? {
            Ended::Workflow(workflow) => Ok(*workflow),
            Ended::Job(_) => Err(unknown(self.id)),
        }
    }

    /// Waits until the workflow has ended, and returns its output: the result of its one leaf,
    /// or an object of the leaves' results by name.
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

    /// Cancels the workflow; see [`Client::cancel_workflow`].
    ///
    /// # Errors
    /// See [`CancelWorkflowError`].
    pub async fn cancel(&self, reason: &str) -> Result<(), CancelWorkflowError> {
        self.client.cancel_workflow(self.id, reason).await
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
        // The successor's outcome is what was waited for; it is followed before this is asked.
        WorkflowStatus::Pending
        | WorkflowStatus::Running
        | WorkflowStatus::Suspended
        | WorkflowStatus::Continued => Err(unknown(workflow.id)),
    }
}
