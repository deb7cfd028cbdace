//! The hot path: one pump per shard settles finished runs and claims more.
//!
//! While a turn is on the wire, finished runs collect for the next one; see [`plan`] for when it
//! is sent. A pump works for one incarnation of its node at a time: when that is over it drops
//! everything, since none of it counts any more, and waits for the next one. A finished run
//! leaves the pump only with an answer of Redis or with its incarnation.

mod bell;
mod deliver;
mod plan;
mod shift;

use std::sync::Arc;

use tokio::sync::watch;

use crate::identity::Seat;
use crate::kit::Kit;
use crate::owned::Owned;
use crate::phase::Phase;
use crate::telemetry::ShardMetrics;
use bell::Doorbell;
use shift::{Shift, ShiftEnd};

/// Works one shard until the node stops.
pub(crate) async fn run(kit: Arc<Kit>, seat: Arc<Seat>, mut phase: watch::Receiver<Phase>) {
    let door = Arc::new(Doorbell::default());
    let metrics = ShardMetrics::new(seat.shard);
    let _ringing = Owned::spawn(bell::run(
        Arc::clone(&kit),
        seat.shard,
        Arc::clone(&door),
        metrics.poll_errors.clone(),
    ));
    let mut seated = seat.incarnation.subscribe();
    loop {
        let incarnation = tokio::select! {
            biased;
            _ = phase.wait_for(|phase| *phase >= Phase::Draining) => break,
            seated = seated.wait_for(|seated| seated.as_ref().is_some_and(|one| !one.is_over())) => {
                match seated.as_deref() {
                    Ok(Some(incarnation)) => Arc::clone(incarnation),
                    Ok(None) | Err(_) => break,
                }
            }
        };
        let shift = Shift::new(
            &kit,
            &seat,
            incarnation,
            metrics.clone(),
            &door,
            phase.clone(),
        );
        match shift.work().await {
            ShiftEnd::Over => tracing::warn!(
                shard = %seat.shard,
                "the runs of this shard were given up, since its lease is not safe any more"
            ),
            ShiftEnd::Drained => break,
        }
    }
}
