//! Groups: messages that stand until a flush makes one job of them.
//!
//! The messages are one text in Redis, and the flush is one script that takes all of it and makes
//! the job: there is no moment at which a message is in both, or in none.

use std::time::Duration;

use bytes::Bytes;
use paceline_types::{GroupKey, GroupLimits, JobId, JobSpec, ShardIndex};

use super::leader::due_in;
use super::{CallError, Fenced, MAX_BATCH, expect_ok};
use crate::script::{Invocation, Script};
use crate::wire::escape::escape;
use crate::wire::job::{self, JobRecord};
use crate::wire::millis;
use crate::wire::pack::{pack, unpack};
use crate::wire::reply::Reply;
use crate::{Store, StoreError};

pub(crate) static PUSH_GROUP: Script = script!("push_group");
pub(crate) static FLUSH_GROUP: Script = script!("flush_group");
pub(crate) static FLUSH_GROUPS: Script = script!("flush_groups");

/// Messages for a group.
#[derive(Clone, Copy, Debug)]
pub struct Push<'a> {
    /// The group.
    pub group: &'a GroupKey,
    /// What its jobs are made of, but for the payload. Without what belongs to one job alone: due
    /// time, unique and idempotency key.
    pub template: &'a JobSpec,
    /// When the group becomes a job.
    pub limits: GroupLimits,
    /// Most bytes of a job's payload; each message has room in it.
    pub max_bytes: usize,
    /// Ids for the jobs that the push may make, one more than messages, all of the group's shard.
    /// The first names the push: sent again with it, nothing is pushed a second time.
    pub ids: &'a [JobId],
    /// The messages, JSON each, at most [`MAX_BATCH`].
    pub messages: &'a [Bytes],
}

/// What a push came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pushed {
    /// Messages that stand in the group now.
    pub standing: usize,
    /// Jobs that the push made, as there were enough messages, in order.
    pub jobs: Vec<JobId>,
}

/// Why messages were not pushed. Nothing was changed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PushRefusal {
    /// Messages for another job stand in the group.
    #[error("messages for {} stand in the group, with other options or of another type", .0.task_type)]
    Differs(Box<JobSpec>),
}

/// There is nothing to make a job of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nothing stands in the group")]
pub struct Empty;

/// What a flush of due groups did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupsFlushed {
    /// Jobs that were made.
    pub made: usize,
    /// When the next group is due; zero when one is due already.
    pub next_due_in: Option<Duration>,
}

impl Store {
    /// The shard of a group.
    #[must_use]
    pub fn shard_of_group(&self, group: &GroupKey) -> ShardIndex {
        ShardIndex::of_key(group.as_str(), self.shards())
    }

    /// Appends messages to a group, in order, and makes a job of those that stand whenever there
    /// are as many as one takes.
    ///
    /// On `Ok` each message stands, or is in a job. The same call may be sent again within five
    /// minutes; it changes nothing, and tells the same jobs.
    ///
    /// # Errors
    /// [`PushRefusal`]; [`StoreError::OutOfMemory`]: none was stored. Otherwise see
    /// [`StoreError::maybe_stored`].
    pub async fn push_group(&self, push: &Push<'_>) -> Result<Pushed, CallError<PushRefusal>> {
        debug_assert!(push.messages.len() <= MAX_BATCH && push.ids.len() > push.messages.len());
        let keys = self.keys(self.shard_of_group(push.group))?;
        let name = escape(push.group.as_str());
        let names = [
            &keys.events,
            &keys.group(&name),
            &keys.group_head(&name),
            &keys.groups_due,
        ];
        let template = JobSpec {
            payload: Bytes::new(),
            ..push.template.clone()
        };
        let bytes: usize = push.messages.iter().map(|message| message.len() + 16).sum();
        let mut call =
            Invocation::with_capacity(&PUSH_GROUP, &names, 7 + push.messages.len(), 256 + bytes);
        call.arg(self.shared.event_cap)
            .bytes(&job::encode(&template, None, None))
            .arg(millis(push.limits.grace).max(1))
            .arg(millis(push.limits.max_delay).max(1))
            .arg(push.limits.max_size)
            .arg(push.max_bytes)
            .arg(pack(push.ids.iter().copied()));
        for message in push.messages {
            call.bytes(message);
        }
        let mut reply = Reply::list("push_group", self.link.call(&call).await?)?;
        let answer = reply.text()?;
        match answer.as_str() {
            "ok" => {
                let standing = reply.count()?;
                let packs = reply.text()?;
                let jobs = unpack(&packs)
                    .ok_or_else(|| StoreError::protocol("push_group", "ids", &packs))?;
                Ok(Pushed { standing, jobs })
            }
            "differs" => {
                let head = reply.bytes()?;
                let spec = template_of(&head)
                    .ok_or_else(|| StoreError::protocol("push_group", "a template", &head))?;
                Err(CallError::Refused(PushRefusal::Differs(Box::new(spec))))
            }
            other => Ok(reply.unknown(other)?),
        }
    }

    /// Makes the job `id`, which is of the group's shard, of all that stands in a group. Sent again
    /// with the same id, it makes no second one.
    ///
    /// # Errors
    /// [`Empty`], or no answer: call again.
    pub async fn flush_group(&self, group: &GroupKey, id: JobId) -> Result<(), CallError<Empty>> {
        let keys = self.keys(self.shard_of_group(group))?;
        let name = escape(group.as_str());
        let names = [
            &keys.events,
            &keys.group(&name),
            &keys.group_head(&name),
            &keys.groups_due,
            &keys.job(id),
        ];
        let mut call = Invocation::new(&FLUSH_GROUP, &names);
        call.arg(self.shared.event_cap);
        let mut reply = Reply::list("flush_group", self.link.call(&call).await?)?;
        let answer = reply.text()?;
        match answer.as_str() {
            "ok" => Ok(()),
            "empty" => Err(CallError::Refused(Empty)),
            other => Ok(reply.unknown(other)?),
        }
    }

    /// Makes a job of each group of a shard that is due, of at most as many as there are `ids`, up
    /// to [`MAX_BATCH`]. Sent again with the same ids, it makes no second one of any.
    ///
    /// # Errors
    /// [`Fenced`], or no answer: call again.
    pub async fn flush_groups(
        &self,
        shard: ShardIndex,
        term: u64,
        ids: &[JobId],
    ) -> Result<GroupsFlushed, CallError<Fenced>> {
        let keys = self.keys(shard)?;
        let names = [&keys.events, &keys.groups_due, &keys.leader];
        let mut call = Invocation::new(&FLUSH_GROUPS, &names);
        call.arg(term)
            .arg(self.shared.event_cap)
            .arg(pack(ids.iter().copied().take(MAX_BATCH)));
        let mut reply = expect_ok("flush_groups", self.link.call(&call).await?)?;
        Ok(GroupsFlushed {
            made: reply.count()?,
            next_due_in: due_in(reply.int()?),
        })
    }
}

/// Reads what the job of a group is made of: a record without its moment and payload.
pub(super) fn template_of(head: &[u8]) -> Option<JobSpec> {
    let mut record = b"0 ".to_vec();
    record.extend_from_slice(head);
    Some(JobRecord::parse(&record.into())?.spec)
}
