//! Every decision about a batch.
//!
//! An event is judged against the batch as it stands, which may refuse it; only then is anything
//! changed. What it makes possible is carried out by one function for all events, up to the limit
//! of one commit; the rest waits for [`BatchEvent::Continue`], derived from what is kept.
//!
//! A batch that fails ends as a workflow does: nothing new begins, what is open is asked to stop,
//! and the outcome comes when the last of it has ended. So a batch that is tried again has nothing
//! under way, and its counters are counted anew.

use paceline_types::EventKind;
use paceline_types::batch::{
    BatchEnding, BatchFailurePolicy, BatchStage, ItemRecord, ItemState, MAX_ATTEMPTS, ONETIME_NAME,
    ONETIME_PLACE, OnetimeRecord, OnetimeState,
};

use super::instance::BatchInstance;
use super::transition::{
    BatchEffect, BatchEvent, BatchHappening, BatchImpossible, BatchRefusal, BatchTransition,
};
use crate::ports::{BatchAlarm, BatchJobEvent, ItemStart, TaskOutcome};
use crate::transition::Late;

/// What an item says whose job was cancelled.
const CANCELLED: &str = "its job was cancelled";

/// What an item says whose job is not there any more.
const GONE: &str = "its job is not there any more; it was removed before the batch ended";

/// Applies one event, and says what must be made true with it.
///
/// Pure: no clock, no randomness, no IO. At most `limit` dispatches and cancellations are
/// returned; with more to do, [`BatchTransition::more`] is set. Costs what changes, never the size of
/// the batch, but for one pass over two bytes an item in each attempt.
///
/// # Errors
/// [`BatchRefusal::Late`] for what comes twice or after its time, [`BatchRefusal::Impossible`] for
/// what contradicts the batch. It is unchanged in both cases.
pub fn advance_batch(
    batch: &mut BatchInstance,
    event: &BatchEvent,
    limit: usize,
) -> Result<BatchTransition, BatchRefusal> {
    let mut step = Step {
        batch,
        transition: BatchTransition::default(),
        changed: false,
    };
    match event {
        BatchEvent::Start => step.start()?,
        BatchEvent::JobEnded {
            place,
            item,
            iteration,
            job,
            outcome,
        } => {
            step.judge(*place, *iteration)?;
            if *job != step.batch.job(*place, *iteration) {
                return Err(BatchRefusal::Impossible(BatchImpossible::ForeignJob {
                    job: *job,
                    place: *place,
                    iteration: *iteration,
                }));
            }
            step.end_job(*place, item, *iteration, outcome.clone());
        }
        BatchEvent::JobGone { place, iteration } => {
            step.judge(*place, *iteration)?;
            let error = GONE.to_owned();
            step.end_job(*place, "", *iteration, TaskOutcome::Dead { error });
        }
        BatchEvent::CancelRequested { reason } => step.cancel_all(reason)?,
        BatchEvent::RetryRequested { failed_only } => step.retry(*failed_only)?,
        BatchEvent::Rang(BatchAlarm::Deadline) => step.time_out()?,
        BatchEvent::Rang(BatchAlarm::Retry) => match step.batch.stage() {
            BatchStage::Resting(_) => step.begin(true),
            _ => return Err(BatchRefusal::Late(Late::Disarmed)),
        },
        BatchEvent::Continue if step.batch.stage().is_closed() => {
            return Err(BatchRefusal::Late(Late::Closed));
        }
        BatchEvent::Continue if !step.batch.has_leftover() => {
            return Err(BatchRefusal::Late(Late::NothingLeft));
        }
        BatchEvent::Continue => {}
    }
    step.go_on(limit);
    if step.changed {
        step.transition.header = Some(step.batch.header().clone());
    }
    Ok(step.transition)
}

/// One transition in the making.
struct Step<'a> {
    batch: &'a mut BatchInstance,
    transition: BatchTransition,
    /// Whether the header changed.
    changed: bool,
}

