//! Events: what happened, one per transition, in the order of their shard.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::batch::BatchProgress;
use crate::{
    BatchId, JobId, NodeId, ScheduleId, ShardIndex, TaskName, TaskType, UnixMillis, WorkflowId,
};

macro_rules! event_kinds {
    ($($(#[$doc:meta])* $variant:ident = $text:literal,)*) => {
        /// What kind of transition an event tells of.
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum EventKind {
            $($(#[$doc])* $variant,)*
            /// A kind that a newer Paceline wrote.
            Other(Box<str>),
        }

        impl EventKind {
            /// Every kind that this version writes.
            pub const ALL: &'static [EventKind] = &[$(EventKind::$variant,)*];

            /// The name in the log.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $(EventKind::$variant => $text,)*
                    EventKind::Other(text) => text,
                }
            }

            /// The kind of a name; unknown names are kept.
            #[must_use]
            pub fn from_name(name: &str) -> EventKind {
                match name {
                    $($text => EventKind::$variant,)*
                    other => EventKind::Other(other.into()),
                }
            }
        }
    };
}

event_kinds! {
    /// Accepted, and waiting in its lane.
    JobEnqueued = "job.enqueued",
    /// Waits for its time: accepted with a delay, or its handler asked to be repeated later.
    JobScheduled = "job.scheduled",
    /// Moved to its lane: its time came, or its node handed it back unfinished.
    JobDispatched = "job.dispatched",
    /// Claimed by a node.
    JobStarted = "job.started",
    /// Done.
    JobCompleted = "job.completed",
    /// A run failed, and the job waits for its next attempt.
    JobFailed = "job.failed",
    /// Explicitly retried after its end: a new generation, waiting in its lane.
    JobRetrying = "job.retrying",
    /// Given up; also the moment it enters the dead letters.
    JobDead = "job.dead",
    /// Given up because it had not started in time; in place of `job.dead`, and like it the moment it
    /// enters the dead letters.
    JobScheduleToStartTimeout = "job.schedule_to_start_timeout",
    /// The end of a run that had been given up was refused. The job did not change.
    JobFenced = "job.fenced",
    /// Cancelled.
    JobCancelled = "job.cancelled",
    /// Paused.
    JobPaused = "job.paused",
    /// Left the pause.
    JobResumed = "job.resumed",
    /// Taken from a node that died, and waiting in its lane again.
    JobAutoRecovered = "job.auto_recovered",
    /// An incarnation of a node registered.
    NodeJoined = "node.joined",
    /// An incarnation of a node left by itself.
    NodeLeft = "node.left",
    /// The lease of an incarnation ended.
    NodeCrashDetected = "node.crash_detected",
    /// A node leads the shard.
    LeaderElected = "leader.elected",
    /// A leader gave its term back.
    LeaderLost = "leader.lost",
    /// A schedule was created.
    ScheduleCreated = "schedule.created",
    /// Its definition changed.
    ScheduleUpdated = "schedule.updated",
    /// It fires nothing until it is resumed.
    SchedulePaused = "schedule.paused",
    /// It left the pause.
    ScheduleResumed = "schedule.resumed",
    /// It is gone: it will not fire again, or it was deleted.
    ScheduleRemoved = "schedule.removed",
    /// Began.
    WorkflowStarted = "workflow.started",
    /// Every task ended well.
    WorkflowCompleted = "workflow.completed",
    /// A task failed fatally.
    WorkflowFailed = "workflow.failed",
    /// Cancelled by a caller.
    WorkflowCancelled = "workflow.cancelled",
    /// Its execution timeout passed.
    WorkflowTimedOut = "workflow.timed_out",
    /// A task's job was made.
    WorkflowTaskDispatched = "workflow.task.dispatched",
    /// A task ended well.
    WorkflowTaskCompleted = "workflow.task.completed",
    /// A task ended badly or was cancelled; also when that is allowed.
    WorkflowTaskFailed = "workflow.task.failed",
    /// A task ended badly because its handler panicked; in place of `workflow.task.failed`.
    WorkflowTaskPanicked = "workflow.task.panicked",
    /// It is tried again, by its policy or by hand.
    WorkflowRetrying = "workflow.retrying",
    /// Nothing new is dispatched until it is resumed.
    WorkflowSuspended = "workflow.suspended",
    /// It goes on.
    WorkflowResumed = "workflow.resumed",
    /// A signal was accepted.
    WorkflowSignalReceived = "workflow.signal.received",
    /// The job of a hook was made.
    WorkflowHookDispatched = "workflow.hook.dispatched",
    /// A hook ended well.
    WorkflowHookCompleted = "workflow.hook.completed",
    /// A hook ended badly; its workflow is as it was.
    WorkflowHookFailed = "workflow.hook.failed",
    /// A batch began.
    BatchStarted = "batch.started",
    /// Every item ended well.
    BatchCompleted = "batch.completed",
    /// It ended with items that failed, or its preparation failed.
    BatchFailed = "batch.failed",
    /// Cancelled by a caller.
    BatchCancelled = "batch.cancelled",
    /// Its execution timeout passed.
    BatchTimedOut = "batch.timed_out",
    /// It is tried again, by its policy or by hand.
    BatchRetrying = "batch.retrying",
    /// It is further than before.
    BatchProgress = "batch.progress",
    /// Its preparation ended well.
    BatchOnetimeCompleted = "batch.onetime.completed",
    /// Its preparation failed.
    BatchOnetimeFailed = "batch.onetime.failed",
    /// An item ended well.
    BatchItemCompleted = "batch.item.completed",
    /// An item ended badly or was cancelled.
    BatchItemFailed = "batch.item.failed",
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for EventKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for EventKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Ok(EventKind::from_name(&text))
    }
}

/// A place in the event log of one shard: the entry and the index inside it.
///
/// Written `<milliseconds>-<sequence>.<index>`. Ordered as the log is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventCursor {
    /// Milliseconds of the entry's id, by the server's clock.
    pub millis: u64,
    /// Sequence of the entry's id.
    pub sequence: u64,
    /// Which event of the entry, from 0.
    pub index: u32,
}

