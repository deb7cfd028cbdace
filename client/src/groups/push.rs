//! A push in the making, and how it goes: checked, then sent a hundred messages at a time.

use std::future::IntoFuture;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use paceline_store::calls::MAX_BATCH;
use paceline_store::calls::group::{Push as Call, PushRefusal, Pushed};
use paceline_store::{CallError, StoreError};
use paceline_types::group::{GROUP_HEADER, GroupLimitsError, MAX_GROUP_BYTES};
use paceline_types::job::Due;
use paceline_types::{GroupKey, GroupLimits, JobId, JobSpec, NameError, Priority, RetryPolicy};
use serde::Serialize;

use crate::request::options::{self, job_options};
use crate::submit::new_job_id;
use crate::{Client, InvalidJob, JobRequest, RunAt};

/// Why messages were not pushed. Nothing was stored, unless [`PushError::maybe_stored`] says so.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PushError {
    /// The job that the group becomes cannot be. Nothing was sent.
    #[error(transparent)]
    Invalid(#[from] InvalidJob),
    /// Limits that cannot be kept. Nothing was sent.
    #[error(transparent)]
    Limits(#[from] GroupLimitsError),
    /// A message is not JSON, so it cannot stand in an array of messages. Nothing was sent.
    #[error("message {place} is not JSON: {problem}")]
    NotJson {
        /// Its place among the messages of the push, from 0 on.
        place: usize,
        /// The words of the parser or serializer.
        problem: String,
    },
    /// A message is larger than the payload of a job may be. Nothing was sent.
    #[error(
        "message {place} has {size} bytes, at most {limit} are allowed; store it elsewhere and \
         push a reference"
    )]
    TooLarge {
        /// Its place among the messages of the push, from 0 on.
        place: usize,
        /// Its bytes.
        size: usize,
        /// Most bytes of one message.
        limit: usize,
    },
    /// Messages for a job of another type, or with other options, stand in the group.
    #[error(
        "group `{group}` collects for {}: use another group, or push again when it was flushed",
        collects(.standing, .wanted)
    )]
    Differs {
        /// The group.
        group: GroupKey,
        /// What its messages become, without a payload.
        standing: Box<JobSpec>,
        /// What those that were pushed should have become.
        wanted: Box<JobSpec>,
    },
    /// Redis did not take it. It says itself whether **the messages may have been stored**.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Some of many messages were pushed, the first ones, before Redis took no more.
    #[error("{pushed} of {messages} messages were pushed before one call failed: {source}")]
    Partly {
        /// How many were pushed.
        pushed: usize,
        /// How many there were.
        messages: usize,
        /// Jobs that were made on the way.
        jobs: Vec<JobId>,
        /// What became of the hundred that followed.
        source: Box<PushError>,
    },
}

fn collects(standing: &JobSpec, wanted: &JobSpec) -> String {
    if standing.task_type == wanted.task_type {
        let task_type = &standing.task_type;
        return format!("{task_type} with other options (priority, tags, headers and the like)");
    }
    standing.task_type.to_string()
}

impl From<NameError> for PushError {
    fn from(error: NameError) -> PushError {
        InvalidJob::from(error).into()
    }
}

impl PushError {
    /// Whether messages that were not acknowledged may have been stored.
    #[must_use]
    pub fn maybe_stored(&self) -> bool {
        match self {
            PushError::Store(error) => error.maybe_stored(),
            PushError::Partly { source, .. } => source.maybe_stored(),
            PushError::Invalid(_)
            | PushError::Limits(_)
            | PushError::NotJson { .. }
            | PushError::TooLarge { .. }
            | PushError::Differs { .. } => false,
        }
    }
}

/// A push in the making: add options, then await it for what it came to.
///
/// The options of a job are those of the job that the messages become. All pushes of a group
/// must agree on them while messages stand in it; a job of a group has no due time, unique or
/// idempotency key. Every mistake of the arguments is reported when it is awaited.
#[must_use = "a push does nothing until it is awaited"]
pub struct Push {
    pub(super) client: Client,
    pub(super) group: Result<GroupKey, NameError>,
    pub(super) template: JobRequest,
    pub(super) limits: GroupLimits,
    pub(super) messages: Result<Vec<Bytes>, PushError>,
}

impl Push {
    job_options!();

    fn changed(self, change: impl FnOnce(&mut JobSpec) -> Result<(), InvalidJob>) -> Self {
        Push {
            template: self.template.changed(change),
            ..self
        }
    }

