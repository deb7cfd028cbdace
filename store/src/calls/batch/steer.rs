//! Cancelling and retrying batches.

use paceline_types::batch::MAX_ATTEMPTS;
use paceline_types::{BatchId, BatchStatus};

use crate::calls::CallError;
use crate::script::{Invocation, Script};
use crate::wire::batch::ended_status;
use crate::wire::plain;
use crate::wire::reply::Reply;
use crate::{Store, StoreError};

pub(crate) static CANCEL_BATCH: Script = script!("cancel_batch");
pub(crate) static RETRY_BATCH: Script = script!("retry_batch");

/// Why a batch was not cancelled or retried. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchRefusal {
    /// There is no such batch.
    #[error("there is no such batch; it may have been removed after its retention")]
    Unknown,
    /// It has ended: there is nothing to cancel.
    #[error("the batch is {0} already")]
    Ended(BatchStatus),
    /// It has not ended: only what failed or was cancelled is retried.
    #[error("the batch has not ended; wait for its end, or cancel it")]
    NotEnded,
    /// Every item of it completed.
    #[error("the batch is completed; submit it again to run it again")]
    Completed,
    /// It was tried as often as a batch may be.
    #[error("the batch was tried {MAX_ATTEMPTS} times; submit it again")]
    TooOften,
}

impl Store {
    /// Asks for the cancellation of a batch. It ends when its running items have stopped.
    ///
    /// # Errors
    /// [`BatchRefusal::Unknown`] and [`BatchRefusal::Ended`]. The same call may be sent again.
    pub async fn cancel_batch(
        &self,
        id: BatchId,
        reason: &str,
    ) -> Result<(), CallError<BatchRefusal>> {
        let keys = self.keys(id.shard())?;
        let names = [keys.events.clone(), keys.batch(id)];
        let mut call = Invocation::new(&CANCEL_BATCH, &names);
        call.arg(plain(reason, 500).as_ref());
        let mut reply = Reply::list("cancel_batch", self.link.call(&call).await?)?;
        let answer = reply.text()?;
        match answer.as_str() {
            "ok" => Ok(()),
            "unknown" => Err(CallError::Refused(BatchRefusal::Unknown)),
            "ended" => {
                let letter = reply.text()?;
                match ended_status(&letter) {
                    Some(status) => Err(CallError::Refused(BatchRefusal::Ended(status))),
                    None => Ok(reply.unknown(&letter)?),
                }
            }
            other => Ok(reply.unknown(other)?),
        }
    }

    /// Has a batch tried again that failed or was cancelled: only what did not complete, or
    /// everything, the onetime task included. The leader begins at once.
    ///
    /// # Errors
    /// All refusals but [`BatchRefusal::Ended`]. A call whose answer was lost is recognised when the
    /// connection sends it again.
    pub async fn retry_batch(
        &self,
        id: BatchId,
        failed_only: bool,
    ) -> Result<(), CallError<BatchRefusal>> {
        let keys = self.keys(id.shard())?;
        let names = [
            keys.events.clone(),
            keys.batch(id),
            keys.ended.clone(),
            keys.active_batches.clone(),
        ];
        let mut call = Invocation::new(&RETRY_BATCH, &names);
        call.arg(format!("{:032x}", rand::random::<u128>()))
            .arg(u8::from(failed_only))
            .arg(MAX_ATTEMPTS);
        let mut reply = Reply::list("retry_batch", self.link.call(&call).await?)?;
        let answer = reply.text()?;
        let refusal = match answer.as_str() {
            "ok" => return Ok(()),
            "unknown" => BatchRefusal::Unknown,
            "often" => BatchRefusal::TooOften,
            "state" => match reply.text()?.as_str() {
                "C" => BatchRefusal::Completed,
                "P" | "R" | "E" | "W" => BatchRefusal::NotEnded,
                other => {
                    let what = "the letter of a header";
                    return Err(StoreError::protocol("retry_batch", what, &other).into());
                }
            },
            other => return Ok(reply.unknown(other)?),
        };
        Err(CallError::Refused(refusal))
    }
}
