//! Claims as the script hands them out, and what a handler is given.

use bytes::Bytes;
use paceline_types::{JobId, UnixMillis};

use crate::StoreError;
use crate::wire::job::JobRecord;
use crate::wire::pack::unpack;
use crate::wire::reply::Reply;
use crate::wire::state::{Run, RunToken, State};

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

/// Reads claims that share a token.
pub(super) fn parse_claims(mut group: Reply, claimed: &mut Vec<Claimed>) -> Result<(), StoreError> {
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
