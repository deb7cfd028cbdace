//! One turn on its way: sent again, as it is, until there is an answer.
//!
//! The same number lets Redis recognise a turn that it has carried out, so a lost reply costs
//! nothing but time. Only the end of the incarnation ends the attempts, since then the runs are
//! not this node's any more; a fault that no patience mends ends the incarnation, so that its
//! runs go to a node which can do better.

use std::sync::Arc;
use std::time::Duration;

use metrics::Counter;
use paceline_store::calls::turn::{Claim, Serves, Settle, Turn, TurnReply};
use paceline_types::ShardIndex;
use tokio::time::Instant;

use crate::identity::Incarnation;
use crate::kit::Kit;
use crate::slots::Reservation;

const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// Leases for which a fault may last that does not look as if it would pass.
const PATIENCE: u32 = 3;

/// A turn and what it needs.
pub(super) struct Parcel {
    pub(super) kit: Arc<Kit>,
    pub(super) shard: ShardIndex,
    pub(super) incarnation: Arc<Incarnation>,
    pub(super) slot: usize,
    pub(super) number: u64,
    pub(super) settle: Vec<Settle>,
    /// Handlers of the settled runs, in their order.
    pub(super) handlers: Vec<Option<usize>>,
    pub(super) reserved: Reservation,
    /// Empty when nothing is claimed.
    pub(super) serves: Vec<Serves>,
    pub(super) ticket: u64,
    pub(super) poll_errors: Counter,
}

/// A turn that was answered.
pub(super) struct Delivered {
    pub(super) parcel: Parcel,
    pub(super) reply: TurnReply,
}

impl Parcel {
    /// Jobs that are claimed at most; none when nothing is.
    pub(super) fn claims(&self) -> Option<u32> {
        (!self.serves.is_empty()).then(|| self.reserved.left())
    }

    /// Returns with the answer, however long it takes. Dropped when the incarnation is over.
    pub(super) async fn deliver(self) -> Delivered {
        let begun = Instant::now();
        let mut wait = FIRST_WAIT;
        loop {
            let turn = Turn {
                node: self.incarnation.id,
                slot: u8::try_from(self.slot).unwrap_or(u8::MAX),
                number: self.number,
                settle: &self.settle,
                claim: self.claims().map(|max| Claim {
                    max,
                    weights: self.kit.options.weights,
                    ticket: self.ticket,
                    serves: &self.serves,
                }),
            };
            let error = match self.kit.store.turn(self.shard, &turn).await {
                Ok(reply) => {
                    return Delivered {
                        parcel: self,
                        reply,
                    };
                }
                Err(error) => error,
            };
            self.poll_errors.increment(1);
            tracing::warn!(
                shard = %self.shard,
                node = %self.incarnation.id,
                settles = self.settle.len(),
                error = %error,
                "a turn got no usable answer and is sent again"
            );
            if !error.is_temporary() && begun.elapsed() > self.kit.options.lease * PATIENCE {
                self.incarnation.fence();
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }
}
