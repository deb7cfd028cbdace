//! Following events: from now, from the start, or from where an earlier subscription stood.

mod cursors;
mod filter;
mod place;
mod subscription;
mod tail;

use std::future::IntoFuture;
use std::sync::Arc;

use futures::future::{BoxFuture, try_join_all};
use paceline_store::{Store, StoreError};
use paceline_types::event::EventCursor;
use paceline_types::{
    BatchId, Event, EventKind, JobId, NameError, ShardIndex, TaskType, WorkflowId,
};
use tokio::sync::mpsc;

pub use self::cursors::{Cursors, CursorsError};
use self::filter::EventFilter;
use self::place::Place;
pub use self::subscription::Subscription;
use crate::Client;

/// Parcels that wait for a slow subscriber, at least. When they are not taken, nothing more is
/// read: the log itself is the buffer, and what is trimmed from it meanwhile is told as a gap.
const PARCELS: usize = 4;

/// What a subscription delivers.
#[expect(clippy::large_enum_variant, reason = "nearly all of them are events")]
#[derive(Clone, Debug, PartialEq)]
pub enum Delivery {
    /// Something happened.
    Event(Event),
    /// The log of a shard was trimmed, or flushed, before it could be read: events between the
    /// two places may be missing.
    Gap {
        /// The shard.
        shard: ShardIndex,
        /// The last event that was read before the gap.
        after: EventCursor,
        /// The first event that was read after it; it follows, unless a filter holds it back.
        until: EventCursor,
        /// How many events are missing, filtered ones included. `None` when that cannot be known:
        /// the log was flushed, a failover took its end, or the cursor came without a count.
        missing: Option<u64>,
    },
}

/// Why a subscription was not opened.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SubscribeError {
    /// A task type of the filter is not a name.
    #[error(transparent)]
    TaskType(#[from] NameError),
    /// The cursors, or the ids of the filter, are from a cluster with more shards.
    #[error(
        "shard {shard} does not exist, the namespace has {shards}: the cursors or ids are from \
         another cluster"
    )]
    UnknownShard {
        /// The shard.
        shard: ShardIndex,
        /// How many there are.
        shards: u16,
    },
    /// Redis could not be asked where the log ends.
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(Clone, Debug)]
enum Begin {
    Now,
    Start,
    Cursors(Cursors),
}

/// A subscription in the making: say from where and of what, then await it.
#[derive(Clone, Debug)]
#[must_use = "nothing is subscribed to until this is awaited"]
pub struct SubscribeBuilder {
    client: Client,
    from: Begin,
    filter: EventFilter,
    mistake: Option<NameError>,
}

impl Client {
    /// Follows what happens in the cluster: every transition, exactly once, in the order of its
    /// shard.
    ///
    /// ```no_run
    /// # use paceline_client::{Client, Delivery, EventKind};
    /// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut events = client
    ///     .subscribe()
    ///     .kinds([EventKind::JobCompleted, EventKind::JobDead])
    ///     .await?;
    /// while let Some(delivery) = events.next().await {
    ///     match delivery? {
    ///         Delivery::Event(event) => tracing::info!(kind = %event.kind, job = ?event.job_id),
    ///         Delivery::Gap { shard, .. } => tracing::warn!(%shard, "events are missing"),
    ///     }
    ///     let resume_here = events.cursors().to_string();
    /// #   let _ = resume_here;
    /// }
    /// # Ok(()) }
    /// ```
    pub fn subscribe(&self) -> SubscribeBuilder {
        SubscribeBuilder {
            client: self.clone(),
            from: Begin::Now,
            filter: EventFilter::default(),
            mistake: None,
        }
    }
}

impl SubscribeBuilder {
    /// Delivers what happens after the subscription is open; the default.
    pub fn from_now(mut self) -> Self {
        self.from = Begin::Now;
        self
    }

    /// Begins with the oldest event that is kept.
    pub fn from_start(mut self) -> Self {
        self.from = Begin::Start;
        self
    }

    /// Goes on where an earlier subscription stood. If history was trimmed since, that is
    /// delivered as a [`Delivery::Gap`].
    pub fn from(mut self, cursors: Cursors) -> Self {
        self.from = Begin::Cursors(cursors);
        self
    }

    /// Only events of these kinds; adds to earlier ones.
    pub fn kinds(mut self, kinds: impl IntoIterator<Item = EventKind>) -> Self {
        self.filter.kinds.extend(kinds);
        self
    }

