//! Lists, read page by page from the structures that the work needs anyway: running jobs from
//! the owners, waiting ones from the lanes, then the delayed and the paused, then what ended,
//! newest first. Only tags have an index of their own.
//!
//! A page is not one moment of the cluster: what moves while it is read may be seen twice or
//! not at all. Each job in it is as of one moment.

mod batches;
mod cursor;
mod ended;
mod groups;
mod jobs;
mod live;
mod payload;
mod schedules;
mod sources;
mod walk;
mod workflows;

use paceline_types::{
    Batch, Group, Job, JobStatus, Tag, TaskType, UniqueKey, UnixMillis, Workflow,
};

pub use cursor::CursorError;
pub use payload::{PayloadFilter, PayloadFilterError};

/// Most items of a page.
pub const MAX_PAGE: usize = 100;

/// Which jobs to list; everything that is set must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobFilter {
    /// Only in this status.
    pub status: Option<JobStatus>,
    /// Only of this task type.
    pub task_type: Option<TaskType>,
    /// Only with this tag.
    pub tag: Option<Tag>,
    /// Only with this unique key; only its shard is read.
    pub unique_key: Option<UniqueKey>,
    /// Only accepted at this moment or later, by the server's clock.
    pub created_since: Option<UnixMillis>,
    /// Only accepted before this moment.
    pub created_until: Option<UnixMillis>,
    /// Only ended at this moment or later.
    pub ended_since: Option<UnixMillis>,
    /// Only ended before this moment.
    pub ended_until: Option<UnixMillis>,
    /// Only with this value in the payload. There is no index of payloads: every job that fits
    /// otherwise is read, some thousand of them for a page, which may be empty and have a next.
    pub payload: Option<PayloadFilter>,
}

impl JobFilter {
    /// Whether most of what is read may be left out, so that more of it is read at once.
    fn is_narrow(&self) -> bool {
        *self
            != JobFilter {
                status: self.status,
                task_type: self.task_type.clone(),
                tag: self.tag.clone(),
                ..JobFilter::default()
            }
    }
}

/// Which part of a list to read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageRequest {
    /// Where the page before ended; none for the first page.
    pub cursor: Option<String>,
    /// At most so many items: 1 to [`MAX_PAGE`].
    pub limit: usize,
}

impl PageRequest {
    /// The first page.
    #[must_use]
    pub fn first(limit: usize) -> PageRequest {
        PageRequest {
            cursor: None,
            limit,
        }
    }

    fn limit(&self) -> usize {
        self.limit.clamp(1, MAX_PAGE)
    }
}

/// A part of a list. It may hold fewer items than asked for, and still have a next one, when a
/// filter left most of what was read out.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    /// What was found.
    pub items: Vec<T>,
    /// Where to go on; none at the end.
    pub next: Option<String>,
    /// How many items were read for it, those included that the filter left out.
    pub scanned: usize,
}

/// A page of jobs.
pub type JobPage = Page<Job>;

/// A page of workflows, without their tasks.
pub type WorkflowPage = Page<Workflow>;

/// A page of batches, without what their items say.
pub type BatchPage = Page<Batch>;

/// A page of groups.
pub type GroupPage = Page<Group>;

/// Why a list was not read.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// The cursor is none of this list.
    #[error(transparent)]
    Cursor(#[from] CursorError),
    /// No answer, or an error of Redis.
    #[error(transparent)]
    Store(#[from] crate::StoreError),
}
