//! Batches: every decision about one, in memory, and how it meets the leader's turn.
//!
//! [`advance_batch`] decides, as [`advance`](crate::advance::advance) does for workflows. An
//! instance costs two bytes an item and the set of the items that are under way; an end costs the
//! same whatever the size of the batch.

mod advance;
mod draft;
mod held;
mod instance;
mod transition;

pub use advance::advance_batch;
pub(crate) use draft::BatchDraft;
pub(crate) use held::{BatchCache, HeldBatch};
pub use instance::{BatchInstance, WrongLength};
pub use transition::{
    BatchEffect, BatchEvent, BatchHappening, BatchImpossible, BatchRefusal, BatchTransition,
};

#[cfg(test)]
mod tests;
