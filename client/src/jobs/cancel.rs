//! Cancelling jobs.

use std::future::IntoFuture;

use futures::future::BoxFuture;
use paceline_store::StoreError;
use paceline_store::calls::cancel::Cancelled;
use paceline_types::{JobId, NameError, UniqueKey};

use crate::Client;

/// What a cancellation says unless the caller says something else.
pub(super) const DEFAULT_REASON: &str = "cancelled by a client";

impl Client {
    /// Cancels a job: one that waits never runs, one that runs has its handler told and ends as
    /// cancelled whatever the handler returns.
    ///
    /// Awaiting it gives what became of the request; it may be repeated.
    pub fn cancel(&self, id: JobId) -> CancelJob {
        CancelJob {
            client: self.clone(),
            id,
            reason: DEFAULT_REASON.to_owned(),
        }
    }

    /// Cancels many jobs, of any shards, as [`Client::cancel`] does, and says for each what
    /// became of it, in order.
    ///
    /// # Errors
    /// When Redis did not carry it out; some of the jobs may have been cancelled, and the same
    /// call may be repeated.
    pub async fn cancel_many(
        &self,
        ids: &[JobId],
        reason: &str,
    ) -> Result<Vec<Cancelled>, StoreError> {
        self.store().cancel(ids, reason).await
    }

    /// Cancels the job that holds a unique key, as [`Client::cancel`] does; the key is free when it
    /// has ended.
    ///
    /// Awaiting it gives the job and what became of the request; none when nobody holds the key.
    pub fn cancel_by_unique(&self, key: impl Into<String>) -> CancelByUnique {
        CancelByUnique {
            client: self.clone(),
            key: key.into(),
            reason: DEFAULT_REASON.to_owned(),
        }
    }
}

/// A cancellation in the making; await it.
#[must_use = "nothing is cancelled until this is awaited"]
pub struct CancelJob {
    client: Client,
    id: JobId,
    reason: String,
}

impl CancelJob {
    /// Why, for readers; it becomes the job's last error.
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.reason = reason.into();
        self
    }
}

impl IntoFuture for CancelJob {
    type Output = Result<Cancelled, StoreError>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let CancelJob { client, id, reason } = self;
            let outcomes = client.store().cancel(&[id], &reason).await?;
            Ok(outcomes.into_iter().next().unwrap_or(Cancelled::Unknown))
        })
    }
}

/// Why no job was cancelled by its unique key.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CancelByUniqueError {
    /// This cannot be a unique key. Nothing was sent.
    #[error(transparent)]
    Key(#[from] NameError),
    /// Redis did not carry it out; the same call may be repeated.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A cancellation by unique key in the making; await it.
#[must_use = "nothing is cancelled until this is awaited"]
pub struct CancelByUnique {
    client: Client,
    key: String,
    reason: String,
}

impl CancelByUnique {
    /// Why, for readers; it becomes the job's last error.
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.reason = reason.into();
        self
    }
}

impl IntoFuture for CancelByUnique {
    type Output = Result<Option<(JobId, Cancelled)>, CancelByUniqueError>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let key = UniqueKey::new(&self.key)?;
            let mut last = None;
            while let Some(holder) = self.client.store().holder(&key).await? {
                let cancelled = self.client.cancel(holder).reason(&self.reason).await?;
                let done = matches!(cancelled, Cancelled::Done | Cancelled::Requested);
                // It may have ended in between, and another one may hold the key by now.
                if done || last == Some(holder) {
                    return Ok(Some((holder, cancelled)));
                }
                last = Some(holder);
            }
            Ok(None)
        })
    }
}
