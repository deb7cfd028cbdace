//! Steering workflows that have not ended, and those that ended badly.

use paceline_store::calls::workflow::WorkflowRefusal;
use paceline_store::{CallError, StoreError};
use paceline_types::{WorkflowId, WorkflowStatus};

use super::WorkflowHandle;
use crate::Client;

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

impl Client {
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
    /// Cancels the workflow; see [`Client::cancel_workflow`].
    ///
    /// # Errors
    /// See [`CancelWorkflowError`].
    pub async fn cancel(&self, reason: &str) -> Result<(), CancelWorkflowError> {
        self.client.cancel_workflow(self.id, reason).await
    }
}
