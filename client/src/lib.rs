//! Submit, steer, query and follow work on a Paceline cluster.
//!
//! ```no_run
//! use std::time::Duration;
//! use paceline_client::{Client, Priority, Task};
//!
//! #[derive(serde::Serialize, serde::Deserialize)]
//! struct Resize { image: String, width: u32 }
//!
//! impl Task for Resize {
//!     const TYPE: &'static str = "image.resize";
//!     type Output = String;
//! }
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::connect("redis://127.0.0.1/").await?;
//! let path = client
//!     .submit(Resize { image: "a.png".into(), width: 640 })
//!     .priority(Priority::HIGH)
//!     .unique("a.png")
//!     .delay(Duration::from_secs(5))
//!     .await?                 // a handle: the job is accepted
//!     .output()
//!     .await?;                // a String
//! # Ok(()) }
//! ```
//!
//! What is promised: exactly-once state transitions, exactly one event per transition,
//! at-least-once execution of handlers, with a fencing token handed to the handler.
//!
//! What jobs, workflows, groups and schedules do, exactly, stands in [the reference](mod@reference).
//!
//! * Jobs: [`Client::submit`], [`Client::submit_raw`], [`Client::submit_many`]; a [`JobHandle`]
//!   waits for one. [`Client::job`], [`Client::jobs`], [`Client::cancel`], [`Client::retry`],
//!   [`Client::pause`], [`Client::resume`], [`Client::requeue`], [`Client::edit_payload`],
//!   [`Client::delete`], [`Client::dead_letters`]; many at once: [`Client::bulk_cancel`],
//!   [`Client::bulk_retry`], [`Client::bulk_delete`].
//! * Workflows: [`Client::submit_workflow`] takes a [`WorkflowBuilder`] or a
//!   [`WorkflowDefinition`], [`Client::validate`] checks one; [`Client::workflow`],
//!   [`Client::workflows`], [`Client::task_result`], [`Client::task_results`]; [`Client::signal`], [`Client::signals`],
//!   [`Client::ack_signal`]; [`Client::suspend_workflow`], [`Client::resume_workflow`],
//!   [`Client::cancel_workflow`], [`Client::retry_workflow`]. A [`WorkflowHandle`] does all this
//!   for one, and waits for it.
//! * Batches: [`Client::submit_batch`] takes a [`BatchBuilder`] or a [`BatchDefinition`]; a
//!   [`BatchHandle`] follows its progress and reads its results. [`Client::batch`],
//!   [`Client::batches`], [`Client::batch_results`], [`Client::cancel_batch`],
//!   [`Client::retry_batch`].
//! * Groups, whose messages become one job: [`Client::push`], [`Client::push_many`],
//!   [`Client::groups`], [`Client::flush_group`].
//! * Schedules: [`Client::schedule`], [`Client::schedules`], [`Client::schedule_info`],
//!   [`Client::pause_schedule`], [`Client::resume_schedule`], [`Client::delete_schedule`],
//!   [`Client::run_schedule`], [`Client::backfill_schedule`], [`Client::next_firings`].
//! * Events: [`Client::subscribe`]. What happened to a job: [`Client::audit`]; why it does not
//!   run: [`Client::why`]. Totals: [`Client::stats`], [`Client::daily_stats`].
//! * Nodes: [`Client::nodes`], [`Client::drain`], [`Client::set_config`].
//! * Steering: [`Client::set_limit`], [`Client::limits`]; [`Client::pause_tier`],
//!   [`Client::set_tier`], [`Client::tiers`]; [`Client::pause_type`].
//!
//! Every operation has an error of its own, which says whether anything may have been stored.

mod audit;
mod batches;
mod config;
mod connect;
mod dead_letters;
mod group_commit;
mod groups;
mod handle;
mod jobs;
mod limits;
mod listing;
mod mistakes;
mod nodes;
pub mod reference;
mod request;
mod schedules;
mod stats;
mod steer;
mod submit;
mod submit_command;
mod submit_many;
mod subscribe;
mod wait;
mod why;
mod workflow;

