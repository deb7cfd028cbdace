//! One row: a task, a hook, a map with its elements.

use std::collections::HashMap;

use paceline_types::workflow::{TaskDefinition, TaskKind, TaskState};
use paceline_types::{Event, JobId, JobStatus, SignalName, UnixMillis};

/// What a row stands for.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::cli::run) enum Kind {
    Job,
    Condition,
    Subflow,
    Map(Elements),
    Child,
    /// Waits for the signal of this name.
    Signal(String),
    Hook,
}

impl Kind {
    pub(super) fn of(task: &TaskDefinition) -> Kind {
        match task.kind {
            TaskKind::Static if task.child_workflow_def.is_some() => Kind::Child,
            TaskKind::Static => Kind::Job,
            TaskKind::Condition => Kind::Condition,
            TaskKind::Subflow => Kind::Subflow,
            TaskKind::Map => Kind::Map(Elements::default()),
            TaskKind::Signal => Kind::Signal(task.awaited_signal().unwrap_or_default().to_owned()),
        }
    }

    /// What a reading says that a task is.
    pub(in crate::cli::run) fn of_state(task: &TaskState) -> Kind {
        match task.kind {
            TaskKind::Static if task.task_type.is_none() => Kind::Child,
            TaskKind::Static => Kind::Job,
            TaskKind::Condition => Kind::Condition,
            TaskKind::Subflow => Kind::Subflow,
            TaskKind::Map => Kind::Map(Elements::default()),
            TaskKind::Signal => {
                let signal = task.signal.as_ref().map(SignalName::as_str);
                Kind::Signal(signal.unwrap_or(task.name.as_str()).to_owned())
            }
        }
    }
}

/// How the elements of a map stand.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::cli::run) struct Elements {
    /// How many there are, once that is known.
    pub(in crate::cli::run) total: Option<u32>,
    /// Ended, those that failed included.
    pub(in crate::cli::run) done: u32,
    pub(in crate::cli::run) failed: u32,
    pub(in crate::cli::run) running: u32,
    states: HashMap<u32, JobStatus>,
}

impl Elements {
    /// An element stands otherwise; whether that changes what is shown.
    pub(super) fn set(&mut self, element: u32, status: JobStatus) -> bool {
        let before = self.states.insert(element, status);
        if before == Some(status) {
            return false;
        }
        let counted = |counts: &mut u32, was: bool, is: bool| match (was, is) {
            (true, false) => *counts = counts.saturating_sub(1),
            (false, true) => *counts += 1,
            _ => {}
        };
        let failed = |status: JobStatus| matches!(status, JobStatus::Dead | JobStatus::Cancelled);
        let running = |status: JobStatus| status == JobStatus::Running;
        let was = |is: fn(JobStatus) -> bool| before.is_some_and(is);
        counted(
            &mut self.done,
            was(JobStatus::is_terminal),
            status.is_terminal(),
        );
        counted(&mut self.failed, was(failed), failed(status));
        counted(&mut self.running, was(running), running(status));
        true
    }

    /// How an element stands.
    pub(super) fn get(&self, element: u32) -> Option<JobStatus> {
        self.states.get(&element).copied()
    }
}

/// Where a row stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli::run) enum Status {
    /// Its turn has not come.
    Waiting,
    /// Its job waits for a node.
    Queued,
    Running,
    Retrying,
    Scheduled,
    Paused,
    /// Its handler has ended, and what it added has not.
    Expanded,
    /// Waits for its signal.
    Listening,
    Completed,
    /// Completed because there was nothing to do.
    Skipped,
    Dead,
    /// Dead, which it may be.
    DeadAllowed,
    Cancelled,
}

impl Status {
    /// Whether it stays so, unless the row starts afresh.
    pub(in crate::cli::run) fn is_final(self) -> bool {
        matches!(
            self,
            Status::Completed
                | Status::Skipped
                | Status::Dead
                | Status::DeadAllowed
                | Status::Cancelled
        )
    }

