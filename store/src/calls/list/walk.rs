//! The way of one page through shards and their sources.

use paceline_types::ShardIndex;

use super::cursor::{Cursor, CursorError};
use super::{Page, PageRequest};

/// Most reads of a page: a filter that matches little must not turn it into a walk over
/// everything.
const MAX_READS: usize = 20;

/// A page in the making.
pub(super) struct Walk<T> {
    cursor: Cursor,
    items: Vec<T>,
    limit: usize,
    reads: usize,
}

/// What to read next.
pub(super) struct Step {
    pub(super) shard: ShardIndex,
    /// Index of the source.
    pub(super) source: usize,
    /// Where in the source.
    pub(super) position: String,
    /// Items that the page still takes.
    pub(super) want: usize,
}

impl<T> Walk<T> {
    pub(super) fn begin(page: &PageRequest) -> Result<Walk<T>, CursorError> {
        let cursor = match &page.cursor {
            Some(text) => text.parse()?,
            None => Cursor::default(),
        };
        Ok(Walk {
            cursor,
            items: Vec::new(),
            limit: page.limit(),
            reads: 0,
        })
    }

    /// The next step; none when the page is full or the list ends.
    pub(super) fn step(&mut self, shards: u16, sources: usize) -> Option<Step> {
        if self.cursor.source >= sources {
            self.cursor = Cursor {
                shard: self.cursor.shard + 1,
                ..Cursor::default()
            };
        }
        if self.cursor.shard >= shards || self.items.len() >= self.limit || self.reads >= MAX_READS
        {
            return None;
        }
        self.reads += 1;
        Some(Step {
            shard: ShardIndex(self.cursor.shard),
            source: self.cursor.source,
            position: self.cursor.position.clone(),
            want: self.limit - self.items.len(),
        })
    }

    /// Takes what a step found, and where its source goes on.
    pub(super) fn take(&mut self, found: impl IntoIterator<Item = T>, next: Option<String>) {
        self.items.extend(found);
        match next {
            Some(position) => self.cursor.position = position,
            None => {
                self.cursor.source += 1;
                self.cursor.position.clear();
            }
        }
    }

    /// The page, with where the next one begins unless this one is the last.
    pub(super) fn page(self, shards: u16) -> Page<T> {
        let next = (self.cursor.shard < shards).then(|| self.cursor.to_string());
        Page {
            items: self.items,
            next,
        }
    }
}
