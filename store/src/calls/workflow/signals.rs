//! Signals: sent to a workflow, kept in their order until a task takes them or a caller acknowledges
//! them.

use std::time::Duration;

use paceline_types::workflow::WorkflowSignal;
use paceline_types::{IdempotencyKey, SignalName, WorkflowId, WorkflowStatus};

use super::new_call_id;
use crate::calls::{CallError, MAX_BATCH};
use crate::script::{Invocation, Script};
use crate::wire::millis;
use crate::wire::reply::{Reply, text_of};
use crate::wire::workflow::{ended_status, parse_signal};
use crate::{Store, StoreError};

pub(crate) static SIGNAL: Script = script!("signal");
pub(crate) static ACK_SIGNAL: Script = script!("ack_signal");

/// Most signals of one workflow that wait to be taken.
pub const MAX_SIGNALS: usize = 10_000;

/// How long the key of a signal is remembered: 30 days.
pub const SIGNAL_KEY_RETENTION: Duration = Duration::from_secs(30 * 24 * 3600);

/// How long one that was sent without a key is: the connection tries again for seconds.
const CALL_RETENTION: Duration = Duration::from_secs(600);

/// Why a signal was not accepted. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignalRefusal {
    /// There is no such workflow.
    #[error("there is no such workflow; it may have been removed after its retention")]
    Unknown,
    /// It has ended.
    #[error("the workflow is {0} already; no task of it waits for signals any more")]
    Ended(WorkflowStatus),
    /// It went on as another, of which this is the newest.
    #[error("the workflow went on as {0}; signal that one")]
    Continued(WorkflowId),
    /// A signal with this key was accepted before.
    #[error("a signal with this key was accepted before, as number {number}")]
    Duplicate {
        /// The number of that one.
        number: u64,
    },
    /// As many are pending as may be.
    #[error("{MAX_SIGNALS} signals of the workflow are pending, and no more are kept")]
    Full,
}

impl Store {
    /// Accepts a signal for a workflow. Returns its number, which is one more than that of the signal
    /// before. The payload is JSON; its size was checked.
    ///
    /// Of signals with one key within [`SIGNAL_KEY_RETENTION`] the first alone is accepted.
    ///
    /// # Errors
    /// Refusals change nothing. A call whose answer was lost is recognised when the connection sends
    /// it again.
    pub async fn signal_workflow(
        &self,
        id: WorkflowId,
        name: &SignalName,
        payload: &[u8],
        key: Option<&IdempotencyKey>,
    ) -> Result<u64, CallError<SignalRefusal>> {
        let keys = self.keys(id.shard())?;
        let names = [
            keys.events.clone(),
            keys.workflow(id),
            keys.signals(id),
            keys.signal_keys(id),
        ];
        let this_call = new_call_id();
        let (remembered, lasts) = match key {
            Some(key) => (format!("k{}", key.as_str()), SIGNAL_KEY_RETENTION),
            None => (format!("c{this_call}"), CALL_RETENTION),
        };
        let mut call = Invocation::new(&SIGNAL, &names);
        call.arg(self.shared.event_cap)
            .arg(name.as_str())
            .bytes(payload)
            .arg(remembered)
            .arg(millis(lasts))
            .arg(this_call)
            .arg(MAX_SIGNALS);
        let mut reply = Reply::list("signal", self.link.call(&call).await?)?;
        let answer = reply.text()?;
        let refusal = match answer.as_str() {
            "ok" => return Ok(reply.parse("a number")?),
            "duplicate" => SignalRefusal::Duplicate {
                number: reply.parse("a number")?,
            },
            "unknown" => match self.went_on_as(id).await? {
                Some(newest) => SignalRefusal::Continued(newest),
                None => SignalRefusal::Unknown,
            },
            "full" => SignalRefusal::Full,
            "ended" => {
                let letter = reply.text()?;
                match ended_status(&letter) {
                    Some(WorkflowStatus::Continued) => {
                        let newest = self.went_on_as(id).await?;
                        SignalRefusal::Continued(newest.unwrap_or(id.of_successor()))
                    }
                    Some(status) => SignalRefusal::Ended(status),
                    None => return Ok(reply.unknown(&letter)?),
                }
            }
            other => return Ok(reply.unknown(other)?),
        };
        Err(CallError::Refused(refusal))
    }

    /// Signals of a workflow that no task has taken, by number, those after `after`, at most `max`
    /// and at most [`MAX_BATCH`]. They stay until they are acknowledged: reading, doing what they ask
    /// for, and acknowledging them then does it at least once.
    ///
    /// # Errors
    /// When there was no answer.
    pub async fn signals(
        &self,
        id: WorkflowId,
        after: u64,
        max: usize,
    ) -> Result<Vec<WorkflowSignal>, StoreError> {
        let name = self.keys(id.shard())?.signals(id);
        let mut command = redis::cmd("HKEYS");
        command.arg(&name);
        let pending = Reply::list("HKEYS", self.link.command(&command).await?)?.rest()?;
        let numbers = pending.iter().filter_map(|number| number.parse().ok());
        let mut numbers: Vec<u64> = numbers.filter(|&number| number > after).collect();
        numbers.sort_unstable();
        numbers.truncate(max.min(MAX_BATCH));
        if numbers.is_empty() {
            return Ok(Vec::new());
        }
        let mut command = redis::cmd("HMGET");
        command.arg(&name).arg(&numbers);
        let found = Reply::list("HMGET", self.link.command(&command).await?)?.all_bytes()?;
        let signals = numbers.iter().zip(found).filter_map(|(&number, record)| {
            // One that was taken meanwhile.
            let (sent_at, name, payload) = parse_signal(&record)?;
            Some(WorkflowSignal {
                workflow_id: id,
                number,
                name,
                payload: Some(payload).filter(|payload| !payload.is_empty()),
                sent_at,
            })
        });
        Ok(signals.collect())
    }

    /// Takes a signal that was read. False when it is not pending any more: a task took it, or it was
    /// acknowledged before.
    ///
    /// # Errors
    /// When there was no answer: a call that is sent again says false.
    pub async fn ack_signal(&self, id: WorkflowId, number: u64) -> Result<bool, StoreError> {
        let keys = self.keys(id.shard())?;
        let names = [keys.events.clone(), keys.workflow(id), keys.signals(id)];
        let mut call = Invocation::new(&ACK_SIGNAL, &names);
        call.arg(number);
        Ok(text_of("ack_signal", self.link.call(&call).await?)? == "1")
    }
}
