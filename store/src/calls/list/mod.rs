//! Lists, read page by page from the structures that the work needs anyway: running jobs from
//! the owners, waiting ones from the lanes, then the delayed and the paused, then what ended,
//! newest first. Only tags have an index of their own.
//!
//! A page is not one moment of the cluster: what moves while it is read may be seen twice or
//! not at all. Each job in it is as of one moment.

mod cursor;
mod jobs;
mod schedules;
mod sources;
mod walk;
mod workflows;

use paceline_types::{Job, JobStatus, Tag, TaskType, Workflow};

pub use cursor::CursorError;

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
}

/// A page of jobs.
pub type JobPage = Page<Job>;

/// A page of workflows, without their tasks.
pub type WorkflowPage = Page<Workflow>;

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
