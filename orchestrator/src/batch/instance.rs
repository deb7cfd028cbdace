//! A batch in memory: what is kept of it, and what follows from that.
//!
//! Kept are the header and two bytes an item. Derived are the items under way. No pass over the
//! items is needed to try a batch again: items are started in the order of the definition, and
//! everything from the header's place on is as an earlier attempt left it.

use std::collections::BTreeSet;
use std::sync::Arc;

use paceline_types::batch::{
    BatchHeader, BatchPlan, BatchStage, ItemRecord, ItemState, MAX_ATTEMPTS, OnetimeRecord,
};
use paceline_types::{BatchId, JobId};

/// An instance of a batch.
#[derive(Clone, Debug)]
pub struct BatchInstance {
    id: BatchId,
    plan: Arc<BatchPlan>,
    header: BatchHeader,
    records: Box<[ItemRecord]>,
    /// Items whose job was enqueued and not asked to stop.
    dispatched: BTreeSet<u32>,
    /// Items whose job was asked to stop.
    cancelling: BTreeSet<u32>,
}

/// What is kept has not one record for each item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kept} items are kept, but the batch has {total}")]
pub struct WrongLength {
    /// Records that are kept.
    pub kept: usize,
    /// Items of the batch.
    pub total: u32,
}

impl BatchInstance {
    /// A batch that was just accepted.
    #[must_use]
    pub fn new(id: BatchId, plan: Arc<BatchPlan>) -> BatchInstance {
        BatchInstance {
            id,
            records: vec![ItemRecord::default(); plan.total as usize].into(),
            plan,
            header: BatchHeader::NEW,
            dispatched: BTreeSet::new(),
            cancelling: BTreeSet::new(),
        }
    }

