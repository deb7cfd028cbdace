//! The model of Paceline: ids, names, jobs, workflows, schedules, policies, events.
//!
//! Pure by rule: no IO, no clock, no randomness, no async runtime. What needs the time or a
//! random number takes it as an argument.
//!
//! The JSON field names and enum spellings of the public model are a promise: definitions
//! written for its predecessors parse here unchanged. Durations are read as Go duration
//! strings (`"1m30s"`) and as integer nanoseconds, and written as strings.

pub mod audit;
pub mod batch;
pub mod duration;
pub mod event;
pub mod group;
pub mod handler;
pub mod id;
pub mod job;
pub mod limit;
pub mod name;
mod nearest;
pub mod node;
pub mod outcome;
pub mod priority;
mod reading;
pub mod retry;
pub mod schedule;
pub mod scheduled;
pub mod settings;
pub mod stats;
pub mod task;
pub mod value;
pub mod why;
pub mod workflow;

pub use batch::{Batch, BatchDefinition, BatchStatus};
pub use bytes::Bytes;
pub use event::{Event, EventKind};
pub use group::{Group, GroupLimits};
pub use id::{BatchId, JobId, NodeId, ShardIndex, WorkflowId};
pub use job::{FiringRef, Job, JobSpec, JobStatus};
pub use limit::{Limit, LimitError, Rate};
pub use name::{
    GroupKey, IdempotencyKey, LimitKey, NameError, Namespace, ScheduleId, SignalName, Tag,
    TaskName, TaskType, UniqueKey, Version,
};
pub use node::{NodeInfo, Role};
pub use outcome::{JobError, Outcome, Settlement};
pub use priority::{Priority, Tier, TierWeights};
pub use retry::RetryPolicy;
pub use schedule::Schedule;
pub use scheduled::{JobTemplate, ScheduleDefinition, ScheduleInfo};
pub use settings::{AllSettings, Scope, Settings};
pub use task::Task;
pub use workflow::{Workflow, WorkflowDefinition, WorkflowStatus};

/// A point in time on the server's clock: milliseconds since the Unix epoch.
pub type UnixMillis = u64;

/// Largest payload or result that is accepted unless configured otherwise: 256 KiB.
pub const DEFAULT_MAX_PAYLOAD: usize = 256 * 1024;

/// Largest value that the payload limit may be raised to: 8 MiB.
pub const MAX_PAYLOAD_CEILING: usize = 8 * 1024 * 1024;
