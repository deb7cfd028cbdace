//! Handles on accepted jobs, and what waiting for one may end in.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use bytes::Bytes;
use paceline_store::StoreError;
use paceline_types::{Job, JobId, JobStatus, Task, WorkflowId};
use serde::de::DeserializeOwned;

use crate::wait::{Ended, Entity};
use crate::{Accepted, CancelJob, Client};

/// The type of handles on jobs whose output has no Rust type: it is a [`serde_json::Value`].
#[derive(Clone, Copy, Debug)]
pub enum Untyped {}

/// What the handler of a job returns: of every [`Task`] its `Output`, of [`Untyped`] any JSON.
pub trait HasOutput: 'static {
    /// The output, read from JSON.
    type Output: DeserializeOwned + Send + 'static;
}

impl<T: Task> HasOutput for T {
    type Output = T::Output;
}

impl HasOutput for Untyped {
    type Output = serde_json::Value;
}

/// Why waiting brought no answer. The job or workflow itself is not affected by it.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WaitError {
    /// The job is dead: its attempts are used up, or its error was permanent.
    #[error("{job} is dead: {error}")]
    Dead {
        /// The job.
        job: JobId,
        /// Its last error.
        error: String,
    },
    /// The workflow failed, or its execution timeout passed.
    #[error("{workflow} failed: {error}")]
    Failed {
        /// The workflow.
        workflow: WorkflowId,
        /// Why.
        error: String,
    },
    /// It was cancelled.
    #[error("{what} was cancelled: {reason}")]
    Cancelled {
        /// The job or workflow.
        what: String,
        /// Why.
        reason: String,
    },
    /// The handler found nothing to do, so there is no output.
    #[error("{job} was skipped: {reason}")]
    Skipped {
        /// The job.
        job: JobId,
        /// What the handler said.
        reason: String,
    },
    /// It had not ended when the time was over. It goes on.
    #[error("{what} has not ended within {waited:?}; it goes on, and may be waited for again")]
    TimedOut {
        /// The job or workflow.
        what: String,
        /// How long.
        waited: Duration,
    },
    /// There is no record of it: it never was, or its retention is over.
    #[error("{what} is not known: its retention is over, or its id is from another cluster")]
    Unknown {
        /// The job or workflow.
        what: String,
    },
    /// The output is there, but is not of the type that was asked for.
    #[error("the output of {what} does not have the expected type: {problem}")]
    Output {
        /// The job or workflow.
        what: String,
        /// The words of the deserializer.
        problem: String,
    },
    /// Redis could not be asked.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The runtime that the client was connected in has ended.
    #[error(
        "the runtime of this client has ended: connect the client in a runtime that outlives its \
         use"
    )]
    Stopped,
}

/// An accepted job.
///
/// `T` names the type of the output: a [`Task`], or [`Untyped`].
pub struct JobHandle<T> {
    client: Client,
    accepted: Accepted,
    task: PhantomData<fn() -> T>,
}

impl<T> Clone for JobHandle<T> {
    fn clone(&self) -> Self {
        JobHandle {
            client: self.client.clone(),
            accepted: self.accepted,
            task: PhantomData,
        }
    }
}

impl<T> fmt::Debug for JobHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("JobHandle").field(&self.accepted).finish()
    }
}

impl Client {
    /// A handle on a job that was submitted elsewhere. Asks nothing of Redis.
    #[must_use]
    pub fn handle(&self, id: JobId) -> JobHandle<Untyped> {
        self.handle_of(id)
    }

    /// [`Client::handle`] on a job whose output has a Rust type.
    #[must_use]
    pub fn handle_of<T: HasOutput>(&self, id: JobId) -> JobHandle<T> {
        let accepted = Accepted { id, created: false };
        JobHandle::accepted(self.clone(), accepted)
    }
}

impl<T> JobHandle<T> {
    pub(crate) fn accepted(client: Client, accepted: Accepted) -> JobHandle<T> {
        JobHandle {
            client,
            accepted,
            task: PhantomData,
        }
    }

