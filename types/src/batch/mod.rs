//! Batches: many items of one task type, with an optional preparation that runs once before them.
//!
//! What a caller writes, its validation, what is kept of an instance, and how it reads.

mod definition;
mod item;
mod plan;
mod record;
mod stage;
mod validate;
mod view;

pub use definition::{BatchDefinition, BatchFailurePolicy, BatchItem};
pub use item::{ItemRecord, ItemState};
pub use plan::{BatchPlan, Onetime};
pub use record::{
    BatchHeader, MAX_ATTEMPTS, ONETIME_NAME, ONETIME_PLACE, ONETIME_RESULT_PLACE, OnetimeRecord,
    OnetimeState,
};
pub use stage::{BatchEnding, BatchStage};
pub use validate::{DEFAULT_CHUNK, MAX_CHUNK, MAX_ITEM_ID, MAX_ITEMS};
pub use view::{
    Batch, BatchItemResult, BatchOnetimeState, BatchProgress, BatchResults, BatchStatus, BatchStep,
};
