//! The leader's lock: a record without a TTL. `take`, `hold` and `resign` are its only writers.

use std::time::Duration;

use paceline_types::{NodeId, ShardIndex};

use super::CallError;
use crate::link::Blocking;
use crate::script::{Invocation, Script};
use crate::wire::reply::Reply;
use crate::{Store, StoreError};

pub(crate) static TAKE: Script = script!("take");
pub(crate) static HOLD: Script = script!("hold");
pub(crate) static RESIGN: Script = script!("resign");

/// The lock as somebody saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lock {
    /// Who holds it; none when it was given back.
    pub holder: Option<NodeId>,
    /// The newest term.
    pub term: u64,
    /// Raised by the holder while it lives.
    pub beat: u64,
}

/// The lock was not as it had been seen; nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the lock has moved on to term {}", .0.term)]
pub struct Taken(pub Lock);

/// Another leads, or the data of Redis is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the term is over")]
pub struct TermLost;

impl Store {
    /// The lock of a shard; none when nobody ever led it.
    ///
    /// # Errors
    /// When there was no answer.
    pub async fn look(&self, shard: ShardIndex) -> Result<Option<Lock>, StoreError> {
        let mut command = redis::cmd("HMGET");
        command
            .arg(&self.keys(shard)?.leader)
            .arg("holder")
            .arg("term")
            .arg("beat");
        let mut reply = Reply::list("HMGET", self.link.command(&command).await?)?;
        let holder = reply.text()?;
        let term = reply.text()?;
        if term.is_empty() {
            return Ok(None);
        }
        let term = term
            .parse()
            .map_err(|_| StoreError::protocol("HMGET", "a term", &term))?;
        Ok(Some(Lock {
            holder: NodeId::from_bare(&holder).ok(),
            term,
            beat: reply.parse("a beat")?,
        }))
    }

    /// Takes the lock if it is free or stands as `seen`, under a term above all that are known
    /// here and there. Returns the term.
    ///
    /// # Errors
    /// [`Taken`]: it has moved since it was seen. After a lost reply the same call returns the
    /// term that it won.
    pub async fn take(
        &self,
        shard: ShardIndex,
        node: NodeId,
        seen: Option<&Lock>,
        known_term: u64,
    ) -> Result<u64, CallError<Taken>> {
        let keys = self.keys(shard)?;
        let mut call = Invocation::new(&TAKE, &[&keys.events, &keys.leader]);
        call.arg(self.shared.event_cap)
            .arg(node.bare(&mut [0; 26]) as &str)
            .arg(seen.map_or(String::new(), |lock| lock.term.to_string()))
            .arg(seen.map_or(String::new(), |lock| lock.beat.to_string()))
            .arg(known_term);
        let mut reply = Reply::list("take", self.link.call(&call).await?)?;
        let answer = reply.text()?;
        match answer.as_str() {
            "ok" => Ok(reply.parse("a term")?),
            "taken" => Err(CallError::Refused(Taken(Lock {
                holder: NodeId::from_bare(&reply.text()?).ok(),
                term: reply.parse("a term")?,
                beat: reply.parse("a beat")?,
            }))),
            other => Ok(reply.unknown(other)?),
        }
    }

    /// Raises the holder's beat.
    ///
    /// # Errors
    /// [`TermLost`]: stop leading at once. Without an answer the beat may or may not be raised.
    pub async fn hold(
        &self,
        shard: ShardIndex,
        node: NodeId,
        term: u64,
    ) -> Result<(), CallError<TermLost>> {
        let keys = self.keys(shard)?;
        let mut call = Invocation::new(&HOLD, &[&keys.events, &keys.leader]);
        call.arg(term).arg(node.bare(&mut [0; 26]) as &str);
        let mut reply = Reply::list("hold", self.link.call(&call).await?)?;
        let answer = reply.text()?;
        match answer.as_str() {
            "ok" => Ok(()),
            "lost" => Err(CallError::Refused(TermLost)),
            other => Ok(reply.unknown(other)?),
        }
    }

    /// Gives the lock back, so that the next one may take it at once. Without it, nothing.
    ///
    /// # Errors
    /// When there was no answer: the same call may be sent again.
    pub async fn resign(
        &self,
        shard: ShardIndex,
        node: NodeId,
        term: u64,
    ) -> Result<(), StoreError> {
        let keys = self.keys(shard)?;
        let mut call = Invocation::new(&RESIGN, &[&keys.events, &keys.leader]);
        call.arg(term)
            .arg(node.bare(&mut [0; 26]) as &str)
            .arg(self.shared.event_cap);
        self.link.call(&call).await?;
        Ok(())
    }

    /// The bell of a shard's leader, on a connection of its own.
    ///
    /// # Errors
    /// When the shard does not exist.
    pub fn leader_bell(&self, shard: ShardIndex) -> Result<LeaderBell, StoreError> {
        let key = self.keys(shard)?.leader_bell.clone();
        Ok(LeaderBell {
            blocking: Blocking::new(&self.link),
            key,
        })
    }
}

/// Wakes the leader of a shard.
#[derive(Debug)]
pub struct LeaderBell {
    blocking: Blocking,
    key: String,
}

impl LeaderBell {
    /// Whether it rang, within about `at_most`.
    ///
    /// # Errors
    /// When the connection failed; the next call makes a new one.
    pub async fn wait(&mut self, at_most: Duration) -> Result<bool, StoreError> {
        let rung = self
            .blocking
            .blpop(std::slice::from_ref(&self.key), at_most)
            .await?;
        Ok(rung.is_some())
    }
}
