//! `paceline workflow signal`, `suspend`, `resume`, `retry` and `cancel`.

use clap::Args;
use paceline_client::{
    CancelWorkflowError, ResumeWorkflowError, RetryWorkflowError, SignalError, SuspendWorkflowError,
};
use paceline_types::WorkflowId;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::cli::connect::connect;
use crate::cli::each::each;
use crate::cli::failure::{Failure, Kind};
use crate::cli::options::Globals;
use crate::cli::output::Output;
use crate::cli::source;

/// What is sent to whom.
#[derive(Debug, Args)]
pub(crate) struct Signal {
    /// The workflow's id
    id: WorkflowId,
    /// What the signal is called
    name: String,
    /// JSON, or @FILE, or @- for standard input: the result of the task that takes it
    #[arg(default_value = "null", hide_default_value = true)]
    payload: String,
    /// A signal with this key counts once in 30 days; one that was sent before is refused
    #[arg(long)]
    key: Option<String>,
}

#[derive(Serialize)]
struct Sent<'a> {
    id: WorkflowId,
    signal: &'a str,
    number: u64,
}

/// Sends a signal.
pub(super) async fn signal(
    signal: Signal,
    globals: &Globals,
    output: Output,
) -> Result<(), Failure> {
    let Signal {
        id,
        name,
        payload,
        key,
    } = signal;
    let payload = source::json("PAYLOAD", &payload)?;
    let payload = RawValue::from_string(payload)
        .map_err(|error| Failure::usage(format!("PAYLOAD is not JSON: {error}")))?;
    let mut call = connect(globals).await?.signal(id, &*name, payload);
    if let Some(key) = key {
        call = call.key(key);
    }
    let number = call.await?;
    let signal = &name;
    let sent = Sent { id, signal, number };
    output.either(&sent, || format!("{id} got the signal {name}"))
}

/// Lets nothing new of workflows begin.
pub(super) async fn suspend(
    ids: &[WorkflowId],
    globals: &Globals,
    output: Output,
) -> Result<(), Failure> {
    each(ids, globals, output, async |client, &id| {
        let suspended = client.suspend_workflow(id).await;
        suspended.map(|now| match now {
            true => ("suspended", "is suspended; what runs of it ends"),
            false => ("suspended", "was suspended before"),
        })
    })
    .await
}

/// Lets suspended workflows go on.
pub(super) async fn resume(
    ids: &[WorkflowId],
    globals: &Globals,
    output: Output,
) -> Result<(), Failure> {
    each(ids, globals, output, async |client, &id| {
        let resumed = client.resume_workflow(id).await;
        resumed.map(|now| match now {
            true => ("running", "goes on"),
            false => ("running", "was not suspended"),
        })
    })
    .await
}

/// Tries failed and cancelled workflows again.
pub(super) async fn retry(
    ids: &[WorkflowId],
    globals: &Globals,
    output: Output,
) -> Result<(), Failure> {
    each(ids, globals, output, async |client, &id| {
        let retried = client.retry_workflow(id).await;
        retried.map(|()| ("running", "is tried again"))
    })
    .await
}

/// Cancels workflows.
pub(super) async fn cancel(
    ids: &[WorkflowId],
    reason: &str,
    globals: &Globals,
    output: Output,
) -> Result<(), Failure> {
    each(ids, globals, output, async |client, &id| {
        let cancelled = client.cancel_workflow(id, reason).await;
        cancelled.map(|()| ("cancelling", "is being cancelled"))
    })
    .await
}

impl From<SignalError> for Failure {
    fn from(error: SignalError) -> Failure {
        let kind = match error {
            SignalError::Name(_) | SignalError::Payload { .. } | SignalError::TooLarge { .. } => {
                Kind::Usage
            }
            SignalError::Unknown { .. } => Kind::NotFound,
            SignalError::Store(_) => Kind::Redis,
            _ => Kind::Conflict,
        };
        Failure::new(kind, error)
    }
}

impl From<SuspendWorkflowError> for Failure {
    fn from(error: SuspendWorkflowError) -> Failure {
        let kind = match error {
            SuspendWorkflowError::Unknown { .. } => Kind::NotFound,
            SuspendWorkflowError::Store(_) => Kind::Redis,
            _ => Kind::Conflict,
        };
        Failure::new(kind, error)
    }
}

impl From<ResumeWorkflowError> for Failure {
    fn from(error: ResumeWorkflowError) -> Failure {
        let kind = match error {
            ResumeWorkflowError::Unknown { .. } => Kind::NotFound,
            ResumeWorkflowError::Store(_) => Kind::Redis,
            _ => Kind::Conflict,
        };
        Failure::new(kind, error)
    }
}

impl From<RetryWorkflowError> for Failure {
    fn from(error: RetryWorkflowError) -> Failure {
        let kind = match error {
            RetryWorkflowError::Unknown { .. } => Kind::NotFound,
            RetryWorkflowError::Store(_) => Kind::Redis,
            _ => Kind::Conflict,
        };
        Failure::new(kind, error)
    }
}

impl From<CancelWorkflowError> for Failure {
    fn from(error: CancelWorkflowError) -> Failure {
        let kind = match error {
            CancelWorkflowError::Unknown { .. } => Kind::NotFound,
            CancelWorkflowError::Store(_) => Kind::Redis,
            _ => Kind::Conflict,
        };
        Failure::new(kind, error)
    }
}
