//! A job: what is asked for ([`JobSpec`]) and how it stands ([`Job`]).

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::duration;
use crate::{
    BatchId, IdempotencyKey, JobId, LimitKey, NodeId, Priority, RetryPolicy, ScheduleId, Tag,
    TaskName, TaskType, UniqueKey, UnixMillis, Version, WorkflowId,
};

/// Most bytes that the headers of a job may have together, names and values: 16 KiB. They stand
/// in the record that every claim reads.
pub const MAX_HEADERS: usize = 16 * 1024;

/// Most tags of a job: the script that accepts it writes an index entry for each.
pub const MAX_TAGS: usize = 64;

/// Most limit keys of a job: a claim looks at each of them.
pub const MAX_LIMITS: usize = 8;

/// When a job becomes due.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Due {
    /// At once.
    #[default]
    Now,
    /// This long after the server accepted it.
    In(Duration),
    /// At this moment of the server's clock; a moment that has passed is refused.
    At(UnixMillis),
}

/// The firing of a schedule that a job carries out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FiringRef {
    /// The schedule.
    pub schedule: ScheduleId,
    /// The moment that the schedule names, without jitter.
    pub at: UnixMillis,
}

/// What a caller asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct JobSpec {
    /// Which handler runs it.
    pub task_type: TaskType,
    /// Opaque to everything but the handler; JSON by convention.
    pub payload: Bytes,
    /// Urgency.
    pub priority: Priority,
    /// Only nodes that serve this version claim it.
    pub version: Option<Version>,
    /// When it becomes due.
    pub due: Due,
    /// Held from acceptance until the job ends; a second job with it is refused.
    pub unique_key: Option<UniqueKey>,
    /// A repeat within [`JobSpec::idempotency_ttl`] returns the first job.
    pub idempotency_key: Option<IdempotencyKey>,
    /// How long the idempotency key is remembered; across completion.
    pub idempotency_ttl: Duration,
    /// Listable labels.
    pub tags: Vec<Tag>,
    /// Seen by the handler.
    pub headers: BTreeMap<String, String>,
    /// In place of the handler's or the default policy.
    pub retry_policy: Option<RetryPolicy>,
    /// Longest execution of one attempt, in place of the handler's.
    pub timeout: Option<Duration>,
    /// Dead after this many failures even if the retry policy allows more.
    pub dlq_after: Option<u32>,
    /// How long the job is kept after it completed; zero means for ever.
    pub retention: Option<Duration>,
    /// Limits that it shares with all jobs that carry the same keys.
    pub limits: Vec<LimitKey>,
    /// Dead when it has not started this long after it was dispatched.
    pub schedule_to_start_timeout: Option<Duration>,
    /// Dead when it has not ended this long after its first start, retries included.
    pub max_duration: Option<Duration>,
    /// A run that does not tell that it lives for so long has failed.
    pub heartbeat_timeout: Option<Duration>,
    /// Its events are kept with it, in a trail of its own.
    pub audited: bool,
    /// The firing that it carries out; set by the scheduler.
    pub firing: Option<FiringRef>,
}

impl JobSpec {
    /// How long an idempotency key is remembered unless said otherwise: 24 h.
    pub const IDEMPOTENCY_TTL: Duration = Duration::from_secs(24 * 3600);

    /// A job of `task_type` with everything else at its default.
    #[must_use]
    pub fn new(task_type: TaskType, payload: Bytes) -> JobSpec {
        JobSpec {
            task_type,
            payload,
            priority: Priority::default(),
            version: None,
            due: Due::Now,
            unique_key: None,
            idempotency_key: None,
            idempotency_ttl: Self::IDEMPOTENCY_TTL,
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
            firing: None,
        }
    }

    /// Whether it must start, end or give a sign of life in time.
    #[must_use]
    pub fn has_time_limits(&self) -> bool {
        self.schedule_to_start_timeout.is_some()
            || self.max_duration.is_some()
            || self.heartbeat_timeout.is_some()
    }
}

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobStatus {
    /// Waits in a lane. Left by a claim or a cancellation.
    Pending,
    /// Waits for its time. Left when due or cancelled.
    Scheduled,
    /// A node executes it. Left when the run settles or its node's lease ends.
    Running,
    /// Failed and waits for its next attempt. Left when due or cancelled.
    Retrying,
    /// Waits to be resumed. Left by hand, after its time, or cancelled.
    Paused,
    /// Done. Final.
    Completed,
    /// Will not be tried again. Left only by an explicit retry.
    Dead,
    /// Cancelled. Left only by an explicit retry.
    Cancelled,
}

impl JobStatus {
    /// Every status.
    pub const ALL: [JobStatus; 8] = [
        JobStatus::Pending,
        JobStatus::Scheduled,
        JobStatus::Running,
        JobStatus::Retrying,
        JobStatus::Paused,
        JobStatus::Completed,
        JobStatus::Dead,
        JobStatus::Cancelled,
    ];

    /// Whether nothing happens to the job any more unless it is explicitly retried.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        match self {
            JobStatus::Completed | JobStatus::Dead | JobStatus::Cancelled => true,
            JobStatus::Pending
            | JobStatus::Scheduled
            | JobStatus::Running
            | JobStatus::Retrying
            | JobStatus::Paused => false,
        }
    }

    /// The spelling of the public model.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            JobStatus::Pending => "pending",
            JobStatus::Scheduled => "scheduled",
            JobStatus::Running => "running",
            JobStatus::Retrying => "retrying",
            JobStatus::Paused => "paused",
            JobStatus::Completed => "completed",
            JobStatus::Dead => "dead",
            JobStatus::Cancelled => "cancelled",
        }
    }
}

