//! Submitting one job: a builder that can be awaited at once.
//!
//! The job's id is made here, before anything is sent, so that a call whose reply was lost can be
//! sent again and is recognised.

use std::future::IntoFuture;
use std::marker::PhantomData;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use futures::future::BoxFuture;
use paceline_store::StoreError;
use paceline_store::calls::submit::{KeysApart, NewJob, SubmitRefusal, Submitted};
use paceline_types::job::Due;
use paceline_types::{
    BatchId, JobId, JobSpec, Priority, RetryPolicy, ShardIndex, Task, UniqueKey, UnixMillis,
    WorkflowId,
};

use crate::request::options::{self, job_options};
use crate::request::{InvalidJob, JobRequest, RunAt};
use crate::{Client, HasOutput, JobHandle, Untyped};

/// Why a job was not accepted. Nothing was stored, unless [`SubmitError::maybe_stored`] says so.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SubmitError {
    /// The request itself is wrong. Nothing was sent.
    #[error(transparent)]
    Invalid(#[from] InvalidJob),
    /// The payload is over the client's limit. Nothing was sent.
    #[error(
        "the payload of {task_type} has {size} bytes, at most {limit} are allowed; store it \
         elsewhere and submit a reference, or raise max_payload (8 MiB at most)"
    )]
    TooLarge {
        /// The task type.
        task_type: String,
        /// Bytes of the payload.
        size: usize,
        /// The client's limit.
        limit: usize,
    },
    /// Its keys, unique or of limits, lead to different shards. Nothing was sent.
    #[error(transparent)]
    KeysApart(#[from] KeysApart),
    /// The unique key is held by a job that has not ended. Nothing was stored.
    #[error("the unique key {key} is held by {holder}, which has not ended")]
    Duplicate {
        /// The key.
        key: UniqueKey,
        /// The job that holds it.
        holder: JobId,
    },
    /// The moment that the job is to run at has passed. Nothing was stored.
    #[error("run_at must be in the future: {at} is not after {now}, the server's time")]
    InThePast {
        /// The moment asked for.
        at: UnixMillis,
        /// The server's clock.
        now: UnixMillis,
    },
    /// Redis did not take it. It says itself whether **the job may have been stored**: submit it
    /// again with an idempotency key if it must not run twice.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A call before this one failed, so this job was not sent. Nothing was stored.
    #[error("the job was not sent, as Redis did not take the ones before it: {0}")]
    NotSent(#[source] StoreError),
    /// The runtime that the client was connected in has ended; **the job may have been stored**.
    #[error(
        "the runtime of this client has ended, and the job may have been stored: connect the \
         client in a runtime that outlives its use"
    )]
    Stopped,
}

impl SubmitError {
    /// Whether the job may have been stored although it was not acknowledged.
    #[must_use]
    pub fn maybe_stored(&self) -> bool {
        match self {
            SubmitError::Store(error) => error.maybe_stored(),
            SubmitError::Stopped => true,
            SubmitError::Invalid(_)
            | SubmitError::TooLarge { .. }
            | SubmitError::KeysApart(_)
            | SubmitError::Duplicate { .. }
            | SubmitError::InThePast { .. }
            | SubmitError::NotSent(_) => false,
        }
    }
}

impl From<SubmitRefusal> for SubmitError {
    fn from(refusal: SubmitRefusal) -> SubmitError {
        match refusal {
            SubmitRefusal::Duplicate { key, holder } => SubmitError::Duplicate { key, holder },
            SubmitRefusal::InThePast { at, now } => SubmitError::InThePast { at, now },
        }
    }
}

/// A job that was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Its id; the first job's, when the idempotency key had made one.
    pub id: JobId,
    /// Whether this submit made it.
    pub created: bool,
}

impl Accepted {
    pub(crate) fn of(sent: JobId, submitted: Submitted) -> Accepted {
        match submitted {
            Submitted::Created => Accepted {
                id: sent,
                created: true,
            },
            Submitted::Existing(id) => Accepted { id, created: false },
        }
    }
}

/// A submit in the making: add options, then await it for a [`JobHandle`].
///
/// Every mistake of the arguments is reported when it is awaited.
#[must_use = "a submit does nothing until it is awaited"]
pub struct Submit<T> {
    client: Client,
    request: JobRequest,
    task: PhantomData<fn() -> T>,
}

