//! What the items of a batch came to, page by page.

use std::future::IntoFuture;

use futures::Stream;
use futures::future::BoxFuture;
use futures::stream::{self, TryStreamExt};
use paceline_store::StoreError;
use paceline_store::calls::batch::{ResultsRequest, WhichItems};
use paceline_types::BatchId;
use paceline_types::batch::{BatchItemResult, BatchResults};

use crate::{Client, DEFAULT_PAGE, MAX_PAGE};

/// Results of items in the making: say which, then await one page, or stream everything.
///
/// It is not a snapshot: of a batch that goes on, what ends behind a place that was read already is
/// not seen. A page may hold fewer items than asked for, even none, and still have a next one.
#[derive(Clone, Debug)]
#[must_use = "results are not read until they are awaited or streamed"]
pub struct ItemResults {
    client: Client,
    batch: BatchId,
    request: ResultsRequest,
}

impl ItemResults {
    pub(super) fn new(client: Client, batch: BatchId) -> ItemResults {
        ItemResults {
            client,
            batch,
            request: ResultsRequest {
                max: DEFAULT_PAGE,
                ..ResultsRequest::default()
            },
        }
    }

    /// Only items that failed or were cancelled.
    pub fn failed(mut self) -> Self {
        self.request.which = WhichItems::Failed;
        self
    }

    /// Every item, those that have not ended included.
    pub fn all(mut self) -> Self {
        self.request.which = WhichItems::All;
        self
    }

    /// Items of a page: 1 to 100, default 50. Numbers outside are brought inside.
    pub fn limit(mut self, items: usize) -> Self {
        self.request.max = items.clamp(1, MAX_PAGE);
        self
    }

    /// Begins at this place of the definition, counted from 0: where an earlier page said that the
    /// next one does.
    pub fn from(mut self, place: u32) -> Self {
        self.request.from = place;
        self
    }

    /// Every item from here on, read page by page. Empty when there is no record of the batch (any
    /// more).
    pub fn stream(self) -> impl Stream<Item = Result<BatchItemResult, StoreError>> + Send + Unpin {
        let pages = stream::try_unfold(Some(self), |next| async move {
            let Some(results) = next else {
                return Ok(None);
            };
            let Some(page) = results.clone().await? else {
                return Ok(None);
            };
            let next = page.next.map(|place| results.from(place));
            let items = stream::iter(page.items.into_iter().map(Ok));
            Ok::<_, StoreError>(Some((items, next)))
        });
        Box::pin(pages.try_flatten())
    }
}

impl IntoFuture for ItemResults {
    /// `None` when there is no record of the batch (any more).
    type Output = Result<Option<BatchResults>, StoreError>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let store = self.client.store();
            store.batch_results(self.batch, &self.request).await
        })
    }
}
