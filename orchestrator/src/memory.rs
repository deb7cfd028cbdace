//! A ledger in memory: the double that the services are tested on.
//!
//! It promises what the ports promise, and checks what they demand: a turn that is larger than
//! allowed, or a commit that names a job twice, is a panic here. It can fail on purpose, before
//! or after a commit took effect, and counts what it is asked to do. Its clock is wound by hand.

mod batches;
mod commit;
mod faults;
mod hands;
mod ledger;
mod looks;
mod posts;
mod schedules;
mod services;
mod wishes;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use paceline_types::workflow::{Header, Origin, Section, TaskRecord};
use paceline_types::{JobId, JobSpec, NodeId, SignalName, TaskName, WorkflowId, WorkflowStatus};

pub use batches::BatchJob;

use crate::ports::{Alarm, Composition, InboxItem, LogEvent, Parked, Post, TaskOutcome};

/// How a call is made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing happens, and the caller is told that it is unknown.
    Before,
    /// Everything happens, and the caller is told that it is unknown.
    After,
}

/// What a ledger was asked to do so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Calls of every kind.
    pub calls: u64,
    /// Those of them that asked for results.
    pub reads: u64,
    /// Turns that were written.
    pub turns: u64,
    /// Task records that were written.
    pub records: u64,
    /// Headers that were written.
    pub headers: u64,
    /// Jobs that were made.
    pub dispatches: u64,
    /// Jobs that were told to stop.
    pub cancels: u64,
    /// Starts that went to the history.
    pub history: u64,
    /// Tasks whose records went to the history with their section.
    pub dropped: u64,
    /// Results that were kept of what ran on no node.
    pub conclusions: u64,
    /// Posts that were written.
    pub posts: u64,
    /// Posts that were delivered, each time.
    pub deliveries: u64,
    /// Results that were asked for.
    pub results: u64,
    /// Events that were logged.
    pub events: u64,
    /// Writes of an older term that were refused.
    pub fenced: u64,
}

/// Where a job stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobState {
    /// Waits to be claimed.
    Waiting,
    /// Claimed.
    Running,
    /// Claimed, and asked to stop.
    CancelRequested,
    /// Over.
    Ended(TaskOutcome),
}

/// The job of a task.
#[derive(Clone, Debug, PartialEq)]
pub struct MemoryJob {
    /// The workflow that it belongs to.
    pub workflow: WorkflowId,
    /// The task.
    pub task: TaskName,
    /// Which start of the task.
    pub iteration: u32,
    /// The task's index; see [`TaskJob`](crate::ports::TaskJob).
    pub index: u32,
    /// What was asked for.
    pub spec: JobSpec,
    /// What its payload is composed of.
    pub composition: Composition,
    /// Where it stands.
    pub state: JobState,
    /// What it left, once it completed.
    pub result: Option<Bytes>,
}

/// A workflow, as the ledger keeps it.
#[derive(Debug)]
struct Kept {
    definition: Bytes,
    input: Option<Bytes>,
    /// The task that it is the child of, and the name of that task.
    origin: Option<(Origin, TaskName)>,
    continued_from: Option<WorkflowId>,
    header: Header,
    revision: u64,
    tasks: BTreeMap<u32, TaskRecord>,
    history: BTreeMap<(u32, u32), TaskRecord>,
    sections: BTreeMap<u32, Section>,
    suspended: bool,
    /// Why somebody wants it cancelled.
    cancelled: Option<String>,
    signals: BTreeMap<u64, (SignalName, Bytes)>,
    last_signal: u64,
    unfinished: bool,
    alarms: BTreeMap<Alarm, Duration>,
    close: Option<WorkflowStatus>,
    retired: bool,
}

impl Kept {
    fn new(definition: Bytes) -> Kept {
        Kept {
            definition,
            input: None,
            origin: None,
            continued_from: None,
            header: Header::NEW,
            revision: 0,
            tasks: BTreeMap::new(),
            history: BTreeMap::new(),
            sections: BTreeMap::new(),
            suspended: false,
            cancelled: None,
            signals: BTreeMap::new(),
            last_signal: 0,
            unfinished: false,
            alarms: BTreeMap::new(),
            close: None,
            retired: false,
        }
    }

    /// Taken back by a retry that the leader has not looked at.
    fn is_retried(&self) -> bool {
        self.close.is_none() && self.header.stage.is_closed()
    }

    /// The status that a client reads.
    fn status(&self) -> WorkflowStatus {
        match (self.close, self.header.stage.is_closed()) {
            // Taken back by a retry that the leader has not looked at.
            (None, true) => WorkflowStatus::Running,
            (None, false) if self.suspended => WorkflowStatus::Suspended,
            (None, false) => self.header.stage.status(),
            (Some(status), _) => status,
        }
    }
}

