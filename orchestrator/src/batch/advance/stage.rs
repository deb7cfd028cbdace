//! The course of a batch: how it starts, ends and is tried again.

use paceline_types::EventKind;
use paceline_types::batch::{BatchEnding, BatchStage, MAX_ATTEMPTS, OnetimeRecord};

use super::step::Step;
use crate::batch::transition::{BatchEffect, BatchImpossible, BatchRefusal};
use crate::ports::BatchAlarm;
use crate::transition::Late;

impl Step<'_> {
    pub(super) fn start(&mut self) -> Result<(), BatchRefusal> {
        match self.batch.stage() {
            BatchStage::Pending => {}
            BatchStage::Preparing
            | BatchStage::Processing
            | BatchStage::Ending(_)
            | BatchStage::Resting(_) => return Err(BatchRefusal::Late(Late::Started)),
            BatchStage::Completed | BatchStage::Ended(_) => {
                return Err(BatchRefusal::Late(Late::Closed));
            }
        }
        self.begin(false);
        Ok(())
    }

    /// Begins an attempt.
    pub(super) fn begin(&mut self, failed_only: bool) {
        let completed = match failed_only {
            true => self.batch.count_completed(),
            false => 0,
        };
        let has_onetime = self.batch.plan().onetime.is_some();
        let header = self.batch.header_mut();
        header.attempt += 1;
        header.failed_only = failed_only;
        header.next = 0;
        header.completed = completed;
        header.failed = 0;
        let prepared = failed_only && header.onetime.as_ref().is_some_and(OnetimeRecord::is_done);
        let kind = match header.attempt {
            1 => EventKind::BatchStarted,
            _ => EventKind::BatchRetrying,
        };
        self.enter(match has_onetime && !prepared {
            true => BatchStage::Preparing,
            false => BatchStage::Processing,
        });
        self.tell(kind, None, None);
        if let Some(after) = self.batch.plan().execution_timeout {
            self.effect(BatchEffect::Arm(BatchAlarm::Deadline, after));
        }
    }

    pub(super) fn retry(&mut self, failed_only: bool) -> Result<(), BatchRefusal> {
        match self.batch.stage() {
            BatchStage::Ended(_) if self.batch.header().attempt < MAX_ATTEMPTS => {
                self.begin(failed_only);
                Ok(())
            }
            BatchStage::Ended(_) | BatchStage::Completed => Err(BatchRefusal::Late(Late::Closed)),
            BatchStage::Pending
            | BatchStage::Preparing
            | BatchStage::Processing
            | BatchStage::Ending(_)
            | BatchStage::Resting(_) => Err(BatchRefusal::Late(Late::Started)),
        }
    }

    pub(super) fn cancel_all(&mut self, reason: &str) -> Result<(), BatchRefusal> {
        if self.batch.heeds_cancel() {
            let reason = reason.to_owned();
            self.begin_ending(BatchEnding::Cancelled { reason });
            return Ok(());
        }
        Err(BatchRefusal::Late(match self.batch.stage().is_closed() {
            true => Late::Closed,
            false => Late::Ending,
        }))
    }

    pub(super) fn time_out(&mut self) -> Result<(), BatchRefusal> {
        if self.batch.plan().execution_timeout.is_none() {
            return Err(BatchRefusal::Impossible(BatchImpossible::NoDeadline));
        }
        match self.batch.stage() {
            BatchStage::Preparing | BatchStage::Processing => {
                self.begin_ending(BatchEnding::TimedOut);
                Ok(())
            }
            // It is armed with an attempt and disarmed with its end.
            BatchStage::Pending | BatchStage::Resting(_) => Err(BatchRefusal::Late(Late::Disarmed)),
            BatchStage::Ending(_) => Err(BatchRefusal::Late(Late::Ending)),
            BatchStage::Completed | BatchStage::Ended(_) => Err(BatchRefusal::Late(Late::Closed)),
        }
    }

    pub(super) fn begin_ending(&mut self, ending: BatchEnding) {
        let rested = matches!(self.batch.stage(), BatchStage::Resting(_));
        self.enter(BatchStage::Ending(ending));
        if rested {
            self.effect(BatchEffect::Disarm(BatchAlarm::Retry));
        } else if self.batch.plan().execution_timeout.is_some() {
            self.effect(BatchEffect::Disarm(BatchAlarm::Deadline));
        }
    }

    /// Nothing is under way: the batch has ended, or waits for its next attempt.
    pub(super) fn come_to(&mut self, ending: BatchEnding) {
        let policy = self.batch.plan().retry_policy.as_ref();
        let attempt = self.batch.header().attempt;
        let delay = policy.map(|policy| policy.delay(attempt, self.jitter()));
        match delay {
            Some(delay) if ending.is_failure() && self.batch.may_rest() => {
                self.enter(BatchStage::Resting(ending));
                self.effect(BatchEffect::Arm(BatchAlarm::Retry, delay));
            }
            _ => {
                let kind = match &ending {
                    BatchEnding::ItemFailed { .. }
                    | BatchEnding::ItemsFailed { .. }
                    | BatchEnding::OnetimeFailed { .. } => EventKind::BatchFailed,
                    BatchEnding::Cancelled { .. } => EventKind::BatchCancelled,
                    BatchEnding::TimedOut => EventKind::BatchTimedOut,
                };
                self.close(BatchStage::Ended(ending), kind);
            }
        }
    }

    /// Where in the range of the jitter a delay falls: the same for the same attempt of a batch.
    pub(super) fn jitter(&self) -> f64 {
        let attempt = u64::from(self.batch.header().attempt);
        let mixed = (self.batch.id().random() ^ attempt).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        f64::from(u32::try_from(mixed >> 32).unwrap_or(0)) / f64::from(u32::MAX)
    }

    pub(super) fn close(&mut self, stage: BatchStage, kind: EventKind) {
        let status = stage.status();
        let error = stage.ending().map(ToString::to_string);
        self.enter(stage);
        self.effect(BatchEffect::Close { status });
        self.tell(kind, None, error);
    }

    pub(super) fn disarm_deadline(&mut self) {
        if self.batch.plan().execution_timeout.is_some() {
            self.effect(BatchEffect::Disarm(BatchAlarm::Deadline));
        }
    }
}
