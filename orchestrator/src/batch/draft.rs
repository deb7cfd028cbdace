//! One batch's part of a turn in the making: several transitions, one commit.

use std::collections::BTreeMap;
use std::time::Duration;

use paceline_types::batch::{BatchHeader, BatchProgress, ItemRecord, ONETIME_PLACE};
use paceline_types::{BatchId, BatchStatus, EventKind, JobId};

use super::instance::BatchInstance;
use super::transition::{BatchEffect, BatchTransition};
use crate::ports::{BatchAlarm, BatchCommit, BatchLogEvent, Cancels, ItemStart, OnetimeJob};

#[derive(Debug)]
pub(crate) struct BatchDraft {
    batch: BatchId,
    expected: u64,
    /// How far it was before.
    before: Option<BatchProgress>,
    header: Option<BatchHeader>,
    /// By place, so that an item that changed twice is written once.
    items: BTreeMap<u32, ItemRecord>,
    onetime: Option<u32>,
    keep_onetime: Option<u32>,
    starts: Vec<ItemStart>,
    cancels: Vec<JobId>,
    events: Vec<BatchLogEvent>,
    alarms: BTreeMap<BatchAlarm, Option<Duration>>,
    more: bool,
    close: Option<BatchStatus>,
}

impl BatchDraft {
    /// A commit that transitions are added to; `before` is how far the batch was without them.
    pub(crate) fn changing(
        batch: BatchId,
        expected: u64,
        before: Option<BatchProgress>,
    ) -> BatchDraft {
        BatchDraft {
            batch,
            expected,
            before,
            header: None,
            items: BTreeMap::new(),
            onetime: None,
            keep_onetime: None,
            starts: Vec::new(),
            cancels: Vec::new(),
            events: Vec::new(),
            alarms: BTreeMap::new(),
            more: false,
            close: None,
        }
    }

    /// A commit that changes nothing and states the marks as they should be.
    pub(crate) fn restating(batch: &BatchInstance, expected: u64) -> BatchDraft {
        use paceline_types::batch::BatchStage;
        let mut alarms = BTreeMap::new();
        match batch.stage() {
            BatchStage::Preparing | BatchStage::Processing => {
                alarms.insert(BatchAlarm::Retry, None);
            }
            BatchStage::Resting(_) => {
                alarms.insert(BatchAlarm::Deadline, None);
            }
            BatchStage::Pending
            | BatchStage::Ending(_)
            | BatchStage::Completed
            | BatchStage::Ended(_) => {
                alarms.insert(BatchAlarm::Deadline, None);
                alarms.insert(BatchAlarm::Retry, None);
            }
        }
        BatchDraft {
            more: batch.has_leftover(),
            alarms,
            ..BatchDraft::changing(batch.id(), expected, None)
        }
    }

    /// A commit for a batch that is not there: it takes its marks away.
    pub(crate) fn absent(batch: BatchId) -> BatchDraft {
        let gone = [(BatchAlarm::Deadline, None), (BatchAlarm::Retry, None)];
        BatchDraft {
            alarms: gone.into(),
            ..BatchDraft::changing(batch, 0, None)
        }
    }

    /// Adds what was applied to the batch last.
    pub(crate) fn add(&mut self, transition: BatchTransition) {
        self.header = transition.header.or(self.header.take());
        self.items.extend(transition.items);
        self.more = transition.more;
        for effect in transition.effects {
            match effect {
                BatchEffect::DispatchOnetime { iteration } => self.onetime = Some(iteration),
                BatchEffect::KeepOnetime { iteration } => self.keep_onetime = Some(iteration),
                BatchEffect::Dispatch(start) => self.starts.push(start),
                BatchEffect::Cancel(job) => self.cancels.push(job),
                BatchEffect::Arm(alarm, after) => {
                    self.alarms.insert(alarm, Some(after));
                }
                BatchEffect::Disarm(alarm) => {
                    self.alarms.insert(alarm, None);
                }
                BatchEffect::Close { status } => self.close = Some(status),
            }
        }
        let told = transition.events.into_iter().map(|event| BatchLogEvent {
            kind: event.kind,
            job: event.job,
            error: event.error,
            progress: None,
        });
        self.events.extend(told);
    }

    /// Arms an alarm, unless the draft says something of it already.
    pub(crate) fn rearm(&mut self, alarm: BatchAlarm, after: Duration) {
        self.alarms.entry(alarm).or_insert(Some(after));
    }

    /// The commit, given the batch as it stands after the last transition.
    pub(crate) fn finish(mut self, batch: Option<&BatchInstance>) -> BatchCommit {
        if let Some(batch) = batch {
            self.tell_progress(batch);
        }
        let ending = batch.and_then(|batch| batch.stage().ending());
        let reason = ending.map(ToString::to_string).unwrap_or_default();
        let cancels = (!self.cancels.is_empty()).then_some(Cancels {
            jobs: self.cancels,
            reason,
        });
        let onetime = self.onetime.zip(batch).and_then(|(iteration, batch)| {
            Some(OnetimeJob {
                job: batch.job(ONETIME_PLACE, iteration),
                iteration,
                spec: batch.plan().onetime_spec()?,
            })
        });
        BatchCommit {
            batch: self.batch,
            expected: self.expected,
            plan: batch.map(|batch| batch.plan().clone()),
            header: self.header,
            items: self.items.into_iter().collect(),
            onetime,
            keep_onetime: self.keep_onetime,
            starts: self.starts,
            cancels,
            events: self.events,
            more: self.more,
            alarms: self.alarms.into_iter().collect(),
            close: self.close,
        }
    }

    /// One event for all that moved the batch, before the one that says that it is over.
    fn tell_progress(&mut self, batch: &BatchInstance) {
        let now = batch.header().progress(batch.id(), batch.plan().total);
        if self.before.is_none_or(|before| before == now) {
            return;
        }
        let event = BatchLogEvent {
            kind: EventKind::BatchProgress,
            job: None,
            error: None,
            progress: Some(now),
        };
        let end = self.events.len() - usize::from(self.close.is_some());
        self.events.insert(end, event);
    }
}