impl std::fmt::Display for JobStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

impl std::str::FromStr for JobStatus {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        JobStatus::ALL
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or_else(|| {
                let known: Vec<_> = JobStatus::ALL
                    .iter()
                    .map(|status| status.as_str())
                    .collect();
                format!(
                    "`{text}` is not a job status; use one of {}",
                    known.join(", ")
                )
            })
    }
}

/// What a job is to its batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BatchRole {
    /// It runs once before the items.
    Onetime,
    /// It is an item.
    Item,
}

/// How a job stands: one consistent reading of its record.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// Which handler runs it.
    pub task_type: TaskType,
    /// What the handler is given.
    #[serde(serialize_with = "as_json")]
    pub payload: Bytes,
    /// Where it stands.
    pub status: JobStatus,
    /// Executions that counted so far, a running one included.
    pub attempt: u32,
    /// Claims so far: the fencing token of the current or last run.
    pub run: u64,
    /// Runs that ended with their node.
    pub crashes: u32,
    /// Failures since the last success or resume.
    pub consecutive_errors: u32,
    /// Why it last failed, was paused, died or was cancelled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// The handler's output, once completed.
    #[serde(
        serialize_with = "as_optional_json",
        skip_serializing_if = "Option::is_none"
    )]
    pub result: Option<Bytes>,
    /// What its current or last run told of how far it is; a new run begins with what the one
    /// before it told.
    #[serde(
        serialize_with = "as_optional_json",
        skip_serializing_if = "Option::is_none"
    )]
    pub progress: Option<Bytes>,
    /// Completed because there was nothing to do.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub skipped: bool,
    /// The running job was asked to stop, to be cancelled, requeued or given up, and has not yet.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub cancel_requested: bool,
    /// Urgency.
    pub priority: Priority,
    /// Version of the handler that it asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
    /// Listable labels.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Tag>,
    /// Seen by the handler.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Held until it ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unique_key: Option<UniqueKey>,
    /// Its own retry policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_policy: Option<RetryPolicy>,
    /// Its own execution timeout.
    #[serde(with = "duration::option", skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// Limits that it shares with all jobs that carry the same keys.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<LimitKey>,
    /// Dead when it has not started this long after it was dispatched.
    #[serde(with = "duration::option", skip_serializing_if = "Option::is_none")]
    pub schedule_to_start_timeout: Option<Duration>,
    /// Dead when it has not ended this long after its first start.
    #[serde(with = "duration::option", skip_serializing_if = "Option::is_none")]
    pub max_duration: Option<Duration>,
    /// A run that does not tell that it lives for so long has failed.
    #[serde(with = "duration::option", skip_serializing_if = "Option::is_none")]
    pub heartbeat_timeout: Option<Duration>,
    /// Its events are kept with it, in a trail of its own.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub audited: bool,
    /// The firing that it carries out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub firing: Option<FiringRef>,
    /// The workflow that it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workflow_id: Option<WorkflowId>,
    /// The task of that workflow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workflow_task: Option<TaskName>,
    /// The batch that it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_id: Option<BatchId>,
    /// The item of that batch; none of its onetime task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_item: Option<String>,
    /// What it is to that batch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_role: Option<BatchRole>,
    /// The node that runs it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_id: Option<NodeId>,
    /// When it was accepted.
    pub created_at: UnixMillis,
    /// When it becomes due, for scheduled, retrying and self-resuming jobs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_run_at: Option<UnixMillis>,
    /// When the current or last run was claimed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<UnixMillis>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<UnixMillis>,
}

/// Writes bytes as the JSON that they are, else as text, else as an array of numbers.
///
/// # Errors
/// Those of the serializer.
pub fn as_json<S: Serializer>(bytes: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
    if let Ok(raw) = serde_json::from_slice::<&RawValue>(bytes) {
        return raw.serialize(serializer);
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => serializer.serialize_str(text),
        Err(_) => bytes.serialize(serializer),
    }
}

/// [`as_json`] for what may be absent, which is written as `null`.
///
/// # Errors
/// Those of the serializer.
pub fn as_optional_json<S: Serializer>(
    bytes: &Option<Bytes>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match bytes {
        Some(bytes) => as_json(bytes, serializer),
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_read_back() {
        for status in JobStatus::ALL {
            assert_eq!(status.as_str().parse(), Ok(status));
        }
        assert!("failed?".parse::<JobStatus>().is_err());
    }

    #[test]
    fn bytes_are_written_as_what_they_are() {
        #[derive(Serialize)]
        struct Holder(#[serde(serialize_with = "as_json")] Bytes);
        let written = |bytes: &'static [u8]| {
            serde_json::to_string(&Holder(Bytes::from_static(bytes))).expect("json")
        };
        assert_eq!(
            written(br#"{"big":123456789012345678901}"#),
            r#"{"big":123456789012345678901}"#
        );
        assert_eq!(written(b"plain text"), r#""plain text""#);
        assert_eq!(written(&[0xff, 0x00]), "[255,0]");
    }
}
