//! Accepting jobs.

use std::borrow::Cow;

use paceline_types::job::Due;
use paceline_types::{JobId, JobSpec, LimitKey, ShardIndex, UniqueKey, UnixMillis};

use super::MAX_BATCH;
use crate::script::{Invocation, Script};
use crate::wire::escape::escape;
use crate::wire::pack::pack;
use crate::wire::reply::Reply;
use crate::wire::{US, job, millis};
use crate::{Store, StoreError};

pub(crate) static SUBMIT: Script = script!("submit");

/// A job to be accepted. The caller chooses its id, so that sending it again changes nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct NewJob {
    /// Names the job; its shard is where it goes, see [`Store::shard_for`].
    pub id: JobId,
    /// What is asked for; already checked.
    pub spec: JobSpec,
}

/// What became of an accepted job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Submitted {
    /// It exists under the id that it was given, from this call or from an earlier one.
    Created,
    /// Its idempotency key had made this job before; nothing was stored.
    Existing(JobId),
}

/// Why a job was not accepted. Nothing was stored for it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubmitRefusal {
    /// The unique key is held by a job that has not ended.
    #[error("unique key `{key}` is held by {holder}, which has not ended")]
    Duplicate {
        /// The key.
        key: UniqueKey,
        /// Its holder.
        holder: JobId,
    },
    /// The moment that it should run at has passed.
    #[error("run_at must be in the future: it is {at}, and the server's clock says {now}")]
    InThePast {
        /// The moment asked for.
        at: UnixMillis,
        /// The server's time.
        now: UnixMillis,
    },
}

/// Two keys of one job lead to different shards, so that no script could look at both.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the keys `{one}` and `{other}` of one job lead to different shards; give both the same part in \
     braces, as in `{{tenant 7}}/mail` and `{{tenant 7}}/print`, which alone chooses the shard then"
)]
pub struct KeysApart {
    /// The first key.
    pub one: String,
    /// The one that leads elsewhere.
    pub other: String,
}

impl Store {
    /// The shard of a job: by its unique key and the keys of its limits, else its idempotency key,
    /// else `fallback`.
    ///
    /// A key must always lead to the same shard, since one script checks and sets it. Beside other
    /// keys the idempotency key is therefore looked for in their shard.
    ///
    /// # Errors
    /// [`KeysApart`]: its keys lead to different shards.
    pub fn shard_for(&self, spec: &JobSpec, fallback: ShardIndex) -> Result<ShardIndex, KeysApart> {
        let unique = spec.unique_key.iter().map(UniqueKey::as_str);
        let limits = spec.limits.iter().map(LimitKey::as_str);
        let mut keys = unique.chain(limits);
        let of = |key: &str| ShardIndex::of_key(key, self.shards());
        let Some(first) = keys.next() else {
            let key = spec.idempotency_key.as_ref();
            return Ok(key.map_or(fallback, |key| of(key.as_str())));
        };
        match keys.find(|key| of(key) != of(first)) {
            None => Ok(of(first)),
            Some(other) => Err(KeysApart {
                one: first.to_owned(),
                other: other.to_owned(),
            }),
        }
    }

    /// Accepts jobs of one shard, at most [`MAX_BATCH`], each on its own terms, in one call.
    ///
    /// On `Ok` there is one answer for each job, in order; an accepted job is visible to workers.
    ///
    /// # Errors
    /// [`StoreError::OutOfMemory`]: none was stored. Otherwise see [`StoreError::maybe_stored`];
    /// the same call may be sent again.
    pub async fn submit(
        &self,
        shard: ShardIndex,
        jobs: &[NewJob],
    ) -> Result<Vec<Result<Submitted, SubmitRefusal>>, StoreError> {
        if jobs.is_empty() {
            return Ok(Vec::new());
        }
        let call = self.submit_call(shard, jobs)?;
        read_submitted(jobs, self.link.call(&call).await?)
    }

