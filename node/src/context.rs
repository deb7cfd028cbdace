//! What a handler knows of its run.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use paceline_store::StoreError;
use paceline_types::batch::ONETIME_PLACE;
use paceline_types::workflow::WorkflowSignal;
use paceline_types::{
    BatchId, JobError, JobId, NodeId, Priority, Tag, TaskName, TaskType, UnixMillis, Version,
    WorkflowId,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use crate::latch::CancelReason;
use crate::run::Run;

/// Most bytes of a progress, as JSON.
pub const MAX_PROGRESS: usize = 16 * 1024;

/// Signals that are read at once.
const SIGNALS: usize = 100;

/// Why a progress was not told.
#[derive(Debug, thiserror::Error)]
pub enum ProgressError {
    /// It cannot be written as JSON.
    #[error("the progress cannot be written as JSON: {0}")]
    Unwritable(#[from] serde_json::Error),
    /// It is too large.
    #[error(
        "the progress has {size} bytes, at most {MAX_PROGRESS} are allowed: tell how far the run \
         is, and keep what it made elsewhere"
    )]
    TooLarge {
        /// Its bytes.
        size: usize,
    },
}

/// One run of a job, as its handler sees it. Cheap to clone.
#[derive(Clone)]
pub struct Context(Arc<Run>);

impl Context {
    pub(crate) fn new(run: Arc<Run>) -> Context {
        Context(run)
    }

    /// The job.
    #[must_use]
    pub fn job_id(&self) -> JobId {
        self.0.claimed.job
    }

    /// The fencing token: grows with every claim of the job. A system that remembers the newest
    /// one it saw can refuse the writes of a run that was given up.
    #[must_use]
    pub fn run(&self) -> u64 {
        self.0.claimed.run
    }