    /// The group becomes a job so long after the last push; default 5 s.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.limits.grace = grace;
        self
    }

    /// The group becomes a job so long after its first push, whatever follows it; default 30 s.
    pub fn max_delay(mut self, delay: Duration) -> Self {
        self.limits.max_delay = delay;
        self
    }

    /// The group becomes a job as soon as so many messages stand; default 100, at most 10,000.
    pub fn max_size(mut self, messages: u32) -> Self {
        self.limits.max_size = messages;
        self
    }

    /// What is asked for, checked.
    fn checked(self) -> Result<Checked, PushError> {
        let group = self.group?;
        self.limits.check()?;
        let mut template = self.template.into_spec()?;
        let alone = [
            ("a due time", template.due != Due::Now),
            ("a unique key", template.unique_key.is_some()),
            ("an idempotency key", template.idempotency_key.is_some()),
        ];
        if let Some((option, _)) = alone.into_iter().find(|(_, given)| *given) {
            let problem = "belongs to one job, not to those of a group; leave it out";
            return Err(InvalidJob::Option { option, problem }.into());
        }
        template
            .headers
            .insert(GROUP_HEADER.to_owned(), group.to_string());
        let messages = self.messages?;
        let max_bytes = self.client.max_payload().min(MAX_GROUP_BYTES);
        // Both brackets.
        let limit = max_bytes.saturating_sub(2);
        for (place, message) in messages.iter().enumerate() {
            let size = message.len();
            if size > limit {
                return Err(PushError::TooLarge { place, size, limit });
            }
        }
        Ok(Checked {
            client: self.client,
            group,
            template,
            limits: self.limits,
            max_bytes,
            messages,
        })
    }
}

struct Checked {
    client: Client,
    group: GroupKey,
    template: JobSpec,
    limits: GroupLimits,
    max_bytes: usize,
    messages: Vec<Bytes>,
}

impl Checked {
    /// Sends the messages in calls of up to a hundred, one after another, so that they keep their
    /// order.
    async fn send(self) -> Result<Pushed, PushError> {
        let mut all = Pushed::default();
        let mut sent = 0;
        while sent < self.messages.len() {
            let messages = &self.messages[sent..sent + next_call(&self.messages[sent..])];
            match self.call(messages).await {
                Ok(pushed) => {
                    sent += messages.len();
                    all.standing = pushed.standing;
                    all.jobs.extend(pushed.jobs);
                }
                Err(error) if sent == 0 => return Err(error),
                Err(error) => {
                    return Err(PushError::Partly {
                        pushed: sent,
                        messages: self.messages.len(),
                        jobs: all.jobs,
                        source: Box::new(error),
                    });
                }
            }
        }
        Ok(all)
    }

    async fn call(&self, messages: &[Bytes]) -> Result<Pushed, PushError> {
        let store = self.client.store();
        let shard = store.shard_of_group(&self.group);
        let ids: Vec<JobId> = (0..=messages.len()).map(|_| new_job_id(shard)).collect();
        let call = Call {
            group: &self.group,
            template: &self.template,
            limits: self.limits,
            max_bytes: self.max_bytes,
            ids: &ids,
            messages,
        };
        store.push_group(&call).await.map_err(|error| match error {
            CallError::Refused(PushRefusal::Differs(standing)) => PushError::Differs {
                group: self.group.clone(),
                standing,
                wanted: Box::new(self.template.clone()),
            },
            CallError::Store(error) => error.into(),
        })
    }
}

/// How many of the messages go with the next call: up to a hundred, and no more bytes than a job
/// may have, unless a single one has more.
fn next_call(messages: &[Bytes]) -> usize {
    let mut bytes = 0;
    let fits = |message: &&Bytes| {
        bytes += message.len();
        bytes <= MAX_GROUP_BYTES
    };
    let count = messages.iter().take(MAX_BATCH).take_while(fits).count();
    count.max(1).min(messages.len())
}

impl IntoFuture for Push {
    type Output = Result<Pushed, PushError>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    /// Sends the messages. On `Ok` each of them stands in its group or is in a job.
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.checked()?.send().await })
    }
}

pub(super) fn encoded(place: usize, message: &impl Serialize) -> Result<Bytes, PushError> {
    match serde_json::to_vec(message) {
        Ok(json) => Ok(json.into()),
        Err(error) => Err(PushError::NotJson {
            place,
            problem: error.to_string(),
        }),
    }
}

pub(super) fn as_json((place, message): (usize, Bytes)) -> Result<Bytes, PushError> {
    match serde_json::from_slice::<&serde_json::value::RawValue>(&message) {
        Ok(_) => Ok(message),
        Err(error) => Err(PushError::NotJson {
            place,
            problem: error.to_string(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_holds_a_hundred_messages_or_a_mebibyte() {
        let messages = |sizes: &[usize]| -> Vec<Bytes> {
            sizes.iter().map(|&size| vec![b'1'; size].into()).collect()
        };
        let half = MAX_GROUP_BYTES / 2;
        let table = [
            (messages(&[1]), 1),
            (messages(&[1; 250]), 100),
            (messages(&[half, half, 1]), 2),
            (messages(&[half, half + 1]), 1),
            (messages(&[MAX_GROUP_BYTES + 1, 1]), 1),
        ];
        for (messages, expected) in table {
            assert_eq!(next_call(&messages), expected);
        }
    }

    #[test]
    fn messages_are_json_and_keep_their_digits() {
        let big = Bytes::from_static(b" {\"n\": 123456789012345678901}");
        assert_eq!(as_json((0, big.clone())).ok(), Some(big));
        let told = as_json((3, Bytes::from_static(b"{a}"))).expect_err("no JSON");
        let told = told.to_string();
        assert!(told.starts_with("message 3 is not JSON: "), "{told}");
    }
}
