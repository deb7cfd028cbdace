//! Creating and changing schedules.

use paceline_types::{ScheduleDefinition, UnixMillis};

use crate::Store;
use crate::calls::CallError;
use crate::script::{Invocation, Script};
use crate::wire::reply::Reply;

static PUT_SCHEDULE: Script = script!("put_schedule");

/// What became of a definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// There was none of this id.
    Created,
    /// It is in place of an earlier one.
    Updated,
    /// It was there already, word for word; nothing was changed.
    Same,
}

/// Why a definition was not stored. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PutRefusal {
    /// The schedule is not as the caller read it; read it again.
    #[error("the schedule has changed meanwhile")]
    Changed,
    /// A provider may only change what it made.
    #[error("the schedule is not of this provider, but of {}", owner(.provider))]
    Owned {
        /// Whose it is; empty when it stands by itself.
        provider: String,
    },
}

fn owner(provider: &str) -> String {
    match provider {
        "" => "nobody: it was created by a client".to_owned(),
        provider => format!("`{provider}`"),
    }
}

impl Store {
    /// Stores a checked definition. `seen` is the revision that the caller read, none when there
    /// was no such schedule. `next` says when it fires next and what its moments are counted from;
    /// none leaves both as they are.
    ///
    /// # Errors
    /// [`PutRefusal`], or no answer: read it again.
    pub async fn put_schedule(
        &self,
        definition: &ScheduleDefinition,
        seen: Option<u64>,
        next: Option<(UnixMillis, UnixMillis)>,
    ) -> Result<Put, CallError<PutRefusal>> {
        let keys = self.keys(self.shard_of_schedule(&definition.id))?;
        let mut call = Invocation::new(&PUT_SCHEDULE, &[&keys.events]);
        call.arg(self.shared.event_cap)
            .arg(definition.id.as_str())
            // Only text, numbers, lists and what was JSON before: nothing in there can fail.
            .arg(serde_json::to_vec(definition).unwrap_or_default())
            .arg(seen.map(|seen| seen.to_string()).unwrap_or_default());
        match next {
            Some((next, anchored_at)) => call.arg(next).arg(anchored_at),
            None => call.arg("=").arg(""),
        };
        call.arg(
            definition
                .provider
                .as_ref()
                .map_or("", |name| name.as_str()),
        );
        let mut reply = Reply::list("put_schedule", self.link.call(&call).await?)?;
        let answer = reply.text()?;
        match answer.as_str() {
            "created" => Ok(Put::Created),
            "updated" => Ok(Put::Updated),
            "same" => Ok(Put::Same),
            "changed" => Err(CallError::Refused(PutRefusal::Changed)),
            "owned" => Err(CallError::Refused(PutRefusal::Owned {
                provider: reply.text()?,
            })),
            other => Ok(reply.unknown(other)?),
        }
    }
}
