//! The way of one page through shards and their sources.

use paceline_types::ShardIndex;

use super::cursor::{Cursor, CursorError};
use super::{MAX_PAGE, Page, PageRequest};

/// Most reads of a page: a filter that matches little must not turn it into a walk over
/// everything.
const MAX_READS: usize = 20;

/// Most bytes of payloads of a page that is not full.
const MAX_BYTES: usize = 8 * 1024 * 1024;

/// A page in the making.
pub(super) struct Walk<T> {
    cursor: Cursor,
    items: Vec<T>,
    limit: usize,
    reads: usize,
    scanned: usize,
    bytes: usize,
    /// Whether most of what is read is left out.
    narrow: bool,
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
            scanned: 0,
            bytes: 0,
            narrow: false,
        })
    }

    /// Reads more at once than the page takes, as little of it will fit.
    pub(super) fn narrow(mut self, narrow: bool) -> Walk<T> {
        self.narrow = narrow;
        self
    }

    /// Reads one shard only.
    pub(super) fn only(mut self, shard: ShardIndex) -> Walk<T> {
        if self.cursor.shard < shard.0 {
            self.cursor = Cursor {
                shard: shard.0,
                ..Cursor::default()
            };
        }
        self
    }

    /// The next step; none when the page is full or the list ends.
    pub(super) fn step(&mut self, shards: u16, sources: usize) -> Option<Step> {
        if self.cursor.source >= sources {
            self.cursor = Cursor {
                shard: self.cursor.shard + 1,
                ..Cursor::default()
            };
        }
        if self.cursor.shard >= shards
            || self.items.len() >= self.limit
            || self.reads >= MAX_READS
            || self.bytes >= MAX_BYTES
        {
            return None;
        }
        self.reads += 1;
        Some(Step {
            shard: ShardIndex(self.cursor.shard),
            source: self.cursor.source,
            position: self.cursor.position.clone(),
            want: if self.narrow {
                MAX_PAGE
            } else {
                self.limit - self.items.len()
            },
        })
    }

    /// Takes what a step found, each with the position behind it, and where its source goes on:
    /// behind the last that the page has room for, if it has not for all.
    pub(super) fn take(
        &mut self,
        found: impl IntoIterator<Item = (T, String)>,
        next: Option<String>,
        scanned: usize,
    ) {
        self.scanned += scanned;
        // That a source has nothing is no reason to end the page: there are only so many.
        if scanned == 0 && next.is_none() {
            self.reads -= 1;
        }
        let mut found = found.into_iter().peekable();
        while let Some((item, behind)) = found.next() {
            self.items.push(item);
            if self.items.len() == self.limit && found.peek().is_some() {
                self.cursor.position = behind;
                return;
            }
        }
        match next {
            Some(position) => self.cursor.position = position,
            None => {
                self.cursor.source += 1;
                self.cursor.position.clear();
            }
        }
    }

    /// Notes what was read of payloads.
    pub(super) fn weigh(&mut self, bytes: usize) {
        self.bytes += bytes;
    }

    /// The page, with where the next one begins unless this one is the last.
    pub(super) fn page(self, shards: u16) -> Page<T> {
        let next = (self.cursor.shard < shards).then(|| self.cursor.to_string());
        Page {
            items: self.items,
            next,
            scanned: self.scanned,
        }
    }
}
