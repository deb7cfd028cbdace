//! The options of a job, written once for every type that takes them.

use std::time::Duration;

use paceline_types::job::Due;
use paceline_types::{
    IdempotencyKey, JobSpec, LimitKey, Priority, RetryPolicy, Tag, UniqueKey, Version,
};

use super::{InvalidJob, JobRequest, RunAt};
use crate::request::options;

fn longer_than_zero(option: &'static str, duration: Duration) -> Result<Duration, InvalidJob> {
    if duration.is_zero() {
        let problem = "must be longer than zero";
        return Err(InvalidJob::Option { option, problem });
    }
    Ok(duration)
}

pub(crate) fn set_run_at(spec: &mut JobSpec, at: RunAt) {
    spec.due = Due::At(at.0);
}

pub(crate) fn set_unique(spec: &mut JobSpec, key: &str) -> Result<(), InvalidJob> {
    spec.unique_key = Some(UniqueKey::new(key)?);
    Ok(())
}

pub(crate) fn set_idempotency_key(spec: &mut JobSpec, key: &str) -> Result<(), InvalidJob> {
    spec.idempotency_key = Some(IdempotencyKey::new(key)?);
    Ok(())
}

pub(crate) fn set_idempotency_ttl(spec: &mut JobSpec, ttl: Duration) -> Result<(), InvalidJob> {
    spec.idempotency_ttl = longer_than_zero("the lifetime of the idempotency key", ttl)?;
    Ok(())
}

pub(crate) fn add_tag(spec: &mut JobSpec, tag: &str) -> Result<(), InvalidJob> {
    let tag = Tag::new(tag)?;
    if !spec.tags.contains(&tag) {
        spec.tags.push(tag);
    }
    Ok(())
}

pub(crate) fn set_header(
    spec: &mut JobSpec,
    name: String,
    value: String,
) -> Result<(), InvalidJob> {
    if name.is_empty() {
        return Err(InvalidJob::Option {
            option: "the name of a header",
            problem: "must not be empty",
        });
    }
    spec.headers.insert(name, value);
    Ok(())
}

pub(crate) fn set_retry_policy(spec: &mut JobSpec, policy: RetryPolicy) -> Result<(), InvalidJob> {
    if let Some(error) = policy.check().into_iter().next() {
        return Err(error.into());
    }
    spec.retry_policy = Some(policy);
    Ok(())
}

pub(crate) fn set_timeout(spec: &mut JobSpec, timeout: Duration) -> Result<(), InvalidJob> {
    spec.timeout = Some(longer_than_zero("the timeout", timeout)?);
    Ok(())
}

pub(crate) fn set_version(spec: &mut JobSpec, version: &str) -> Result<(), InvalidJob> {
    spec.version = Some(Version::new(version)?);
    Ok(())
}

pub(crate) fn add_limit(spec: &mut JobSpec, key: &str) -> Result<(), InvalidJob> {
    let key = LimitKey::new(key)?;
    if !spec.limits.contains(&key) {
        spec.limits.push(key);
    }
    Ok(())
}

/// The limits in time of a job as a whole.
pub(crate) fn set_schedule_to_start(
    spec: &mut JobSpec,
    timeout: Duration,
) -> Result<(), InvalidJob> {
    spec.schedule_to_start_timeout =
        Some(longer_than_zero("the schedule_to_start_timeout", timeout)?);
    Ok(())
}

pub(crate) fn set_max_duration(spec: &mut JobSpec, limit: Duration) -> Result<(), InvalidJob> {
    spec.max_duration = Some(longer_than_zero("the max_duration", limit)?);
    Ok(())
}

pub(crate) fn set_heartbeat_timeout(
    spec: &mut JobSpec,
    timeout: Duration,
) -> Result<(), InvalidJob> {
    spec.heartbeat_timeout = Some(longer_than_zero("the heartbeat_timeout", timeout)?);
    Ok(())
}

pub(crate) fn set_dlq_after(spec: &mut JobSpec, failures: u32) -> Result<(), InvalidJob> {
    if failures == 0 {
        return Err(InvalidJob::Option {
            option: "dlq_after",
            problem: "must be at least 1",
        });
    }
    spec.dlq_after = Some(failures);
    Ok(())
}

