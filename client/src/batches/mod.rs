//! Batches: submit, look at, wait for, read the results of, cancel, try again.

mod build;
mod errors;
mod handle;
mod progress;
mod results;

use paceline_store::calls::batch::BatchRefusal;
use paceline_store::{CallError, StoreError};
use paceline_types::BatchId;
use paceline_types::batch::{Batch, BatchItemResult, BatchProgress, BatchStatus};
use paceline_types::workflow::DefinitionError;

pub use self::build::{BatchBuilder, IntoBatch};
pub use self::errors::{BatchSubmitError, CancelBatchError, RetryBatchError, WaitBatchError};
pub use self::handle::BatchHandle;
pub use self::progress::ProgressFeed;
pub use self::results::ItemResults;
use crate::submit::new_batch_id;
use crate::{Client, Listing};

impl Client {
    /// Validates a batch and submits it. On `Ok` it is accepted, and the leader begins it.
    ///
    /// A large batch takes a call for every hundred items; it begins when the last was stored, and
    /// all of it or nothing.
    ///
    /// ```no_run
    /// # use paceline_client::{BatchBuilder, Client};
    /// # use serde_json::json;
    /// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let photos = ["a.png", "b.png"];
    /// let batch = BatchBuilder::new("thumbnails", "image.resize")
    ///     .items(photos.map(|photo| (photo, json!({ "image": photo, "width": 640 }))));
    /// let ended = client.submit_batch(batch).await?.wait().await?;
    /// assert_eq!(ended.completed_items, 2);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`BatchSubmitError::Invalid`] with every mistake of the definition and its place, before
    /// anything is sent; else see [`BatchSubmitError`].
    pub async fn submit_batch(
        &self,
        batch: impl IntoBatch,
    ) -> Result<BatchHandle, BatchSubmitError> {
        let limit = self.max_payload();
        let definition = batch
            .into_batch()
            .and_then(|batch| batch.validate(limit).map(|plan| (batch, plan)));
        let (definition, plan) = definition.map_err(BatchSubmitError::Invalid)?;
        let id = new_batch_id(self.spread());
        self.store().submit_batch(id, &definition, &plan).await?;
        Ok(self.batch_handle(id))
    }

    /// Every mistake of a batch, with its place; none when it would be accepted. Asks nothing of
    /// Redis.
    #[must_use]
    pub fn validate_batch(&self, batch: impl IntoBatch) -> Vec<DefinitionError> {
        let limit = self.max_payload();
        let validated = batch
            .into_batch()
            .and_then(|batch| batch.validate(limit).map(drop));
        validated.err().unwrap_or_default()
    }

    /// A handle on a batch that was submitted elsewhere. Asks nothing of Redis.
    #[must_use]
    pub fn batch_handle(&self, id: BatchId) -> BatchHandle {
        BatchHandle::new(self.clone(), id)
    }

    /// How a batch stands, without its items; `None` when there is no record of it (any more).
    ///
    /// # Errors
    /// When Redis could not be asked.
    pub async fn batch(&self, id: BatchId) -> Result<Option<Batch>, StoreError> {
        self.store().batch(id).await
    }

    /// How far a batch is; `None` when there is no record of it (any more). May be asked at any
    /// time, also when it has ended.
    ///
    /// # Errors
    /// When Redis could not be asked.
    pub async fn batch_progress(&self, id: BatchId) -> Result<Option<BatchProgress>, StoreError> {
        self.store().batch_progress(id).await
    }

    /// Lists batches, without their items; of one status, or all.
    pub fn batches(&self, status: Option<BatchStatus>) -> Listing<Batch> {
        let store = self.store().clone();
        Listing::new(move |page| {
            let store = store.clone();
            Box::pin(async move { Ok(store.list_batches(status, &page).await?.into()) })
        })
    }

    /// What the items of a batch came to, in the order of its definition: those that have ended,
    /// unless said otherwise. Await it for a page, or stream it.
    ///
    /// ```no_run
    /// # use futures::TryStreamExt;
    /// # use paceline_client::{BatchId, Client};
    /// # async fn example(client: Client, id: BatchId) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut failed = client.batch_results(id).failed().stream();
    /// while let Some(item) = failed.try_next().await? {
    ///     tracing::warn!(item = item.item_id, error = item.error);
    /// }
    /// # Ok(()) }
    /// ```
    pub fn batch_results(&self, id: BatchId) -> ItemResults {
        ItemResults::new(self.clone(), id)
    }

    /// One item of a batch by its id; `None` when there is no such item, or no record of the batch
    /// (any more). Reads ids until it is found: page through [`Client::batch_results`] where most
    /// of them are wanted.
    ///
    /// # Errors
    /// When Redis could not be asked.
    pub async fn batch_item(
        &self,
        id: BatchId,
        item: &str,
    ) -> Result<Option<BatchItemResult>, StoreError> {
        self.store().batch_item(id, item).await
    }

    /// Cancels a batch: no item of it begins any more, its waiting jobs are cancelled, and its
    /// running ones are told.
    ///
    /// On `Ok` the cancellation is accepted; the batch is cancelled once its running jobs have
    /// ended.
    ///
    /// # Errors
    /// See [`CancelBatchError`].
    pub async fn cancel_batch(&self, id: BatchId, reason: &str) -> Result<(), CancelBatchError> {
        let batch = id;
        let cancelled = self.store().cancel_batch(id, reason).await;
        cancelled.map_err(|error| match error {
            CallError::Refused(BatchRefusal::Ended(status)) => {
                CancelBatchError::Ended { batch, status }
            }
            // The others refuse a retry.
            CallError::Refused(_) => CancelBatchError::Unknown { batch },
            CallError::Store(error) => CancelBatchError::Store(error),
        })
    }

    /// Tries a failed or cancelled batch again, at once, beyond what its policy allows: with
    /// `failed_only` the items that failed, were cancelled or never began, and what the onetime task
    /// came to is kept if it ended well; else all of them, and the onetime task before them.
    ///
    /// # Errors
    /// See [`RetryBatchError`].
    pub async fn retry_batch(&self, id: BatchId, failed_only: bool) -> Result<(), RetryBatchError> {
        let batch = id;
        let retried = self.store().retry_batch(id, failed_only).await;
        retried.map_err(|error| match error {
            CallError::Refused(BatchRefusal::NotEnded) => RetryBatchError::NotEnded { batch },
            CallError::Refused(BatchRefusal::Completed) => RetryBatchError::Completed { batch },
            CallError::Refused(BatchRefusal::TooOften) => RetryBatchError::TooOften { batch },
            // One that has ended is what is retried.
            CallError::Refused(BatchRefusal::Unknown | BatchRefusal::Ended(_)) => {
                RetryBatchError::Unknown { batch }
            }
            CallError::Store(error) => RetryBatchError::Store(error),
        })
    }
}