impl Step<'_> {
    fn start(&mut self) -> Result<(), BatchRefusal> {
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
    fn begin(&mut self, failed_only: bool) {
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

    fn retry(&mut self, failed_only: bool) -> Result<(), BatchRefusal> {
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

    /// Whether this start of an item, or of the onetime task, can end now.
    fn judge(&self, place: u32, iteration: u32) -> Result<(), BatchRefusal> {
        let impossible = |why| Err(BatchRefusal::Impossible(why));
        let (current, open) = if place == ONETIME_PLACE {
            match &self.batch.header().onetime {
                None => return impossible(BatchImpossible::NeverStarted { place }),
                Some(onetime) => (onetime.iteration, onetime.is_open()),
            }
        } else {
            match self.batch.record(place) {
                None => return impossible(BatchImpossible::UnknownItem { place }),
                Some(record) if record.state == ItemState::Waiting => {
                    return impossible(BatchImpossible::NeverStarted { place });
                }
                Some(record) => (u32::from(record.iteration), record.state.is_open()),
            }
        };
        if iteration > current {
            return impossible(BatchImpossible::FutureIteration {
                place,
                current,
                iteration,
            });
        }
        if iteration < current {
            return Err(BatchRefusal::Late(Late::Superseded { current }));
        }
        if !open {
            return Err(BatchRefusal::Late(Late::TaskEnded));
        }
        Ok(())
    }

    fn end_job(&mut self, place: u32, item: &str, iteration: u32, outcome: TaskOutcome) {
        let (state, error) = match outcome {
            TaskOutcome::Completed | TaskOutcome::Continued => (ItemState::Completed, None),
            TaskOutcome::Skipped { .. } => (ItemState::Skipped, None),
            TaskOutcome::Dead { error } => (ItemState::Dead, Some(error)),
            TaskOutcome::Cancelled => (ItemState::Cancelled, Some(CANCELLED.to_owned())),
        };
        if place == ONETIME_PLACE {
            self.end_onetime(iteration, state, error);
        } else {
            self.end_item(place, item, state, error);
        }
    }

    fn end_item(&mut self, place: u32, item: &str, state: ItemState, error: Option<String>) {
        let iteration = self.batch.record(place).unwrap_or_default().iteration;
        self.record(place, ItemRecord { state, iteration });
        let header = self.batch.header_mut();
        let kind = if state.is_completed() {
            header.completed += 1;
            EventKind::BatchItemCompleted
        } else {
            header.failed += 1;
            EventKind::BatchItemFailed
        };
        self.changed = true;
        let about = BatchJobEvent {
            place,
            item: item.into(),
            iteration: u32::from(iteration),
        };
        self.tell(kind, Some(about), error.clone());
        let fails = self.batch.plan().failure_policy == BatchFailurePolicy::FailFast;
        if let Some(error) = error
            && fails
            && self.batch.stage().ending().is_none()
        {
            let item = item.to_owned();
            self.begin_ending(BatchEnding::ItemFailed { item, error });
        }
    }

    fn end_onetime(&mut self, iteration: u32, state: ItemState, error: Option<String>) {
        let record = match (state, &error) {
            (ItemState::Skipped, _) => OnetimeState::Skipped,
            (ItemState::Cancelled, _) => OnetimeState::Cancelled,
            (_, Some(error)) => OnetimeState::Dead {
                error: error.clone(),
            },
            (_, None) => OnetimeState::Completed,
        };
        self.set_onetime(iteration, record);
        let about = onetime_event(iteration);
        if state.is_completed() {
            self.effect(BatchEffect::KeepOnetime { iteration });
            self.tell(EventKind::BatchOnetimeCompleted, Some(about), None);
            if *self.batch.stage() == BatchStage::Preparing {
                self.enter(BatchStage::Processing);
            }
        } else {
            self.tell(EventKind::BatchOnetimeFailed, Some(about), error.clone());
            if self.batch.stage().ending().is_none() {
                let error = error.unwrap_or_default();
                self.begin_ending(BatchEnding::OnetimeFailed { error });
            }
        }
    }

    fn cancel_all(&mut self, reason: &str) -> Result<(), BatchRefusal> {
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

    fn time_out(&mut self) -> Result<(), BatchRefusal> {
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

    fn begin_ending(&mut self, ending: BatchEnding) {
        let rested = matches!(self.batch.stage(), BatchStage::Resting(_));
        self.enter(BatchStage::Ending(ending));
        if rested {
            self.effect(BatchEffect::Disarm(BatchAlarm::Retry));
        } else if self.batch.plan().execution_timeout.is_some() {
            self.effect(BatchEffect::Disarm(BatchAlarm::Deadline));
        }
    }

    /// Does what has become possible, up to the limit, and comes to the outcome when nothing is left
    /// to wait for.
    fn go_on(&mut self, limit: usize) {
        match self.batch.stage().clone() {
            BatchStage::Preparing => {
                if limit > 0 && !self.batch.onetime_is_open() {
                    self.dispatch_onetime();
                }
            }
            BatchStage::Processing => {
                self.dispatch(limit);
                self.finish_items();
            }
            BatchStage::Ending(ending) => {
                self.cancel(limit);
                if !self.batch.has_open_jobs() {
                    self.come_to(ending);
                }
            }
            BatchStage::Pending
            | BatchStage::Resting(_)
            | BatchStage::Completed
            | BatchStage::Ended(_) => {}
        }
        self.transition.more = self.batch.has_leftover();
    }

    fn dispatch_onetime(&mut self) {
        let header = self.batch.header();
        let iteration = match &header.onetime {
            None => 0,
            Some(_) => header.attempt.saturating_sub(1),
        };
        self.set_onetime(iteration, OnetimeState::Dispatched);
        self.effect(BatchEffect::DispatchOnetime { iteration });
    }

    fn dispatch(&mut self, limit: usize) {
        let mut left = limit;
        while left > 0 && self.batch.has_room() {
            let header = self.batch.header_mut();
            let place = header.next;
            header.next += 1;
            let (attempt, failed_only) = (header.attempt, header.failed_only);
            self.changed = true;
            let earlier = self.batch.record(place).unwrap_or_default();
            if failed_only && earlier.state.is_completed() {
                continue;
            }
            let started = earlier.state != ItemState::Waiting;
            let iteration = match started {
                // At most MAX_ATTEMPTS, so it fits.
                true => u8::try_from(attempt.saturating_sub(1)).unwrap_or(u8::MAX),
                false => 0,
            };
            let state = ItemState::Dispatched;
            self.record(place, ItemRecord { state, iteration });
            self.effect(BatchEffect::Dispatch(ItemStart {
                place,
                iteration,
                from: started.then_some(earlier.iteration),
            }));
            left -= 1;
        }
    }

    fn finish_items(&mut self) {
        let header = self.batch.header();
        if header.next < self.batch.plan().total || self.batch.under_way() > 0 {
            return;
        }
        match header.failed {
            0 => {
                self.disarm_deadline();
                self.close(BatchStage::Completed, EventKind::BatchCompleted);
            }
            failed => {
                self.disarm_deadline();
                self.come_to(BatchEnding::ItemsFailed { failed });
            }
        }
    }

    fn cancel(&mut self, limit: usize) {
        let mut left = limit;
        if left > 0
            && self.batch.onetime_is_uncancelled()
            && let Some(iteration) = self.batch.header().onetime.as_ref().map(|it| it.iteration)
        {
            self.set_onetime(iteration, OnetimeState::Cancelling);
            let job = self.batch.job(ONETIME_PLACE, iteration);
            self.effect(BatchEffect::Cancel(job));
            left -= 1;
        }
        for _ in 0..left {
            let Some(place) = self.batch.first_dispatched() else {
                return;
            };
            let iteration = self.batch.record(place).unwrap_or_default().iteration;
            let state = ItemState::Cancelling;
            self.record(place, ItemRecord { state, iteration });
            let job = self.batch.job(place, u32::from(iteration));
            self.effect(BatchEffect::Cancel(job));
        }
    }

    /// Nothing is under way: the batch has ended, or waits for its next attempt.
    fn come_to(&mut self, ending: BatchEnding) {
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
    fn jitter(&self) -> f64 {
        let attempt = u64::from(self.batch.header().attempt);
        let mixed = (self.batch.id().random() ^ attempt).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        f64::from(u32::try_from(mixed >> 32).unwrap_or(0)) / f64::from(u32::MAX)
    }

    fn close(&mut self, stage: BatchStage, kind: EventKind) {
        let status = stage.status();
        let error = stage.ending().map(ToString::to_string);
        self.enter(stage);
        self.effect(BatchEffect::Close { status });
        self.tell(kind, None, error);
    }

    fn disarm_deadline(&mut self) {
        if self.batch.plan().execution_timeout.is_some() {
            self.effect(BatchEffect::Disarm(BatchAlarm::Deadline));
        }
    }

    fn enter(&mut self, stage: BatchStage) {
        self.batch.header_mut().stage = stage;
        self.changed = true;
    }

    fn set_onetime(&mut self, iteration: u32, state: OnetimeState) {
        self.batch.header_mut().onetime = Some(OnetimeRecord { iteration, state });
        self.changed = true;
    }

    fn record(&mut self, place: u32, record: ItemRecord) {
        self.batch.set(place, record);
        self.transition.items.push((place, record));
    }

    fn effect(&mut self, effect: BatchEffect) {
        self.transition.effects.push(effect);
    }

    fn tell(&mut self, kind: EventKind, job: Option<BatchJobEvent>, error: Option<String>) {
        self.transition
            .events
            .push(BatchHappening { kind, job, error });
    }
}

fn onetime_event(iteration: u32) -> BatchJobEvent {
    BatchJobEvent {
        place: ONETIME_PLACE,
        item: ONETIME_NAME.into(),
        iteration,
    }
}
