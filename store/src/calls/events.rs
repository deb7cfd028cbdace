//! Reading the event log of a shard.

use std::time::Duration;

use bytes::Bytes;
use paceline_types::event::EventCursor;
use paceline_types::{Event, ShardIndex};
use redis::Value;

use crate::link::Blocking;
use crate::wire::event::{Entry, entry_id, parse};
use crate::wire::reply::Reply;
use crate::{Store, StoreError};

/// A stretch of the log.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LogPage {
    /// In order.
    pub events: Vec<Event>,
    /// How many events of the log came before the first of this page.
    pub ordinal: Option<u64>,
    /// Where the page ends: the cursor to go on after.
    pub end: Option<EventCursor>,
}

impl Store {
    /// Events after a cursor, or from the oldest that is kept, from at most `entries` entries of
    /// the log (each holds the events of one call).
    ///
    /// # Errors
    /// When there was no answer.
    pub async fn read_events(
        &self,
        shard: ShardIndex,
        after: Option<EventCursor>,
        entries: usize,
    ) -> Result<LogPage, StoreError> {
        let mut command = redis::cmd("XRANGE");
        // The entry of the cursor may hold later events; those before are dropped again.
        let from = after.map_or_else(
            || "-".to_owned(),
            |cursor| format!("{}-{}", cursor.millis, cursor.sequence),
        );
        command
            .arg(&self.keys(shard)?.events)
            .arg(from)
            .arg("+")
            .arg("COUNT")
            .arg(entries + 1);
        let reply = self.link.command(&command).await?;
        Ok(page(shard, after, entries_of("XRANGE", reply)?))
    }

    /// The last event of a shard's log: none when it is empty.
    ///
    /// # Errors
    /// When there was no answer.
    pub async fn last_event(&self, shard: ShardIndex) -> Result<Option<EventCursor>, StoreError> {
        let mut command = redis::cmd("XREVRANGE");
        command
            .arg(&self.keys(shard)?.events)
            .arg("+")
            .arg("-")
            .arg("COUNT")
            .arg(1);
        let reply = self.link.command(&command).await?;
        Ok(page(shard, None, entries_of("XREVRANGE", reply)?).end)
    }

    /// The oldest event that is kept, and how many there were before it: none when the log is
    /// empty.
    ///
    /// # Errors
    /// When there was no answer.
    pub async fn first_event(
        &self,
        shard: ShardIndex,
    ) -> Result<Option<(EventCursor, u64)>, StoreError> {
        let page = self.read_events(shard, None, 1).await?;
        Ok(page
            .events
            .first()
            .map(|event| (event.cursor, page.ordinal.unwrap_or(0))))
    }

    /// The log of a shard as it grows, on a connection of its own.
    ///
    /// # Errors
    /// When the shard does not exist.
    pub fn event_tail(&self, shard: ShardIndex) -> Result<EventTail, StoreError> {
        let key = self.keys(shard)?.events.clone();
        Ok(EventTail {
            blocking: Blocking::new(&self.link),
            key,
            shard,
        })
    }
}

/// Follows the log of one shard.
#[derive(Debug)]
pub struct EventTail {
    blocking: Blocking,
    key: String,
    shard: ShardIndex,
}

impl EventTail {
    /// Events after `after` (none: from the beginning), as soon as there are any; an empty page
    /// after about `at_most`.
    ///
    /// # Errors
    /// When the connection failed; the next call makes a new one.
    pub async fn next(
        &mut self,
        after: Option<EventCursor>,
        at_most: Duration,
    ) -> Result<LogPage, StoreError> {
        let from = after.map_or_else(
            || "0-0".to_owned(),
            |cursor| format!("{}-{}", cursor.millis, cursor.sequence),
        );
        let entries = self.blocking.xread(&self.key, &from, 100, at_most).await?;
        let entries = entries
            .into_iter()
            .map(|(id, fields)| {
                let fields = fields
                    .into_iter()
                    .map(|(name, value)| (name.into(), value.into()))
                    .collect();
                (id, fields)
            })
            .collect();
        // Entries are read as wholes, so that nothing after the cursor is left in its own entry.
        Ok(page(self.shard, None, entries))
    }
}

type RawEntry = (String, Vec<(Bytes, Bytes)>);

fn entries_of(what: &'static str, value: Value) -> Result<Vec<RawEntry>, StoreError> {
    let mut reply = Reply::list(what, value)?;
    let mut entries = Vec::with_capacity(reply.len());
    while reply.len() > 0 {
        let mut entry = reply.nested()?;
        let id = entry.text()?;
        let mut fields = entry.nested()?;
        let mut pairs = Vec::with_capacity(fields.len() / 2);
        while fields.len() > 0 {
            pairs.push((fields.bytes()?, fields.bytes()?));
        }
        entries.push((id, pairs));
    }
    Ok(entries)
}

/// Unpacks entries and leaves out what stands at or before `after`.
fn page(shard: ShardIndex, after: Option<EventCursor>, entries: Vec<RawEntry>) -> LogPage {
    let mut page = LogPage::default();
    for (id, fields) in entries {
        let Some(Entry { ordinal, events }) = parse(shard, &id, &fields) else {
            tracing::warn!(%shard, entry = %id, "unreadable entry in the event log");
            // Passed over, so that a reader does not come back to it for ever.
            let passed = entry_id(&id).map(|(millis, sequence)| EventCursor {
                millis,
                sequence,
                index: u32::MAX,
            });
            page.end = passed.or(page.end);
            continue;
        };
        for (event, ordinal) in events.into_iter().zip(ordinal..) {
            if after.is_none_or(|after| event.cursor > after) {
                page.ordinal.get_or_insert(ordinal);
                page.end = Some(event.cursor);
                page.events.push(event);
            }
        }
    }
    page
}
