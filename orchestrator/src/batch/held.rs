//! Batches kept in memory between turns, bounded by their size.
//!
//! A cached batch is a guess: the revision in every commit is what makes acting on it safe.

use std::collections::BTreeMap;

use paceline_types::BatchId;

use super::instance::BatchInstance;

/// A batch and what its next commit must say.
#[derive(Debug)]
pub(crate) struct HeldBatch {
    pub(crate) instance: BatchInstance,
    pub(crate) revision: u64,
    /// Somebody wants it tried again, as it was loaded.
    pub(crate) retried: bool,
}

/// Batches by their last use.
#[derive(Debug)]
pub(crate) struct BatchCache {
    limit: usize,
    size: usize,
    uses: u64,
    held: BTreeMap<BatchId, (u64, HeldBatch)>,
    by_use: BTreeMap<u64, BatchId>,
}

impl BatchCache {
    /// Keeps batches of `limit` bytes in all, and the last one however large it is.
    pub(crate) fn new(limit: usize) -> BatchCache {
        BatchCache {
            limit,
            size: 0,
            uses: 0,
            held: BTreeMap::new(),
            by_use: BTreeMap::new(),
        }
    }

    pub(crate) fn take(&mut self, batch: BatchId) -> Option<HeldBatch> {
        let (used, held) = self.held.remove(&batch)?;
        self.by_use.remove(&used);
        self.size -= held.instance.footprint();
        Some(held)
    }

    pub(crate) fn put(&mut self, held: HeldBatch) {
        let batch = held.instance.id();
        self.take(batch);
        self.uses += 1;
        self.size += held.instance.footprint();
        self.by_use.insert(self.uses, batch);
        self.held.insert(batch, (self.uses, held));
        while self.size > self.limit && self.held.len() > 1 {
            let Some((_, oldest)) = self.by_use.pop_first() else {
                return;
            };
            if let Some((_, dropped)) = self.held.remove(&oldest) {
                self.size -= dropped.instance.footprint();
            }
        }
    }
}