    /// Which execution this is; the first is 1.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.0.claimed.attempt
    }

    /// Executions that the job may have in all.
    #[must_use]
    pub fn max_attempts(&self) -> u32 {
        self.0.max_attempts
    }

    /// The node that executes it; every start of a node has a new id.
    #[must_use]
    pub fn node_id(&self) -> NodeId {
        self.0.node
    }

    /// The task type, which a handler of a pattern may want to know.
    #[must_use]
    pub fn task_type(&self) -> &TaskType {
        &self.0.claimed.record.spec.task_type
    }

    /// Urgency of the job.
    #[must_use]
    pub fn priority(&self) -> Priority {
        self.0.claimed.record.spec.priority
    }

    /// The version that the job asks for; none when any handler of the type may run it.
    #[must_use]
    pub fn version(&self) -> Option<&Version> {
        self.0.claimed.record.spec.version.as_ref()
    }

    /// Labels of the job, in the order in which they were given.
    #[must_use]
    pub fn tags(&self) -> &[Tag] {
        &self.0.claimed.record.spec.tags
    }

    /// What the submitter wrote beside the payload.
    #[must_use]
    pub fn headers(&self) -> &BTreeMap<String, String> {
        &self.0.claimed.record.spec.headers
    }

    /// The workflow that the job belongs to.
    #[must_use]
    pub fn workflow_id(&self) -> Option<WorkflowId> {
        let place = self.0.claimed.record.workflow.as_ref()?;
        Some(place.workflow)
    }

    /// The task of that workflow.
    #[must_use]
    pub fn workflow_task(&self) -> Option<&TaskName> {
        let place = self.0.claimed.record.workflow.as_ref()?;
        Some(&place.task)
    }

    /// The batch that the job belongs to.
    #[must_use]
    pub fn batch_id(&self) -> Option<BatchId> {
        let item = self.0.claimed.record.batch.as_ref()?;
        Some(item.batch)
    }

    /// The item of that batch; none for its onetime task.
    #[must_use]
    pub fn batch_item(&self) -> Option<&str> {
        let item = self.0.claimed.record.batch.as_ref()?;
        (item.place != ONETIME_PLACE).then_some(&*item.item)
    }

    /// When the job was accepted, by the server's clock.
    #[must_use]
    pub fn created_at(&self) -> UnixMillis {
        self.0.claimed.record.created_at
    }

    /// When the run is cancelled for its timeout; none without one.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.0.deadline()
    }

    /// How often that task was started afresh before: 0 in the first turn of a loop, and before the
    /// workflow was tried again.
    #[must_use]
    pub fn workflow_iteration(&self) -> Option<u32> {
        let place = self.0.claimed.record.workflow.as_ref()?;
        Some(place.iteration)
    }

    /// The input of the job's workflow, as JSON; none outside a workflow, or when it was given
    /// none. Read at the first call, and kept by the node for other tasks of the workflow.
    ///
    /// # Errors
    /// When Redis gives no answer.
    pub async fn workflow_input(&self) -> Result<Option<Bytes>, StoreError> {
        self.0.input().await
    }

    /// [`Context::workflow_input`], read as an `I`; where there is none, `null` is.
    ///
    /// # Errors
    /// Permanent, with the field, when it is not an `I`; retryable when Redis gives no answer.
    pub async fn workflow_input_as<I: DeserializeOwned>(&self) -> Result<I, JobError> {
        let input = self.0.input().await?;
        let input = input.as_deref().unwrap_or(b"null");
        let mut json = serde_json::Deserializer::from_slice(input);
        serde_path_to_error::deserialize(&mut json).map_err(|error| {
            let place = match error.path().to_string().as_str() {
                "." => String::new(),
                field => format!(" at `{field}`"),
            };
            let problem = error.into_inner();
            JobError::permanent(format!(
                "the input of the workflow cannot be read{place}: {problem}"
            ))
        })
    }

    /// Signals of the job's workflow that nobody has taken, oldest first: at most 100 of those whose
    /// number is above `after`; none outside a workflow. They are there again the next time unless
    /// they are taken away with [`Context::ack_signal`].
    ///
    /// ```
    /// # use paceline_node::Context;
    /// # use paceline_types::JobError;
    /// # async fn example(context: Context) -> Result<(), JobError> {
    /// for signal in context.signals(0).await? {
    ///     // What it asks for comes first: it is done at least once.
    ///     tracing::info!(name = %signal.name, "a signal");
    ///     context.ack_signal(signal.number).await?;
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// When Redis gives no answer.
    pub async fn signals(&self, after: u64) -> Result<Vec<WorkflowSignal>, StoreError> {
        match self.workflow_id() {
            Some(workflow) => self.0.kit.store.signals(workflow, after, SIGNALS).await,
            None => Ok(Vec::new()),
        }
    }

    /// Takes a signal of the job's workflow away: `false` when somebody else did.
    ///
    /// # Errors
    /// When Redis gives no answer; it may be called again.
    pub async fn ack_signal(&self, number: u64) -> Result<bool, StoreError> {
        match self.workflow_id() {
            Some(workflow) => self.0.kit.store.ack_signal(workflow, number).await,
            None => Ok(false),
        }
    }

    /// How long the handler may give no sign of life; none when it need not give any.
    #[must_use]
    pub fn heartbeat_timeout(&self) -> Option<Duration> {
        self.0.silence()
    }

    /// Says that the handler is alive. A job with a heartbeat timeout whose handler does not for so
    /// long is taken for hung: the run is cancelled, fails, and is retried by the policy.
    ///
    /// It costs a store to memory and waits for nothing; call it in every turn of a loop.
    pub fn heartbeat(&self) {
        self.0.signs.beat(self.0.started);
    }

    /// Tells how far the run is, as JSON; also a sign of life. It waits for nothing: the newest
    /// value reaches the job's record within about a quarter of a second, and those that it
    /// overtook are never written. The record keeps it when the run has ended; a new run begins
    /// with what the one before it told.
    ///
    /// There is no way to call it outside of a handler, as only a handler has a context.
    ///
    /// # Errors
    /// Nothing was told: the value cannot be written as JSON, or takes more than [`MAX_PROGRESS`].
    pub fn progress(&self, progress: impl Serialize) -> Result<(), ProgressError> {
        let told = serde_json::to_vec(&progress)?;
        if told.len() > MAX_PROGRESS {
            return Err(ProgressError::TooLarge { size: told.len() });
        }
        self.heartbeat();
        if self.0.signs.note(told.into()) {
            self.0.reports.add(&self.0);
        }
        Ok(())
    }

    /// Whether the handler should end: the job was cancelled, its time is over, the node stops,
    /// or it lost its lease.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.cancel_reason().is_some()
    }

    /// Returns when the handler should end. From then on it has 5 s; after that it is dropped
    /// where it stands.
    pub async fn cancelled(&self) {
        self.0.signal.fired().await;
    }

    /// Why the handler should end; none while it may go on.
    #[must_use]
    pub fn cancel_reason(&self) -> Option<CancelReason> {
        self.0.signal.reason()
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("job", &self.job_id())
            .field("run", &self.run())
            .field("attempt", &self.attempt())
            .field("task_type", self.task_type())
            .finish_non_exhaustive()
    }
}
