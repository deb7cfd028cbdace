//! Running jobs again that have ended.

use paceline_store::calls::retry::RetryRefusal;
use paceline_store::calls::submit::{NewJob, SubmitRefusal};
use paceline_store::{CallError, StoreError};
use paceline_types::{JobId, JobStatus};

use crate::submit::new_job_id;
use crate::{Accepted, Client, JobHandle, Untyped};

/// Why a job was not retried. Nothing was changed, unless [`RetryError::Store`] says that the
/// call may have been carried out.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RetryError {
    /// There is no record of it.
    #[error("{job} is not known: its retention is over, or its id is from another cluster")]
    Unknown {
        /// The job.
        job: JobId,
    },
    /// Only dead and cancelled jobs are retried.
    #[error("{job} is {status}; only dead and cancelled jobs can be retried")]
    WrongStatus {
        /// The job.
        job: JobId,
        /// Where it stands.
        status: JobStatus,
    },
    /// The job is a task of a workflow, and only moves with it.
    #[error(
        "{job} is a task of a workflow and is not retried by itself; submit the workflow again"
    )]
    InWorkflow {
        /// The job.
        job: JobId,
    },
    /// Another job holds its unique key by now.
    #[error(
        "{job} cannot be retried while its unique key is held by {holder}; cancel that job, or \
         wait until it has ended"
    )]
    Duplicate {
        /// The job.
        job: JobId,
        /// The job that holds it.
        holder: JobId,
    },
    /// Redis did not carry it out.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Client {
    /// Runs a dead or cancelled job again, with all its attempts.
    ///
    /// On `Ok` it waits in its lane, and has left the dead letters.
    ///
    /// # Errors
    /// See [`RetryError`].
    pub async fn retry(&self, id: JobId) -> Result<(), RetryError> {
        self.store().retry(id).await.map_err(|error| match error {
            CallError::Refused(refusal) => refused_retry(id, refusal),
            CallError::Store(error) => RetryError::Store(error),
        })
    }

    /// Runs many dead or cancelled jobs again, of any shards, as [`Client::retry`] does, and says
    /// for each what became of it, in order.
    ///
    /// # Errors
    /// When Redis did not carry it out. Some of the jobs may run again, and are refused as waiting
    /// or running when the same call is repeated.
    pub async fn retry_many(
        &self,
        ids: &[JobId],
    ) -> Result<Vec<Result<(), RetryError>>, StoreError> {
        let answers = self.store().retry_many(ids).await?;
        let told = ids.iter().zip(answers);
        Ok(told
            .map(|(&id, answer)| answer.map_err(|refusal| refused_retry(id, refusal)))
            .collect())
    }

    /// Submits a dead or cancelled job afresh: a new job of the same definition, due at once, while
    /// the old one stays as it is. An idempotency key is not taken over; a unique key is, and must
    /// be free.
    ///
    /// # Errors
    /// See [`RetryError`].
    pub async fn retry_as_new(&self, id: JobId) -> Result<JobHandle<Untyped>, RetryError> {
        let found = self.store().job_and_spec(id).await?;
        let (job, mut spec) = found.ok_or(RetryError::Unknown { job: id })?;
        if !matches!(job.status, JobStatus::Dead | JobStatus::Cancelled) {
            let status = job.status;
            return Err(RetryError::WrongStatus { job: id, status });
        }
        if job.workflow_id.is_some() {
            return Err(RetryError::InWorkflow { job: id });
        }
        // It carries out no firing of a schedule.
        spec.firing = None;
        // A unique key leads to this shard as well.
        let new = NewJob {
            id: new_job_id(id.shard()),
            spec,
        };
        let (new_id, jobs) = (new.id, [new]);
        let answers = self.store().submit(id.shard(), &jobs).await?;
        match answers.into_iter().next() {
            Some(Ok(submitted)) => {
                let accepted = Accepted::of(new_id, submitted);
                Ok(JobHandle::accepted(self.clone(), accepted))
            }
            Some(Err(SubmitRefusal::Duplicate { holder, .. })) => {
                Err(RetryError::Duplicate { job: id, holder })
            }
            // It is due at once, so that its time cannot have passed.
            Some(Err(SubmitRefusal::InThePast { .. })) | None => {
                Err(RetryError::Unknown { job: id })
            }
        }
    }
}

pub(super) fn refused_retry(job: JobId, refusal: RetryRefusal) -> RetryError {
    match refusal {
        RetryRefusal::Unknown => RetryError::Unknown { job },
        RetryRefusal::State(status) => RetryError::WrongStatus { job, status },
        RetryRefusal::Workflow => RetryError::InWorkflow { job },
        RetryRefusal::Duplicate(holder) => RetryError::Duplicate { job, holder },
    }
}
