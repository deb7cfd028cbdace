//! Firings that somebody asks for.

use paceline_types::id::ID_LEN;
use paceline_types::scheduled::{FiringCounts, FiringStep};

use super::fire::add_step;
use crate::Store;
use crate::calls::CallError;
use crate::calls::turn::RETENTION_FAILED;
use crate::script::{Invocation, Script};
use crate::wire::millis;
use crate::wire::reply::Reply;

static FIRE_BY_HAND: Script = script!("fire_by_hand");

/// Why nothing was fired. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ByHandRefusal {
    /// There is no such schedule.
    #[error("there is no such schedule")]
    Unknown,
    /// It is not as the caller read it; read it again.
    #[error("the schedule has changed meanwhile")]
    Changed,
}

impl Store {
    /// Fires a schedule beside its own times, under the overlap policy of the step; its next
    /// firing stays. The step needs a firing: the id of its first job names the call, so that
    /// sending it again changes nothing and answers the same.
    ///
    /// # Errors
    /// [`ByHandRefusal`], or no answer: send it again.
    pub async fn fire_by_hand(
        &self,
        step: &FiringStep,
    ) -> Result<FiringCounts, CallError<ByHandRefusal>> {
        let Some(first) = step.firings.first() else {
            return Ok(FiringCounts::default());
        };
        let keys = self.keys(self.shard_of_schedule(&step.id))?;
        let mut call = Invocation::new(&FIRE_BY_HAND, &[&keys.events]);
        call.arg(self.shared.event_cap)
            .arg(millis(RETENTION_FAILED))
            .arg(first.job.bare(&mut [0; ID_LEN]) as &str);
        add_step(&mut call, step);
        let mut reply = Reply::list("fire_by_hand", self.link.call(&call).await?)?;
        let answer = reply.text()?;
        match answer.as_str() {
            "ok" => {}
            "unknown" => return Err(CallError::Refused(ByHandRefusal::Unknown)),
            "changed" => return Err(CallError::Refused(ByHandRefusal::Changed)),
            other => return Ok(reply.unknown(other)?),
        }
        let mut count = || reply.parse("a count");
        Ok(FiringCounts {
            fired: count()?,
            skipped: count()?,
            buffered: count()?,
            dropped: count()?,
            replaced: count()?,
        })
    }
}