    /// The job's id.
    #[must_use]
    pub fn id(&self) -> JobId {
        self.accepted.id
    }

    /// Whether the submit made the job; `false` when its idempotency key had made it before.
    #[must_use]
    pub fn created(&self) -> bool {
        self.accepted.created
    }

    /// Where the job stands now; `None` when there is no record of it (any more).
    ///
    /// # Errors
    /// When Redis could not be asked.
    pub async fn status(&self) -> Result<Option<JobStatus>, StoreError> {
        let job = self.client.job(self.id()).await?;
        Ok(job.map(|job| job.status))
    }

    /// Waits until the job has completed, is dead or is cancelled, and returns its record.
    ///
    /// Costs one call however long it takes, shared with the waits that begin at the same time.
    /// A paused job has not ended.
    ///
    /// # Errors
    /// [`WaitError::Unknown`] when there is no record of it, [`WaitError::Store`] when Redis
    /// could not be asked.
    pub async fn wait(&self) -> Result<Job, WaitError> {
        match self.client.waits().ended(Entity::Job(self.id())).await? {
            Ended::Job(job) => Ok(*job),
            Ended::Workflow(_) | Ended::Batch(_) => Err(unknown(self.id())),
        }
    }

    /// Asks for the job to be cancelled; see [`Client::cancel`].
    pub fn cancel(&self) -> CancelJob {
        self.client.cancel(self.id())
    }
}

impl<T: HasOutput> JobHandle<T> {
    /// Waits until the job has ended, and returns what its handler returned.
    ///
    /// # Errors
    /// [`WaitError::Dead`], [`WaitError::Cancelled`] or [`WaitError::Skipped`] when there is no
    /// output, [`WaitError::Output`] when it is not a `T::Output`, and those of
    /// [`JobHandle::wait`].
    pub async fn output(&self) -> Result<T::Output, WaitError> {
        output_of(self.wait().await?)
    }

    /// [`JobHandle::output`], for at most `limit`.
    ///
    /// # Errors
    /// [`WaitError::TimedOut`] when the job has not ended by then: it goes on.
    pub async fn output_within(&self, limit: Duration) -> Result<T::Output, WaitError> {
        let timed_out = |_| WaitError::TimedOut {
            what: self.id().to_string(),
            waited: limit,
        };
        tokio::time::timeout(limit, self.output())
            .await
            .map_err(timed_out)?
    }
}

pub(crate) fn unknown(what: impl fmt::Display) -> WaitError {
    WaitError::Unknown {
        what: what.to_string(),
    }
}

/// Reads an output as JSON; no bytes at all are `null`.
pub(crate) fn decoded<O: DeserializeOwned>(
    what: impl fmt::Display,
    bytes: Option<&Bytes>,
) -> Result<O, WaitError> {
    let bytes = bytes.filter(|bytes| !bytes.is_empty());
    serde_json::from_slice(bytes.map_or(b"null", |bytes| bytes)).map_err(|error| {
        WaitError::Output {
            what: what.to_string(),
            problem: error.to_string(),
        }
    })
}

fn output_of<O: DeserializeOwned>(job: Job) -> Result<O, WaitError> {
    let said = |error: Option<String>| error.unwrap_or_else(|| "no reason was given".to_owned());
    match job.status {
        JobStatus::Completed if job.skipped => Err(WaitError::Skipped {
            job: job.id,
            reason: said(job.last_error),
        }),
        JobStatus::Completed => decoded(job.id, job.result.as_ref()),
        JobStatus::Dead => Err(WaitError::Dead {
            job: job.id,
            error: said(job.last_error),
        }),
        JobStatus::Cancelled => Err(WaitError::Cancelled {
            what: job.id.to_string(),
            reason: said(job.last_error),
        }),
        JobStatus::Pending
        | JobStatus::Scheduled
        | JobStatus::Running
        | JobStatus::Retrying
        | JobStatus::Paused => Err(unknown(job.id)),
    }
}
