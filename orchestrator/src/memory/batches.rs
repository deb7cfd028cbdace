//! Batches in memory: what is kept of them, their items' jobs, and what clients and workers do.
//!
//! Whatever the leader does, a window is never exceeded and a start of an item has one job: a commit
//! that says otherwise is a panic here.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use paceline_types::batch::{BatchHeader, BatchPlan, ItemRecord, ONETIME_NAME, ONETIME_PLACE};
use paceline_types::{BatchDefinition, BatchId, BatchStatus, JobId, ShardIndex};

use super::services::unavailable;
use super::{JobState, MemoryLedger, State};
use crate::ports::{
    BatchAlarm, BatchCommit, BatchLogEvent, BatchNews, BatchWish, Batches, CommitOutcome, Cursor,
    InboxItem, LedgerError, Page, StoredBatch, TaskOutcome,
};
use crate::term::Term;

/// The job of an item, or of the onetime task.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchJob {
    /// The batch that it belongs to.
    pub batch: BatchId,
    /// Where the item stands in the definition.
    pub place: u32,
    /// Which start of it.
    pub iteration: u32,
    /// Where it stands.
    pub state: JobState,
}

/// A batch, as the ledger keeps it.
#[derive(Debug)]
struct KeptBatch {
    definition: Bytes,
    ids: Vec<String>,
    plan: BatchPlan,
    header: BatchHeader,
    revision: u64,
    records: Vec<ItemRecord>,
    unfinished: bool,
    alarms: BTreeMap<BatchAlarm, Duration>,
    close: Option<BatchStatus>,
    /// Why somebody wants it cancelled.
    cancelled: Option<String>,
    /// Whether its last retry by hand was of what had not completed alone.
    failed_only: bool,
    /// Which start of the onetime task its items read.
    onetime: Option<u32>,
    log: Vec<BatchLogEvent>,
    /// Most items that were under way at once.
    most_open: usize,
}

impl KeptBatch {
    /// Taken back by a retry that the leader has not looked at; whether of what had not completed alone.
    fn retried(&self) -> Option<bool> {
        let waits = self.close.is_none() && self.header.stage.is_closed();
        waits.then_some(self.failed_only)
    }
}

/// Everything about batches.
#[derive(Debug, Default)]
pub(super) struct Book {
    kept: BTreeMap<BatchId, KeptBatch>,
    jobs: BTreeMap<JobId, BatchJob>,
    lane: VecDeque<JobId>,
}

impl Book {
    pub(super) fn phase(&self, job: JobId) -> Option<&JobState> {
        self.jobs.get(&job).map(|job| &job.state)
    }

    pub(super) fn unfinished(&self) -> bool {
        self.kept.values().any(|kept| kept.unfinished)
    }

    pub(super) fn overdue(&self, now: Duration) -> bool {
        let mut alarms = self.kept.values().flat_map(|kept| kept.alarms.values());
        alarms.any(|&due| due <= now)
    }

    pub(super) fn wish(&self, batch: BatchId) -> BatchWish {
        let kept = self.kept.get(&batch);
        kept.map_or_else(BatchWish::default, |kept| BatchWish {
            cancelled: kept.cancelled.is_some(),
            retried: kept.retried().is_some(),
        })
    }

    pub(super) fn unmark(&mut self, batch: BatchId) {
        if let Some(kept) = self.kept.get_mut(&batch) {
            kept.unfinished = false;
            kept.alarms.clear();
        }
    }

    pub(super) fn forget_marks(&mut self) {
        for kept in self.kept.values_mut() {
            kept.unfinished = false;
        }
    }

    /// Items of a batch whose jobs have not ended.
    fn open(&self, batch: BatchId) -> usize {
        let mine = self.jobs.values().filter(|job| job.batch == batch);
        mine.filter(|job| job.place != ONETIME_PLACE && !matches!(job.state, JobState::Ended(_)))
            .count()
    }

    fn start(&mut self, batch: BatchId, place: u32, iteration: u32) {
        let id = JobId::of_item(batch, place, iteration);
        let job = BatchJob {
            batch,
            place,
            iteration,
            state: JobState::Waiting,
        };
        let before = self.jobs.insert(id, job);
        assert!(
            before.is_none(),
            "item {place} is started twice as {iteration}"
        );
        self.lane.push_back(id);
    }

