//! One transition in the making, and the marks that every decision leaves on it.

use paceline_types::EventKind;
use paceline_types::batch::{BatchStage, ItemRecord, OnetimeRecord, OnetimeState};

use crate::batch::instance::BatchInstance;
use crate::batch::transition::{BatchEffect, BatchHappening, BatchTransition};
use crate::ports::BatchJobEvent;

/// One transition in the making.
pub(super) struct Step<'a> {
    pub(super) batch: &'a mut BatchInstance,
    pub(super) transition: BatchTransition,
    /// Whether the header changed.
    pub(super) changed: bool,
}

impl Step<'_> {
    pub(super) fn enter(&mut self, stage: BatchStage) {
        self.batch.header_mut().stage = stage;
        self.changed = true;
    }

    pub(super) fn set_onetime(&mut self, iteration: u32, state: OnetimeState) {
        self.batch.header_mut().onetime = Some(OnetimeRecord { iteration, state });
        self.changed = true;
    }

    pub(super) fn record(&mut self, place: u32, record: ItemRecord) {
        self.batch.set(place, record);
        self.transition.items.push((place, record));
    }

    pub(super) fn effect(&mut self, effect: BatchEffect) {
        self.transition.effects.push(effect);
    }

    pub(super) fn tell(
        &mut self,
        kind: EventKind,
        job: Option<BatchJobEvent>,
        error: Option<String>,
    ) {
        self.transition
            .events
            .push(BatchHappening { kind, job, error });
    }
}
