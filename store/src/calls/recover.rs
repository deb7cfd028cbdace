//! Taking runs from nodes that died.

use paceline_types::ShardIndex;

use super::turn::RETENTION_FAILED;
use super::{CallError, Fenced, MAX_BATCH, expect_ok};
use crate::Store;
use crate::script::{Invocation, Script};
use crate::wire::millis;

pub(crate) static RECOVER: Script = script!("recover");

/// A job whose run ended with its node so many times is dead: it may be what kills them.
pub const MAX_CRASHES: u32 = 3;

/// One step of a walk over all runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Runs that wait in their lanes again.
    pub handed_on: usize,
    /// Jobs that are dead, having crashed too often.
    pub buried: usize,
    /// Jobs that are cancelled, as had been asked.
    pub cancelled: usize,
    /// Where to go on; none at the end of the walk.
    pub next: Option<String>,
}

impl Store {
    /// Looks at about `max` runs from `cursor` on, and takes those whose node has no lease.
    ///
    /// A whole walk without a new death in between leaves no run with a dead node.
    ///
    /// # Errors
    /// [`Fenced`], or no answer: call again with the same cursor.
    pub async fn recover(
        &self,
        shard: ShardIndex,
        term: u64,
        cursor: Option<&str>,
        max: usize,
    ) -> Result<Recovered, CallError<Fenced>> {
        let keys = self.keys(shard)?;
        // '<position> <mark of the walk>'
        let (position, mark) = cursor
            .and_then(|text| text.split_once(' '))
            .unwrap_or(("0", ""));
        let names = [
            &keys.events,
            &keys.runs,
            &keys.leases,
            &keys.leader,
            &keys.recovering,
        ];
        let mut call = Invocation::new(&RECOVER, &names);
        call.arg(term)
            .arg(self.shared.event_cap)
            .arg(position)
            .arg(max.min(MAX_BATCH))
            .arg(MAX_CRASHES)
            .arg(millis(RETENTION_FAILED))
            .arg(mark);
        let mut reply = expect_ok("recover", self.link.call(&call).await?)?;
        let position = reply.text()?;
        let (handed_on, buried, cancelled) = (reply.count()?, reply.count()?, reply.count()?);
        let mark = reply.text()?;
        Ok(Recovered {
            handed_on,
            buried,
            cancelled,
            next: (position != "0").then(|| format!("{position} {mark}")),
        })
    }
}
