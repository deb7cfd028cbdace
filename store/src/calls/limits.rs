//! Limits by key: declared once for all jobs that carry the key.

use paceline_types::{JobId, Limit, LimitKey, ShardIndex, UnixMillis};

use super::MAX_BATCH;
use crate::script::{Invocation, Script};
use crate::wire::escape::{escape, unescape};
use crate::wire::limit;
use crate::wire::reply::Reply;
use crate::{Store, StoreError};

pub(crate) static SET_LIMIT: Script = script!("set_limit");
pub(crate) static GET_LIMIT: Script = script!("get_limit");
pub(crate) static LIST_LIMITS: Script = script!("list_limits");

/// A limit and how much it is used.
#[derive(Clone, Debug, PartialEq)]
pub struct LimitUse {
    /// Its key.
    pub key: LimitKey,
    /// What is declared; none when jobs carry the key, and nothing was declared for it.
    pub limit: Option<Limit>,
    /// Jobs that run, or that were given a slot and will be claimed next.
    pub holders: u64,
    /// Jobs that are parked at this key.
    pub waiting: u64,
}

/// A job that holds a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The job.
    pub job: JobId,
    /// Until when the slot is kept for it; none while it runs.
    pub granted_until: Option<UnixMillis>,
}

impl Store {
    /// The shard that a limit and all jobs that carry its key live in.
    #[must_use]
    pub fn shard_of_limit(&self, key: &LimitKey) -> ShardIndex {
        ShardIndex::of_key(key.as_str(), self.shards())
    }

    /// Declares a limit, in place of what was declared for the key; none takes it back. Returns
    /// whether there was one before.
    ///
    /// On `Ok` it holds for all claims from now on, and parked jobs that it lets go on do. Jobs that
    /// run are not touched, so there may be more of them than it allows for a while.
    ///
    /// # Errors
    /// When there was no answer: the same call may be sent again.
    pub async fn set_limit(
        &self,
        key: &LimitKey,
        limit: Option<&Limit>,
    ) -> Result<bool, StoreError> {
        let keys = self.keys(self.shard_of_limit(key))?;
        let mut call = Invocation::new(&SET_LIMIT, &[&keys.events, &keys.limits]);
        call.arg(self.shared.event_cap)
            .arg(escape(key.as_str()))
            .arg(limit.map(limit::encode).unwrap_or_default());
        let mut reply = Reply::list("set_limit", self.link.call(&call).await?)?;
        match reply.text()?.as_str() {
            "set" | "unset" => Ok(reply.int()? == 1),
            other => reply.unknown(other),
        }
    }

    /// A limit and up to [`MAX_BATCH`] of its holders, running ones last.
    ///
    /// # Errors
    /// When there was no answer.
    pub async fn limit(&self, key: &LimitKey) -> Result<(LimitUse, Vec<Holder>), StoreError> {
        let keys = self.keys(self.shard_of_limit(key))?;
        let mut call = Invocation::new(&GET_LIMIT, &[&keys.events, &keys.limits]);
        call.arg(escape(key.as_str())).arg(MAX_BATCH);
        let mut reply = Reply::list("get_limit", self.link.call(&call).await?)?;
        let found = LimitUse {
            key: key.clone(),
            limit: limit::parse(&reply.text()?),
            holders: reply.parse("a count")?,
            waiting: reply.parse("a count")?,
        };
        let mut named = reply.nested()?;
        let mut holders = Vec::with_capacity(named.len() / 2);
        while named.len() > 0 {
            let (bare, score) = (named.text()?, named.text()?);
            let job = JobId::from_bare(&bare)
                .map_err(|_| StoreError::protocol("get_limit", "an id", &bare))?;
            let granted_until = score.parse().ok();
            holders.push(Holder { job, granted_until });
        }
        Ok((found, holders))
    }

    /// All limits that are declared, by key.
    ///
    /// # Errors
    /// When there was no answer.
    pub async fn limits(&self) -> Result<Vec<LimitUse>, StoreError> {
        let mut limits = Vec::new();
        for shard in self.each_shard() {
            let keys = self.keys(shard)?;
            let mut cursor = "0".to_owned();
            loop {
                let mut call = Invocation::new(&LIST_LIMITS, &[&keys.events, &keys.limits]);
                call.arg(&cursor).arg(MAX_BATCH);
                let mut reply = Reply::list("list_limits", self.link.call(&call).await?)?;
                cursor = reply.text()?;
                while reply.len() > 0 {
                    let key = reply.text()?;
                    let declared = limit::parse(&reply.text()?);
                    let (holders, waiting) = (reply.parse("a count")?, reply.parse("a count")?);
                    let key = unescape(&key).and_then(|key| LimitKey::new(&key).ok());
                    limits.extend(key.map(|key| LimitUse {
                        key,
                        limit: declared,
                        holders,
                        waiting,
                    }));
                }
                if cursor == "0" {
                    break;
                }
            }
        }
        limits.sort_by(|one, other| one.key.cmp(&other.key));
        // A walk over a hash that grows may name a field twice.
        limits.dedup_by(|one, other| one.key == other.key);
        Ok(limits)
    }
}
