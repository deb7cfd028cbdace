//! Signals: what a workflow is told from outside.

use std::future::{Future, IntoFuture};
use std::pin::Pin;

use paceline_store::calls::workflow::{MAX_SIGNALS, SignalRefusal};
use paceline_store::{CallError, StoreError};
use paceline_types::workflow::WorkflowSignal;
use paceline_types::{IdempotencyKey, NameError, SignalName, WorkflowId, WorkflowStatus};
use serde::Serialize;

use super::WorkflowHandle;
use crate::{Client, MAX_PAGE};

/// Why a signal was not accepted. Nothing was stored, unless [`SignalError::maybe_stored`] says so.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignalError {
    /// The name or the key is not one. Nothing was sent.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The payload has no JSON form. Nothing was sent.
    #[error("the payload of the signal cannot be written as JSON: {problem}")]
    Payload {
        /// The words of the serializer.
        problem: String,
    },
    /// The payload is over the client's limit. Nothing was sent.
    #[error(
        "the payload of the signal has {size} bytes, at most {limit} are allowed; store it \
         elsewhere and send a reference, or raise max_payload (8 MiB at most)"
    )]
    TooLarge {
        /// Bytes of the payload.
        size: usize,
        /// The client's limit.
        limit: usize,
    },
    /// There is no record of the workflow.
    #[error("{workflow} is not known: its retention is over, or its id is from another cluster")]
    Unknown {
        /// The workflow.
        workflow: WorkflowId,
    },
    /// The workflow has ended.
    #[error("{workflow} takes no signals: it is {status}")]
    Ended {
        /// The workflow.
        workflow: WorkflowId,
        /// How it ended.
        status: WorkflowStatus,
    },
    /// The workflow went on as a new one.
    #[error("{workflow} takes no signals: it went on as {next}; signal that one")]
    Continued {
        /// The workflow.
        workflow: WorkflowId,
        /// The newest that it went on as.
        next: WorkflowId,
    },
    /// A signal with this key was accepted within the last 30 days.
    #[error("{workflow} was sent a signal with the key {key:?} before: it has number {number}")]
    Duplicate {
        /// The workflow.
        workflow: WorkflowId,
        /// The key.
        key: String,
        /// The number of that signal.
        number: u64,
    },
    /// As many are pending as are kept.
    #[error(
        "{workflow} has {MAX_SIGNALS} signals that nobody has taken, and no more are kept: let a \
         task or a handler take them"
    )]
    Full {
        /// The workflow.
        workflow: WorkflowId,
    },
    /// Redis did not take it. It says itself whether **the signal may have been stored**; with a key
    /// it may be sent again.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl SignalError {
    /// Whether the signal may have been stored although it was not acknowledged.
    #[must_use]
    pub fn maybe_stored(&self) -> bool {
        match self {
            SignalError::Store(error) => error.maybe_stored(),
            SignalError::Name(_)
            | SignalError::Payload { .. }
            | SignalError::TooLarge { .. }
            | SignalError::Unknown { .. }
            | SignalError::Ended { .. }
            | SignalError::Continued { .. }
            | SignalError::Duplicate { .. }
            | SignalError::Full { .. } => false,
        }
    }
}

/// A signal in the making: await it at once, or give it a key first.
#[must_use = "a signal is not sent until it is awaited"]
pub struct SendSignal {
    client: Client,
    workflow: WorkflowId,
    name: String,
    payload: Result<Vec<u8>, String>,
    key: Option<String>,
}

