//! Batches in memory: what is kept of them and of their items' jobs, and how a commit changes it.
//!
//! Whatever the leader does, a window is never exceeded and a start of an item has one job: a commit
//! that says otherwise is a panic here.

mod hands;
mod port;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use paceline_types::batch::{BatchHeader, BatchPlan, ItemRecord, ONETIME_NAME, ONETIME_PLACE};
use paceline_types::{BatchId, BatchStatus, JobId};

use super::{JobState, State};
use crate::ports::{
    BatchAlarm, BatchCommit, BatchLogEvent, BatchNews, BatchWish, CommitOutcome, InboxItem,
    TaskOutcome,
};

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
