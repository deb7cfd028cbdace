//! The operations of the store: one file each, a typed call and a typed refusal.
//!
//! Every operation that writes is one Lua script, named as its file. A call that got no reply
//! may be repeated as it is: each script recognises what it has already done.

use crate::StoreError;

pub mod audit;
pub mod batch;
pub mod callbacks;
pub mod cancel;
pub mod commit;
pub mod config;
pub mod dead_letters;
pub mod delete;
pub mod edit;
pub mod events;
pub mod expire_jobs;
pub mod group;
#[cfg(test)]
mod headers;
pub mod inbox;
pub mod leader;
pub mod leadership;
pub mod limits;
pub mod line;
pub mod list;
pub mod measure;
pub mod node;
pub mod open;
pub mod outbox;
pub mod pause;
pub mod read;
pub mod recover;
pub mod report;
pub mod requeue;
pub mod results;
pub mod resume;
pub mod retry;
pub mod schedule;
pub mod stats;
pub mod steering;
pub mod submit;
pub mod turn;
pub mod watch;
pub mod why;
pub mod wishes;
pub mod workflow;

/// Most jobs of one call: a script blocks Redis while it runs.
pub const MAX_BATCH: usize = 100;

/// Why a call did not do what was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CallError<R: std::fmt::Debug + std::fmt::Display> {
    /// Redis looked at it and refused: nothing was changed.
    #[error("{0}")]
    Refused(R),
    /// No answer, or an error of Redis.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A newer term leads the shard; nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("term {newest} leads the shard now")]
pub struct Fenced {
    /// The newest term, 0 when there is none (the data is gone).
    pub newest: u64,
}

/// Reads the first word of a leader's script: goes on with `ok`, refuses with `fenced`.
fn expect_ok(
    what: &'static str,
    value: redis::Value,
) -> Result<crate::wire::reply::Reply, CallError<Fenced>> {
    expect_one_of(what, value, &["ok"]).map(|(_, reply)| reply)
}

/// The same for a script with several answers to go on with; returns which of them it was.
fn expect_one_of(
    what: &'static str,
    value: redis::Value,
    answers: &[&'static str],
) -> Result<(&'static str, crate::wire::reply::Reply), CallError<Fenced>> {
    let mut reply = crate::wire::reply::Reply::list(what, value)?;
    let answer = reply.text()?;
    if let Some(known) = answers.iter().find(|known| **known == answer) {
        return Ok((known, reply));
    }
    match answer.as_str() {
        "fenced" => Err(CallError::Refused(Fenced {
            newest: reply.parse("a term")?,
        })),
        other => Ok(reply.unknown(other)?),
    }
}
