//! What clients want, as the records of a ledger in memory say.

use paceline_types::{BatchId, WorkflowId};

use super::MemoryLedger;
use super::commit::BOUND;
use crate::ports::{BatchWish, LedgerError, Wish, Wishes};
use crate::term::Term;

impl Wishes for MemoryLedger {
    async fn wishes(
        &self,
        term: &Term,
        workflows: &[WorkflowId],
    ) -> Result<Vec<Wish>, LedgerError> {
        assert!(workflows.len() <= BOUND, "too many ids");
        let mut state = self.state();
        state.admit(term)?;
        let wish = |id: &WorkflowId| {
            let kept = state.workflows.get(id);
            kept.map_or_else(Wish::default, |kept| Wish {
                revision: kept.revision,
                cancelled: kept.cancelled.is_some(),
                retried: kept.is_retried(),
                signals: kept.signals.len(),
            })
        };
        Ok(workflows.iter().map(wish).collect())
    }

    async fn batch_wishes(
        &self,
        term: &Term,
        batches: &[BatchId],
    ) -> Result<Vec<BatchWish>, LedgerError> {
        assert!(batches.len() <= BOUND, "too many ids");
        let mut state = self.state();
        state.admit(term)?;
        Ok(batches.iter().map(|id| state.batches.wish(*id)).collect())
    }
}
