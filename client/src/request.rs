//! What is asked for, before any client is involved: a job's payload and options.
//!
//! Options take what a caller has at hand (text, numbers) and are checked at once, but the first
//! mistake is kept and told when the request is submitted: a chain of options reads as one
//! sentence, and there is one place that can fail.

pub(crate) mod options;

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use paceline_types::retry::RetryPolicyError;
use paceline_types::{JobSpec, NameError, Task, TaskType, UnixMillis};
use serde::Serialize;

pub use paceline_types::job::{MAX_HEADERS, MAX_LIMITS, MAX_TAGS};

/// A job to submit, not tied to a client: what [`submit_many`](crate::Client::submit_many)
/// takes.
///
/// ```
/// use paceline_client::{JobRequest, Priority};
/// use serde_json::json;
///
/// let jobs = (0..1000).map(|n| {
///     JobRequest::raw("image.resize", json!({ "image": n })).priority(Priority::LOW)
/// });
/// # let _ = jobs.collect::<Vec<_>>();
/// ```
#[derive(Clone, Debug)]
#[must_use = "a request does nothing until it is submitted"]
pub struct JobRequest {
    spec: Result<JobSpec, InvalidJob>,
}

/// What is wrong with a request. Nothing was stored.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidJob {
    /// A task type, key, tag or version that may not be one.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The payload has no JSON form.
    #[error("the payload of {task_type} cannot be written as JSON: {problem}")]
    Payload {
        /// The task type.
        task_type: String,
        /// The words of the serializer.
        problem: String,
    },
    /// A retry policy that cannot be followed.
    #[error("the retry policy is not usable: {0}")]
    RetryPolicy(#[from] RetryPolicyError),
    /// An option with a value that it cannot have.
    #[error("{option} {problem}")]
    Option {
        /// Which option.
        option: &'static str,
        /// What it must be.
        problem: &'static str,
    },
    /// Too many bytes of headers.
    #[error("the headers have {size} bytes, at most {MAX_HEADERS} are allowed; use the payload")]
    Headers {
        /// Bytes of all names and values.
        size: usize,
    },
    /// Too many limit keys.
    #[error("the job has {count} limit keys, at most {MAX_LIMITS} are allowed; leave some out")]
    Limits {
        /// How many.
        count: usize,
    },
    /// Too many tags.
    #[error("the job has {count} tags, at most {MAX_TAGS} are allowed; leave some out")]
    Tags {
        /// How many.
        count: usize,
    },
}

/// A moment that a job becomes due: [`UnixMillis`] or a [`SystemTime`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunAt(UnixMillis);

impl From<UnixMillis> for RunAt {
    fn from(at: UnixMillis) -> RunAt {
        RunAt(at)
    }
}

impl From<SystemTime> for RunAt {
    fn from(at: SystemTime) -> RunAt {
        // Before 1970 is as much in the past as 1970, and is refused as such.
        let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
        RunAt(UnixMillis::try_from(since.as_millis()).unwrap_or(UnixMillis::MAX))
    }
}

impl From<JobSpec> for JobRequest {
    /// Takes a spec that was put together by hand; its policy is checked.
    fn from(spec: JobSpec) -> JobRequest {
        let policy = spec.retry_policy.clone();
        let request = JobRequest { spec: Ok(spec) };
        match policy {
            Some(policy) => request.retry_policy(policy),
            None => request,
        }
    }
}

impl JobRequest {
    /// A job of a typed task.
    pub fn of<T: Task>(task: &T) -> JobRequest {
        JobRequest::encoded(T::TYPE, task)
    }

    /// A job of any task type with a JSON payload.
    pub fn raw(task_type: &str, payload: serde_json::Value) -> JobRequest {
        JobRequest::encoded(task_type, &payload)
    }

    /// A job of any task type whose payload is handed to the handler as it is.
    pub fn bytes(task_type: &str, payload: impl Into<Bytes>) -> JobRequest {
        let task_type = TaskType::new(task_type).map_err(InvalidJob::from);
        JobRequest {
            spec: task_type.map(|task_type| JobSpec::new(task_type, payload.into())),
        }
    }

    fn encoded(task_type: &str, payload: &impl Serialize) -> JobRequest {
        match serde_json::to_vec(payload) {
            Ok(payload) => JobRequest::bytes(task_type, payload),
            Err(error) => JobRequest {
                spec: Err(InvalidJob::Payload {
                    task_type: task_type.to_owned(),
                    problem: error.to_string(),
                }),
            },
        }
    }

    /// The checked request.
    ///
    /// # Errors
    /// The first mistake that was made.
    pub fn into_spec(self) -> Result<JobSpec, InvalidJob> {
        let spec = self.spec?;
        let size = spec
            .headers
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .sum();
        if size > MAX_HEADERS {
            return Err(InvalidJob::Headers { size });
        }
        let count = spec.tags.len();
        if count > MAX_TAGS {
            return Err(InvalidJob::Tags { count });
        }
        let count = spec.limits.len();
        if count > MAX_LIMITS {
            return Err(InvalidJob::Limits { count });
        }
        Ok(spec)
    }

