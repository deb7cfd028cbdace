//! Saving the next state of workflows, with all that follows from it.

use paceline_types::ShardIndex;

use super::inbox::{InboxEntry, read_entries};
use super::{CallError, Fenced, expect_one_of};
use crate::{Store, StoreError};
use call::Parts;

mod batches;
mod call;
mod consequences;
mod packing;
mod workflows;

pub use batches::{BatchCommit, BatchEvent, ItemStart, OnetimeJob};
pub use call::{Batch, RETENTION_WORKFLOWS};
pub use workflows::{Commit, ConcludedBy, Conclusion, Dispatch, WorkflowEvent};

pub use crate::wire::alarm::Alarm;
pub use crate::wire::post::{ChildOf, Post};

/// What became of one commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Committed {
    /// Written; the new revision.
    At(u64),
    /// The workflow has another revision; nothing of this commit was written, and no entry was
    /// consumed.
    Stale,
    /// There is no such workflow; nothing of this commit was written, and marks (unfinished,
    /// overdue) that were left of it are gone.
    Missing,
}

/// What became of everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// One for each commit of a workflow, in order.
    pub outcomes: Vec<Committed>,
    /// One for each commit of a batch, in order.
    pub batches: Vec<Committed>,
    /// The inbox entries that were asked for.
    pub next: Vec<InboxEntry>,
}

impl Store {
    /// Writes a batch: each commit whole or not at all. Entries are consumed and things parked
    /// unless a commit was stale.
    ///
    /// # Errors
    /// [`Fenced`]: nothing was written. After a lost reply the same batch comes back as stale.
    pub async fn commit(
        &self,
        shard: ShardIndex,
        term: u64,
        batch: &Batch<'_>,
    ) -> Result<Written, CallError<Fenced>> {
        let keys = self.keys(shard)?;
        let expected = batch.commits.iter().map(|commit| commit.expected);
        let of_batches = batch.batches.iter().map(|commit| commit.expected);
        let mut outcomes: Vec<Committed> = expected
            .chain(of_batches)
            .map(|expected| Committed::At(expected + 1))
            .collect();
        let workflows = batch.commits.len();
        // Those that are not as expected are left out of the next try. Each of them may have
        // changed meanwhile, so there may be several.
        loop {
            let is_open = |index: &usize| matches!(outcomes[*index], Committed::At(_));
            let open: Vec<usize> = (0..outcomes.len()).filter(is_open).collect();
            let mut parts = Parts::default();
            for &index in &open {
                match batch.commits.get(index) {
                    Some(commit) => parts.commits.push(commit),
                    None => parts.batches.push(&batch.batches[index - workflows]),
                }
            }
            let whole = !outcomes.contains(&Committed::Stale);
            let call = batch.call(keys, term, self.shared.event_cap, &parts, whole)?;
            let value = self.link.call(&call).await?;
            let (answer, mut reply) = expect_one_of("commit", value, &["ok", "differs"])?;
            if answer == "ok" {
                let batches = outcomes.split_off(workflows);
                return Ok(Written {
                    outcomes,
                    batches,
                    next: read_entries(reply.nested()?)?,
                });
            }
            for (index, letter) in open.into_iter().zip(reply.text()?.chars()) {
                outcomes[index] = match letter {
                    '.' => continue,
                    's' => Committed::Stale,
                    'm' => Committed::Missing,
                    other => {
                        return Err(StoreError::protocol("commit", "a letter", &other).into());
                    }
                };
            }
        }
    }
}
