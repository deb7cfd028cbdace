//! Claims as the script hands them out, and what a handler is given.

use std::collections::HashMap;

use bytes::Bytes;
use paceline_types::{JobId, TaskName, UnixMillis};

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
    /// States of the upstream jobs, in the order of [`UpstreamRef::jobs`](super::UpstreamRef::jobs).
    upstream: Vec<Bytes>,
}

/// The result of an upstream task is gone or was never there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the result of upstream task {task} is missing")]
pub struct MissingUpstream {
    /// The task that should have left it.
    pub task: TaskName,
}

impl Claimed {
    /// What the handler is given when its payload refers to nothing: the payload, or, when the task
    /// asks for upstream results, `{"upstream": …, "original": <payload>}`.
    ///
    /// The result of a completed upstream task is handed on as it is; that of a skipped one is
    /// `null`; one whose failure is allowed gives `{"error": "…"}`.
    ///
    /// # Errors
    /// When the record of an upstream job is gone.
    pub fn handler_payload(&self) -> Result<Bytes, MissingUpstream> {
        let payload = self.record.spec.payload.clone();
        Ok(match self.composition()? {
            None => payload,
            Some(composition) => composition.upstream.wrap(payload),
        })
    }

    /// What the payload is composed of; none when the handler is given it as it stands.
    ///
    /// First what it refers to is put in, if it is a template, then it is wrapped with
    /// [`UpstreamResults::wrap`].
    ///
    /// # Errors
    /// When the record of an upstream job is gone.
    pub fn composition(&self) -> Result<Option<Composition>, MissingUpstream> {
        let Some(upstream) = &self.record.upstream else {
            return Ok(None);
        };
        let states: HashMap<JobId, &Bytes> =
            upstream.jobs().into_iter().zip(&self.upstream).collect();
        let read = |sources: &[(TaskName, Option<JobId>)]| -> Result<Vec<_>, MissingUpstream> {
            let result = |(task, job): &(TaskName, Option<JobId>)| {
                let result = match job {
                    None => Some(Bytes::from_static(b"null")),
                    Some(job) => states.get(job).and_then(|state| upstream_result(state)),
                };
                match result {
                    Some(result) => Ok((task.clone(), result)),
                    None => Err(MissingUpstream { task: task.clone() }),
                }
            };
            sources.iter().map(result).collect()
        };
        let mut sources = read(&upstream.sources)?;
        Ok(Some(Composition {
            template: upstream.template,
            input: upstream.input,
            references: read(&upstream.references)?,
            upstream: match sources.len() {
                _ if upstream.many => UpstreamResults::Many(sources),
                0 => UpstreamResults::None,
                _ => {
                    let (task, result) = sources.swap_remove(0);
                    UpstreamResults::One(task, result)
                }
            },
        }))
    }
}

/// What the payload of a claimed job is composed of. Results are JSON as far as their handlers
/// answered JSON: `null` of a task that was skipped or passed by, `{"error": "…"}` of one whose
/// failure is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Composition {
    /// The payload holds references, to be put in first.
    pub template: bool,
    /// It refers to the input of the workflow: [`Store::workflow_input`](crate::Store::workflow_input).
    pub input: bool,
    /// The tasks that it refers to, with their results.
    pub references: Vec<(TaskName, Bytes)>,
    /// What it is wrapped with.
    pub upstream: UpstreamResults,
}

/// Whose results a payload is wrapped with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UpstreamResults {
    /// It is not wrapped.
    None,
    /// The result itself.
    One(TaskName, Bytes),
    /// An object of results by name, in this order.
    Many(Vec<(TaskName, Bytes)>),
}

impl UpstreamResults {
    /// `{"upstream": …, "original": <payload>}`, or the payload where there is nothing to wrap it
    /// with.
    #[must_use]
    pub fn wrap(&self, payload: Bytes) -> Bytes {
        use paceline_types::workflow::{object, with_upstream};
        match self {
            UpstreamResults::None => payload,
            UpstreamResults::One(_, result) => with_upstream(result, &payload),
            UpstreamResults::Many(results) => {
                let results = results.iter();
                let value = object(results.map(|(name, result)| (name.as_str(), Some(result))));
                with_upstream(&value, &payload)
            }
        }
    }
}

/// The result that an upstream job left, by its state record.
pub(crate) fn upstream_result(record: &Bytes) -> Option<Bytes> {
    let state = State::parse(record)?;
    match state.letter {
        'C' => Some(state.tail),
        'K' => Some(Bytes::from_static(b"null")),
        'D' | 'X' => failure(&String::from_utf8_lossy(&state.tail)),
        _ => None,
    }
}

/// The result of what failed and was allowed to.
pub(crate) fn failure(error: &str) -> Option<Bytes> {
    let result = serde_json::to_vec(&serde_json::json!({ "error": error }));
    result.ok().map(Bytes::from)
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
