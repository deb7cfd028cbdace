//! Retrying a job that has ended.

use paceline_types::{JobId, JobStatus};

use super::CallError;
use crate::script::{Invocation, Script};
use crate::wire::reply::Reply;
use crate::wire::state::status_of;
use crate::{Store, StoreError};

pub(crate) static RETRY: Script = script!("retry");

/// Why a job was not retried. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RetryRefusal {
    /// There is no such job.
    #[error("there is no such job; it may have been removed after its retention")]
    Unknown,
    /// It has not ended, or it completed.
    #[error("the job is {0}; only dead and cancelled jobs can be retried")]
    State(JobStatus),
    /// It executes a workflow's task, and is retried with its workflow only.
    #[error("the job executes a task of a workflow; submit the workflow again")]
    Workflow,
    /// Another job holds its unique key by now.
    #[error("its unique key is held by {0}; cancel that job, or wait until it ends")]
    Duplicate(JobId),
}

impl Store {
    /// Starts a new generation of a dead or cancelled job: attempt 0, waiting in its lane, out
    /// of the dead letters.
    ///
    /// # Errors
    /// Refusals change nothing. After a lost reply the same call finds the job running or
    /// waiting, which shows that it had been retried.
    pub async fn retry(&self, job: JobId) -> Result<(), CallError<RetryRefusal>> {
        let keys = self.keys(job.shard())?;
        let names = [keys.events.clone(), keys.job(job)];
        let mut call = Invocation::new(&RETRY, &names);
        call.arg(self.shared.event_cap);
        let mut reply = Reply::list("retry", self.link.call(&call).await?)?;
        let answer = reply.text()?;
        let refusal = match answer.as_str() {
            "ok" => return Ok(()),
            "unknown" => RetryRefusal::Unknown,
            "state" => RetryRefusal::State(status(&mut reply)?),
            "workflow" => RetryRefusal::Workflow,
            "duplicate" => {
                let holder = reply.text()?;
                RetryRefusal::Duplicate(
                    JobId::from_bare(&holder)
                        .map_err(|_| StoreError::protocol("retry", "an id", &holder))?,
                )
            }
            other => reply.unknown(other)?,
        };
        Err(CallError::Refused(refusal))
    }
}

/// The status that the next part of a reply stands for.
pub(crate) fn status(reply: &mut Reply) -> Result<JobStatus, StoreError> {
    let letter = reply.text()?;
    match letter.chars().next().and_then(status_of) {
        Some(status) => Ok(status),
        None => reply.unknown(&letter),
    }
}
