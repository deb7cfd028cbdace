//! The hot path: settle finished runs and claim more, in one call.

use std::time::Duration;

use bytes::Bytes;
use paceline_types::{
    JobId, NodeId, Settlement, ShardIndex, TierWeights, UniqueKey, UnixMillis, Version,
};
use redis::Value;

use super::MAX_BATCH;
use crate::script::{Invocation, Script};
use crate::wire::escape::escape;
use crate::wire::job::JobRecord;
use crate::wire::pack::{pack, unpack};
use crate::wire::reply::Reply;
use crate::wire::state::{Run, State};
use crate::wire::{RS, US, millis, plain};
use crate::{Store, StoreError};

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
    /// Released when the job ends.
    pub unique_key: Option<UniqueKey>,
    /// Whether its workflow must be told. Such jobs are kept as long as their workflow.
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
            unique_key: claimed.record.spec.unique_key.clone(),
            in_workflow: claimed.record.workflow.is_some(),
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
    /// The job had been asked to stop, and ended as cancelled.
    Cancelled,
    /// The run is not this node's any more; nothing was changed.
    Fenced,
}

/// One run that a node has claimed.
#[derive(Clone, Debug, PartialEq)]
pub struct Claimed {
    /// The job.
    pub job: JobId,
    /// Proof of owning the run.
    pub token: RunToken,
    /// Which execution this is; the first is 1.
    pub attempt: u32,
    /// The fencing token: grows with every claim of the job.
    pub run: u64,
    /// Runs of it that ended with their node.
    pub crashes: u32,
    /// Failures in a row before this run.
    pub consecutive_errors: u32,
    /// When it was claimed.
    pub claimed_at: UnixMillis,
    /// What was asked for.
    pub record: JobRecord,
    /// States of the upstream jobs, in the order of those sources that have a job.
    upstream: Vec<Bytes>,
}

/// The result of an upstream task is gone or was never there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the result of upstream task {task} is missing")]
pub struct MissingUpstream {
    /// The task that should have left it.
    pub task: paceline_types::TaskName,
}

impl Claimed {
    /// What the handler is given: the payload, or, when the task asks for upstream results,
    /// `{"upstream": …, "original": <payload>}`.
    ///
    /// The result of a completed upstream task is handed on as it is; that of a skipped one is
    /// `null`; one whose failure is allowed gives `{"error": "…"}`.
    ///
    /// # Errors
    /// When the record of an upstream job is gone.
    pub fn handler_payload(&self) -> Result<Bytes, MissingUpstream> {
        let Some(upstream) = &self.record.upstream else {
            return Ok(self.record.spec.payload.clone());
        };
        let mut states = self.upstream.iter();
        let mut results = Vec::with_capacity(upstream.sources.len());
        for (task, job) in &upstream.sources {
            let result = match job {
                None => Bytes::from_static(b"null"),
                Some(_) => states
                    .next()
                    .and_then(upstream_result)
                    .ok_or_else(|| MissingUpstream { task: task.clone() })?,
            };
            results.push((task.as_str(), result));
        }
        let value = if upstream.many {
            paceline_types::workflow::object(
                results.iter().map(|(name, result)| (*name, Some(result))),
            )
        } else {
            results
                .into_iter()
                .next()
                .map_or(Bytes::from_static(b"null"), |(_, result)| result)
        };
        Ok(paceline_types::workflow::with_upstream(
            &value,
            &self.record.spec.payload,
        ))
    }
}

