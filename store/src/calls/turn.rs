//! The hot path: settle finished runs and claim more, in one call.

use std::time::Duration;

use bytes::Bytes;
use paceline_types::{JobId, NodeId, Settlement, ShardIndex, TierWeights, Version};
use redis::Value;

use super::MAX_BATCH;
use crate::script::{Invocation, Script};
use crate::wire::millis;
use crate::wire::reply::Reply;
use crate::{Store, StoreError};

mod claimed;
mod settling;

use claimed::parse_claims;
pub use claimed::{Claimed, Composition, MissingUpstream, UpstreamResults};
pub(crate) use claimed::{failure, upstream_result};
use settling::{add_followed, add_settles};

pub use crate::wire::batch::ItemRef;
pub use crate::wire::job::{UpstreamRef, WorkflowRef};
pub use crate::wire::state::RunToken;

pub(crate) static TURN: Script = script!("turn");

/// Longest error that is kept, in bytes; more is cut.
pub const MAX_ERROR: usize = 16 * 1024;

/// One exchange of a node with a shard.
#[derive(Clone, Debug)]
pub struct Turn<'a> {
    /// The node; it must be registered in order to claim.
    pub node: NodeId,
    /// Which of the node's exchanges that may be under way at the same time.
    pub slot: u8,
    /// Counts the turns of the slot. A turn that got no reply is sent again under its number,
    /// and hands out the same claims.
    pub number: u64,
    /// Runs that ended, at most [`MAX_BATCH`].
    pub settle: &'a [Settle],
    /// What to claim; none to settle only.
    pub claim: Option<Claim<'a>>,
}

/// The end of one run.
#[derive(Clone, Debug, PartialEq)]
pub struct Settle {
    /// The job.
    pub job: JobId,
    /// Proof of owning the run.
    pub token: RunToken,
    /// Which execution it was.
    pub attempt: u32,
    /// The fencing token of the run.
    pub run: u64,
    /// What becomes of the job.
    pub settlement: Settlement,
    /// Lane and place in a workflow, as the job's record says.
    pub ident: Bytes,
    /// What the end of the run must see to, as the job's record says.
    pub followed: Box<[Box<str>]>,
    /// Whether its workflow or batch must be told. Such jobs are kept as long as that is.
    pub in_workflow: bool,
    /// How long the job is kept after its end; zero means for ever.
    pub retention: Duration,
}

impl Settle {
    /// The end of a claimed run.
    #[must_use]
    pub fn of(claimed: &Claimed, settlement: Settlement, retention: Duration) -> Settle {
        Settle {
            job: claimed.job,
            token: claimed.token.clone(),
            attempt: claimed.attempt,
            run: claimed.run,
            settlement,
            ident: claimed.record.ident.clone(),
            followed: claimed.record.followed.clone(),
            in_workflow: claimed.record.workflow.is_some() || claimed.record.batch.is_some(),
            retention,
        }
    }
}

/// What a node wants to run next.
#[derive(Clone, Debug)]
pub struct Claim<'a> {
    /// At most so many jobs, up to [`MAX_BATCH`].
    pub max: u32,
    /// Shares of the tiers.
    pub weights: TierWeights,
    /// Jobs claimed so far: says whose turn it is among the tiers.
    pub ticket: u64,
    /// The node's handlers, and how many more runs each may take.
    pub serves: &'a [Serves],
}

/// One handler of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Serves {
    /// A task type, or a prefix that ends in `*`.
    pub pattern: String,
    /// Its version, if it has one.
    pub version: Option<Version>,
    /// How many runs it may take now.
    pub free: u32,
}

/// What a turn came to.
#[derive(Clone, Debug, Default)]
pub struct TurnReply {
    /// For each settle, in order.
    pub settled: Vec<Settled>,
    /// What was claimed; each run begins now.
    pub claimed: Vec<Claimed>,
    /// The node's lease has ended, so that nothing was claimed.
    pub unregistered: bool,
    /// Work that this node could take now was left.
    pub more: bool,
}

/// What became of one settle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// Accepted, now or by an earlier sending of the same turn.
    Accepted,
    /// The job had been asked to stop: it ended as cancelled, is dead because it lasted too long, or
    /// went back to its lane, by who asked.
    Cancelled,
    /// The run is not this node's any more; nothing was changed.
    Fenced,
}

impl Store {
    /// Settles finished runs and claims more.
    ///
    /// On `Ok` every settle has its answer and every claimed run belongs to the node.
    ///
    /// # Errors
    /// When there was no answer: send the same turn again.
    pub async fn turn(&self, shard: ShardIndex, turn: &Turn<'_>) -> Result<TurnReply, StoreError> {
        debug_assert!(turn.settle.len() <= MAX_BATCH);
        let keys = self.keys(shard)?;
        let serves = turn.claim.as_ref().map_or(0, |claim| claim.serves.len());
        let arguments = 16 + 3 * turn.settle.len() + 3 * serves;
        let mut call = Invocation::with_capacity(
            &TURN,
            &[&keys.events, &keys.runs],
            arguments,
            64 * turn.settle.len() + 32 * serves,
        );
        call.arg(turn.node.bare(&mut [0; 26]) as &str)
            .arg(turn.slot)
            .arg(turn.number)
            .arg(self.shared.event_cap)
            .arg(millis(RETENTION_FAILED));
        add_settles(&mut call, turn.settle);
        add_followed(&mut call, turn.settle);
        match &turn.claim {
            None => {
                call.arg(0);
            }
            Some(claim) => {
                use paceline_types::Tier;
                call.arg(claim.max)
                    .arg(claim.weights.of(Tier::High))
                    .arg(claim.weights.of(Tier::Normal))
                    .arg(claim.weights.of(Tier::Low))
                    // Beyond 2^53 a number of Lua loses its last digits.
                    .arg(claim.ticket % (1 << 48))
                    .arg(claim.serves.len());
                for serves in claim.serves {
                    let version = serves.version.as_ref().map_or("", Version::as_str);
                    call.arg(&serves.pattern).arg(version).arg(serves.free);
                }
            }
        }
        parse_reply(self.link.call(&call).await?)
    }
}

/// How long dead and cancelled jobs are kept unless said otherwise: 7 days.
pub const RETENTION_FAILED: Duration = Duration::from_secs(7 * 24 * 3600);

/// How long completed jobs are kept unless said otherwise: 1 hour.
pub const RETENTION_COMPLETED: Duration = Duration::from_secs(3600);

fn parse_reply(value: Value) -> Result<TurnReply, StoreError> {
    let mut reply = Reply::list("turn", value)?;
    let settled = reply
        .text()?
        .chars()
        .map(|answer| match answer {
            '.' | 'r' => Ok(Settled::Accepted),
            'c' => Ok(Settled::Cancelled),
            'f' => Ok(Settled::Fenced),
            other => Err(StoreError::protocol(
                "turn",
                "the answer to a settle",
                &other,
            )),
        })
        .collect::<Result<_, _>>()?;
    let unregistered = reply.text()? == "unregistered";
    let more = reply.int()? == 1;
    let mut groups = reply.nested()?;
    let mut claimed = Vec::new();
    while groups.len() > 0 {
        parse_claims(groups.nested()?, &mut claimed)?;
    }
    Ok(TurnReply {
        settled,
        claimed,
        unregistered,
        more,
    })
}
