//! How a leader works, and what it does unless told otherwise.

use std::time::Duration;

use crate::{
    alarms, courier, groups, promoter, reconciler, recovery, retention, scheduler, timers,
    workflows,
};

/// How often everything is surveyed unless configured otherwise.
pub const DEFAULT_SURVEY_EVERY: Duration = Duration::from_secs(1);

/// How soon one survey may follow another when the bell rings, unless configured otherwise.
/// Delayed work that becomes the earliest waits no longer than this to be noticed.
pub const DEFAULT_SURVEY_GAP: Duration = Duration::from_millis(20);

/// How often retention runs while something is past its time, unless configured otherwise.
pub const DEFAULT_RETENTION_EVERY: Duration = Duration::from_secs(10);

/// How long after one walk of the reconciler the next begins, unless configured otherwise.
pub const DEFAULT_RECONCILE_EVERY: Duration = Duration::from_secs(30);

/// How long one step of a walk follows another, unless configured otherwise.
pub const DEFAULT_RECONCILE_STEP: Duration = Duration::from_millis(250);

/// How long a service that failed waits, unless configured otherwise.
pub const DEFAULT_RETRY_AFTER: Duration = Duration::from_millis(250);

/// How a leader works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Reading of the inbox, and memory.
    pub workflows: workflows::Options,
    /// Delayed work.
    pub promoter: promoter::Options,
    /// Jobs that must start, end or give a sign of life in time.
    pub timers: timers::Options,
    /// Groups that are due.
    pub groups: groups::Options,
    /// Schedules.
    pub scheduler: scheduler::Options,
    /// Moments that workflows wait for.
    pub alarms: alarms::Options,
    /// What workflows tell one another.
    pub courier: courier::Options,
    /// Dead nodes.
    pub recovery: recovery::Options,
    /// What was kept long enough.
    pub retention: retention::Options,
    /// What stands still.
    pub reconciler: reconciler::Options,
    /// How often everything is surveyed when nothing rings.
    pub survey_every: Duration,
    /// How soon one survey may follow another when the bell rings.
    pub survey_gap: Duration,
    /// How often retention runs while something is past its time.
    pub retention_every: Duration,
    /// How long after one walk of the reconciler the next begins.
    pub reconcile_every: Duration,
    /// How long one step of a walk follows another.
    pub reconcile_step: Duration,
    /// How long a service that failed waits.
    pub retry_after: Duration,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            workflows: workflows::Options::default(),
            promoter: promoter::Options::default(),
            timers: timers::Options::default(),
            groups: groups::Options::default(),
            scheduler: scheduler::Options::default(),
            alarms: alarms::Options::default(),
            courier: courier::Options::default(),
            recovery: recovery::Options::default(),
            retention: retention::Options::default(),
            reconciler: reconciler::Options::default(),
            survey_every: DEFAULT_SURVEY_EVERY,
            survey_gap: DEFAULT_SURVEY_GAP,
            retention_every: DEFAULT_RETENTION_EVERY,
            reconcile_every: DEFAULT_RECONCILE_EVERY,
            reconcile_step: DEFAULT_RECONCILE_STEP,
            retry_after: DEFAULT_RETRY_AFTER,
        }
    }
}