pub use paceline_store::calls::cancel::Cancelled;
pub use paceline_store::calls::delete::Deleted;
pub use paceline_store::calls::group::Pushed;
pub use paceline_store::calls::limits::{Holder, LimitUse};
pub use paceline_store::calls::list::{
    JobFilter, ListError, MAX_PAGE, PayloadFilter, PayloadFilterError,
};
pub use paceline_store::calls::open::OpenError;
pub use paceline_store::calls::requeue::Requeued;
pub use paceline_store::calls::steering::{TierState, TypeState};
pub use paceline_store::calls::submit::KeysApart;
pub use paceline_store::redis_url::RedisUrlError;
pub use paceline_store::{RedisUrl, Store, StoreError};
pub use paceline_types::audit::{Audit, AuditEntry, AuditSource};
pub use paceline_types::batch::{
    Batch, BatchDefinition, BatchFailurePolicy, BatchItem, BatchItemResult, BatchProgress,
    BatchResults, BatchStatus, BatchStep,
};
pub use paceline_types::event::{CursorError, EventCursor};
pub use paceline_types::handler::{HookCall, HookedWorkflow, Route, Tasks, Upstream};
pub use paceline_types::schedule::{Firing, OverlapPolicy, Timing, Zone};
pub use paceline_types::scheduled::{FiringCounts, ScheduleStatus};
pub use paceline_types::settings::{AllSettings, Scope, ScopeError, Settings, SettingsError};
pub use paceline_types::stats::{DayStats, Lane, Stats};
pub use paceline_types::why::{Reason, Why};
pub use paceline_types::workflow::{
    DefinitionError, MapProgress, ResultFrom, ResultReuse, TaskDefinition, TaskKind, TaskResult,
    TaskState, Workflow, WorkflowSignal,
};
pub use paceline_types::{
    BatchId, Event, EventKind, Group, GroupKey, GroupLimits, Job, JobId, JobSpec, JobStatus, Limit,
    LimitError, NameError, NodeId, NodeInfo, Priority, Rate, RetryPolicy, Schedule,
    ScheduleDefinition, ScheduleId, ScheduleInfo, ShardIndex, Tag, Task, TaskName, TaskType, Tier,
    UniqueKey, UnixMillis, WorkflowDefinition, WorkflowId, WorkflowStatus,
};

pub use audit::AuditError;
pub use batches::{
    BatchBuilder, BatchHandle, BatchSubmitError, CancelBatchError, IntoBatch, ItemResults,
    ProgressFeed, RetryBatchError, WaitBatchError,
};
pub use config::ConfigError;
pub use connect::{Client, ClientBuilder, ConnectError};
pub use dead_letters::DeadLetters;
pub use groups::{FlushGroupError, Push, PushError};
pub use handle::{HasOutput, JobHandle, Untyped, WaitError};
pub use jobs::ResumeError;
pub use jobs::bulk::Bulk;
pub use jobs::cancel::{CancelByUnique, CancelByUniqueError, CancelJob};
pub use jobs::retry::RetryError;
pub use jobs::steer::{EditError, PauseError, RequeueError};
pub use limits::{GetLimitError, SetLimitError};
pub use listing::{DEFAULT_PAGE, ListPage, Listing};
pub use nodes::DrainError;
pub use request::{InvalidJob, JobRequest, MAX_HEADERS, MAX_LIMITS, MAX_TAGS, RunAt};
pub use schedules::{Applied, FireByHand, PutSchedule, PutScheduleError, ScheduleError};
pub use steer::SteerError;
pub use submit::{Accepted, Submit, SubmitError};
pub use submit_command::SubmitCommand;
pub use submit_many::{Submission, SubmitManyError};
pub use subscribe::{
    Cursors, CursorsError, Delivery, SubscribeBuilder, SubscribeError, Subscription,
};
pub use why::{WhyError, WhyTarget};
pub use workflow::{
    CancelWorkflowError, HookStep, IntoDefinition, ResumeWorkflowError, RetryWorkflowError,
    SendSignal, SignalError, Step, SuspendWorkflowError, TaskResultError, WorkflowBuilder,
    WorkflowHandle, WorkflowSubmitError,
};