    pub(crate) fn changed(
        self,
        change: impl FnOnce(&mut JobSpec) -> Result<(), InvalidJob>,
    ) -> JobRequest {
        let spec = self
            .spec
            .and_then(|mut spec| change(&mut spec).map(|()| spec));
        JobRequest { spec }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use paceline_types::job::Due;
    use paceline_types::{Priority, RetryPolicy, UniqueKey};
    use serde_json::json;

    use super::*;

    fn request() -> JobRequest {
        JobRequest::raw("image.resize", json!({"width": 640}))
    }

    #[test]
    fn options_reach_the_spec() {
        let spec = request()
            .priority(Priority::HIGH)
            .delay(Duration::from_secs(5))
            .unique("a.png")
            .idempotency_key("invoice: 17")
            .idempotency_ttl(Duration::from_secs(60))
            .tags(["a", "b"])
            .tag("a")
            .header("trace", "1")
            .timeout(Duration::from_secs(9))
            .version("v2")
            .dlq_after(2)
            .retention(Duration::ZERO)
            .limit("tenant: 7")
            .limit("tenant: 7")
            .schedule_to_start_timeout(Duration::from_secs(1))
            .max_duration(Duration::from_secs(2))
            .heartbeat_timeout(Duration::from_secs(3))
            .audited()
            .into_spec()
            .expect("spec");
        assert_eq!(&spec.payload[..], br#"{"width":640}"#);
        assert_eq!(spec.priority, Priority::HIGH);
        assert_eq!(spec.due, Due::In(Duration::from_secs(5)));
        assert_eq!(
            spec.unique_key.as_ref().map(UniqueKey::as_str),
            Some("a.png")
        );
        assert_eq!(spec.tags.len(), 2, "a tag counts once");
        assert_eq!(spec.headers["trace"], "1");
        assert_eq!(spec.retention, Some(Duration::ZERO));
        assert_eq!(spec.limits.len(), 1, "a limit counts once");
        assert_eq!(spec.schedule_to_start_timeout, Some(Duration::from_secs(1)));
        assert_eq!(spec.max_duration, Some(Duration::from_secs(2)));
        assert_eq!(spec.heartbeat_timeout, Some(Duration::from_secs(3)));
        assert!(spec.audited);
    }

    #[test]
    fn times_are_taken_in_both_forms() {
        let due = |request: JobRequest| request.into_spec().expect("spec").due;
        assert_eq!(
            due(request().run_at(1_700_000_000_123)),
            Due::At(1_700_000_000_123)
        );
        let at = UNIX_EPOCH + Duration::from_millis(77);
        assert_eq!(due(request().run_at(at)), Due::At(77));
        let before = UNIX_EPOCH - Duration::from_secs(1);
        assert_eq!(due(request().run_at(before)), Due::At(0));
    }

    #[test]
    fn the_first_mistake_is_told_in_one_sentence() {
        let bad_policy = RetryPolicy {
            max_attempts: 0,
            ..RetryPolicy::default()
        };
        let table = [
            (JobRequest::raw("", json!(1)), "the task type is empty"),
            (
                JobRequest::raw("a:b", json!(1)).tag("c d"),
                "the task type `a:b` contains ':'",
            ),
            (request().unique(""), "the unique key is empty"),
            (
                request().idempotency_key("x".repeat(257)),
                "the idempotency key has 257 bytes",
            ),
            (
                request().idempotency_ttl(Duration::ZERO),
                "the lifetime of the idempotency key must",
            ),
            (request().tags(["ok", "{"]), "the tag `{` contains '{'"),
            (
                request().tags((0..65).map(|n| n.to_string())),
                "the job has 65 tags, at most 64",
            ),
            (
                request().header("", "x"),
                "the name of a header must not be empty",
            ),
            (
                request().header("x", "y".repeat(MAX_HEADERS)),
                "the headers have 16385 bytes",
            ),
            (
                request().retry_policy(bad_policy.clone()),
                "max_attempts must be at least 1",
            ),
            (
                request().timeout(Duration::ZERO),
                "the timeout must be longer than zero",
            ),
            (request().version("a b"), "the version `a b` contains ' '"),
            (request().dlq_after(0), "dlq_after must be at least 1"),
            (request().limit(""), "the limit key is empty"),
            (
                (0..9).fold(request(), |job, n| job.limit(n.to_string())),
                "the job has 9 limit keys, at most 8",
            ),
            (
                request().max_duration(Duration::ZERO),
                "the max_duration must be longer than zero",
            ),
            (
                JobSpec {
                    retry_policy: Some(bad_policy),
                    ..request().into_spec().expect("spec")
                }
                .into(),
                "max_attempts must be at least 1",
            ),
        ];
        for (request, words) in table {
            let error = request.into_spec().expect_err(words).to_string();
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn a_payload_without_a_json_form_is_told() {
        #[derive(Serialize, serde::Deserialize)]
        struct Pairs(std::collections::HashMap<(u8, u8), u8>);
        impl Task for Pairs {
            const TYPE: &'static str = "pairs";
            type Output = ();
        }
        let error = JobRequest::of(&Pairs([((1, 2), 3)].into())).into_spec();
        let error = error.expect_err("keys are pairs").to_string();
        assert!(
            error.starts_with("the payload of pairs cannot be written as JSON"),
            "{error}"
        );
    }
}
