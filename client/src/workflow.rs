//! Workflows: submit, look at, wait for, steer.

mod build;
mod outcome;
mod reading;
mod signal;
mod steer;
mod submit;

use paceline_store::StoreError;
use paceline_types::workflow::Workflow;
use paceline_types::{WorkflowId, WorkflowStatus};

pub use self::build::{HookStep, IntoDefinition, Step, WorkflowBuilder};
pub use self::outcome::TaskResultError;
pub use self::signal::{SendSignal, SignalError};
pub use self::steer::{
    CancelWorkflowError, ResumeWorkflowError, RetryWorkflowError, SuspendWorkflowError,
};
pub use self::submit::WorkflowSubmitError;
use crate::{Client, Listing};

/// An accepted workflow.
#[derive(Clone, Debug)]
pub struct WorkflowHandle {
    client: Client,
    id: WorkflowId,
}

impl Client {
    /// A handle on a workflow that was submitted elsewhere. Asks nothing of Redis.
    #[must_use]
    pub fn workflow_handle(&self, id: WorkflowId) -> WorkflowHandle {
        WorkflowHandle {
            client: self.clone(),
            id,
        }
    }

    /// How a workflow stands, with all its tasks but the elements of maps; `None` when there is no record of it (any
    /// more). Of one that went on as a new one, and whose own record is past its retention, it is that
    /// of the newest of the chain, as its id says.
    ///
    /// # Errors
    /// When Redis could not be asked.
    pub async fn workflow(&self, id: WorkflowId) -> Result<Option<Workflow>, StoreError> {
        match self.store().workflow(id).await? {
            None => match self.newest_instance(id).await? {
                Some(newest) => self.store().workflow(newest).await,
                None => Ok(None),
            },
            found => Ok(found),
        }
    }

    /// [`Client::workflow`] with the elements of its maps as tasks of their own, up to 10,000 of each.
    ///
    /// # Errors
    /// When Redis could not be asked.
    pub async fn workflow_with_elements(
        &self,
        id: WorkflowId,
    ) -> Result<Option<Workflow>, StoreError> {
        match self.store().workflow_with_elements(id).await? {
            None => match self.newest_instance(id).await? {
                Some(newest) => self.store().workflow_with_elements(newest).await,
                None => Ok(None),
            },
            found => Ok(found),
        }
    }

    /// The newest instance of the chain that a workflow stands in: itself unless it went on as a new
    /// one; see [`paceline_types::JobError::continue_as_new`]. `None` when nothing of it is known (any
    /// more). The first of a chain leads to its newest for as long as that is kept, also past its own
    /// retention.
    ///
    /// # Errors
    /// When Redis could not be asked.
    pub async fn newest_instance(&self, id: WorkflowId) -> Result<Option<WorkflowId>, StoreError> {
        self.store().newest_of_line(id).await
    }

    /// Lists workflows, without their tasks; of one status, or all.
    pub fn workflows(&self, status: Option<WorkflowStatus>) -> Listing<Workflow> {
        let store = self.store().clone();
        Listing::new(move |page| {
            let store = store.clone();
            Box::pin(async move { Ok(store.list_workflows(status, &page).await?.into()) })
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
}
