//! One task in the making: what its job is, as of any other job.

use std::time::Duration;

use paceline_types::workflow::ResultReuse;
use paceline_types::{LimitKey, RetryPolicy, Tag};

use super::Step;

impl Step {
    /// A dead job counts as done, and the dependents run. Of a map: a dead element counts as done,
    /// and its result is null.
    pub fn allow_failure(mut self) -> Self {
        self.task.allow_failure = true;
        self
    }

    /// Among tasks that become ready together, higher ones are dispatched first; also the
    /// priority of the job, where 1 to 10 stand for themselves. 0 means the workflow's default.
    pub fn priority(mut self, priority: i64) -> Self {
        self.task.priority = priority;
        self
    }

    /// When a failed run is tried again, in place of the handler's policy.
    pub fn retry_policy(mut self, policy: RetryPolicy) -> Self {
        self.task.retry_policy = Some(policy);
        self
    }

    /// Whether what the task came to is kept when the workflow is tried again. Without it, it is.
    pub fn result_reuse(mut self, reuse: ResultReuse) -> Self {
        self.task.result_reuse = reuse;
        self
    }

    /// Longest execution of one attempt, in place of the handler's. Of a signal: longest wait.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.task.timeout = Some(timeout);
        self
    }

    /// Longest wait of the job before its first run.
    pub fn schedule_to_start_timeout(mut self, timeout: Duration) -> Self {
        self.task.schedule_to_start_timeout = Some(timeout);
        self
    }

    /// Longest time from the start of the job's first run to its end.
    pub fn max_duration(mut self, limit: Duration) -> Self {
        self.task.max_duration = Some(limit);
        self
    }

    /// Longest silence of a run; see [`Submit::heartbeat_timeout`](crate::Submit::heartbeat_timeout).
    pub fn heartbeat_timeout(mut self, timeout: Duration) -> Self {
        self.task.heartbeat_timeout = Some(timeout);
        self
    }

    /// Adds a limit that the job counts against.
    pub fn limit(mut self, key: impl AsRef<str>) -> Self {
        match LimitKey::new(key.as_ref()) {
            Ok(key) if self.task.limits.contains(&key) => {}
            Ok(key) => self.task.limits.push(key),
            Err(error) => self.wrong("limits", &error),
        }
        self
    }

    /// Adds limits; see [`Step::limit`].
    pub fn limits<I: IntoIterator<Item: AsRef<str>>>(self, keys: I) -> Self {
        keys.into_iter().fold(self, Step::limit)
    }

    /// Adds a label of the job.
    pub fn tag(mut self, tag: impl AsRef<str>) -> Self {
        match Tag::new(tag.as_ref()) {
            Ok(tag) if self.task.tags.contains(&tag) => {}
            Ok(tag) => self.task.tags.push(tag),
            Err(error) => self.wrong("tags", &error),
        }
        self
    }

    /// Adds labels; see [`Step::tag`].
    pub fn tags<I: IntoIterator<Item: AsRef<str>>>(self, tags: I) -> Self {
        tags.into_iter().fold(self, Step::tag)
    }

    /// Keeps a trail of what happens to the job: [`Client::audit`](crate::Client::audit).
    pub fn audited(mut self) -> Self {
        self.task.audited = true;
        self
    }

    /// Only nodes that serve this version of the handler run it.
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.task.version = Some(version.into());
        self
    }

    /// Adds a header for the handler.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.task.headers.insert(name.into(), value.into());
        self
    }
}
