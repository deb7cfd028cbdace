//! Follows the log of one shard, and hands on what the filter accepts.

use std::sync::Arc;
use std::time::Duration;

use paceline_store::calls::events::{EventTail, LogPage};
use paceline_store::{Store, StoreError};
use paceline_types::ShardIndex;
use paceline_types::event::EventCursor;
use tokio::sync::mpsc;

use super::Delivery;
use super::filter::EventFilter;
use super::place::{Join, Place};

/// How long one read waits for events. Nothing depends on it: a subscription that is dropped does
/// not wait for the end of a read.
const READ_WAIT: Duration = Duration::from_secs(5);

/// Entries of the log that the first read takes.
const FIRST_ENTRIES: usize = 100;

/// Between two reads that failed: a server that refuses at once is not asked in a tight loop.
const FAILURE_PAUSE: Duration = Duration::from_millis(200);

/// What one read of one shard brought.
#[derive(Debug)]
pub(super) struct Parcel {
    pub(super) shard: ShardIndex,
    /// Each with the place where the subscription stands once it is delivered.
    pub(super) deliveries: Vec<(Delivery, Place)>,
    /// Where it stands once all are delivered, what the filter held back included.
    pub(super) until: Place,
}

struct Reader {
    store: Store,
    shard: ShardIndex,
    tail: EventTail,
    place: Place,
    /// The cursor may stand inside an entry, whose rest a tail would pass over.
    inside: bool,
    filter: Arc<EventFilter>,
}

/// Follows a shard until no one listens any more or reading fails for good.
pub(super) async fn follow(
    store: Store,
    tail: EventTail,
    (shard, place): (ShardIndex, Place),
    filter: Arc<EventFilter>,
    parcels: mpsc::Sender<Result<Parcel, StoreError>>,
) {
    let mut reader = Reader {
        store,
        shard,
        tail,
        place,
        inside: true,
        filter,
    };
    loop {
        let step = tokio::select! {
            step = reader.step() => step,
            () = parcels.closed() => return,
        };
        match step {
            Ok(None) => {}
            Ok(Some(parcel)) => {
                if parcels.send(Ok(parcel)).await.is_err() {
                    return;
                }
            }
            Err(error) if error.is_temporary() => {
                tracing::warn!(%shard, %error, "events cannot be read, trying again");
                tokio::select! {
                    () = tokio::time::sleep(FAILURE_PAUSE) => {}
                    () = parcels.closed() => return,
                }
            }
            Err(error) => {
                let _ = parcels.send(Err(error)).await;
                return;
            }
        }
    }
}

impl Reader {
    /// One read. On `Err` the place is unchanged, and the same events are read again.
    async fn step(&mut self) -> Result<Option<Parcel>, StoreError> {
        let after = self.place.cursor;
        let after = (after != EventCursor::default()).then_some(after);
        let page = if self.inside {
            self.store
                .read_events(self.shard, after, FIRST_ENTRIES)
                .await?
        } else {
            self.tail.next(after, READ_WAIT).await?
        };
        let Some(first) = page.events.first().map(|event| event.cursor) else {
            self.inside = false;
            return Ok(None);
        };
        let join = match self.place.joins(page.ordinal) {
            Join::Unsure => {
                let oldest = self.store.first_event(self.shard).await?;
                self.place.joins_by(oldest.map(|(oldest, _)| oldest), first)
            }
            sure => sure,
        };
        self.inside = false;
        let parcel = self.packed(page, join, first);
        self.place = parcel.until;
        Ok(Some(parcel))
    }

    fn packed(&self, page: LogPage, join: Join, first: EventCursor) -> Parcel {
        let gap = match join {
            Join::Whole | Join::Unsure => None,
            Join::Gap(missing) => Some(Delivery::Gap {
                shard: self.shard,
                after: self.place.cursor,
                until: first,
                missing,
            }),
        };
        let mut deliveries: Vec<_> = gap.map(|gap| (gap, self.place)).into_iter().collect();
        let mut until = self.place;
        let mut passed = page.ordinal;
        for event in page.events {
            passed = passed.map(|passed| passed + 1);
            until = Place {
                cursor: event.cursor,
                passed,
            };
            if self.filter.accepts(&event) {
                deliveries.push((Delivery::Event(event), until));
            }
        }
        Parcel {
            shard: self.shard,
            deliveries,
            until,
        }
    }
}
