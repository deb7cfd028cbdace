//! The heartbeat: keeps the node's lease in every shard, from a thread of its own.
//!
//! Its runtime and its connection are its own too, so that neither a handler that blocks nor a
//! connection full of turns can keep a beat from being sent in time. It also carries out what
//! must not wait for such a handler: cancelling runs, and giving all of them up when the lease
//! is not safe any more. One task per shard: a shard whose Redis is slow delays no other.

mod pulse;
mod reporter;

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use paceline_store::calls::open::OpenError;
use paceline_store::{RedisUrl, Store, StoreError, StoreOptions};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use crate::identity::Seat;
use crate::kit::Kit;
use crate::phase::Phase;
use crate::telemetry::{NodeMetrics, ShardMetrics};
use pulse::Pulse;

/// Why the heartbeat did not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HeartbeatError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Join(#[from] StoreError),
    #[error("the heartbeat's thread cannot be started: {0}")]
    Thread(#[from] std::io::Error),
}

/// The running thread.
pub(crate) struct Heartbeat {
    thread: Option<JoinHandle<()>>,
    ended: oneshot::Receiver<()>,
}

impl Heartbeat {
    /// Starts the thread; returns when the node has joined every shard.
    pub(crate) async fn start(
        kit: &Arc<Kit>,
        seats: &[Arc<Seat>],
        url: RedisUrl,
        options: StoreOptions,
        phase: &watch::Receiver<Phase>,
    ) -> Result<Heartbeat, HeartbeatError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (joined, told) = oneshot::channel();
        let (ending, ended) = oneshot::channel();
        let (kit, seats, phase) = (Arc::clone(kit), seats.to_vec(), phase.clone());
        let thread = std::thread::Builder::new()
            .name("paceline-heartbeat".to_owned())
            .spawn(move || {
                runtime.block_on(beat_everywhere(kit, seats, url, options, phase, joined));
                // A feed's connection that hangs must not keep the node from stopping.
                runtime.shutdown_background();
                let _ = ending.send(());
            })?;
        let heartbeat = Heartbeat {
            thread: Some(thread),
            ended,
        };
        match told.await {
            Ok(Ok(())) => Ok(heartbeat),
            Ok(Err(error)) => Err(error),
            // The thread panicked.
            Err(_) => Err(std::io::Error::other("it ended at once").into()),
        }
    }

    /// Returns when the node has left every shard; the phase must have told it to.
    pub(crate) async fn ended(mut self) {
        let _ = (&mut self.ended).await;
        if let Some(thread) = self.thread.take() {
            // It is at its very end.
            let _ = thread.join();
        }
    }
}

async fn beat_everywhere(
    kit: Arc<Kit>,
    seats: Vec<Arc<Seat>>,
    url: RedisUrl,
    options: StoreOptions,
    phase: watch::Receiver<Phase>,
    joined: oneshot::Sender<Result<(), HeartbeatError>>,
) {
    let store = match Store::open(&url, options).await {
        Ok(store) => store,
        Err(error) => {
            let _ = joined.send(Err(error.into()));
            return;
        }
    };
    let mut shards = JoinSet::new();
    let (report, mut reports) = mpsc::channel(seats.len().max(1));
    for seat in seats {
        let pulse = Pulse {
            kit: Arc::clone(&kit),
            store: store.clone(),
            metrics: ShardMetrics::new(seat.shard),
            seat,
            phase: phase.clone(),
        };
        shards.spawn(pulse.run(report.clone()));
    }
    drop(report);
    let first = async {
        while let Some(result) = reports.recv().await {
            result?;
        }
        Ok(())
    };
    let first: Result<(), StoreError> = first.await;
    let failed = first.is_err();
    // Whoever started the node may have given up; then the phase will say so.
    let _ = joined.send(first.map_err(HeartbeatError::from));
    if failed {
        return;
    }
    let measuring = tokio::spawn(measure(Arc::clone(&kit), store));
    while shards.join_next().await.is_some() {}
    measuring.abort();
}

/// Publishes what is read off the node.
async fn measure(kit: Arc<Kit>, store: Store) {
    let metrics = NodeMetrics::new();
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    loop {
        ticks.tick().await;
        metrics.free.set(f64::from(kit.slots.free()));
        metrics.running.set(f64::from(kit.slots.running()));
        metrics
            .drained
            .set(if kit.is_drained() { 1.0 } else { 0.0 });
        let stats = [kit.store.link().stats(), store.link().stats()];
        metrics
            .reconnects
            .absolute(stats.iter().map(|stats| stats.rebuilds).sum());
        metrics
            .retries
            .absolute(stats.iter().map(|stats| stats.retries).sum());
        metrics
            .timeouts
            .absolute(stats.iter().map(|stats| stats.timeouts).sum());
    }
}
