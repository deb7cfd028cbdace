//! The record of a job (`j:<id>`): what was asked for, written once.
//!
//! `<created ms> <ident> <policy>\n<options>\n<payload>`. The script writes the moment; the client
//! the rest. `options` is one line of JSON, empty for a plain job: the node reads it, scripts do not.

mod policy;

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use bytes::Bytes;
use paceline_types::{
    JobId, JobSpec, Priority, RetryPolicy, TaskName, TaskType, Tier, UnixMillis, Version,
    WorkflowId,
};
use serde::{Deserialize, Serialize};

use super::batch::{BATCH_MARK, ItemRef};
use super::{US, millis};

/// The task of a workflow that a job executes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkflowRef {
    /// The instance.
    pub workflow: WorkflowId,
    /// The task's name.
    pub task: TaskName,
    /// How often the task was started afresh before.
    pub iteration: u32,
}

/// Whose results a job is given beside its payload, and what its payload is composed of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpstreamRef {
    /// Hand over an object of results by name, in place of the result itself.
    #[serde(rename = "m", default, skip_serializing_if = "std::ops::Not::not")]
    pub many: bool,
    /// Tasks and their jobs; without a job, the task was skipped and its result is null. The
    /// payload is wrapped with their results; not at all when there are none and not `many`.
    #[serde(rename = "s", default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<(TaskName, Option<JobId>)>,
    /// The payload refers to other values, which are put in before it is wrapped.
    #[serde(rename = "t", default, skip_serializing_if = "std::ops::Not::not")]
    pub template: bool,
    /// It refers to the input of the workflow.
    #[serde(rename = "i", default, skip_serializing_if = "std::ops::Not::not")]
    pub input: bool,
    /// Tasks that it refers to, and their jobs, as in `sources`.
    #[serde(rename = "r", default, skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<(TaskName, Option<JobId>)>,
}

impl UpstreamRef {
    /// Whether the handler is given the payload as it stands.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        *self == UpstreamRef::default()
    }

    /// The jobs whose results are needed, each once, in the order in which a claim returns them.
    #[must_use]
    pub fn jobs(&self) -> Vec<JobId> {
        let mut seen = HashSet::new();
        let named = self.sources.iter().chain(&self.references);
        named
            .filter_map(|(_, job)| *job)
            .filter(|job| seen.insert(*job))
            .collect()
    }
}

/// What was asked for, as the record holds it.
#[derive(Clone, Debug, PartialEq)]
pub struct JobRecord {
    /// The job, but for the keys that only matter when it is submitted.
    pub spec: JobSpec,
    /// The task that it executes.
    pub workflow: Option<WorkflowRef>,
    /// The item of a batch that it executes.
    pub batch: Option<ItemRef>,
    /// Whose results it is given.
    pub upstream: Option<UpstreamRef>,
    /// When it was accepted.
    pub created_at: UnixMillis,
    /// Lane and place in a workflow, as scripts read them.
    pub(crate) ident: Bytes,
    /// Fields of its policy that matter when a run of it ends.
    pub(crate) followed: Box<[Box<str>]>,
}

#[derive(Default, Serialize, Deserialize)]
struct Options {
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    priority: Option<u8>,
    #[serde(rename = "h", default, skip_serializing_if = "BTreeMap::is_empty")]
    headers: BTreeMap<String, String>,
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    retry_policy: Option<RetryPolicy>,
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    timeout_ms: Option<u64>,
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    dlq_after: Option<u32>,
    #[serde(rename = "k", default, skip_serializing_if = "Option::is_none")]
    retention_ms: Option<u64>,
    #[serde(rename = "u", default, skip_serializing_if = "Option::is_none")]
    upstream: Option<UpstreamRef>,
    #[serde(rename = "f", default, skip_serializing_if = "Option::is_none")]
    fires_at: Option<UnixMillis>,
}

/// The lane of a job: `<tier>:<task type>:<version>`.
pub(crate) fn lane(spec: &JobSpec) -> String {
    let mut lane = String::with_capacity(32);
    write_ident(&mut lane, spec, None);
    lane
}

/// The lane of a job, and for a workflow's job US workflow US task US iteration.
pub(crate) fn write_ident(text: &mut String, spec: &JobSpec, workflow: Option<&WorkflowRef>) {
    use std::fmt::Write as _;
    text.push(spec.priority.tier().letter());
    text.push(':');
    text.push_str(spec.task_type.as_str());
    text.push(':');
    text.push_str(spec.version.as_ref().map_or("", Version::as_str));
    if let Some(place) = workflow {
        text.push(US);
        text.push_str(place.workflow.bare(&mut [0; 26]));
        // Writing to a string does not fail.
        let _ = write!(text, "{US}{}{US}{}", place.task, place.iteration);
    }
}

/// Whether two jobs wait in the same lane.
pub(crate) fn same_lane(one: &JobSpec, other: &JobSpec) -> bool {
    one.task_type == other.task_type
        && one.priority.tier() == other.priority.tier()
        && one.version == other.version
}

