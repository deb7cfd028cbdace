//! What callers want of workflows and batches, as their records say, whether the leader was told or not.

use std::future::Future;

use paceline_types::{BatchId, WorkflowId};

use super::LedgerError;
use crate::term::Term;

/// What callers want of a workflow; nothing of one that is not there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// The revision that its record had.
    pub revision: u64,
    /// Somebody wanted it cancelled, since it was accepted or tried again by hand.
    pub cancelled: bool,
    /// Somebody wants it tried again, and no commit says so yet.
    pub retried: bool,
    /// Signals that no task has taken.
    pub signals: usize,
}

/// What callers want of a batch; nothing of one that is not there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BatchWish {
    /// As of [`Wish::cancelled`].
    pub cancelled: bool,
    /// As of [`Wish::retried`].
    pub retried: bool,
}

/// The records' own witness of what the inbox should have told.
pub trait Wishes: Send + Sync {
    /// What is wanted of workflows, in the order of the ids. At most 100 ids.
    fn wishes(
        &self,
        term: &Term,
        workflows: &[WorkflowId],
    ) -> impl Future<Output = Result<Vec<Wish>, LedgerError>> + Send;

    /// What is wanted of batches, in the order of the ids. At most 100 ids.
    fn batch_wishes(
        &self,
        term: &Term,
        batches: &[BatchId],
    ) -> impl Future<Output = Result<Vec<BatchWish>, LedgerError>> + Send;
}
