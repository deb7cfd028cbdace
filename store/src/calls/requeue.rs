//! Bringing a job to its lane now.

use paceline_types::{JobId, JobStatus};

use super::CallError;
use super::retry::status;
use crate::Store;
use crate::script::{Invocation, Script};
use crate::wire::reply::Reply;

pub(crate) static REQUEUE: Script = script!("requeue");

/// What became of a job that is to be in its lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requeued {
    /// It waits in its lane.
    Done,
    /// It runs: its node is told, and when its handler has stopped it goes to its lane without
    /// having used an attempt. Should the handler complete instead, the job is completed.
    Requested,
}

/// Why a job was not brought to its lane. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequeueRefusal {
    /// There is no such job.
    #[error("there is no such job; it may have been removed after its retention")]
    Unknown,
    /// It has ended.
    #[error("the job is {0}; what has ended is retried, not requeued")]
    State(JobStatus),
    /// It runs, and was asked to end before.
    #[error("the job runs, and was asked to end before")]
    Stopping,
}

impl Store {
    /// Brings a job to its lane now: one that is scheduled, retrying or paused goes there, one
    /// that runs is handed back. One that is pending is there.
    ///
    /// # Errors
    /// Refusals change nothing. When there was no answer the same call may be sent again.
    pub async fn requeue(&self, job: JobId) -> Result<Requeued, CallError<RequeueRefusal>> {
        let keys = self.keys(job.shard())?;
        let mut call = Invocation::new(&REQUEUE, &[keys.events.clone(), keys.job(job)]);
        call.arg(self.shared.event_cap);
        let mut reply = Reply::list("requeue", self.link.call(&call).await?)?;
        let answer = reply.text()?;
        let refusal = match answer.as_str() {
            "ok" => return Ok(Requeued::Done),
            "requested" => return Ok(Requeued::Requested),
            "unknown" => RequeueRefusal::Unknown,
            "state" => RequeueRefusal::State(status(&mut reply)?),
            "stopping" => RequeueRefusal::Stopping,
            other => reply.unknown(other)?,
        };
        Err(CallError::Refused(refusal))
    }
}
