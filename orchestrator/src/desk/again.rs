//! Children that tasks wait for, composed once more as they were asked for.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use paceline_types::{JobId, WorkflowId};

use super::bench::Found;
use super::turn::{ENOUGH_BYTES, MAX_RESULTS};
use super::{Desk, MAX_ROUNDS};
use crate::advance::spawn_again;
use crate::facts::Facts;
use crate::ports::{Ledger, LedgerError, Spawn};
use crate::term::Term;

impl<L: Ledger> Desk<L> {
    /// The children that some tasks of a workflow wait for, by task; none where that cannot be said
    /// any more, as what it was given is gone. Tasks beyond what one turn reads or writes are left
    /// out.
    ///
    /// # Errors
    /// When the ledger fails.
    pub(crate) async fn spawn_again(
        &mut self,
        term: &Term,
        workflow: WorkflowId,
        tasks: &[u32],
    ) -> Result<BTreeMap<u32, Option<Spawn>>, LedgerError> {
        let mut composed = BTreeMap::new();
        let mut found = self.find(term, &[workflow]).await?;
        let Some(Found::Here(mut held)) = found.remove(&workflow) else {
            return Ok(composed);
        };
        let mut facts = Facts::new();
        let mut bytes = 0;
        for _ in 0..MAX_ROUNDS {
            let mut wanted: BTreeSet<JobId> = BTreeSet::new();
            for &task in tasks {
                if composed.contains_key(&task) || bytes >= ENOUGH_BYTES {
                    continue;
                }
                match spawn_again(&mut held.instance, &facts, task) {
                    Ok(spawn) => {
                        bytes +=
                            spawn.definition.len() + spawn.input.as_ref().map_or(0, Bytes::len);
                        composed.insert(task, Some(spawn));
                    }
                    Err(unread) if unread.is_empty() => {
                        composed.insert(task, None);
                    }
                    Err(unread) => wanted.extend(unread),
                }
            }
            if wanted.is_empty() || bytes >= ENOUGH_BYTES {
                break;
            }
            let jobs: Vec<JobId> = wanted.into_iter().take(MAX_RESULTS).collect();
            let results = self.ledger.results(term, &jobs).await?;
            for (job, result) in jobs.into_iter().zip(results) {
                bytes += result.as_ref().map_or(0, Bytes::len);
                facts.learn(job, result);
            }
        }
        self.cache.put(*held);
        Ok(composed)
    }
}
