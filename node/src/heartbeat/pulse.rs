//! The heartbeat of one shard: join, beat, and when the lease is lost, begin again as another.

use std::sync::Arc;
use std::time::Duration;

use paceline_store::calls::node::{Beat, CancelSignal, Gone};
use paceline_store::{CallError, Store, StoreError};
use paceline_types::NodeId;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::reporter;
use crate::identity::{Incarnation, Seat};
use crate::kit::Kit;
use crate::lease::Lease;
use crate::owned::Owned;
use crate::phase::Phase;
use crate::telemetry::ShardMetrics;

/// Beats of the first shard from one that tells about the node to the next.
const BEATS_PER_INFO: u64 = 3;

/// Wait between attempts to join.
const JOIN_AGAIN: Duration = Duration::from_millis(250);

/// How long a node that stops tries to say so.
const FAREWELL: Duration = Duration::from_secs(2);

/// The heartbeat of one shard.
pub(super) struct Pulse {
    pub(super) kit: Arc<Kit>,
    pub(super) store: Store,
    pub(super) seat: Arc<Seat>,
    pub(super) metrics: ShardMetrics,
    pub(super) phase: watch::Receiver<Phase>,
}

/// Why a life in a shard ended.
enum LifeEnd {
    /// The lease is lost or not safe any more: go on under another id.
    Lost,
    /// The node stops.
    Stopped,
}

impl Pulse {
    /// Lives in the shard, under one id after the other, until the node stops.
    pub(super) async fn run(mut self, report: mpsc::Sender<Result<(), StoreError>>) {
        let mut report = Some(report);
        let mut id = self.kit.identity.newest();
        loop {
            let Some(lease) = self.join(id, &mut report).await else {
                return;
            };
            let incarnation = Arc::new(Incarnation::new(id, lease.fence_at()));
            self.seat.set_trouble(None);
            self.seat
                .incarnation
                .send_replace(Some(Arc::clone(&incarnation)));
            let end = self.live(&incarnation, lease).await;
            if matches!(end, LifeEnd::Stopped) {
                reporter::say_last(&self.store, self.seat.shard, &incarnation).await;
            }
            incarnation.fence();
            self.seat.incarnation.send_replace(None);
            match end {
                LifeEnd::Lost => {
                    self.metrics.fences.increment(1);
                    id = self.kit.identity.after(id);
                }
                LifeEnd::Stopped => {
                    self.leave(id).await;
                    return;
                }
            }
        }
    }

    /// Joins, for as long as it takes. None when the node stops, or when its very first attempt
    /// fails, which is reported.
    async fn join(
        &mut self,
        id: NodeId,
        report: &mut Option<mpsc::Sender<Result<(), StoreError>>>,
    ) -> Option<Lease> {
        loop {
            let info = self.kit.info(id);
            let sent = Instant::now();
            let length = self.kit.options.lease;
            let join = self.store.join(self.seat.shard, &info, length);
            // Of a lease that is granted late, too little is left. The first attempt may take
            // its time, so that whoever starts the node is told what is wrong.
            let limit = if report.is_some() {
                Duration::MAX
            } else {
                length / 2
            };
            let joined = tokio::select! {
                joined = tokio::time::timeout(limit, join) => joined.ok(),
                _ = self.phase.wait_for(|phase| *phase >= Phase::Leaving) => return None,
            };
            let Some(joined) = joined else {
                self.seat
                    .set_trouble(Some("Redis does not answer in time".to_owned()));
                continue;
            };
            let first = report.take();
            match joined {
                Ok(_) => {
                    tracing::info!(node = %id, shard = %self.seat.shard, "joined");
                    if let Some(report) = first {
                        let _ = report.send(Ok(())).await;
                    }
                    return Some(Lease::granted(length, sent));
                }
                Err(error) => {
                    if let Some(report) = first {
                        let _ = report.send(Err(error)).await;
                        return None;
                    }
                    tracing::warn!(node = %id, shard = %self.seat.shard, %error, "cannot join");
                    self.seat.set_trouble(Some(error.to_string()));
                }
            }
            tokio::time::sleep(JOIN_AGAIN).await;
        }
    }