impl SendSignal {
    /// Sends it only if no signal with this key was accepted for the workflow within the last 30
    /// days; else it is refused as a duplicate.
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    async fn send(self) -> Result<u64, SignalError> {
        let workflow = self.workflow;
        let name = SignalName::new(&self.name)?;
        let key = self.key.as_deref().map(IdempotencyKey::new).transpose()?;
        let payload = self
            .payload
            .map_err(|problem| SignalError::Payload { problem })?;
        let (size, limit) = (payload.len(), self.client.max_payload());
        if size > limit {
            return Err(SignalError::TooLarge { size, limit });
        }
        let store = self.client.store();
        let sent = store.signal_workflow(workflow, &name, &payload, key.as_ref());
        sent.await.map_err(|error| match error {
            CallError::Refused(SignalRefusal::Unknown) => SignalError::Unknown { workflow },
            CallError::Refused(SignalRefusal::Ended(status)) => {
                SignalError::Ended { workflow, status }
            }
            CallError::Refused(SignalRefusal::Continued(next)) => {
                SignalError::Continued { workflow, next }
            }
            CallError::Refused(SignalRefusal::Duplicate { number }) => SignalError::Duplicate {
                workflow,
                key: self.key.unwrap_or_default(),
                number,
            },
            CallError::Refused(SignalRefusal::Full) => SignalError::Full { workflow },
            CallError::Store(error) => SignalError::Store(error),
        })
    }
}

impl IntoFuture for SendSignal {
    type Output = Result<u64, SignalError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

impl Client {
    /// Sends a workflow a signal, whose payload is written as JSON; awaited, it returns the signal's
    /// number. On `Ok` the signal is kept with the workflow, in order, until a task of type
    /// `signal` takes it or a handler acknowledges it.
    ///
    /// ```no_run
    /// # use paceline_client::{Client, WorkflowId};
    /// # use serde_json::json;
    /// # async fn example(client: Client, order: WorkflowId) -> Result<(), Box<dyn std::error::Error>> {
    /// client
    ///     .signal(order, "approval", json!({ "by": "owner" }))
    ///     .key("mail-17")
    ///     .await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// See [`SignalError`].
    pub fn signal(
        &self,
        workflow: WorkflowId,
        name: impl Into<String>,
        payload: impl Serialize,
    ) -> SendSignal {
        SendSignal {
            client: self.clone(),
            workflow,
            name: name.into(),
            payload: serde_json::to_vec(&payload).map_err(|error| error.to_string()),
            key: None,
        }
    }

    /// Signals of a workflow that nobody has taken, oldest first: at most [`MAX_PAGE`] of those
    /// whose number is above `after`.
    ///
    /// # Errors
    /// When Redis could not be asked.
    pub async fn signals(
        &self,
        workflow: WorkflowId,
        after: u64,
    ) -> Result<Vec<WorkflowSignal>, StoreError> {
        self.store().signals(workflow, after, MAX_PAGE).await
    }

    /// Takes a signal away that was read: `false` when somebody else did, when it is not there, or when
    /// the reply to the first of several tries was lost. Whoever reads, acts and then acknowledges acts
    /// at least once for each signal; who acknowledges first may lose one.
    ///
    /// # Errors
    /// When Redis gave no answer; it may be sent again.
    pub async fn ack_signal(&self, workflow: WorkflowId, number: u64) -> Result<bool, StoreError> {
        self.store().ack_signal(workflow, number).await
    }
}

impl WorkflowHandle {
    /// Sends the workflow a signal; see [`Client::signal`].
    pub fn signal(&self, name: impl Into<String>, payload: impl Serialize) -> SendSignal {
        self.client.signal(self.id, name, payload)
    }

    /// Signals that nobody has taken; see [`Client::signals`].
    ///
    /// # Errors
    /// When Redis could not be asked.
    pub async fn signals(&self, after: u64) -> Result<Vec<WorkflowSignal>, StoreError> {
        self.client.signals(self.id, after).await
    }

    /// Takes a signal away that was read; see [`Client::ack_signal`].
    ///
    /// # Errors
    /// When Redis gave no answer; it may be sent again.
    pub async fn ack_signal(&self, number: u64) -> Result<bool, StoreError> {
        self.client.ack_signal(self.id, number).await
    }
}