    pub(super) fn of(status: JobStatus) -> Status {
        match status {
            JobStatus::Pending => Status::Queued,
            JobStatus::Scheduled => Status::Scheduled,
            JobStatus::Running => Status::Running,
            JobStatus::Retrying => Status::Retrying,
            JobStatus::Paused => Status::Paused,
            JobStatus::Completed => Status::Completed,
            JobStatus::Dead => Status::Dead,
            JobStatus::Cancelled => Status::Cancelled,
        }
    }
}

/// One row.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::cli::run) struct Row {
    /// The name of its task or hook.
    pub(in crate::cli::run) name: String,
    /// Which of the board's workflows it belongs to.
    pub(in crate::cli::run) flow: usize,
    /// The row that it stands under: the child workflow's, or that of the task that added it.
    pub(in crate::cli::run) parent: Option<usize>,
    pub(in crate::cli::run) kind: Kind,
    pub(in crate::cli::run) status: Status,
    /// How often it was started afresh, from 1; 0 before it was started.
    pub(in crate::cli::run) starts: u32,
    pub(in crate::cli::run) attempt: u32,
    pub(in crate::cli::run) started_at: Option<UnixMillis>,
    pub(in crate::cli::run) finished_at: Option<UnixMillis>,
    /// Why it failed, was skipped or waits.
    pub(in crate::cli::run) note: Option<String>,
    /// The job of its last start, also where nothing runs: each start has an id of its own.
    job: Option<JobId>,
    /// Its turn came.
    pub(super) dispatched: bool,
    /// Whether it is known where it belongs; rows that only an event told of are not shown live
    /// until it is.
    pub(in crate::cli::run) placed: bool,
}

impl Row {
    pub(super) fn new(name: &str, flow: usize, parent: Option<usize>, kind: Kind) -> Row {
        Row {
            name: name.to_owned(),
            flow,
            parent,
            kind,
            status: Status::Waiting,
            starts: 0,
            attempt: 0,
            started_at: None,
            finished_at: None,
            note: None,
            job: None,
            dispatched: false,
            placed: true,
        }
    }

    /// As it was before anything happened, but for how often it was started.
    pub(super) fn reset(&mut self) {
        let kind = match &self.kind {
            Kind::Map(_) => Kind::Map(Elements::default()),
            kind => kind.clone(),
        };
        *self = Row {
            parent: self.parent,
            starts: self.starts,
            placed: self.placed,
            ..Row::new(&self.name, self.flow, self.parent, kind)
        };
    }

    /// An event of a start of it: the first, the same as before, or a new one.
    pub(super) fn meet(&mut self, event: &Event) {
        let again = match (self.job, event.job_id) {
            (Some(before), Some(now)) => before != now,
            (None, Some(_)) => self.starts == 0,
            (_, None) => false,
        };
        if again {
            self.begin();
        }
        self.job = event.job_id.or(self.job);
    }

    fn begin(&mut self) {
        self.reset();
        self.starts += 1;
    }

    /// Its turn came: the first time, or again.
    pub(super) fn start(&mut self, event: &Event) {
        if event.job_id.is_none() && (self.starts == 0 || self.status.is_final()) {
            self.begin();
        }
        self.dispatched = true;
        self.status = match &self.kind {
            Kind::Signal(_) => Status::Listening,
            Kind::Map(_) | Kind::Child => Status::Running,
            Kind::Job | Kind::Condition | Kind::Subflow | Kind::Hook => Status::Queued,
        };
        if self.status != Status::Queued {
            self.started_at = Some(event.timestamp);
        }
    }

    pub(super) fn run(&mut self, event: &Event) {
        self.starts = self.starts.max(1);
        self.dispatched = true;
        self.status = Status::Running;
        self.attempt = event.attempt.unwrap_or(self.attempt + 1);
        self.started_at = Some(event.timestamp);
        self.finished_at = None;
        self.note = None;
    }

    pub(super) fn end_run(&mut self, status: Status, event: &Event) {
        self.status = status;
        self.finished_at = Some(event.timestamp);
        if event.error.is_some() {
            self.note.clone_from(&event.error);
        }
    }
}