#[derive(Debug, Default)]
struct State {
    now: Duration,
    newest_term: u64,
    made: u64,
    workflows: BTreeMap<WorkflowId, Kept>,
    inbox: BTreeMap<u64, Vec<InboxItem>>,
    entries: u64,
    /// Entries that were delivered a second time already, or need not be.
    repeated: BTreeSet<u64>,
    repeat: bool,
    jobs: BTreeMap<JobId, MemoryJob>,
    /// Results of what ran on no node.
    concluded: BTreeMap<JobId, Bytes>,
    lane: VecDeque<JobId>,
    outbox: BTreeMap<u64, Post>,
    posted: u64,
    log: Vec<(WorkflowId, LogEvent)>,
    parked: Vec<Parked>,
    faults: VecDeque<Fault>,
    delivery_faults: VecDeque<Fault>,
    /// Workflows that no post can be delivered to.
    unreachable: BTreeSet<WorkflowId>,
    down: bool,
    poisoned: BTreeSet<WorkflowId>,
    tally: Tally,
    delayed: BTreeSet<(Duration, u64)>,
    timers: BTreeSet<(Duration, u64)>,
    groups: BTreeSet<(Duration, u64)>,
    leases: BTreeMap<NodeId, (Duration, usize)>,
    dead: BTreeMap<NodeId, usize>,
    old_records: usize,
    /// Events that audit trails wait for.
    uncopied: usize,
    /// Steps that the lanes' sweep takes.
    untidy: usize,
    schedules: schedules::Book,
    batches: batches::Book,
}

/// Everything that a leader works on, in memory. Share it by `Arc`.
#[derive(Debug, Default)]
pub struct MemoryLedger {
    state: Mutex<State>,
}

impl MemoryLedger {
    /// An empty ledger at time zero.
    #[must_use]
    pub fn new() -> MemoryLedger {
        MemoryLedger::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panicking test must show its own message, not that of the poisoned lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes those of a set whose time has come, at most `max`: how many, and when the next one is due.
fn take_due(
    set: &mut BTreeSet<(Duration, u64)>,
    now: Duration,
    max: usize,
) -> (usize, Option<Duration>) {
    let mut taken = 0;
    while taken < max
        && let Some(&(due, _)) = set.first()
        && due <= now
    {
        set.pop_first();
        taken += 1;
    }
    (taken, set.first().map(|(due, _)| due.saturating_sub(now)))
}

impl State {
    fn deliver(&mut self, items: Vec<InboxItem>) {
        self.entries += 1;
        self.inbox.insert(self.entries, items);
    }

    fn post(&mut self, post: Post) {
        self.posted += 1;
        self.outbox.insert(self.posted, post);
    }

    /// Ends a job that has not ended; what to tell the orchestrator.
    fn end(&mut self, id: JobId, outcome: TaskOutcome, result: Bytes) -> Option<InboxItem> {
        let job = self.jobs.get_mut(&id)?;
        if matches!(job.state, JobState::Ended(_)) {
            return None;
        }
        job.result = match outcome {
            TaskOutcome::Completed | TaskOutcome::Continued => Some(result),
            TaskOutcome::Skipped { .. } | TaskOutcome::Dead { .. } | TaskOutcome::Cancelled => None,
        };
        job.state = JobState::Ended(outcome.clone());
        Some(InboxItem::TaskEnded {
            workflow: job.workflow,
            task: job.task.clone(),
            iteration: job.iteration,
            attempt: 1,
            job: id,
            outcome,
        })
    }

    /// What a job left, as those that depend on it are given it.
    fn result(&self, id: JobId) -> Option<Bytes> {
        let Some(job) = self.jobs.get(&id) else {
            return self.concluded.get(&id).cloned();
        };
        let failed = |error: &str| serde_json::json!({ "error": error }).to_string().into();
        match &job.state {
            JobState::Ended(TaskOutcome::Completed | TaskOutcome::Continued) => job.result.clone(),
            JobState::Ended(TaskOutcome::Skipped { .. }) => Some(Bytes::from_static(b"null")),
            JobState::Ended(TaskOutcome::Dead { error }) => Some(failed(error)),
            JobState::Ended(TaskOutcome::Cancelled) => Some(failed("cancelled")),
            JobState::Waiting | JobState::Running | JobState::CancelRequested => {
                panic!("the result of {id} is asked for, which has not ended")
            }
        }
    }
}