/// What the client contributes to a record: `<ident> <policy>\n<options>\n<payload>`.
pub(crate) fn encode(
    spec: &JobSpec,
    workflow: Option<&WorkflowRef>,
    upstream: Option<&UpstreamRef>,
) -> Vec<u8> {
    let mut head = String::with_capacity(96);
    write_ident(&mut head, spec, workflow);
    encode_behind(head, spec, upstream)
}

/// The same of an item of a batch.
pub(crate) fn encode_item(
    spec: &JobSpec,
    item: &ItemRef,
    upstream: Option<&UpstreamRef>,
) -> Vec<u8> {
    let mut head = String::with_capacity(96);
    write_ident(&mut head, spec, None);
    item.write(&mut head);
    encode_behind(head, spec, upstream)
}

/// The record that begins with an ident.
fn encode_behind(mut head: String, spec: &JobSpec, upstream: Option<&UpstreamRef>) -> Vec<u8> {
    head.push(' ');
    head.push_str(&policy::encode(spec, upstream));
    head.push('\n');
    let options = Options {
        // The tier tells the default priorities of the middle from nothing at all.
        priority: (spec.priority != Priority::default()).then(|| spec.priority.get()),
        headers: spec.headers.clone(),
        retry_policy: spec.retry_policy.clone(),
        timeout_ms: spec.timeout.map(millis),
        dlq_after: spec.dlq_after,
        retention_ms: spec.retention.map(millis),
        upstream: upstream.filter(|upstream| !upstream.is_plain()).cloned(),
        fires_at: spec.firing.as_ref().map(|firing| firing.at),
    };
    let plain = options.priority.is_none()
        && options.headers.is_empty()
        && options.retry_policy.is_none()
        && options.timeout_ms.is_none()
        && options.dlq_after.is_none()
        && options.retention_ms.is_none()
        && options.upstream.is_none()
        && options.fires_at.is_none();
    let mut record = Vec::with_capacity(head.len() + 1 + spec.payload.len());
    record.extend_from_slice(head.as_bytes());
    if !plain {
        // Only text, numbers and lists: nothing in there can fail to serialise.
        record.extend_from_slice(&serde_json::to_vec(&options).unwrap_or_default());
    }
    record.push(b'\n');
    record.extend_from_slice(&spec.payload);
    record
}

impl JobRecord {
    /// Reads a whole record; none when it is not one.
    pub(crate) fn parse(record: &Bytes) -> Option<JobRecord> {
        let line = record.iter().position(|&byte| byte == b'\n')?;
        let head = std::str::from_utf8(&record[..line]).ok()?;
        let mut head = head.splitn(3, ' ');
        let created_at = head.next()?.parse().ok()?;
        let (ident, policy) = (head.next()?, head.next()?);
        let raw_ident = record.slice_ref(ident.as_bytes());
        let body = record.slice(line + 1..);
        let options_end = body.iter().position(|&byte| byte == b'\n')?;
        let options: Options = if options_end == 0 {
            Options::default()
        } else {
            serde_json::from_slice(&body[..options_end]).ok()?
        };

        let mut ident = ident.split(US);
        let mut lane = ident.next()?.splitn(3, ':');
        let tier = Tier::from_letter(lane.next()?.chars().next()?)?;
        let task_type = TaskType::new(lane.next()?).ok()?;
        let version = lane.next().filter(|version| !version.is_empty());
        let (mut workflow, mut batch) = (None, None);
        match ident.next() {
            Some(id) if id.starts_with(BATCH_MARK) => {
                batch = Some(ItemRef::parse(id, ident.next()?, ident.next()?)?);
            }
            Some(id) => {
                workflow = Some(WorkflowRef {
                    workflow: WorkflowId::from_bare(id).ok()?,
                    task: TaskName::new(ident.next()?).ok()?,
                    iteration: ident.next()?.parse().ok()?,
                });
            }
            None => {}
        }

        let mut spec = JobSpec::new(task_type, body.slice(options_end + 1..));
        spec.priority = options.priority.map_or_else(
            || match tier {
                Tier::High => Priority::HIGH,
                Tier::Normal => Priority::NORMAL,
                Tier::Low => Priority::LOW,
            },
            |priority| Priority::new(priority.into()),
        );
        spec.version = version.and_then(|version| Version::new(version).ok());
        spec.headers = options.headers;
        spec.retry_policy = options.retry_policy;
        spec.timeout = options.timeout_ms.map(Duration::from_millis);
        spec.dlq_after = options.dlq_after;
        spec.retention = options.retention_ms.map(Duration::from_millis);
        for field in policy::fields(policy) {
            policy::read(&mut spec, field, options.fires_at);
        }
        Some(JobRecord {
            spec,
            workflow,
            batch,
            upstream: options.upstream,
            created_at,
            ident: raw_ident,
            followed: policy::followed(policy).map(Box::from).collect(),
        })
    }
}

#[cfg(test)]
mod tests;
