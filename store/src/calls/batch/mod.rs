//! Batches: submitting, steering, loading and viewing them.
//!
//! Items are kept 32 a block, so that what names them is read and written by the hundred, and
//! their jobs' records are written when the batch is submitted: to start an item is to enqueue it.

mod read;
mod results;
mod steer;
mod submit;

pub use crate::wire::alarm::BatchAlarm;
pub use read::StoredBatch;
pub use results::{ResultsRequest, WhichItems};
pub use steer::BatchRefusal;
pub use submit::{Accepted, MAX_STAGED, STAGED_RETENTION};