impl<T> Submit<T> {
    job_options!();

    fn changed(self, change: impl FnOnce(&mut JobSpec) -> Result<(), InvalidJob>) -> Self {
        Submit {
            request: self.request.changed(change),
            ..self
        }
    }
}

impl<T> From<Submit<T>> for JobRequest {
    /// What was to be submitted, without the client: for
    /// [`submit_many`](Client::submit_many).
    fn from(submit: Submit<T>) -> JobRequest {
        submit.request
    }
}

impl<T: HasOutput> IntoFuture for Submit<T> {
    type Output = Result<JobHandle<T>, SubmitError>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    /// Sends the job, in one batch with the submits that run at the same time.
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let Submit {
                client, request, ..
            } = self;
            let spec = client.checked(request)?;
            let fallback = client.spread();
            let shard = client.store().shard_for(&spec, fallback)?;
            let id = new_job_id(shard);
            let submitted = client.inner.group.submit(NewJob { id, spec }).await?;
            Ok(JobHandle::accepted(client, Accepted::of(id, submitted)))
        })
    }
}

impl Client {
    /// Submits a typed task. On `Ok` the job is accepted, and waits for a node or its time.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # use paceline_client::{Client, Priority, Task};
    /// # #[derive(serde::Serialize, serde::Deserialize)]
    /// # struct Resize { image: String, width: u32 }
    /// # impl Task for Resize { const TYPE: &'static str = "image.resize"; type Output = String; }
    /// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let handle = client
    ///     .submit(Resize { image: "a.png".into(), width: 640 })
    ///     .priority(Priority::HIGH)
    ///     .delay(Duration::from_secs(30))
    ///     .idempotency_key("invoice-1977")
    ///     .await?;
    /// let path: String = handle.output().await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// When awaited: see [`SubmitError`].
    pub fn submit<T: Task>(&self, task: T) -> Submit<T> {
        self.submit_request(JobRequest::of(&task))
    }

    /// Submits a job of any task type with a JSON payload.
    ///
    /// # Errors
    /// When awaited: see [`SubmitError`].
    pub fn submit_raw(&self, task_type: &str, payload: serde_json::Value) -> Submit<Untyped> {
        self.submit_request(JobRequest::raw(task_type, payload))
    }

    /// Submits a job of any task type whose payload is handed to the handler as it is.
    ///
    /// # Errors
    /// When awaited: see [`SubmitError`].
    pub fn submit_bytes(&self, task_type: &str, payload: impl Into<Bytes>) -> Submit<Untyped> {
        self.submit_request(JobRequest::bytes(task_type, payload))
    }

    /// Submits a request that was made elsewhere; `T` names the type of the handle.
    ///
    /// # Errors
    /// When awaited: see [`SubmitError`].
    pub fn submit_request<T: HasOutput>(&self, request: impl Into<JobRequest>) -> Submit<T> {
        Submit {
            client: self.clone(),
            request: request.into(),
            task: PhantomData,
        }
    }

    /// The spec of a request that this client may send.
    pub(crate) fn checked(&self, request: JobRequest) -> Result<JobSpec, SubmitError> {
        let spec = request.into_spec()?;
        let (size, limit) = (spec.payload.len(), self.max_payload());
        if size > limit {
            return Err(SubmitError::TooLarge {
                task_type: spec.task_type.to_string(),
                size,
                limit,
            });
        }
        Ok(spec)
    }
}

/// Counts the jobs of this process, from a random number on.
static NEXT: LazyLock<AtomicU64> = LazyLock::new(|| AtomicU64::new(rand::random()));

/// A new id. The time in it sorts and dates the job for readers; it decides nothing.
///
/// Ids of one millisecond follow one another: they sort as they were made, and lists of them take
/// little room, since they share all but their last characters.
pub(crate) fn new_job_id(shard: ShardIndex) -> JobId {
    JobId::from_parts(now(), shard, NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A new id of a workflow.
pub(crate) fn new_workflow_id(shard: ShardIndex) -> WorkflowId {
    WorkflowId::from_parts(now(), shard, rand::random())
}

/// A new id of a batch.
pub(crate) fn new_batch_id(shard: ShardIndex) -> BatchId {
    BatchId::from_parts(now(), shard, rand::random())
}

fn now() -> UnixMillis {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    UnixMillis::try_from(since.as_millis()).unwrap_or(UnixMillis::MAX)
}
