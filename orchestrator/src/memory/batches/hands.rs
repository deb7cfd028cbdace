//! What clients, workers and tests do with batches.

use std::collections::BTreeMap;

use paceline_types::batch::{BatchHeader, ItemRecord};
use paceline_types::{BatchDefinition, BatchId, BatchStatus, JobId, ShardIndex};

use super::{BatchJob, KeptBatch};
use crate::memory::{JobState, MemoryLedger};
use crate::ports::{BatchAlarm, BatchLogEvent, BatchNews, InboxItem, TaskOutcome};

impl MemoryLedger {
    /// Accepts a batch, as a client would; it must be valid.
    ///
    /// # Panics
    /// When it is not.
    pub fn submit_batch(&self, definition: &BatchDefinition) -> BatchId {
        let plan = definition.validate(usize::MAX);
        let Ok(plan) = plan else {
            panic!("not a batch: {plan:?}")
        };
        let mut state = self.state();
        state.made += 1;
        let id = BatchId::from_parts(2, ShardIndex(0), state.made << 20);
        let head = serde_json::to_vec(&definition.head()).unwrap_or_default();
        let kept = KeptBatch {
            definition: head.into(),
            ids: definition
                .items
                .iter()
                .map(|item| item.id.clone())
                .collect(),
            records: vec![ItemRecord::default(); definition.items.len()],
            plan,
            header: BatchHeader::NEW,
            revision: 0,
            unfinished: false,
            alarms: BTreeMap::new(),
            close: None,
            cancelled: None,
            failed_only: false,
            onetime: None,
            log: Vec::new(),
            most_open: 0,
        };
        state.batches.kept.insert(id, kept);
        state.deliver(vec![InboxItem::Batch {
            batch: id,
            news: BatchNews::Start,
        }]);
        id
    }

    /// Asks for a batch to be cancelled, as a client would.
    pub fn cancel_batch(&self, batch: BatchId, reason: &str) {
        let reason = reason.to_owned();
        let mut state = self.state();
        if let Some(kept) = state.batches.kept.get_mut(&batch) {
            kept.cancelled = Some(reason.clone());
        }
        state.deliver(vec![InboxItem::Batch {
            batch,
            news: BatchNews::Cancel { reason },
        }]);
    }

    /// Asks for another attempt, as a client would; false if the batch has not failed, and was not
    /// cancelled.
    pub fn retry_batch(&self, batch: BatchId, failed_only: bool) -> bool {
        let mut state = self.state();
        let Some(kept) = state.batches.kept.get_mut(&batch) else {
            return false;
        };
        let Some(BatchStatus::Failed | BatchStatus::Cancelled) = kept.close else {
            return false;
        };
        kept.close = None;
        kept.cancelled = None;
        kept.failed_only = failed_only;
        kept.revision += 1;
        state.deliver(vec![InboxItem::Batch {
            batch,
            news: BatchNews::Retry { failed_only },
        }]);
        true
    }

    /// Takes waiting jobs of batches, as a worker would, in the order in which they were enqueued.
    pub fn claim_items(&self, max: usize) -> Vec<(JobId, BatchJob)> {
        let book = &mut self.state().batches;
        let mut claimed = Vec::new();
        while claimed.len() < max
            && let Some(id) = book.lane.pop_front()
        {
            if let Some(job) = book.jobs.get_mut(&id)
                && job.state == JobState::Waiting
            {
                job.state = JobState::Running;
                claimed.push((id, job.clone()));
            }
        }
        claimed
    }

    /// Ends jobs of batches, as one turn of a worker would: those that had not ended become one entry.
    pub fn end_items(&self, ended: impl IntoIterator<Item = (JobId, TaskOutcome)>) {
        let mut state = self.state();
        let items: Vec<_> = ended
            .into_iter()
            .filter_map(|(job, outcome)| state.batches.end(job, outcome))
            .collect();
        if !items.is_empty() {
            state.deliver(items);
        }
    }

    /// Forgets a job of a batch, as a rollback would.
    pub fn lose_item(&self, job: JobId) {
        self.state().batches.jobs.remove(&job);
    }

    /// Forgets what a batch waits for, as a rollback would.
    pub fn lose_batch_alarms(&self, batch: BatchId) {
        if let Some(kept) = self.state().batches.kept.get_mut(&batch) {
            kept.alarms.clear();
        }
    }

    /// Moments that a batch waits for.
    pub fn batch_alarms(&self, batch: BatchId) -> Vec<BatchAlarm> {
        let state = self.state();
        let kept = state.batches.kept.get(&batch);
        kept.map_or_else(Vec::new, |kept| kept.alarms.keys().copied().collect())
    }

    /// What is kept of a batch.
    pub fn batch(&self, batch: BatchId) -> Option<(BatchHeader, Vec<ItemRecord>)> {
        let state = self.state();
        let kept = state.batches.kept.get(&batch)?;
        Some((kept.header.clone(), kept.records.clone()))
    }

    /// The status of a batch.
    pub fn batch_status(&self, batch: BatchId) -> Option<BatchStatus> {
        self.batch(batch).map(|(header, _)| header.stage.status())
    }

    /// Most items of a batch that were under way at once.
    pub fn most_open(&self, batch: BatchId) -> usize {
        let state = self.state();
        state
            .batches
            .kept
            .get(&batch)
            .map_or(0, |kept| kept.most_open)
    }

    /// The events of a batch, in order.
    pub fn batch_log(&self, batch: BatchId) -> Vec<BatchLogEvent> {
        let state = self.state();
        let kept = state.batches.kept.get(&batch);
        kept.map_or_else(Vec::new, |kept| kept.log.clone())
    }

    /// Jobs of a batch that have not ended.
    pub fn open_items(&self, batch: BatchId) -> Vec<(JobId, BatchJob)> {
        let state = self.state();
        let jobs = state.batches.jobs.iter();
        jobs.filter(|(_, job)| job.batch == batch && !matches!(job.state, JobState::Ended(_)))
            .map(|(id, job)| (*id, job.clone()))
            .collect()
    }
}
