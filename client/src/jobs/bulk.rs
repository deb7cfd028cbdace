//! Acting on many jobs: the calls of single ones, page by page.

use std::collections::HashSet;
use std::sync::Arc;

use futures::future::BoxFuture;
use futures::stream::{self, Stream, TryStreamExt};
use paceline_store::StoreError;
use paceline_store::calls::cancel::Cancelled;
use paceline_store::calls::delete::Deleted;
use paceline_store::calls::list::{JobFilter, ListError, MAX_PAGE, PageRequest};
use paceline_types::JobId;

use crate::{Client, RetryError};

impl Client {
    /// Removes a job that has ended, with its record; one of a workflow is removed with that.
    ///
    /// # Errors
    /// When Redis did not carry it out; the same call may be repeated.
    pub async fn delete(&self, id: JobId) -> Result<Deleted, StoreError> {
        let answers = self.delete_many(&[id]).await?;
        Ok(answers.into_iter().next().unwrap_or(Deleted::Unknown))
    }

    /// Removes many jobs, of any shards, as [`Client::delete`] does, and says for each what became
    /// of it, in order.
    ///
    /// # Errors
    /// When Redis did not carry it out; some may be gone, and the same call may be repeated.
    pub async fn delete_many(&self, ids: &[JobId]) -> Result<Vec<Deleted>, StoreError> {
        self.store().delete(ids).await
    }

    /// Cancels every job that matches, as [`Client::cancel`] does.
    ///
    /// ```no_run
    /// # use futures::TryStreamExt;
    /// # use paceline_client::{Client, JobFilter, JobStatus};
    /// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let waiting = JobFilter { status: Some(JobStatus::Pending), ..JobFilter::default() };
    /// let mut cancelled = client.bulk_cancel(waiting, "not needed any more").stream();
    /// while let Some((job, outcome)) = cancelled.try_next().await? {
    ///     tracing::info!(%job, ?outcome);
    /// }
    /// # Ok(()) }
    /// ```
    pub fn bulk_cancel(&self, filter: JobFilter, reason: impl Into<String>) -> Bulk<Cancelled> {
        let (client, reason) = (self.clone(), reason.into());
        Bulk::new(self, filter, move |ids| {
            let (client, reason) = (client.clone(), reason.clone());
            Box::pin(async move { client.cancel_many(&ids, &reason).await })
        })
    }

    /// Runs every job that matches again, as [`Client::retry`] does; those that are neither dead
    /// nor cancelled are refused.
    pub fn bulk_retry(&self, filter: JobFilter) -> Bulk<Result<(), RetryError>> {
        let client = self.clone();
        Bulk::new(self, filter, move |ids| {
            let client = client.clone();
            Box::pin(async move { client.retry_many(&ids).await })
        })
    }

    /// Removes every job that matches, as [`Client::delete`] does; those that have not ended are
    /// refused.
    pub fn bulk_delete(&self, filter: JobFilter) -> Bulk<Deleted> {
        let client = self.clone();
        Bulk::new(self, filter, move |ids| {
            let client = client.clone();
            Box::pin(async move { client.delete_many(&ids).await })
        })
    }
}

type Act<T> =
    Arc<dyn Fn(Vec<JobId>) -> BoxFuture<'static, Result<Vec<T>, StoreError>> + Send + Sync>;

/// An action on every job that matches a filter: read it page by page, or
/// [`stream`](Bulk::stream) it.
///
/// Each page is listed, and then acted on by the call for single jobs, a hundred at most at once. A
/// job is acted on once. Jobs that come to match while it goes on may be among them. Dropping it
/// leaves the rest as it is.
#[must_use = "nothing is done until pages are asked for"]
pub struct Bulk<T> {
    client: Client,
    filter: JobFilter,
    act: Act<T>,
    cursor: Option<String>,
    /// Acted on so far: what was refused still matches.
    seen: HashSet<JobId>,
    /// This walk over the list has found jobs to act on. They leave it while it is read, and others
    /// may have moved up, so another one follows.
    found: bool,
    done: bool,
}

impl<T: Send + 'static> Bulk<T> {
    fn new(
        client: &Client,
        filter: JobFilter,
        act: impl Fn(Vec<JobId>) -> BoxFuture<'static, Result<Vec<T>, StoreError>>
        + Send
        + Sync
        + 'static,
    ) -> Bulk<T> {
        Bulk {
            client: client.clone(),
            filter,
            act: Arc::new(act),
            cursor: None,
            seen: HashSet::new(),
            found: false,
            done: false,
        }
    }

    /// Acts on the next page, and says what became of each job; none when there are no more.
    ///
    /// # Errors
    /// When Redis did not carry it out: jobs of this page may have been acted on. The pages after
    /// it can still be asked for; what this one held is not tried again.
    pub async fn next_page(&mut self) -> Result<Option<Vec<(JobId, T)>>, ListError> {
        while !self.done {
            let request = PageRequest {
                cursor: self.cursor.clone(),
                limit: MAX_PAGE,
            };
            let page = self
                .client
                .store()
                .list_jobs(&self.filter, &request)
                .await?;
            let ids = page.items.iter().map(|job| job.id);
            let ids: Vec<JobId> = ids.filter(|id| self.seen.insert(*id)).collect();
            self.found |= !ids.is_empty();
            self.cursor = page.next;
            if self.cursor.is_none() {
                self.done = !std::mem::take(&mut self.found);
            }
            if !ids.is_empty() {
                let outcomes = (self.act)(ids.clone()).await?;
                return Ok(Some(ids.into_iter().zip(outcomes).collect()));
            }
        }
        Ok(None)
    }

    /// Every job with what became of it, acted on page by page as they are asked for.
    pub fn stream(self) -> impl Stream<Item = Result<(JobId, T), ListError>> + Send + Unpin {
        let pages = stream::try_unfold(self, |mut bulk| async move {
            let page = bulk.next_page().await?;
            Ok::<_, ListError>(page.map(|page| (stream::iter(page.into_iter().map(Ok)), bulk)))
        });
        Box::pin(pages.try_flatten())
    }
}
