//! Schedules as they are kept: a definition under an id, and how it stands.

mod definition;
mod firing;
mod template;

use serde::Serialize;

use crate::{JobId, ScheduleId, UnixMillis};

pub use definition::{HEADER_BACKFILL, HEADER_SCHEDULED_AT, ScheduleDefinition, moment};
pub use firing::{
    Advance, DueSchedule, DueSchedules, Fired, FiringAnswer, FiringCounts, FiringKind,
    FiringOutcome, FiringStep, NewFiring, PlannedFiring,
};
pub use template::JobTemplate;

/// Most firings of a manual backfill.
pub const MAX_BACKFILL: usize = 100;

/// Most firings of a schedule that wait for the end of an active run; later ones are dropped,
/// and counted.
pub const MAX_BUFFERED: usize = 1_000;

/// Whether a schedule fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ScheduleStatus {
    /// It fires when its time comes.
    Active,
    /// It fires nothing until it is resumed; what waits for an active run goes on waiting.
    Paused,
    /// It will not fire again; what waits for the end of an active run starts, then it is removed.
    Finishing,
}

impl ScheduleStatus {
    /// The spelling of the public model.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            ScheduleStatus::Active => "active",
            ScheduleStatus::Paused => "paused",
            ScheduleStatus::Finishing => "finishing",
        }
    }
}

impl std::fmt::Display for ScheduleStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// How a schedule stands: one consistent reading of its record.
///
/// Every firing that was looked at is counted once: fired, skipped or dropped, or it waits.
#[derive(Clone, Debug, Serialize)]
pub struct ScheduleInfo {
    /// Its id.
    pub id: ScheduleId,
    /// What was asked for.
    pub definition: ScheduleDefinition,
    /// Whether it fires.
    pub status: ScheduleStatus,
    /// Grows with each change of the definition.
    pub revision: u64,
    /// When it was created, by the server's clock.
    pub created_at: UnixMillis,
    /// What intervals and every-N count from when `starts_at` is not given: the creation, or the
    /// last change of its times.
    pub anchored_at: UnixMillis,
    /// The scheduled time of the next firing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_run_at: Option<UnixMillis>,
    /// The scheduled time of the firing that last became a job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_run_at: Option<UnixMillis>,
    /// The job of that firing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_job_id: Option<JobId>,
    /// That job, while it has not ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active_job_id: Option<JobId>,
    /// Firings that wait for its end.
    pub buffered: u64,
    /// Firings that became jobs.
    pub fired: u64,
    /// Firings that were left out as a run was active.
    pub skipped: u64,
    /// Firings that waited and were replaced by a later one, or found no room.
    pub dropped: u64,
}
