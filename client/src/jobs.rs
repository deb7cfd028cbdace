//! Looking at jobs and steering them; one file for each group of verbs.

pub(crate) mod bulk;
pub(crate) mod cancel;
pub(crate) mod retry;
pub(crate) mod steer;

use paceline_store::calls::list::JobFilter;
use paceline_store::calls::resume::ResumeRefusal;
use paceline_store::{CallError, StoreError};
use paceline_types::{Job, JobId, JobStatus};

use crate::{Client, DeadLetters, Listing};

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
