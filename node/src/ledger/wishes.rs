//! What callers want: words of the leader and words of the store.

use paceline_orchestrator::ports::{BatchWish, LedgerError, Wish, Wishes};
use paceline_orchestrator::term::Term;
use paceline_types::{BatchId, WorkflowId};

use super::{ShardLedger, unavailable};

impl Wishes for ShardLedger {
    async fn wishes(&self, _: &Term, workflows: &[WorkflowId]) -> Result<Vec<Wish>, LedgerError> {
        let found = self.store.wishes(self.shard, workflows).await;
        let found = found.map_err(unavailable)?.into_iter();
        Ok(found
            .map(|wish| Wish {
                revision: wish.revision,
                cancelled: wish.cancelled,
                retried: wish.retried,
                signals: wish.signals,
            })
            .collect())
    }

    async fn batch_wishes(
        &self,
        _: &Term,
        batches: &[BatchId],
    ) -> Result<Vec<BatchWish>, LedgerError> {
        let found = self.store.batch_wishes(self.shard, batches).await;
        let found = found.map_err(unavailable)?.into_iter();
        Ok(found
            .map(|wish| BatchWish {
                cancelled: wish.cancelled,
                retried: wish.retried,
            })
            .collect())
    }
}
