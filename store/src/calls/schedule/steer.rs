//! Pausing, resuming and deleting schedules.

use paceline_types::{ScheduleId, UnixMillis};

use crate::Store;
use crate::calls::CallError;
use crate::script::{Invocation, Script};
use crate::wire::plain;
use crate::wire::reply::Reply;

static STEER_SCHEDULE: Script = script!("steer_schedule");

/// Why a schedule was not steered. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SteerRefusal {
    /// There is no such schedule.
    #[error("there is no such schedule")]
    Unknown,
    /// It is not as the caller read it; read it again.
    #[error("the schedule has changed meanwhile")]
    Changed,
}

impl Store {
    /// Lets a schedule fire nothing until it is resumed; also done if it is paused already.
    ///
    /// # Errors
    /// [`SteerRefusal::Unknown`], or no answer: send it again.
    pub async fn pause_schedule(&self, id: &ScheduleId) -> Result<(), CallError<SteerRefusal>> {
        self.steer_schedule(id, "pause", None, None, "").await
    }

    /// Lets a paused schedule go on at `next`; one that is not paused stays as it is. Without a
    /// next firing it is removed, once what waits for an active run has started.
    ///
    /// # Errors
    /// [`SteerRefusal`], or no answer: send it again.
    pub async fn resume_schedule(
        &self,
        id: &ScheduleId,
        seen: u64,
        next: Option<UnixMillis>,
    ) -> Result<(), CallError<SteerRefusal>> {
        self.steer_schedule(id, "resume", Some(seen), next, "")
            .await
    }

    /// Removes a schedule with what waits for an active run; that run goes on. With `seen` only
    /// if it has this revision.
    ///
    /// # Errors
    /// [`SteerRefusal`]; no answer: send it again, and it is unknown when it was done before.
    pub async fn delete_schedule(
        &self,
        id: &ScheduleId,
        seen: Option<u64>,
        reason: &str,
    ) -> Result<(), CallError<SteerRefusal>> {
        self.steer_schedule(id, "delete", seen, None, reason).await
    }

    async fn steer_schedule(
        &self,
        id: &ScheduleId,
        verb: &str,
        seen: Option<u64>,
        next: Option<UnixMillis>,
        reason: &str,
    ) -> Result<(), CallError<SteerRefusal>> {
        let keys = self.keys(self.shard_of_schedule(id))?;
        let text = |number: Option<u64>| number.map(|n| n.to_string()).unwrap_or_default();
        let mut call = Invocation::new(&STEER_SCHEDULE, &[&keys.events]);
        call.arg(self.shared.event_cap)
            .arg(id.as_str())
            .arg(verb)
            .arg(text(seen))
            .arg(text(next))
            .arg(plain(reason, 500).as_ref());
        let mut reply = Reply::list("steer_schedule", self.link.call(&call).await?)?;
        let answer = reply.text()?;
        match answer.as_str() {
            "ok" => Ok(()),
            "unknown" => Err(CallError::Refused(SteerRefusal::Unknown)),
            "changed" => Err(CallError::Refused(SteerRefusal::Changed)),
            other => Ok(reply.unknown(other)?),
        }
    }
}
