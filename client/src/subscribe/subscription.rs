//! The merged stream of the shards that a subscription reads.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::Stream;
use paceline_store::StoreError;
use paceline_types::ShardIndex;
use tokio::sync::mpsc;

use super::place::Place;
use super::tail::Parcel;
use super::{Cursors, Delivery};

/// Events as they happen: call [`Subscription::next`], or use it as a [`Stream`].
///
/// The order within a shard is kept, so the events of a job, and of a workflow with all of its
/// tasks, come in the order in which they happened. Between shards there is no order.
#[derive(Debug)]
pub struct Subscription {
    parcels: mpsc::Receiver<Result<Parcel, StoreError>>,
    /// What is being delivered.
    current: VecDeque<(Delivery, Place)>,
    /// Where the shard of `current` stands once it is delivered.
    current_end: Option<(ShardIndex, Place)>,
    cursors: Cursors,
    failed: bool,
}

impl Subscription {
    pub(super) fn new(
        parcels: mpsc::Receiver<Result<Parcel, StoreError>>,
        cursors: Cursors,
    ) -> Subscription {
        Subscription {
            parcels,
            current: VecDeque::new(),
            current_end: None,
            cursors,
            failed: false,
        }
    }

    /// The next event, or the news that history was trimmed before it could be read.
    ///
    /// Waits for as long as nothing happens, also across disconnects. Nothing is lost if the wait
    /// is given up. `None` comes only after an error.
    ///
    /// # Errors
    /// When reading fails for a reason that does not pass by itself, such as a right that is
    /// missing. The subscription ends with it.
    pub async fn next(&mut self) -> Option<Result<Delivery, StoreError>> {
        poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }

    /// Where the subscription stands: after everything that was delivered. A later subscription
    /// that begins [`from`](super::SubscribeBuilder::from) here delivers all that follows, and
    /// nothing twice.
    #[must_use]
    pub fn cursors(&self) -> &Cursors {
        &self.cursors
    }

    fn deliver(&mut self) -> Option<Delivery> {
        let (delivery, mut place) = self.current.pop_front()?;
        let (shard, until) = self.current_end?;
        if self.current.is_empty() {
            place = until;
        }
        self.cursors.set_place(shard, place);
        Some(delivery)
    }
}

impl Stream for Subscription {
    type Item = Result<Delivery, StoreError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(delivery) = self.deliver() {
                return Poll::Ready(Some(Ok(delivery)));
            }
            if self.failed {
                return Poll::Ready(None);
            }
            match futures::ready!(self.parcels.poll_recv(context)) {
                Some(Ok(parcel)) if parcel.deliveries.is_empty() => {
                    self.cursors.set_place(parcel.shard, parcel.until);
                }
                Some(Ok(parcel)) => {
                    self.current = parcel.deliveries.into();
                    self.current_end = Some((parcel.shard, parcel.until));
                }
                Some(Err(error)) => {
                    // The other shards are not read on: an event stream with a silent hole in
                    // it is worse than one that ends.
                    self.failed = true;
                    self.parcels.close();
                    return Poll::Ready(Some(Err(error)));
                }
                None => {
                    self.failed = true;
                    return Poll::Ready(None);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;
    use paceline_types::EventKind;

    use super::super::filter::tests::event;
    use super::*;

    fn subscription() -> (mpsc::Sender<Result<Parcel, StoreError>>, Subscription) {
        let (sender, parcels) = mpsc::channel(8);
        let cursors = "0:1-0.0@1".parse().expect("cursors");
        (sender, Subscription::new(parcels, cursors))
    }

    fn parcel(deliveries: &[(&Delivery, &str)], until: &str) -> Result<Parcel, StoreError> {
        let place = |text: &str| text.parse::<Place>().expect("place");
        let deliveries = deliveries.iter();
        Ok(Parcel {
            shard: ShardIndex(0),
            deliveries: deliveries
                .map(|(delivery, at)| ((*delivery).clone(), place(at)))
                .collect(),
            until: place(until),
        })
    }

    fn happened(cursor: &str) -> Delivery {
        Delivery::Event(event(EventKind::JobCompleted, cursor))
    }

    #[tokio::test]
    async fn the_cursors_follow_what_was_delivered_and_what_was_filtered_out() {
        let (sender, mut subscription) = subscription();
        let gap = Delivery::Gap {
            shard: ShardIndex(0),
            after: "1-0.0".parse().expect("cursor"),
            until: "5-0.0".parse().expect("cursor"),
            missing: Some(3),
        };
        let (first, second, last) = (happened("5-0.0"), happened("5-0.3"), happened("8-0.0"));
        for parcel in [
            parcel(
                &[(&gap, "1-0.0@1"), (&first, "5-0.0@5"), (&second, "5-0.3@8")],
                "5-0.9@14",
            ),
            parcel(&[], "7-0.0@15"),
            parcel(&[(&last, "8-0.0@16")], "8-0.0@16"),
        ] {
            sender.send(parcel).await.expect("sent");
        }
        for (delivery, cursors) in [
            (gap, "0:1-0.0@1"),
            (first, "0:5-0.0@5"),
            (second, "0:5-0.9@14"),
            (last, "0:8-0.0@16"),
        ] {
            let next = subscription.next().await.expect("open").expect("read");
            assert_eq!(next, delivery);
            assert_eq!(subscription.cursors().to_string(), cursors);
        }
    }

    #[tokio::test]
    async fn it_ends_with_the_first_error() {
        let (sender, mut subscription) = subscription();
        let error = StoreError::protocol("events", "an entry", &"x");
        sender.send(Err(error)).await.expect("sent");
        let later = parcel(&[(&happened("8-0.0"), "8-0.0")], "8-0.0");
        sender.send(later).await.expect("sent");
        assert!(
            StreamExt::next(&mut subscription)
                .await
                .expect("told")
                .is_err()
        );
        assert!(StreamExt::next(&mut subscription).await.is_none());
        assert!(sender.is_closed());
    }
}
