//! Timers of jobs that have passed.

use std::time::Duration;

use paceline_types::ShardIndex;

use super::leader::due_in;
use super::recover::MAX_CRASHES;
use super::turn::RETENTION_FAILED;
use super::{CallError, Fenced, MAX_BATCH, expect_ok};
use crate::Store;
use crate::script::{Invocation, Script};
use crate::wire::millis;

pub(crate) static EXPIRE_JOBS: Script = script!("expire_jobs");

/// What a step over the timers of jobs did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JobsExpired {
    /// Timers that were seen to.
    pub seen: usize,
    /// When the next one passes; zero when one has already.
    pub next_in: Option<Duration>,
}

impl Store {
    /// Sees to timers of jobs that have passed, earliest first, at most `max` (up to
    /// [`MAX_BATCH`]): jobs that did not start in time, or that last too long, are dead or asked to
    /// stop, and runs that give no sign of life are taken from their nodes.
    ///
    /// # Errors
    /// [`Fenced`], or no answer: call again.
    pub async fn expire_jobs(
        &self,
        shard: ShardIndex,
        term: u64,
        max: usize,
    ) -> Result<JobsExpired, CallError<Fenced>> {
        let keys = self.keys(shard)?;
        let names = [&keys.events, &keys.runs, &keys.timers, &keys.leader];
        let mut call = Invocation::new(&EXPIRE_JOBS, &names);
        call.arg(term)
            .arg(self.shared.event_cap)
            .arg(max.min(MAX_BATCH))
            .arg(MAX_CRASHES)
            .arg(millis(RETENTION_FAILED));
        let mut reply = expect_ok("expire_jobs", self.link.call(&call).await?)?;
        Ok(JobsExpired {
            seen: reply.count()?,
            next_in: due_in(reply.int()?),
        })
    }
}