    fn end(&mut self, id: JobId, outcome: TaskOutcome) -> Option<InboxItem> {
        let job = self.jobs.get_mut(&id)?;
        let outcome = match job.state {
            JobState::Ended(_) => return None,
            JobState::CancelRequested => TaskOutcome::Cancelled,
            JobState::Waiting | JobState::Running => outcome,
        };
        job.state = JobState::Ended(outcome.clone());
        let item = match job.place {
            ONETIME_PLACE => ONETIME_NAME,
            place => self.kept.get(&job.batch)?.ids.get(place as usize)?,
        };
        Some(InboxItem::Batch {
            batch: job.batch,
            news: BatchNews::JobEnded {
                place: job.place,
                item: item.into(),
                iteration: job.iteration,
                job: id,
                outcome,
            },
        })
    }
}

/// What the ports demand of a commit.
fn check(commit: &BatchCommit) {
    let places: std::collections::BTreeSet<u32> = commit.items.iter().map(|it| it.0).collect();
    assert_eq!(places.len(), commit.items.len(), "an item is written twice");
    let moved = commit
        .events
        .iter()
        .filter(|event| event.progress.is_some());
    assert!(moved.count() <= 1, "progress is told twice");
}

impl State {
    /// Writes the commit of a batch, or refuses it.
    pub(super) fn apply_batch(&mut self, commit: BatchCommit) -> CommitOutcome {
        check(&commit);
        let now = self.now;
        let book = &mut self.batches;
        let Some(kept) = book.kept.get_mut(&commit.batch) else {
            return CommitOutcome::Missing;
        };
        if kept.revision != commit.expected {
            return CommitOutcome::Stale;
        }
        assert!(
            kept.close.is_none() || commit.close.is_none(),
            "closed twice"
        );
        kept.revision += 1;
        let revision = kept.revision;
        self.tally.headers += u64::from(commit.header.is_some());
        self.tally.records += commit.items.len() as u64;
        self.tally.dispatches += commit.starts.len() as u64;
        self.tally.events += commit.events.len() as u64;
        kept.header = commit.header.unwrap_or(kept.header.clone());
        for (place, record) in commit.items {
            kept.records[place as usize] = record;
        }
        kept.unfinished = commit.more;
        for (alarm, after) in commit.alarms {
            match after {
                Some(after) => kept.alarms.insert(alarm, now + after),
                None => kept.alarms.remove(&alarm),
            };
        }
        if commit.close.is_some() {
            kept.close = commit.close;
            kept.alarms.clear();
        }
        kept.onetime = commit.keep_onetime.or(kept.onetime);
        kept.log.extend(commit.events);
        let needs_onetime = kept.plan.onetime.is_some() && kept.onetime.is_none();
        assert!(
            !needs_onetime || commit.starts.is_empty(),
            "an item begins too early"
        );
        let window = kept.plan.window as usize;
        let batch = commit.batch;
        if let Some(onetime) = commit.onetime {
            book.start(batch, ONETIME_PLACE, onetime.iteration);
        }
        for start in commit.starts {
            let from = start
                .from
                .map(|from| JobId::of_item(batch, start.place, from.into()));
            let ended = |id: JobId| matches!(book.phase(id), Some(JobState::Ended(_)) | None);
            assert!(
                from.is_none_or(ended),
                "an item starts again before it ended"
            );
            book.start(batch, start.place, start.iteration.into());
        }
        let open = book.open(batch);
        assert!(
            open <= window,
            "{open} items are under way, {window} are allowed"
        );
        if let Some(kept) = book.kept.get_mut(&batch) {
            kept.most_open = kept.most_open.max(open);
        }
        let cancels = commit.cancels.into_iter().flat_map(|cancels| cancels.jobs);
        let mut stopped = Vec::new();
        for id in cancels {
            self.tally.cancels += 1;
            match book.jobs.get_mut(&id).map(|job| &mut job.state) {
                Some(JobState::Waiting) => stopped.extend(book.end(id, TaskOutcome::Cancelled)),
                Some(state @ JobState::Running) => *state = JobState::CancelRequested,
                _ => {}
            }
        }
        if !stopped.is_empty() {
            self.deliver(stopped);
        }
        CommitOutcome::Committed { revision }
    }
}

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

impl Batches for MemoryLedger {
    async fn load_batches(
        &self,
        term: &Term,
        batches: &[BatchId],
    ) -> Result<Vec<Option<StoredBatch>>, LedgerError> {
        let mut state = self.state();
        state.admit(term)?;
        if batches.len() > super::commit::BOUND {
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
        assert!(moments.len() <= super::commit::BOUND, "too many moments");
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
