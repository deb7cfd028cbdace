//! Resuming a paused job.

use paceline_types::{JobId, JobStatus};

use super::CallError;
use super::retry::status;
use crate::Store;
use crate::script::{Invocation, Script};
use crate::wire::reply::Reply;

pub(crate) static RESUME: Script = script!("resume");

/// Why a job was not resumed. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResumeRefusal {
    /// There is no such job.
    #[error("there is no such job; it may have been removed after its retention")]
    Unknown,
    /// It is not paused.
    #[error("the job is {0}, not paused")]
    State(JobStatus),
}

impl Store {
    /// Puts a paused job back into its lane, with its count of errors in a row at zero.
    ///
    /// # Errors
    /// Refusals change nothing.
    pub async fn resume(&self, job: JobId) -> Result<(), CallError<ResumeRefusal>> {
        let keys = self.keys(job.shard())?;
        let names = [keys.events.clone(), keys.job(job)];
        let mut call = Invocation::new(&RESUME, &names);
        call.arg(self.shared.event_cap);
        let mut reply = Reply::list("resume", self.link.call(&call).await?)?;
        let answer = reply.text()?;
        let refusal = match answer.as_str() {
            "ok" => return Ok(()),
            "unknown" => ResumeRefusal::Unknown,
            "state" => ResumeRefusal::State(status(&mut reply)?),
            other => reply.unknown(other)?,
        };
        Err(CallError::Refused(refusal))
    }
}
