//! The job that each firing of a schedule becomes.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::job::Due;
use crate::workflow::DefinitionError;
use crate::{JobSpec, LimitKey, Priority, RetryPolicy, Tag, TaskType, Version, duration};

/// The job that each firing of a schedule becomes: a job's options, without those that belong to
/// one job alone.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobTemplate {
    /// Which handler runs it.
    pub task_type: TaskType,
    /// Given to the handler; absent means `null`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<Box<RawValue>>,
    /// Urgency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<Priority>,
    /// Only nodes that serve this version of the handler run it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
    /// Listable labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Tag>,
    /// Seen by the handler.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// In place of the handler's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_policy: Option<RetryPolicy>,
    /// Longest execution of one attempt.
    #[serde(
        default,
        with = "duration::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub timeout: Option<Duration>,
    /// Dead after this many failures, even if more attempts are allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dlq_after: Option<u32>,
    /// How long a job is kept after it completed; zero means for ever.
    #[serde(
        default,
        with = "duration::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub retention: Option<Duration>,
    /// Limits that it shares with all jobs that carry the same keys. They must live in the
    /// schedule's shard.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<LimitKey>,
    /// Dead when it has not started this long after it was dispatched.
    #[serde(
        default,
        with = "duration::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub schedule_to_start_timeout: Option<Duration>,
    /// Dead when it has not ended this long after its first start, retries included.
    #[serde(
        default,
        with = "duration::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub max_duration: Option<Duration>,
    /// A run that does not tell that it lives for so long has failed.
    #[serde(
        default,
        with = "duration::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub heartbeat_timeout: Option<Duration>,
    /// Its events are kept with it, in a trail of its own.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub audited: bool,
    #[serde(
        default,
        skip_serializing,
        rename = "unique_key",
        deserialize_with = "no_unique_key"
    )]
    _unique_key: (),
    #[serde(
        default,
        skip_serializing,
        rename = "idempotency_key",
        deserialize_with = "no_idempotency_key"
    )]
    _idempotency_key: (),
}

/// What to do instead of a unique key.
const NO_UNIQUE_KEY: &str = "is not for the job of a schedule: a schedule is unique by its id; \
                             leave it out, and set overlap_policy to SKIP if its runs must not \
                             overlap";

/// What to do instead of an idempotency key.
const NO_IDEMPOTENCY_KEY: &str = "is not for the job of a schedule: each firing makes one job; \
                                  leave it out";

fn no_unique_key<'de, D: Deserializer<'de>>(_: D) -> Result<(), D::Error> {
    Err(serde::de::Error::custom(NO_UNIQUE_KEY))
}

fn no_idempotency_key<'de, D: Deserializer<'de>>(_: D) -> Result<(), D::Error> {
    Err(serde::de::Error::custom(NO_IDEMPOTENCY_KEY))
}

fn mistake(field: &str, problem: impl Into<String>) -> DefinitionError {
    DefinitionError {
        path: format!("job.{field}"),
        problem: problem.into(),
    }
}

impl JobTemplate {
    /// A job of a task type with the payload `null` and no options.
    #[must_use]
    pub fn new(task_type: TaskType) -> JobTemplate {
        JobTemplate {
            task_type,
            payload: None,
            priority: None,
            version: None,
            tags: Vec::new(),
            headers: BTreeMap::new(),
            retry_policy: None,
            timeout: None,
            dlq_after: None,
            retention: None,
            limits: Vec::new(),
            schedule_to_start_timeout: None,
            max_duration: None,
            heartbeat_timeout: None,
            audited: false,
            _unique_key: (),
            _idempotency_key: (),
        }
    }

    /// The template of jobs like this one.
    ///
    /// # Errors
    /// When it has an option that belongs to one job alone (a unique key, an idempotency key, a
    /// time), or a payload that is not JSON.
    pub fn from_spec(spec: &JobSpec) -> Result<JobTemplate, DefinitionError> {
        if spec.unique_key.is_some() {
            return Err(mistake("unique_key", NO_UNIQUE_KEY));
        }
        if spec.idempotency_key.is_some() {
            return Err(mistake("idempotency_key", NO_IDEMPOTENCY_KEY));
        }
        if spec.due != Due::Now {
            let problem = "is not for the job of a schedule: the schedule says when it runs; \
                           leave delay and run_at out";
            return Err(mistake("run_at", problem));
        }
        let payload = match std::str::from_utf8(&spec.payload) {
            Ok(text) => RawValue::from_string(text.to_owned()).ok(),
            Err(_) => None,
        };
        let Some(payload) = payload else {
            let problem = "is not JSON; a schedule keeps its payload as a part of its definition";
            return Err(mistake("payload", problem));
        };
        Ok(JobTemplate {
            payload: Some(payload),
            priority: Some(spec.priority).filter(|priority| *priority != Priority::default()),
            version: spec.version.clone(),
            tags: spec.tags.clone(),
            headers: spec.headers.clone(),
            retry_policy: spec.retry_policy.clone(),
            timeout: spec.timeout,
            dlq_after: spec.dlq_after,
            retention: spec.retention,
            limits: spec.limits.clone(),
            schedule_to_start_timeout: spec.schedule_to_start_timeout,
            max_duration: spec.max_duration,
            heartbeat_timeout: spec.heartbeat_timeout,
            audited: spec.audited,
            ..JobTemplate::new(spec.task_type.clone())
        })
    }

    /// What a firing asks for, but for what differs from firing to firing.
    #[must_use]
    pub fn spec(&self) -> JobSpec {
        let payload = self.payload.as_ref().map_or("null", |raw| raw.get());
        let payload = Bytes::copy_from_slice(payload.as_bytes());
        let mut spec = JobSpec::new(self.task_type.clone(), payload);
        spec.priority = self.priority.unwrap_or_default();
        spec.version = self.version.clone();
        spec.tags = self.tags.clone();
        spec.headers = self.headers.clone();
        spec.retry_policy = self.retry_policy.clone();
        spec.timeout = self.timeout;
        spec.dlq_after = self.dlq_after;
        spec.retention = self.retention;
        spec.limits = self.limits.clone();
        spec.schedule_to_start_timeout = self.schedule_to_start_timeout;
        spec.max_duration = self.max_duration;
        spec.heartbeat_timeout = self.heartbeat_timeout;
        spec.audited = self.audited;
        spec
    }

    /// Every mistake that its types do not rule out.
    pub(super) fn check(&self) -> Vec<DefinitionError> {
        let mut errors = Vec::new();
        let limits = [
            ("timeout", self.timeout),
            ("schedule_to_start_timeout", self.schedule_to_start_timeout),
            ("max_duration", self.max_duration),
            ("heartbeat_timeout", self.heartbeat_timeout),
        ];
        for (field, limit) in limits {
            if limit.is_some_and(|limit| limit.is_zero()) {
                errors.push(mistake(field, "must be longer than zero"));
            }
        }
        if self.dlq_after == Some(0) {
            errors.push(mistake("dlq_after", "must be at least 1"));
        }
        let policy = self.retry_policy.iter().flat_map(RetryPolicy::check);
        errors.extend(policy.map(|error| {
            let field = format!("retry_policy.{}", error.field);
            mistake(&field, error.problem)
        }));
        errors
    }
}