/// The options of a job, for every type with a method `changed`. Written once, since a request
/// and a submit take the same.
macro_rules! job_options {
    () => {
        /// Urgency; default [`Priority::NORMAL`].
        pub fn priority(self, priority: Priority) -> Self {
            self.changed(|spec| {
                spec.priority = priority;
                Ok(())
            })
        }

        /// Becomes due this long after the server accepted it.
        pub fn delay(self, delay: Duration) -> Self {
            self.changed(|spec| {
                spec.due = Due::In(delay);
                Ok(())
            })
        }

        /// Becomes due at this moment of the server's clock; a moment that has passed is refused.
        pub fn run_at(self, at: impl Into<RunAt>) -> Self {
            let at = at.into();
            self.changed(|spec| {
                options::set_run_at(spec, at);
                Ok(())
            })
        }

        /// Refused as a duplicate while an unfinished job holds the same key. 1 to 256 bytes.
        pub fn unique(self, key: impl AsRef<str>) -> Self {
            self.changed(|spec| options::set_unique(spec, key.as_ref()))
        }

        /// A repeat with the same key returns the first job, across its completion, for the
        /// lifetime of the key. 1 to 256 bytes.
        pub fn idempotency_key(self, key: impl AsRef<str>) -> Self {
            self.changed(|spec| options::set_idempotency_key(spec, key.as_ref()))
        }

        /// Lifetime of the idempotency key; default 24 h.
        pub fn idempotency_ttl(self, ttl: Duration) -> Self {
            self.changed(|spec| options::set_idempotency_ttl(spec, ttl))
        }

        /// Adds a label that jobs can be listed by.
        pub fn tag(self, tag: impl AsRef<str>) -> Self {
            self.changed(|spec| options::add_tag(spec, tag.as_ref()))
        }

        /// Adds labels that jobs can be listed by.
        pub fn tags<I: IntoIterator<Item: AsRef<str>>>(self, tags: I) -> Self {
            self.changed(|spec| {
                tags.into_iter()
                    .try_for_each(|tag| options::add_tag(spec, tag.as_ref()))
            })
        }

        /// Adds a header for the handler; 16 KiB of them at most.
        pub fn header(self, name: impl Into<String>, value: impl Into<String>) -> Self {
            self.changed(|spec| options::set_header(spec, name.into(), value.into()))
        }

        /// When a failed run is tried again, in place of the handler's policy.
        pub fn retry_policy(self, policy: RetryPolicy) -> Self {
            self.changed(|spec| options::set_retry_policy(spec, policy))
        }

        /// Longest execution of one attempt, in place of the handler's.
        pub fn timeout(self, timeout: Duration) -> Self {
            self.changed(|spec| options::set_timeout(spec, timeout))
        }

        /// Only nodes that serve this version of the handler run it.
        pub fn version(self, version: impl AsRef<str>) -> Self {
            self.changed(|spec| options::set_version(spec, version.as_ref()))
        }

        /// Dead after this many failures, even if the retry policy allows more.
        pub fn dlq_after(self, failures: u32) -> Self {
            self.changed(|spec| options::set_dlq_after(spec, failures))
        }

        /// Shares a limit on concurrency or rate with all jobs that carry the same key. 1 to 256
        /// bytes; 8 keys of a job at most. The limit itself is declared once, for the key, by
        /// [`Client::set_limit`](crate::Client::set_limit). All keys of a job, a unique key included,
        /// must lead to one shard: of a key with braces only what stands between them chooses it.
        pub fn limit(self, key: impl AsRef<str>) -> Self {
            self.changed(|spec| options::add_limit(spec, key.as_ref()))
        }

        /// Dead, with this as its reason, when it has not started so long after it was
        /// dispatched: accepted, or moved to its lane when its time came.
        pub fn schedule_to_start_timeout(self, timeout: Duration) -> Self {
            self.changed(|spec| options::set_schedule_to_start(spec, timeout))
        }

        /// Dead when it has not ended so long after its first start, retries included.
        pub fn max_duration(self, limit: Duration) -> Self {
            self.changed(|spec| options::set_max_duration(spec, limit))
        }

        /// A run whose handler does not call `Context::heartbeat` for so long has failed.
        pub fn heartbeat_timeout(self, timeout: Duration) -> Self {
            self.changed(|spec| options::set_heartbeat_timeout(spec, timeout))
        }

        /// Keeps the job's events with it, in a trail of its own.
        pub fn audited(self) -> Self {
            self.changed(|spec| {
                spec.audited = true;
                Ok(())
            })
        }

        /// How long the job is kept after it completed; zero means for ever.
        pub fn retention(self, retention: Duration) -> Self {
            self.changed(|spec| {
                spec.retention = Some(retention);
                Ok(())
            })
        }
    };
}
pub(crate) use job_options;

impl JobRequest {
    job_options!();
}
