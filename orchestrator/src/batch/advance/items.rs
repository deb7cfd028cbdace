//! The jobs of a batch: which of them start, how they end, and how those that run are stopped.

use paceline_types::EventKind;
use paceline_types::batch::{
    BatchEnding, BatchFailurePolicy, BatchStage, ItemRecord, ItemState, ONETIME_NAME,
    ONETIME_PLACE, OnetimeState,
};

use super::step::Step;
use crate::batch::transition::BatchEffect;
use crate::ports::{BatchJobEvent, ItemStart, TaskOutcome};

/// What an item says whose job was cancelled.
const CANCELLED: &str = "its job was cancelled";

impl Step<'_> {
    pub(super) fn end_job(&mut self, place: u32, item: &str, iteration: u32, outcome: TaskOutcome) {
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

    pub(super) fn end_item(
        &mut self,
        place: u32,
        item: &str,
        state: ItemState,
        error: Option<String>,
    ) {
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

    pub(super) fn end_onetime(&mut self, iteration: u32, state: ItemState, error: Option<String>) {
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

    pub(super) fn dispatch_onetime(&mut self) {
        let header = self.batch.header();
        let iteration = match &header.onetime {
            None => 0,
            Some(_) => header.attempt.saturating_sub(1),
        };
        self.set_onetime(iteration, OnetimeState::Dispatched);
        self.effect(BatchEffect::DispatchOnetime { iteration });
    }

    pub(super) fn dispatch(&mut self, limit: usize) {
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

    pub(super) fn finish_items(&mut self) {
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

    pub(super) fn cancel(&mut self, limit: usize) {
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
}

fn onetime_event(iteration: u32) -> BatchJobEvent {
    BatchJobEvent {
        place: ONETIME_PLACE,
        item: ONETIME_NAME.into(),
        iteration,
    }
}
