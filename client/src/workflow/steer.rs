//! Steering workflows: cancel, suspend, resume, retry.

use paceline_store::calls::workflow::{SteerRefusal, WorkflowRefusal};
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
        /// The newest that it went on as.
        next: WorkflowId,
    },
    /// Redis did not carry it out.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a workflow was not suspended. Nothing was changed, unless [`SuspendWorkflowError::Store`]
/// says that the call may have been carried out; it may be sent again.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SuspendWorkflowError {
    /// There is no record of it.
    #[error("{workflow} is not known: its retention is over, or its id is from another cluster")]
    Unknown {
        /// The workflow.
        workflow: WorkflowId,
    },
    /// It does not run.
    #[error("{workflow} is {status}; only a workflow that runs can be suspended")]
    WrongStatus {
        /// The workflow.
        workflow: WorkflowId,
        /// Where it stands.
        status: WorkflowStatus,
    },
    /// It went on as a new one.
    #[error("{workflow} cannot be suspended: it went on as {next}; suspend that one")]
    Continued {
        /// The workflow.
        workflow: WorkflowId,
        /// The newest that it went on as.
        next: WorkflowId,
    },
    /// It is about to end.
    #[error("{workflow} is ending: its running tasks are being stopped, and nothing new begins")]
    Ending {
        /// The workflow.
        workflow: WorkflowId,
    },
    /// Redis did not carry it out.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a workflow was not resumed. Nothing was changed, unless [`ResumeWorkflowError::Store`] says
/// that the call may have been carried out; it may be sent again.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResumeWorkflowError {
    /// There is no record of it.
    #[error("{workflow} is not known: its retention is over, or its id is from another cluster")]
    Unknown {
        /// The workflow.
        workflow: WorkflowId,
    },
    /// It is not suspended.
    #[error("{workflow} is {status}; only a workflow that is suspended can be resumed")]
    WrongStatus {
        /// The workflow.
        workflow: WorkflowId,
        /// Where it stands.
        status: WorkflowStatus,
    },
    /// It went on as a new one.
    #[error("{workflow} cannot be resumed: it went on as {next}; resume that one")]
    Continued {
        /// The workflow.
        workflow: WorkflowId,
        /// The newest that it went on as.
        next: WorkflowId,
    },
    /// It is about to end.
    #[error("{workflow} is ending: its running tasks are being stopped, and nothing new begins")]
    Ending {
        /// The workflow.
        workflow: WorkflowId,
    },
    /// Redis did not carry it out.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a workflow was not retried. Nothing was changed, unless
/// [`RetryWorkflowError::maybe_stored`] says that it may have been retried.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RetryWorkflowError {
    /// There is no record of it.
    #[error("{workflow} is not known: its retention is over, or its id is from another cluster")]
    Unknown {
        /// The workflow.
        workflow: WorkflowId,
    },
    /// It neither failed nor was it cancelled.
    #[error("{workflow} is {status}; only a workflow that failed or was cancelled can be retried")]
    WrongStatus {
        /// The workflow.
        workflow: WorkflowId,
        /// Where it stands.
        status: WorkflowStatus,
    },
    /// It went on as a new one.
    #[error("{workflow} cannot be retried: it went on as {next}; retry that one")]
    Continued {
        /// The workflow.
        workflow: WorkflowId,
        /// The newest that it went on as.
        next: WorkflowId,
    },
    /// It is about to end.
    #[error(
        "{workflow} is ending: its running tasks are being stopped; retry it when it has ended"
    )]
    Ending {
        /// The workflow.
        workflow: WorkflowId,
    },
    /// Its hooks have not ended.
    #[error("the hooks of {workflow} have not ended; retry it when they have")]
    Hooks {
        /// The workflow.
        workflow: WorkflowId,
    },
    /// Redis did not carry it out.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl RetryWorkflowError {
    /// Whether the workflow may have been retried although it was not acknowledged.
    #[must_use]
    pub fn maybe_stored(&self) -> bool {
        match self {
            RetryWorkflowError::Store(error) => error.maybe_stored(),
            RetryWorkflowError::Unknown { .. }
            | RetryWorkflowError::WrongStatus { .. }
            | RetryWorkflowError::Continued { .. }
            | RetryWorkflowError::Ending { .. }
            | RetryWorkflowError::Hooks { .. } => false,
        }
    }
}

