//! Lists that are read page by page.

use std::future::IntoFuture;
use std::sync::Arc;

use futures::Stream;
use futures::future::BoxFuture;
use futures::stream::{self, TryStreamExt};
use paceline_store::calls::list::{ListError, MAX_PAGE, Page, PageRequest};
use serde::Serialize;

/// Items of a page unless said otherwise.
pub const DEFAULT_PAGE: usize = 50;

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ListPage<T> {
    /// The items.
    pub items: Vec<T>,
    /// Where the next page begins; `None` when this was the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// How many items were read for it, those included that the filter left out.
    pub scanned: usize,
}

impl<T> From<Page<T>> for ListPage<T> {
    fn from(page: Page<T>) -> ListPage<T> {
        ListPage {
            items: page.items,
            next: page.next,
            scanned: page.scanned,
        }
    }
}

type Fetched<T> = BoxFuture<'static, Result<ListPage<T>, ListError>>;
type Fetch<T> = Arc<dyn Fn(PageRequest) -> Fetched<T> + Send + Sync>;

/// A list: await it for one page, or [`stream`](Listing::stream) it for everything.
///
/// A list is not a snapshot: what changes while it is read may be missing or appear twice.
/// A page may hold fewer items than asked for, even none, and still have a next one.
#[must_use = "a list is not read until it is awaited or streamed"]
pub struct Listing<T> {
    fetch: Fetch<T>,
    limit: usize,
    cursor: Option<String>,
}

impl<T: Send + 'static> Listing<T> {
    pub(crate) fn new(
        fetch: impl Fn(PageRequest) -> Fetched<T> + Send + Sync + 'static,
    ) -> Listing<T> {
        Listing {
            fetch: Arc::new(fetch),
            limit: DEFAULT_PAGE,
            cursor: None,
        }
    }

    /// Items of a page: 1 to 100, default 50. Numbers outside are brought inside.
    pub fn limit(mut self, items: usize) -> Self {
        self.limit = items.clamp(1, MAX_PAGE);
        self
    }

    /// Begins where an earlier page said that the next one does.
    pub fn after(mut self, cursor: impl Into<String>) -> Self {
        self.cursor = Some(cursor.into());
        self
    }

    /// Every item from here on, read page by page.
    pub fn stream(self) -> impl Stream<Item = Result<T, ListError>> + Send + Unpin {
        let Listing {
            fetch,
            limit,
            cursor,
        } = self;
        let pages = stream::try_unfold(Some(cursor), move |next| {
            let fetch = fetch.clone();
            async move {
                let Some(cursor) = next else {
                    return Ok(None);
                };
                let page = fetch(PageRequest { cursor, limit }).await?;
                let items = stream::iter(page.items.into_iter().map(Ok));
                Ok::<_, ListError>(Some((items, page.next.map(Some))))
            }
        });
        Box::pin(pages.try_flatten())
    }
}

impl<T: Send + 'static> IntoFuture for Listing<T> {
    type Output = Result<ListPage<T>, ListError>;
    type IntoFuture = Fetched<T>;

    fn into_future(self) -> Fetched<T> {
        (self.fetch)(PageRequest {
            cursor: self.cursor,
            limit: self.limit,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers `0..n`, the cursor being the next number; a page at 4 is empty.
    fn numbers(n: usize) -> Listing<usize> {
        Listing::new(move |page| {
            let from = page
                .cursor
                .map_or(0, |cursor| cursor.parse().expect("cursor"));
            let items: Vec<usize> = match from {
                4 => Vec::new(),
                _ => (from..n).take(page.limit).collect(),
            };
            let next = if from == 4 { 5 } else { from + page.limit };
            let next = (next < n).then(|| next.to_string());
            Box::pin(async move {
                {
                    let scanned = items.len();
                    Ok(ListPage {
                        items,
                        next,
                        scanned,
                    })
                }
            })
        })
    }

    #[tokio::test]
    async fn a_page_says_where_the_next_one_begins() {
        let page = numbers(5).limit(2).await.expect("page");
        assert_eq!((page.items, page.next.as_deref()), (vec![0, 1], Some("2")));
        let page = numbers(5).limit(500).after("3").await.expect("page");
        assert_eq!((page.items, page.next), (vec![3, 4], None));
    }

    #[tokio::test]
    async fn a_stream_goes_on_past_an_empty_page() {
        let all = numbers(8).limit(2).stream().try_collect::<Vec<_>>().await;
        let all = all.expect("stream");
        assert_eq!(all, [0, 1, 2, 3, 5, 6, 7]);
    }
}