impl fmt::Display for EventCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}.{}", self.millis, self.sequence, self.index)
    }
}

/// Why a text is not a cursor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a cursor; expected <milliseconds>-<sequence>.<index>, as events show it")]
pub struct CursorError(String);

impl FromStr for EventCursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let parts = || {
            let (entry, index) = text.split_once('.').unwrap_or((text, "0"));
            let (millis, sequence) = entry.split_once('-')?;
            Some(EventCursor {
                millis: millis.parse().ok()?,
                sequence: sequence.parse().ok()?,
                index: index.parse().ok()?,
            })
        };
        parts().ok_or_else(|| CursorError(text.to_owned()))
    }
}

impl Serialize for EventCursor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for EventCursor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// One transition that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Event {
    /// What happened.
    #[serde(rename = "type")]
    pub kind: EventKind,
    /// When, by the server's clock.
    pub timestamp: UnixMillis,
    /// The shard whose log holds it.
    pub shard: ShardIndex,
    /// Its place in that log.
    pub cursor: EventCursor,
    /// The job that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_id: Option<JobId>,
    /// The job's task type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_type: Option<TaskType>,
    /// Which execution of the job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// The fencing token of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<u64>,
    /// The workflow that it belongs to or is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workflow_id: Option<WorkflowId>,
    /// The task of the workflow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workflow_task: Option<TaskName>,
    /// The batch that it belongs to or is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_id: Option<BatchId>,
    /// The id of the batch's item; `onetime` of a job that is its onetime task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_item: Option<String>,
    /// How far the batch is; of `batch.progress`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_progress: Option<BatchProgress>,
    /// The schedule that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule_id: Option<ScheduleId>,
    /// The node that acted, or that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_id: Option<NodeId>,
    /// The term of a leader's event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub term: Option<u64>,
    /// Why, where there is a why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_read_back_and_unknown_ones_survive() {
        for kind in EventKind::ALL {
            assert_eq!(&EventKind::from_name(kind.as_str()), kind);
        }
        assert_eq!(
            EventKind::from_name("batch.started").as_str(),
            "batch.started"
        );
    }

    #[test]
    fn cursors_read_back_in_order() {
        let cursor: EventCursor = "1700000000000-3.7".parse().expect("cursor");
        assert_eq!(cursor.to_string(), "1700000000000-3.7");
        assert_eq!(
            "5-1".parse(),
            Ok(EventCursor {
                millis: 5,
                sequence: 1,
                index: 0
            })
        );
        let at = |text: &str| text.parse::<EventCursor>().expect(text);
        assert!(at("5-1.1") < at("5-1.2") && at("5-2.0") > at("5-1.9"));
        assert!("x".parse::<EventCursor>().is_err());
    }
}