    /// Only events of this job, or of others that were named so; only its shard is read.
    pub fn job(mut self, id: JobId) -> Self {
        self.filter.jobs.insert(id);
        self
    }

    /// Only events of this workflow and its tasks, or of others that were named so; only its
    /// shard is read.
    pub fn workflow(mut self, id: WorkflowId) -> Self {
        self.filter.workflows.insert(id);
        self
    }

    /// Only events of this batch and its items, or of others that were named so; only its shard is
    /// read.
    pub fn batch(mut self, id: BatchId) -> Self {
        self.filter.batches.insert(id);
        self
    }

    /// Only events of jobs of this task type, or of others that were named so.
    pub fn task_type(mut self, task_type: &str) -> Self {
        match TaskType::new(task_type) {
            Ok(task_type) => {
                self.filter.task_types.insert(task_type);
            }
            Err(error) => self.mistake = self.mistake.or(Some(error)),
        }
        self
    }

    /// Opens the subscription. What happens after it returned is delivered.
    ///
    /// # Errors
    /// See [`SubscribeError`].
    pub async fn open(self) -> Result<Subscription, SubscribeError> {
        if let Some(error) = self.mistake {
            return Err(error.into());
        }
        let store = self.client.store().clone();
        let shards = shards_to_read(&self.filter, &self.from, store.shards())?;
        let places = try_join_all(
            shards
                .into_iter()
                .map(|shard| begin(&store, &self.from, shard)),
        );
        let mut cursors = Cursors::default();
        for (shard, place) in places.await? {
            cursors.set_place(shard, place);
        }
        let filter = Arc::new(self.filter);
        let (sender, parcels) = mpsc::channel(PARCELS.max(usize::from(store.shards())));
        for (shard, place) in cursors.places() {
            let tail = store.event_tail(shard)?;
            let (filter, sender) = (filter.clone(), sender.clone());
            tokio::spawn(tail::follow(
                store.clone(),
                tail,
                (shard, place),
                filter,
                sender,
            ));
        }
        Ok(Subscription::new(parcels, cursors))
    }
}

impl IntoFuture for SubscribeBuilder {
    type Output = Result<Subscription, SubscribeError>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.open())
    }
}

async fn begin(
    store: &Store,
    from: &Begin,
    shard: ShardIndex,
) -> Result<(ShardIndex, Place), StoreError> {
    let place = match from {
        Begin::Now => match store.last_event(shard).await? {
            Some(last) => last.into(),
            // Nothing has happened yet, so that whatever comes first joins on.
            None => Place {
                cursor: EventCursor::default(),
                passed: Some(0),
            },
        },
        Begin::Start => Place::default(),
        Begin::Cursors(cursors) => cursors.place(shard).unwrap_or_default(),
    };
    Ok((shard, place))
}

fn shards_to_read(
    filter: &EventFilter,
    from: &Begin,
    shards: u16,
) -> Result<Vec<ShardIndex>, SubscribeError> {
    let read: Vec<_> = match filter.shards() {
        Some(some) => some.into_iter().collect(),
        None => (0..shards).map(ShardIndex).collect(),
    };
    let named = match from {
        Begin::Cursors(cursors) => cursors.iter().map(|(shard, _)| shard).collect(),
        Begin::Now | Begin::Start => Vec::new(),
    };
    match read.iter().chain(&named).find(|shard| shard.0 >= shards) {
        Some(&shard) => Err(SubscribeError::UnknownShard { shard, shards }),
        None => Ok(read),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_and_ids_of_another_cluster_are_refused() {
        let all = EventFilter::default();
        let one = EventFilter {
            jobs: [JobId::from_parts(1, ShardIndex(2), 3)].into(),
            ..EventFilter::default()
        };
        let far = Begin::Cursors("3:1-0.0".parse().expect("cursors"));
        let read = |filter, from, shards| {
            shards_to_read(filter, from, shards)
                .map(|read| read.iter().map(|shard| shard.0).collect::<Vec<_>>())
                .map_err(|error| error.to_string())
        };
        assert_eq!(read(&all, &Begin::Now, 3), Ok(vec![0, 1, 2]));
        assert_eq!(read(&one, &Begin::Start, 3), Ok(vec![2]));
        assert_eq!(read(&one, &far, 4), Ok(vec![2]));
        for (filter, from, shards) in [(&one, &Begin::Now, 2), (&all, &far, 3)] {
            let error = read(filter, from, shards).expect_err("no such shard");
            assert!(
                error.contains("does not exist, the namespace has"),
                "{error}"
            );
        }
    }
}