    /// The batch that was kept.
    ///
    /// # Errors
    /// When there is not one record for each item.
    pub fn restore(
        id: BatchId,
        plan: Arc<BatchPlan>,
        header: BatchHeader,
        records: Vec<ItemRecord>,
    ) -> Result<BatchInstance, WrongLength> {
        if records.len() != plan.total as usize {
            return Err(WrongLength {
                kept: records.len(),
                total: plan.total,
            });
        }
        let in_state = |wanted: ItemState| -> BTreeSet<u32> {
            let places = (0..).zip(&records);
            places
                .filter(|(_, record)| record.state == wanted)
                .map(|(place, _)| place)
                .collect()
        };
        Ok(BatchInstance {
            id,
            dispatched: in_state(ItemState::Dispatched),
            cancelling: in_state(ItemState::Cancelling),
            plan,
            header,
            records: records.into(),
        })
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> BatchId {
        self.id
    }

    /// What it carries out.
    #[must_use]
    pub fn plan(&self) -> &Arc<BatchPlan> {
        &self.plan
    }

    /// What is kept once.
    #[must_use]
    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// Where it stands.
    #[must_use]
    pub fn stage(&self) -> &BatchStage {
        &self.header.stage
    }

    /// Where an item stands; none beyond the last.
    #[must_use]
    pub fn record(&self, place: u32) -> Option<ItemRecord> {
        self.records.get(place as usize).copied()
    }

    /// Where all items stand.
    #[must_use]
    pub fn records(&self) -> &[ItemRecord] {
        &self.records
    }

    /// Items whose job has not ended: never more than the plan's window.
    #[must_use]
    pub fn under_way(&self) -> usize {
        self.dispatched.len() + self.cancelling.len()
    }

    /// Whether a job of it has not ended.
    #[must_use]
    pub fn has_open_jobs(&self) -> bool {
        self.under_way() > 0
            || self
                .header
                .onetime
                .as_ref()
                .is_some_and(OnetimeRecord::is_open)
    }

    /// Whether the window has room for another item.
    #[must_use]
    pub(crate) fn has_room(&self) -> bool {
        self.header.next < self.plan.total && self.under_way() < self.plan.window as usize
    }

    /// Whether there is something to do without a further event.
    #[must_use]
    pub fn has_leftover(&self) -> bool {
        match &self.header.stage {
            BatchStage::Preparing => !self.onetime_is_open(),
            BatchStage::Processing => self.has_room(),
            BatchStage::Ending(_) => !self.dispatched.is_empty() || self.onetime_is_uncancelled(),
            BatchStage::Pending
            | BatchStage::Resting(_)
            | BatchStage::Completed
            | BatchStage::Ended(_) => false,
        }
    }

    /// Items from `from` on whose jobs have not ended, by place, at most `max`, with the iteration.
    #[must_use]
    pub fn open_items(&self, from: u32, max: usize) -> Vec<(u32, u32)> {
        let mut open: Vec<u32> = self.dispatched.range(from..).take(max).copied().collect();
        open.extend(self.cancelling.range(from..).take(max));
        open.sort_unstable();
        open.truncate(max);
        let iteration = |place| self.record(place).map_or(0, |record| record.iteration);
        open.into_iter()
            .map(|place| (place, u32::from(iteration(place))))
            .collect()
    }

    /// The job of one start of an item.
    #[must_use]
    pub fn job(&self, place: u32, iteration: u32) -> JobId {
        JobId::of_item(self.id, place, iteration)
    }

    /// Bytes that it takes in memory, its plan included, about: two an item, and some 40 for each
    /// that the window allows.
    #[must_use]
    pub fn footprint(&self) -> usize {
        let window = (self.plan.window as usize).min(self.records.len());
        self.plan.footprint()
            + size_of::<BatchInstance>()
            + self.records.len() * size_of::<ItemRecord>()
            + window * 40
    }

    pub(crate) fn onetime_is_open(&self) -> bool {
        let onetime = self.header.onetime.as_ref();
        onetime.is_some_and(OnetimeRecord::is_open)
    }

    pub(crate) fn onetime_is_uncancelled(&self) -> bool {
        use paceline_types::batch::OnetimeState;
        let onetime = self.header.onetime.as_ref();
        onetime.is_some_and(|onetime| onetime.state == OnetimeState::Dispatched)
    }

    /// Whether the retry policy lets a failed attempt be followed by another.
    pub(crate) fn may_rest(&self) -> bool {
        self.header.attempt < self.plan.max_attempts().min(MAX_ATTEMPTS)
    }

    /// Whether a cancellation would not come late.
    pub(crate) fn heeds_cancel(&self) -> bool {
        match &self.header.stage {
            BatchStage::Pending
            | BatchStage::Preparing
            | BatchStage::Processing
            | BatchStage::Resting(_) => true,
            // What failed and would be tried again is not; so this cause takes the place of it.
            BatchStage::Ending(ending) => ending.is_failure() && self.may_rest(),
            BatchStage::Completed | BatchStage::Ended(_) => false,
        }
    }

    /// The first item whose job was enqueued and not asked to stop.
    pub(crate) fn first_dispatched(&self) -> Option<u32> {
        self.dispatched.first().copied()
    }

    /// Items that completed, in whichever attempt.
    pub(crate) fn count_completed(&self) -> u32 {
        let completed = |record: &&ItemRecord| record.state.is_completed();
        u32::try_from(self.records.iter().filter(completed).count()).unwrap_or(u32::MAX)
    }

    pub(crate) fn header_mut(&mut self) -> &mut BatchHeader {
        &mut self.header
    }

    /// Takes in what is, or is to be, kept of an item. The place must be one of the plan's.
    pub(crate) fn set(&mut self, place: u32, record: ItemRecord) {
        self.dispatched.remove(&place);
        self.cancelling.remove(&place);
        match record.state {
            ItemState::Dispatched => drop(self.dispatched.insert(place)),
            ItemState::Cancelling => drop(self.cancelling.insert(place)),
            ItemState::Waiting
            | ItemState::Completed
            | ItemState::Skipped
            | ItemState::Dead
            | ItemState::Cancelled => {}
        }
        if let Some(kept) = self.records.get_mut(place as usize) {
            *kept = record;
        }
    }
}

/// Equal in everything that is kept and derived; plans are compared by identity.
impl PartialEq for BatchInstance {
    fn eq(&self, other: &BatchInstance) -> bool {
        self.id == other.id
            && Arc::ptr_eq(&self.plan, &other.plan)
            && self.header == other.header
            && self.records == other.records
            && self.dispatched == other.dispatched
            && self.cancelling == other.cancelling
    }
}

impl Eq for BatchInstance {}
