//! Looking at jobs and steering them: read, list, cancel, retry, resume.

use std::future::IntoFuture;

use futures::future::BoxFuture;
use paceline_store::calls::cancel::Cancelled;
use paceline_store::calls::list::JobFilter;
use paceline_store::calls::resume::ResumeRefusal;
use paceline_store::calls::retry::RetryRefusal;
use paceline_store::{CallError, StoreError};
use paceline_types::{Job, JobId, JobStatus};

use crate::{Client, DeadLetters, Listing};

/// What a cancellation says unless the caller says something else.
const DEFAULT_REASON: &str = "cancelled by a client";

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

/// Why a job was not resumed. Nothing was changed, unless [`ResumeError::Store`] says that the
/// call may have been carried out.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResumeError {
    /// There is no record of it.
    #[error("{job} is not known: its retention is over, or its id is from another cluster")]
    Unknown {
        /// The job.
        job: JobId,
    },
    /// Only paused jobs are resumed.
    #[error("{job} is not paused: it is {status}")]
    NotPaused {
        /// The job.
        job: JobId,
        /// Where it stands.
        status: JobStatus,
    },
    /// Redis did not carry it out.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Client {
    /// How a job stands; `None` when there is no record of it (any more).
    ///
    /// # Errors
    /// When Redis could not be asked.
    pub async fn job(&self, id: JobId) -> Result<Option<Job>, StoreError> {
        self.store().job(id).await
    }

    /// How several jobs stand, in order, of any shards.
    ///
    /// # Errors
    /// When Redis could not be asked.
    pub async fn jobs_by_id(&self, ids: &[JobId]) -> Result<Vec<Option<Job>>, StoreError> {
        self.store().jobs(ids).await
    }

    /// Lists jobs.
    ///
    /// ```no_run
    /// # use futures::TryStreamExt;
    /// # use paceline_client::{Client, JobFilter, JobStatus};
    /// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let dead = JobFilter { status: Some(JobStatus::Dead), ..JobFilter::default() };
    /// let page = client.jobs(dead.clone()).limit(20).await?;
    /// let mut all = client.jobs(dead).stream();
    /// while let Some(job) = all.try_next().await? {
    ///     tracing::info!(job = %job.id, error = ?job.last_error);
    /// }
    /// # Ok(()) }
    /// ```
    pub fn jobs(&self, filter: JobFilter) -> Listing<Job> {
        let store = self.store().clone();
        Listing::new(move |page| {
            let (store, filter) = (store.clone(), filter.clone());
            Box::pin(async move { Ok(store.list_jobs(&filter, &page).await?.into()) })
        })
    }

    /// Cancels a job: one that waits never runs, one that runs has its handler told and ends as
    /// cancelled whatever the handler returns.
    ///
    /// Awaiting it gives what became of the request; it may be repeated.
    pub fn cancel(&self, id: JobId) -> CancelJob {
        CancelJob {
            client: self.clone(),
            id,
            reason: DEFAULT_REASON.to_owned(),
        }
    }

    /// Cancels many jobs, of any shards, as [`Client::cancel`] does, and says for each what
    /// became of it, in order.
    ///
    /// # Errors
    /// When Redis did not carry it out; some of the jobs may have been cancelled, and the same
    /// call may be repeated.
    pub async fn cancel_many(
        &self,
        ids: &[JobId],
        reason: &str,
    ) -> Result<Vec<Cancelled>, StoreError> {
        self.store().cancel(ids, reason).await
    }

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

    /// Lets a paused job go on. On `Ok` it waits in its lane.
    ///
    /// # Errors
    /// See [`ResumeError`].
    pub async fn resume(&self, id: JobId) -> Result<(), ResumeError> {
        self.store().resume(id).await.map_err(|error| match error {
            CallError::Refused(ResumeRefusal::Unknown) => ResumeError::Unknown { job: id },
            CallError::Refused(ResumeRefusal::State(status)) => {
                ResumeError::NotPaused { job: id, status }
            }
            CallError::Store(error) => ResumeError::Store(error),
        })
    }

    /// The jobs that were given up.
    #[must_use]
    pub fn dead_letters(&self) -> DeadLetters {
        DeadLetters::new(self.clone())
    }
}

fn refused_retry(job: JobId, refusal: RetryRefusal) -> RetryError {
    match refusal {
        RetryRefusal::Unknown => RetryError::Unknown { job },
        RetryRefusal::State(status) => RetryError::WrongStatus { job, status },
        RetryRefusal::Workflow => RetryError::InWorkflow { job },
        RetryRefusal::Duplicate(holder) => RetryError::Duplicate { job, holder },
    }
}

/// A cancellation in the making; await it.
#[must_use = "nothing is cancelled until this is awaited"]
pub struct CancelJob {
    client: Client,
    id: JobId,
    reason: String,
}

impl CancelJob {
    /// Why, for readers; it becomes the job's last error.
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.reason = reason.into();
        self
    }
}

impl IntoFuture for CancelJob {
    type Output = Result<Cancelled, StoreError>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let CancelJob { client, id, reason } = self;
            let outcomes = client.store().cancel(&[id], &reason).await?;
            Ok(outcomes.into_iter().next().unwrap_or(Cancelled::Unknown))
        })
    }
}
