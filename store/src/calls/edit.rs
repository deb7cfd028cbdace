//! Replacing the payload of a job that waits.

use paceline_types::{JobId, JobStatus};

use super::CallError;
use super::retry::status;
use crate::Store;
use crate::script::{Invocation, Script};
use crate::wire::reply::Reply;

pub(crate) static EDIT: Script = script!("edit");

/// Why a payload was not replaced. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditRefusal {
    /// There is no such job.
    #[error("there is no such job; it may have been removed after its retention")]
    Unknown,
    /// It runs, or has ended.
    #[error("the job is {0}; a payload is replaced only while its job waits")]
    State(JobStatus),
    /// It executes a workflow's task.
    #[error("the job executes a task of a workflow, whose definition holds its payload")]
    Workflow,
}

impl Store {
    /// Replaces the payload of a job that is pending, scheduled, retrying or paused. Its next run
    /// is given the new one.
    ///
    /// # Errors
    /// Refusals change nothing. After a lost reply the job may have begun to run with the new
    /// payload.
    pub async fn edit_payload(
        &self,
        job: JobId,
        payload: &[u8],
    ) -> Result<(), CallError<EditRefusal>> {
        let keys = self.keys(job.shard())?;
        let names = [keys.events.clone(), keys.job(job), keys.runs.clone()];
        let mut call = Invocation::new(&EDIT, &names);
        call.bytes(payload);
        let mut reply = Reply::list("edit", self.link.call(&call).await?)?;
        let answer = reply.text()?;
        let refusal = match answer.as_str() {
            "ok" => return Ok(()),
            "unknown" => EditRefusal::Unknown,
            "state" => EditRefusal::State(status(&mut reply)?),
            "workflow" => EditRefusal::Workflow,
            other => reply.unknown(other)?,
        };
        Err(CallError::Refused(refusal))
    }
}