    /// Beats until the lease is lost or the node stops.
    async fn live(&mut self, incarnation: &Arc<Incarnation>, mut lease: Lease) -> LifeEnd {
        let (hurry, mut hurried) = mpsc::channel(1);
        let feed = Owned::spawn(follow(
            self.store.clone(),
            Arc::clone(&self.seat),
            Arc::clone(incarnation),
            hurry,
        ));
        let reports = Owned::spawn(reporter::run(
            self.store.clone(),
            self.seat.shard,
            Arc::clone(incarnation),
        ));
        let mut beats = 0_u64;
        let mut failures = 0_u32;
        let end = loop {
            tokio::select! {
                biased;
                _ = self.phase.wait_for(|phase| *phase >= Phase::Leaving) => {
                    break LifeEnd::Stopped;
                }
                // The pump found out first.
                () = incarnation.over() => break LifeEnd::Lost,
                () = tokio::time::sleep_until(lease.fence_at()) => break LifeEnd::Lost,
                Some(()) = hurried.recv() => {}
                () = tokio::time::sleep_until(lease.next_beat(Instant::now(), failures)) => {}
            }
            let sent = Instant::now();
            let beat = self.beat(incarnation.id, beats);
            let Ok(beat) = tokio::time::timeout_at(lease.fence_at(), beat).await else {
                tracing::error!(
                    node = %incarnation.id,
                    shard = %self.seat.shard,
                    "no heartbeat was answered for most of a lease"
                );
                break LifeEnd::Lost;
            };
            match beat {
                Ok(beat) => {
                    beats += 1;
                    failures = 0;
                    lease.renewed(sent);
                    incarnation.extend(lease.fence_at());
                    self.seat.set_trouble(None);
                    self.hear(&beat);
                    for cancel in beat.cancels {
                        incarnation.cancel(cancel);
                    }
                }
                Err(CallError::Refused(Gone)) => {
                    tracing::error!(
                        node = %incarnation.id,
                        shard = %self.seat.shard,
                        "the lease has ended: Redis was flushed, or this node was silent too long"
                    );
                    self.seat
                        .set_trouble(Some("the lease has ended".to_owned()));
                    break LifeEnd::Lost;
                }
                Err(CallError::Store(error)) => {
                    failures += 1;
                    self.metrics.beats_failed.increment(1);
                    tracing::warn!(
                        node = %incarnation.id,
                        shard = %self.seat.shard,
                        %error,
                        "a heartbeat failed"
                    );
                    self.seat.set_trouble(Some(error.to_string()));
                }
            }
        };
        drop((feed, reports));
        end
    }

    async fn beat(&self, id: NodeId, beats: u64) -> Result<Beat, CallError<Gone>> {
        // Nodes are listed from their registration in the first shard.
        let tells = self.seat.shard.0 == 0 && beats.is_multiple_of(BEATS_PER_INFO);
        let info = tells.then(|| self.kit.info(id));
        let lease = self.kit.options.lease;
        self.store
            .beat(self.seat.shard, id, info.as_ref(), lease)
            .await
    }

    /// What the first shard says to the whole node.
    fn hear(&self, beat: &Beat) {
        if self.seat.shard.0 == 0 {
            self.kit.note_time(beat.now);
            self.kit.set_drained(beat.drained);
        }
    }

    async fn leave(&self, id: NodeId) {
        let leave = self.store.leave(self.seat.shard, id);
        match tokio::time::timeout(FAREWELL, leave).await {
            Ok(Ok(())) => tracing::info!(node = %id, shard = %self.seat.shard, "left"),
            Ok(Err(error)) => {
                tracing::warn!(node = %id, shard = %self.seat.shard, %error, "could not leave");
            }
            Err(_) => {
                tracing::warn!(node = %id, shard = %self.seat.shard, "could not leave in time");
            }
        }
    }
}

/// Cancels runs as soon as Redis tells; what is missed comes with a beat.
async fn follow(
    store: Store,
    seat: Arc<Seat>,
    incarnation: Arc<Incarnation>,
    hurry: mpsc::Sender<()>,
) {
    let mut feed = match store.cancellations(seat.shard, incarnation.id) {
        Ok(feed) => feed,
        Err(error) => {
            tracing::error!(shard = %seat.shard, %error, "cancellations cannot be followed");
            return;
        }
    };
    loop {
        match feed.next().await {
            CancelSignal::Cancel(cancel) => incarnation.cancel(cancel),
            // A full channel means that a beat is due already.
            CancelSignal::Reconnected => drop(hurry.try_send(())),
        }
    }
}
