//! Handles on accepted batches.

use std::time::Duration;

use paceline_store::StoreError;
use paceline_types::BatchId;
use paceline_types::batch::{Batch, BatchItemResult, BatchProgress};

use super::{CancelBatchError, ItemResults, ProgressFeed, RetryBatchError, WaitBatchError};
use crate::wait::{Ended, Entity};
use crate::{Client, SubscribeError, WaitError};

/// An accepted batch.
#[derive(Clone, Debug)]
pub struct BatchHandle {
    client: Client,
    id: BatchId,
}

impl BatchHandle {
    pub(super) fn new(client: Client, id: BatchId) -> BatchHandle {
        BatchHandle { client, id }
    }

    /// The batch's id.
    #[must_use]
    pub fn id(&self) -> BatchId {
        self.id
    }

    /// How the batch stands now; see [`Client::batch`].
    ///
    /// # Errors
    /// When Redis could not be asked.
    pub async fn get(&self) -> Result<Option<Batch>, StoreError> {
        self.client.batch(self.id).await
    }

    /// How far the batch is now; see [`Client::batch_progress`].
    ///
    /// # Errors
    /// When Redis could not be asked.
    pub async fn progress(&self) -> Result<Option<BatchProgress>, StoreError> {
        self.client.batch_progress(self.id).await
    }

    /// Tells how far the batch is, now and each time that it is further, until its end.
    ///
    /// ```no_run
    /// # use paceline_client::BatchHandle;
    /// # async fn example(batch: BatchHandle) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut feed = batch.follow().await?;
    /// while let Some(progress) = feed.next().await? {
    ///     tracing::info!("{} of {}, {} failed", progress.done, progress.total, progress.failed);
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// When Redis could not be asked where the log ends.
    pub async fn follow(&self) -> Result<ProgressFeed, SubscribeError> {
        ProgressFeed::open(&self.client, self.id).await
    }

    /// Waits until the batch has completed, failed or been cancelled, and returns its record.
    ///
    /// # Errors
    /// [`WaitBatchError::Unknown`] when there is no record of it, [`WaitBatchError::Store`] when
    /// Redis could not be asked.
    pub async fn wait(&self) -> Result<Batch, WaitBatchError> {
        let unknown = WaitBatchError::Unknown { batch: self.id };
        match self.client.waits().ended(Entity::Batch(self.id)).await {
            Ok(Ended::Batch(batch)) => Ok(*batch),
            Err(WaitError::Store(error)) => Err(error.into()),
            Err(WaitError::Stopped) => Err(WaitBatchError::Stopped),
            Ok(Ended::Job(_) | Ended::Workflow(_)) | Err(_) => Err(unknown),
        }
    }

    /// [`BatchHandle::wait`], for at most `limit`.
    ///
    /// # Errors
    /// [`WaitBatchError::TimedOut`] when the batch has not ended by then: it goes on.
    pub async fn wait_within(&self, limit: Duration) -> Result<Batch, WaitBatchError> {
        let timed_out = |_| WaitBatchError::TimedOut {
            batch: self.id,
            waited: limit,
        };
        let waited = tokio::time::timeout(limit, self.wait()).await;
        waited.map_err(timed_out)?
    }

    /// What its items came to, page by page or as a stream; see [`Client::batch_results`].
    pub fn results(&self) -> ItemResults {
        self.client.batch_results(self.id)
    }

    /// One item by its id; see [`Client::batch_item`].
    ///
    /// # Errors
    /// When Redis could not be asked.
    pub async fn item(&self, item: &str) -> Result<Option<BatchItemResult>, StoreError> {
        self.client.batch_item(self.id, item).await
    }

    /// Cancels the batch; see [`Client::cancel_batch`].
    ///
    /// # Errors
    /// See [`CancelBatchError`].
    pub async fn cancel(&self, reason: &str) -> Result<(), CancelBatchError> {
        self.client.cancel_batch(self.id, reason).await
    }

    /// Tries the batch again; see [`Client::retry_batch`].
    ///
    /// # Errors
    /// See [`RetryBatchError`].
    pub async fn retry(&self, failed_only: bool) -> Result<(), RetryBatchError> {
        self.client.retry_batch(self.id, failed_only).await
    }
}
