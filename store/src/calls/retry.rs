//! Retrying a job that has ended.

use paceline_types::{JobId, JobStatus};

use super::cancel::by_shard;
use super::{CallError, MAX_BATCH};
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
        let answers = self.retry_many(&[job]).await?;
        let answer = answers
            .into_iter()
            .next()
            .unwrap_or(Err(RetryRefusal::Unknown));
        answer.map_err(CallError::Refused)
    }

    /// The same of many jobs, of any shards, each on its own terms. One answer for each, in order.
    ///
    /// # Errors
    /// When there was no answer: some may have been retried, and are refused as waiting or running
    /// when the same call is sent again.
    pub async fn retry_many(
        &self,
        jobs: &[JobId],
    ) -> Result<Vec<Result<(), RetryRefusal>>, StoreError> {
        let mut answers = vec![Err(RetryRefusal::Unknown); jobs.len()];
        for (shard, indices) in by_shard(jobs.iter().map(|job| job.shard())) {
            for indices in indices.chunks(MAX_BATCH) {
                let keys = self.keys(shard)?;
                let mut names = vec![keys.events.clone()];
                names.extend(indices.iter().map(|&index| keys.job(jobs[index])));
                let mut call = Invocation::new(&RETRY, &names);
                call.arg(self.shared.event_cap);
                let mut reply = Reply::list("retry", self.link.call(&call).await?)?;
                for &index in indices {
                    answers[index] = answer(&mut reply)?;
                }
            }
        }
        Ok(answers)
    }
}

/// What became of the next job of a reply.
fn answer(reply: &mut Reply) -> Result<Result<(), RetryRefusal>, StoreError> {
    let answer = reply.text()?;
    if answer == "state" {
        return Ok(Err(RetryRefusal::State(status(reply)?)));
    }
    let detail = reply.text()?;
    Ok(Err(match answer.as_str() {
        "ok" => return Ok(Ok(())),
        "unknown" => RetryRefusal::Unknown,
        "workflow" => RetryRefusal::Workflow,
        "duplicate" => RetryRefusal::Duplicate(
            JobId::from_bare(&detail)
                .map_err(|_| StoreError::protocol("retry", "an id", &detail))?,
        ),
        other => reply.unknown(other)?,
    }))
}

/// The status that the next part of a reply stands for.
pub(crate) fn status(reply: &mut Reply) -> Result<JobStatus, StoreError> {
    let letter = reply.text()?;
    match letter.chars().next().and_then(status_of) {
        Some(status) => Ok(status),
        None => reply.unknown(&letter),
    }
}
