//! What the leader reads of batches.

use paceline_types::BatchId;

use crate::memory::MemoryLedger;
use crate::memory::commit::BOUND;
use crate::memory::services::unavailable;
use crate::ports::{BatchAlarm, Batches, Cursor, LedgerError, Page, StoredBatch};
use crate::term::Term;

impl Batches for MemoryLedger {
    async fn load_batches(
        &self,
        term: &Term,
        batches: &[BatchId],
    ) -> Result<Vec<Option<StoredBatch>>, LedgerError> {
        let mut state = self.state();
        state.admit(term)?;
        if batches.len() > BOUND {
            return Err(unavailable("too many ids"));
        }
        let stored = |id: &BatchId| {
            state.batches.kept.get(id).map(|kept| StoredBatch {
                definition: kept.definition.clone(),
                header: kept.header.clone(),
                revision: kept.revision,
                records: kept.records.clone(),
                cancelled: kept.cancelled.clone(),
                retried: kept.retried(),
            })
        };
        Ok(batches.iter().map(stored).collect())
    }

    async fn overdue_batches(
        &self,
        term: &Term,
        max: usize,
    ) -> Result<Vec<(BatchId, BatchAlarm)>, LedgerError> {
        let mut state = self.state();
        state.admit(term)?;
        let mut overdue = Vec::new();
        for (id, kept) in &state.batches.kept {
            let passed = kept.alarms.iter().filter(|(_, due)| **due <= state.now);
            overdue.extend(passed.map(|(alarm, due)| (*due, *id, *alarm)));
        }
        overdue.sort_unstable();
        let overdue = overdue.into_iter().take(max);
        Ok(overdue.map(|(_, id, alarm)| (id, alarm)).collect())
    }

    async fn armed_batches(
        &self,
        term: &Term,
        moments: &[(BatchId, BatchAlarm)],
    ) -> Result<Vec<bool>, LedgerError> {
        assert!(moments.len() <= BOUND, "too many moments");
        let mut state = self.state();
        state.admit(term)?;
        let armed = |(id, alarm): &(BatchId, BatchAlarm)| {
            let kept = state.batches.kept.get(id);
            kept.is_some_and(|kept| kept.alarms.contains_key(alarm))
        };
        Ok(moments.iter().map(armed).collect())
    }

    async fn unfinished_batches(
        &self,
        term: &Term,
        max: usize,
    ) -> Result<Vec<BatchId>, LedgerError> {
        let mut state = self.state();
        state.admit(term)?;
        let kept = state.batches.kept.iter();
        let marked = kept.filter(|(_, kept)| kept.unfinished);
        Ok(marked.take(max).map(|(id, _)| *id).collect())
    }

    async fn active_batches(
        &self,
        term: &Term,
        from: Option<Cursor>,
        max: usize,
    ) -> Result<Page<BatchId>, LedgerError> {
        let mut state = self.state();
        state.admit(term)?;
        let after = from.and_then(|cursor| cursor.0.parse::<BatchId>().ok());
        let active = state.batches.kept.iter();
        let items: Vec<BatchId> = active
            .filter(|(_, kept)| kept.close.is_none())
            .map(|(id, _)| *id)
            .filter(|id| after.is_none_or(|after| *id > after))
            .take(max)
            .collect();
        let next = items.last().filter(|_| items.len() == max);
        Ok(Page {
            next: next.map(|id| Cursor(id.to_string())),
            items,
        })
    }
}
