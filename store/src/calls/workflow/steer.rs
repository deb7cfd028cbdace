//! Suspending, resuming and retrying workflows.

use paceline_types::{WorkflowId, WorkflowStatus};

use super::new_call_id;
use crate::calls::CallError;
use crate::script::{Invocation, Script};
use crate::wire::reply::Reply;
use crate::wire::workflow::{Standing, standing};
use crate::{Store, StoreError};

pub(crate) static SUSPEND_WORKFLOW: Script = script!("suspend_workflow");
pub(crate) static RESUME_WORKFLOW: Script = script!("resume_workflow");
pub(crate) static RETRY_WORKFLOW: Script = script!("retry_workflow");

/// Why a workflow was not suspended, resumed or retried. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SteerRefusal {
    /// There is no such workflow.
    #[error("there is no such workflow; it may have been removed after its retention")]
    Unknown,
    /// It went on as another, of which this is the newest.
    #[error("the workflow went on as {0}; ask that one")]
    Continued(WorkflowId),
    /// It does not stand where this can be done.
    #[error("the workflow is {0}")]
    State(WorkflowStatus),
    /// It is about to end: its running tasks are being stopped.
    #[error("the workflow is ending; wait until it has ended")]
    Ending,
    /// Jobs of its hooks have not ended.
    #[error("the hooks of the workflow have not ended; try again when they have")]
    Hooks,
}

impl Store {
    /// Lets a running workflow dispatch nothing new until it is resumed; what runs goes on, and its
    /// execution timeout does. False when it was suspended already.
    ///
    /// # Errors
    /// Refused unless it is running or suspended. The same call may be sent again.
    pub async fn suspend_workflow(&self, id: WorkflowId) -> Result<bool, CallError<SteerRefusal>> {
        let keys = self.keys(id.shard())?;
        let names = [keys.events.clone(), keys.workflow(id)];
        let mut call = Invocation::new(&SUSPEND_WORKFLOW, &names);
        call.arg(self.shared.event_cap);
        self.steer_workflow("suspend_workflow", id, &call).await
    }

    /// Lets a suspended workflow go on. False when it was not suspended.
    ///
    /// # Errors
    /// Refused unless it is running or suspended. The same call may be sent again.
    pub async fn resume_workflow(&self, id: WorkflowId) -> Result<bool, CallError<SteerRefusal>> {
        let keys = self.keys(id.shard())?;
        let names = [keys.events.clone(), keys.workflow(id)];
        let mut call = Invocation::new(&RESUME_WORKFLOW, &names);
        call.arg(self.shared.event_cap);
        self.steer_workflow("resume_workflow", id, &call).await
    }

    /// Has what failed or was cancelled of a workflow tried again; what completed is kept. The leader
    /// begins at once.
    ///
    /// # Errors
    /// Refused unless the workflow failed or was cancelled and its hooks have ended. A call whose
    /// answer was lost is recognised when the connection sends it again.
    pub async fn retry_workflow(&self, id: WorkflowId) -> Result<(), CallError<SteerRefusal>> {
        let keys = self.keys(id.shard())?;
        let names = [
            keys.events.clone(),
            keys.workflow(id),
            keys.ended.clone(),
            keys.active_workflows.clone(),
        ];
        let mut call = Invocation::new(&RETRY_WORKFLOW, &names);
        call.arg(new_call_id());
        self.steer_workflow("retry_workflow", id, &call).await?;
        Ok(())
    }

    async fn steer_workflow(
        &self,
        what: &'static str,
        id: WorkflowId,
        call: &Invocation,
    ) -> Result<bool, CallError<SteerRefusal>> {
        let mut reply = Reply::list(what, self.link.call(call).await?)?;
        let answer = reply.text()?;
        let refusal = match answer.as_str() {
            "ok" => return Ok(reply.len() == 0 || reply.int()? == 1),
            "unknown" => match self.went_on_as(id).await? {
                Some(newest) => SteerRefusal::Continued(newest),
                None => SteerRefusal::Unknown,
            },
            "hooks" => SteerRefusal::Hooks,
            "state" => {
                let letter = reply.text()?;
                match standing(&letter) {
                    Some(Standing::Ending) => SteerRefusal::Ending,
                    Some(Standing::At(WorkflowStatus::Continued)) => {
                        let newest = self.went_on_as(id).await?;
                        newest.map_or(SteerRefusal::State(WorkflowStatus::Continued), |newest| {
                            SteerRefusal::Continued(newest)
                        })
                    }
                    Some(Standing::At(status)) => SteerRefusal::State(status),
                    None => {
                        return Err(
                            StoreError::protocol(what, "the letter of a header", &letter).into(),
                        );
                    }
                }
            }
            other => return Ok(reply.unknown(other)?),
        };
        Err(CallError::Refused(refusal))
    }
}