    /// The call that accepts jobs of one shard, at most [`MAX_BATCH`], to be sent by somebody else.
    ///
    /// # Errors
    /// When the shard does not exist.
    pub fn submit_call(
        &self,
        shard: ShardIndex,
        jobs: &[NewJob],
    ) -> Result<Invocation, StoreError> {
        debug_assert!(jobs.len() <= MAX_BATCH);
        let keys = self.keys(shard)?;
        let mut names = vec![keys.events.clone()];
        let mut extras: Vec<(usize, &str, String, usize)> = Vec::new();
        for (index, new) in jobs.iter().enumerate() {
            let spec = &new.spec;
            let index = index + 1;
            if let Some(key) = &spec.idempotency_key {
                names.push(keys.idempotency(&escape(key.as_str())));
                extras.push((
                    index,
                    "i",
                    millis(spec.idempotency_ttl).max(1).to_string(),
                    names.len(),
                ));
            }
            if let Some(key) = &spec.unique_key {
                names.push(keys.unique(&escape(key.as_str())));
                extras.push((index, "u", String::new(), names.len()));
            }
            match spec.due {
                Due::Now => {}
                Due::In(delay) if delay.is_zero() => {}
                Due::In(delay) => extras.push((index, "d", millis(delay).max(1).to_string(), 0)),
                Due::At(at) => extras.push((index, "a", at.to_string(), 0)),
            }
            if let Some(limit) = spec.schedule_to_start_timeout {
                extras.push((index, "x", millis(limit).max(1).to_string(), 0));
            }
            if spec.audited {
                extras.push((index, "A", String::new(), 0));
            }
            extras.extend(spec.tags.iter().map(|tag| (index, "t", tag.to_string(), 0)));
        }

        // In one go if they are alike and no id is there twice, as of jobs that are made in order.
        let in_order = jobs.windows(2).all(|two| two[0].id < two[1].id);
        let payloads: usize = jobs.iter().map(|new| new.spec.payload.len() + 64).sum();
        let alike = |one: &NewJob, next: &NewJob| {
            let (one, next) = (&one.spec, &next.spec);
            job::same_lane(one, next)
                && one.limits == next.limits
                && one.has_time_limits() == next.has_time_limits()
        };
        let groups = || jobs.chunk_by(alike);
        let mut call = Invocation::with_capacity(
            &SUBMIT,
            &names,
            4 + 4 * groups().count() + jobs.len() + 4 * extras.len(),
            payloads,
        );
        call.arg(self.shared.event_cap)
            .arg(groups().count())
            .arg(jobs.len())
            .arg(i32::from(extras.is_empty() && in_order));
        for group in groups() {
            call.arg(job::lane(&group[0].spec))
                .arg(mark(&group[0].spec))
                .arg(group.len())
                .arg(pack(group.iter().map(|new| new.id)));
        }
        for new in jobs {
            call.bytes(&job::encode(&new.spec, None, None));
        }
        for (index, kind, value, key) in &extras {
            call.arg(index).arg(*kind).arg(value).arg(key);
        }

        Ok(call)
    }
}

/// What a claim must look at before it starts such a job, see `lua/lib/lanes.lua`.
fn mark(spec: &JobSpec) -> Cow<'static, str> {
    if spec.has_time_limits() {
        return Cow::Borrowed("s");
    }
    if spec.limits.is_empty() {
        return Cow::Borrowed("j");
    }
    let keys = spec.limits.iter().map(|key| escape(key.as_str()));
    let keys: Vec<_> = keys.collect();
    Cow::Owned(format!("l{}", keys.join(&US.to_string())))
}

/// Reads the reply to a [`Store::submit_call`].
fn read_submitted(
    jobs: &[NewJob],
    reply: redis::Value,
) -> Result<Vec<Result<Submitted, SubmitRefusal>>, StoreError> {
    let mut reply = Reply::list("submit", reply)?;
    let letters = reply.text()?;
    if letters.len() != jobs.len() {
        return Err(StoreError::protocol("submit", "a letter a job", &letters));
    }
    jobs.iter()
        .zip(letters.chars())
        .map(|(new, letter)| match letter {
            '+' | '=' => Ok(Ok(Submitted::Created)),
            _ => verdict(&mut reply, new),
        })
        .collect()
}

/// The same of a reply that somebody else's client read: its parts, each a bulk string.
///
/// # Errors
/// When it is not the reply to that call.
pub fn read_submit_reply<P: AsRef<[u8]>>(
    jobs: &[NewJob],
    parts: &[P],
) -> Result<Vec<Result<Submitted, SubmitRefusal>>, StoreError> {
    let bulk = |part: &P| redis::Value::BulkString(part.as_ref().to_vec());
    read_submitted(jobs, redis::Value::Array(parts.iter().map(bulk).collect()))
}

fn verdict(
    reply: &mut Reply,
    new: &NewJob,
) -> Result<Result<Submitted, SubmitRefusal>, StoreError> {
    let text = reply.text()?;
    let id = |bare: &str| {
        JobId::from_bare(bare).map_err(|_| StoreError::protocol("submit", "an id", &text))
    };
    Ok(if let Some(bare) = text.strip_prefix('=') {
        Ok(Submitted::Existing(id(bare)?))
    } else if let (Some(bare), Some(key)) = (text.strip_prefix("!u"), &new.spec.unique_key) {
        Err(SubmitRefusal::Duplicate {
            key: key.clone(),
            holder: id(bare)?,
        })
    } else if let (Some(now), Due::At(at)) = (text.strip_prefix("!p"), new.spec.due) {
        Err(SubmitRefusal::InThePast {
            at,
            now: now.parse().unwrap_or(0),
        })
    } else {
        return Err(StoreError::protocol("submit", "a verdict", &text));
    })
}