impl Client {
    /// Cancels a workflow: nothing of it is dispatched any more, its waiting jobs are cancelled,
    /// and its running ones and its children are told.
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
        let workflow = id;
        let cancelled = self.store().cancel_workflow(id, reason).await;
        cancelled.map_err(|error| match error {
            CallError::Refused(WorkflowRefusal::Unknown) => {
                CancelWorkflowError::Unknown { workflow }
            }
            CallError::Refused(WorkflowRefusal::Ended(status)) => {
                CancelWorkflowError::Ended { workflow, status }
            }
            CallError::Refused(WorkflowRefusal::Continued(next)) => {
                CancelWorkflowError::Continued { workflow, next }
            }
            CallError::Store(error) => CancelWorkflowError::Store(error),
        })
    }

    /// Suspends a workflow that runs: from the moment in which this returns nothing new of it is
    /// dispatched. What runs ends, and its execution timeout goes on. One that is suspended already
    /// stays so; `false` says that it was.
    ///
    /// # Errors
    /// See [`SuspendWorkflowError`].
    pub async fn suspend_workflow(&self, id: WorkflowId) -> Result<bool, SuspendWorkflowError> {
        let workflow = id;
        let suspended = self.store().suspend_workflow(id).await;
        suspended.map_err(|error| match error {
            CallError::Refused(SteerRefusal::Unknown) => SuspendWorkflowError::Unknown { workflow },
            CallError::Refused(SteerRefusal::Continued(next)) => {
                SuspendWorkflowError::Continued { workflow, next }
            }
            CallError::Refused(SteerRefusal::State(status)) => {
                SuspendWorkflowError::WrongStatus { workflow, status }
            }
            CallError::Refused(SteerRefusal::Ending | SteerRefusal::Hooks) => {
                SuspendWorkflowError::Ending { workflow }
            }
            CallError::Store(error) => SuspendWorkflowError::Store(error),
        })
    }

    /// Lets a suspended workflow go on, with everything that became ready meanwhile. One that runs
    /// goes on as before; `false` says that it did.
    ///
    /// # Errors
    /// See [`ResumeWorkflowError`].
    pub async fn resume_workflow(&self, id: WorkflowId) -> Result<bool, ResumeWorkflowError> {
        let workflow = id;
        let resumed = self.store().resume_workflow(id).await;
        resumed.map_err(|error| match error {
            CallError::Refused(SteerRefusal::Unknown) => ResumeWorkflowError::Unknown { workflow },
            CallError::Refused(SteerRefusal::Continued(next)) => {
                ResumeWorkflowError::Continued { workflow, next }
            }
            CallError::Refused(SteerRefusal::State(status)) => {
                ResumeWorkflowError::WrongStatus { workflow, status }
            }
            CallError::Refused(SteerRefusal::Ending | SteerRefusal::Hooks) => {
                ResumeWorkflowError::Ending { workflow }
            }
            CallError::Store(error) => ResumeWorkflowError::Store(error),
        })
    }

    /// Tries a workflow that failed or was cancelled again, at once: what failed or was cancelled of
    /// it starts afresh, what completed is kept, and its execution timeout begins anew. The
    /// definition's retry policy does not limit it.
    ///
    /// # Errors
    /// See [`RetryWorkflowError`].
    pub async fn retry_workflow(&self, id: WorkflowId) -> Result<(), RetryWorkflowError> {
        let workflow = id;
        let retried = self.store().retry_workflow(id).await;
        retried.map_err(|error| match error {
            CallError::Refused(SteerRefusal::Unknown) => RetryWorkflowError::Unknown { workflow },
            CallError::Refused(SteerRefusal::Continued(next)) => {
                RetryWorkflowError::Continued { workflow, next }
            }
            CallError::Refused(SteerRefusal::State(status)) => {
                RetryWorkflowError::WrongStatus { workflow, status }
            }
            CallError::Refused(SteerRefusal::Ending) => RetryWorkflowError::Ending { workflow },
            CallError::Refused(SteerRefusal::Hooks) => RetryWorkflowError::Hooks { workflow },
            CallError::Store(error) => RetryWorkflowError::Store(error),
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

    /// Suspends the workflow; see [`Client::suspend_workflow`].
    ///
    /// # Errors
    /// See [`SuspendWorkflowError`].
    pub async fn suspend(&self) -> Result<bool, SuspendWorkflowError> {
        self.client.suspend_workflow(self.id).await
    }

    /// Lets the workflow go on; see [`Client::resume_workflow`].
    ///
    /// # Errors
    /// See [`ResumeWorkflowError`].
    pub async fn resume(&self) -> Result<bool, ResumeWorkflowError> {
        self.client.resume_workflow(self.id).await
    }

    /// Tries the workflow again; see [`Client::retry_workflow`].
    ///
    /// # Errors
    /// See [`RetryWorkflowError`].
    pub async fn retry(&self) -> Result<(), RetryWorkflowError> {
        self.client.retry_workflow(self.id).await
    }
}
