//! Pausing a job that waits.

use std::time::Duration;

use paceline_types::{JobId, JobStatus};

use super::CallError;
use super::retry::status;
use crate::Store;
use crate::script::{Invocation, Script};
use crate::wire::reply::Reply;
use crate::wire::{millis, plain};

pub(crate) static PAUSE: Script = script!("pause");

/// Why a job was not paused. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PauseRefusal {
    /// There is no such job.
    #[error("there is no such job; it may have been removed after its retention")]
    Unknown,
    /// It runs, or has ended.
    #[error("the job is {0}; only jobs that wait can be paused")]
    State(JobStatus),
}

impl Store {
    /// Pauses a job that is pending, scheduled or retrying, until it is resumed or for
    /// `resume_after`. One that is paused already takes over the new time.
    ///
    /// # Errors
    /// Refusals change nothing. When there was no answer the same call may be sent again.
    pub async fn pause(
        &self,
        job: JobId,
        resume_after: Option<Duration>,
        reason: &str,
    ) -> Result<(), CallError<PauseRefusal>> {
        let keys = self.keys(job.shard())?;
        let mut call = Invocation::new(&PAUSE, &[keys.events.clone(), keys.job(job)]);
        call.arg(self.shared.event_cap)
            .arg(resume_after.map_or(0, |after| millis(after).max(1)))
            .arg(plain(reason, 500).as_ref());
        let mut reply = Reply::list("pause", self.link.call(&call).await?)?;
        let answer = reply.text()?;
        let refusal = match answer.as_str() {
            "ok" => return Ok(()),
            "unknown" => PauseRefusal::Unknown,
            "state" => PauseRefusal::State(status(&mut reply)?),
            other => reply.unknown(other)?,
        };
        Err(CallError::Refused(refusal))
    }
}
