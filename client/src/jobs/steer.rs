//! Steering one job that has not ended: pause, requeue, new payload.

use std::time::Duration;

use bytes::Bytes;
use paceline_store::calls::edit::EditRefusal;
use paceline_store::calls::pause::PauseRefusal;
use paceline_store::calls::requeue::{RequeueRefusal, Requeued};
use paceline_store::{CallError, StoreError};
use paceline_types::{JobId, JobStatus};

use crate::Client;

/// What a pause says unless the caller says something else.
const PAUSED: &str = "paused by a client";

/// Why a job was not paused. Nothing was changed, unless [`PauseError::Store`] says that the call
/// may have been carried out.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PauseError {
    /// There is no record of it.
    #[error("{job} is not known: its retention is over, or its id is from another cluster")]
    Unknown {
        /// The job.
        job: JobId,
    },
    /// It runs, or has ended.
    #[error("{job} is {status}; only jobs that wait can be paused")]
    WrongStatus {
        /// The job.
        job: JobId,
        /// Where it stands.
        status: JobStatus,
    },
    /// Redis did not carry it out.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a job was not requeued. Nothing was changed, unless [`RequeueError::Store`] says that the
/// call may have been carried out.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RequeueError {
    /// There is no record of it.
    #[error("{job} is not known: its retention is over, or its id is from another cluster")]
    Unknown {
        /// The job.
        job: JobId,
    },
    /// It has ended.
    #[error("{job} is {status}; what has ended is retried, not requeued")]
    Ended {
        /// The job.
        job: JobId,
        /// Where it stands.
        status: JobStatus,
    },
    /// It runs, and was asked to end before: it was cancelled, or lasts too long.
    #[error("{job} is running and was asked to end; wait until it has")]
    Stopping {
        /// The job.
        job: JobId,
    },
    /// Redis did not carry it out.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why the payload of a job was not replaced. Nothing was changed, unless [`EditError::Store`] says
/// that the call may have been carried out.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EditError {
    /// There is no record of it.
    #[error("{job} is not known: its retention is over, or its id is from another cluster")]
    Unknown {
        /// The job.
        job: JobId,
    },
    /// It runs, or has ended.
    #[error("{job} is {status}; a payload can be replaced only while its job waits")]
    WrongStatus {
        /// The job.
        job: JobId,
        /// Where it stands.
        status: JobStatus,
    },
    /// The job is a task of a workflow, whose definition holds the payload.
    #[error("{job} is a task of a workflow, and its payload stands in the definition of that")]
    InWorkflow {
        /// The job.
        job: JobId,
    },
    /// The payload is over the client's limit. Nothing was sent.
    #[error(
        "the payload has {size} bytes, at most {limit} are allowed; store it elsewhere and give a \
         reference, or raise max_payload (8 MiB at most)"
    )]
    TooLarge {
        /// Bytes of the payload.
        size: usize,
        /// The client's limit.
        limit: usize,
    },
    /// Redis did not carry it out.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Client {
    /// Pauses a job that is pending, scheduled or retrying: it keeps its unique key, and does not
    /// run until it is [resumed](Client::resume), or for `resume_after`. One that is paused already
    /// takes over the new time.
    ///
    /// # Errors
    /// See [`PauseError`].
    pub async fn pause(&self, id: JobId, resume_after: Option<Duration>) -> Result<(), PauseError> {
        let paused = self.store().pause(id, resume_after, PAUSED).await;
        paused.map_err(|error| match error {
            CallError::Refused(PauseRefusal::Unknown) => PauseError::Unknown { job: id },
            CallError::Refused(PauseRefusal::State(status)) => {
                PauseError::WrongStatus { job: id, status }
            }
            CallError::Store(error) => PauseError::Store(error),
        })
    }

    /// Brings a job to its lane now, without using an attempt: one that is scheduled, retrying or
    /// paused goes there, one that runs is handed back when its handler, which is told, has ended.
    /// Should that handler complete, the job is completed.
    ///
    /// # Errors
    /// See [`RequeueError`].
    pub async fn requeue(&self, id: JobId) -> Result<Requeued, RequeueError> {
        self.store().requeue(id).await.map_err(|error| match error {
            CallError::Refused(RequeueRefusal::Unknown) => RequeueError::Unknown { job: id },
            CallError::Refused(RequeueRefusal::State(status)) => {
                RequeueError::Ended { job: id, status }
            }
            CallError::Refused(RequeueRefusal::Stopping) => RequeueError::Stopping { job: id },
            CallError::Store(error) => RequeueError::Store(error),
        })
    }

    /// Replaces the payload of a job that is pending, scheduled, retrying or paused; its next run
    /// is given the new one. The payload is handed to the handler as it is, JSON by convention.
    ///
    /// # Errors
    /// See [`EditError`].
    pub async fn edit_payload(
        &self,
        id: JobId,
        payload: impl Into<Bytes>,
    ) -> Result<(), EditError> {
        let payload = payload.into();
        let (size, limit) = (payload.len(), self.max_payload());
        if size > limit {
            return Err(EditError::TooLarge { size, limit });
        }
        let edited = self.store().edit_payload(id, &payload).await;
        edited.map_err(|error| match error {
            CallError::Refused(EditRefusal::Unknown) => EditError::Unknown { job: id },
            CallError::Refused(EditRefusal::State(status)) => {
                EditError::WrongStatus { job: id, status }
            }
            CallError::Refused(EditRefusal::Workflow) => EditError::InWorkflow { job: id },
            CallError::Store(error) => EditError::Store(error),
        })
    }
}