/// The result that an upstream job left, by its state record.
pub(crate) fn upstream_result(record: &Bytes) -> Option<Bytes> {
    let state = State::parse(record)?;
    match state.letter {
        'C' => Some(state.tail),
        'K' => Some(Bytes::from_static(b"null")),
        'D' | 'X' => {
            let error = String::from_utf8_lossy(&state.tail).into_owned();
            serde_json::to_vec(&serde_json::json!({ "error": error }))
                .ok()
                .map(Bytes::from)
        }
        _ => None,
    }
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
        let uniques: Vec<_> = turn
            .settle
            .iter()
            .enumerate()
            .filter_map(|(index, settle)| Some((index + 1, settle.unique_key.as_ref()?)))
            .collect();
        call.arg(uniques.len());
        for (index, key) in uniques {
            call.arg(index).arg(escape(key.as_str()));
        }
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

/// Runs that ended alike stand together: what they share is sent once.
fn add_settles(call: &mut Invocation, settles: &[Settle]) {
    let ends: Vec<End> = settles.iter().map(End::of).collect();
    let groups = || ends.chunk_by(|one, next| one.is_alike(next));
    call.arg(groups().count());
    for group in groups() {
        let End {
            code,
            attempt,
            number,
            settle,
            ..
        } = &group[0];
        let place = if settle.in_workflow { 'w' } else { '.' };
        let run = settle.run;
        redis::RedisWrite::write_arg_fmt(call, format_args!("{code}{place} {attempt} {run}"));
        call.bytes(&settle.token.0)
            .arg(number)
            .arg(pack(group.iter().map(|end| end.settle.job)));
        if settle.in_workflow {
            call.bytes(&items(group));
        } else {
            call.bytes(&settle.ident);
        }
        for end in group {
            let settle = end.settle;
            match &settle.settlement {
                Settlement::Completed { result } => call.bytes(result),
                _ => call.bytes(plain(end.why, MAX_ERROR).as_bytes()),
            };
        }
    }
}

/// id US ident of each, joined by RS.
fn items(group: &[End<'_>]) -> Vec<u8> {
    let mut items = Vec::with_capacity(96 * group.len());
    for End { settle, .. } in group {
        if !items.is_empty() {
            items.push(RS as u8);
        }
        items.extend_from_slice(settle.job.bare(&mut [0; 26]).as_bytes());
        items.push(US as u8);
        items.extend_from_slice(&settle.ident);
    }
    items
}

/// What a settlement is to the script.
struct End<'a> {
    settle: &'a Settle,
    code: char,
    attempt: u32,
    /// A retention or a delay, by the code.
    number: u64,
    why: &'a str,
}

impl End<'_> {
    fn of(settle: &Settle) -> End<'_> {
        let retention = millis(settle.retention);
        // A delay of a moment still goes through the delayed set, as a retry does.
        let delay = |delay: &Duration| millis(*delay).max(1);
        let unused = settle.attempt.saturating_sub(1);
        let (code, attempt, number, why) = match &settle.settlement {
            Settlement::Completed { .. } => ('C', settle.attempt, retention, ""),
            Settlement::Skipped { reason } => ('K', settle.attempt, retention, reason.as_str()),
            Settlement::Retry {
                delay: wait,
                error,
                uses_attempt,
            } => {
                let attempt = if *uses_attempt {
                    settle.attempt
                } else {
                    unused
                };
                ('R', attempt, delay(wait), error.as_str())
            }
            Settlement::Repeat { delay } => ('P', unused, millis(*delay), ""),
            Settlement::Paused { after, error } => (
                'Z',
                settle.attempt,
                after.as_ref().map_or(0, delay),
                error.as_str(),
            ),
            Settlement::Dead { error } => ('D', settle.attempt, retention, error.as_str()),
            Settlement::Released => ('L', unused, 0, ""),
        };
        End {
            settle,
            code,
            attempt,
            number,
            why,
        }
    }

    fn is_alike(&self, other: &End<'_>) -> bool {
        self.settle.token == other.settle.token
            && self.code == other.code
            && self.attempt == other.attempt
            && self.number == other.number
            && self.settle.in_workflow == other.settle.in_workflow
            && (self.settle.in_workflow || self.settle.ident == other.settle.ident)
    }
}

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

/// Reads claims that share a token.
fn parse_claims(mut group: Reply, claimed: &mut Vec<Claimed>) -> Result<(), StoreError> {
    let token = group.bytes()?;
    let packs = group.text()?;
    let ids = unpack(&packs).ok_or_else(|| StoreError::protocol("turn", "ids", &packs))?;
    let mut records = group.nested()?;
    let state = State::parse(&group.bytes()?);
    let mut upstreams = group.nested()?;
    let run = Run::parse(&token).ok_or_else(|| StoreError::protocol("turn", "a token", &token))?;
    claimed.reserve(records.len());
    for job in ids {
        let record = records.bytes()?;
        let record = JobRecord::parse(&record)
            .ok_or_else(|| StoreError::protocol("turn", "the record of a job", &record))?;
        let upstream = match upstreams.len() {
            0 => Vec::new(),
            _ => upstreams.nested()?.all_bytes()?,
        };
        claimed.push(Claimed {
            job,
            token: RunToken(token.clone()),
            attempt: run.attempt,
            run: run.run,
            crashes: state.as_ref().map_or(0, |state| state.crashes),
            consecutive_errors: state.as_ref().map_or(0, |state| state.errors),
            claimed_at: run.claimed_at,
            record,
            upstream,
        });
    }
    Ok(())
}
