//! A ledger in memory: the double that the services are tested on.
//!
//! It promises what the ports promise, and checks what they demand: a turn that is larger than
//! allowed, or a commit that names a job twice, is a panic here. It can fail on purpose, before
//! or after a commit took effect, and counts what it is asked to do. Its clock is wound by hand.

mod ports;
mod schedules;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use paceline_types::workflow::{Header, TaskRecord};
use paceline_types::{
    JobId, NodeId, ShardIndex, TaskName, WorkflowDefinition, WorkflowId, WorkflowStatus,
};

use crate::ports::{Close, InboxItem, LogEvent, Parked, TaskOutcome, Upstream};

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
    /// Whose results it is given.
    pub upstream: Upstream,
    /// Where it stands.
    pub state: JobState,
}

#[derive(Debug)]
struct Kept {
    definition: Bytes,
    header: Header,
    revision: u64,
    tasks: BTreeMap<u32, TaskRecord>,
    unfinished: bool,
    deadline: Option<Duration>,
    close: Option<Close>,
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
    lane: VecDeque<JobId>,
    log: Vec<(WorkflowId, LogEvent)>,
    parked: Vec<Parked>,
    faults: VecDeque<Fault>,
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

    /// Accepts a workflow, as a client would; it must be valid.
    pub fn submit(&self, definition: &WorkflowDefinition) -> WorkflowId {
        let mut state = self.state();
        state.made += 1;
        let id = WorkflowId::from_parts(1, ShardIndex(0), state.made << 20);
        let kept = Kept {
            definition: serde_json::to_vec(definition).unwrap_or_default().into(),
            header: Header::NEW,
            revision: 0,
            tasks: BTreeMap::new(),
            unfinished: false,
            deadline: None,
            close: None,
        };
        state.workflows.insert(id, kept);
        state.deliver(vec![InboxItem::Start { workflow: id }]);
        id
    }

    /// Asks for a workflow to be cancelled, as a client would.
    pub fn cancel(&self, workflow: WorkflowId, reason: &str) {
        self.deliver(vec![InboxItem::Cancel {
            workflow,
            reason: reason.to_owned(),
        }]);
    }

    /// Puts an entry into the inbox.
    pub fn deliver(&self, items: Vec<InboxItem>) {
        self.state().deliver(items);
    }

    /// Takes waiting jobs, as a worker would, in the order in which they were made.
    pub fn claim(&self, max: usize) -> Vec<JobId> {
        let mut state = self.state();
        let mut claimed = Vec::new();
        while claimed.len() < max
            && let Some(id) = state.lane.pop_front()
        {
            if let Some(job) = state.jobs.get_mut(&id)
                && job.state == JobState::Waiting
            {
                job.state = JobState::Running;
                claimed.push(id);
            }
        }
        claimed
    }

    /// Ends jobs, as one turn of a worker would: those that had not ended become one entry.
    pub fn end(&self, ended: impl IntoIterator<Item = (JobId, TaskOutcome)>) {
        let mut state = self.state();
        let items: Vec<_> = ended
            .into_iter()
            .filter_map(|(job, outcome)| state.end(job, outcome))
            .collect();
        if !items.is_empty() {
            state.deliver(items);
        }
    }

    /// Lets time pass.
    pub fn pass(&self, time: Duration) {
        self.state().now += time;
    }

    /// From now on every entry is delivered once more after it was consumed.
    pub fn repeat_deliveries(&self) {
        self.state().repeat = true;
    }

    /// The next commit fails like this; the one after it like the next fault that was given.
    pub fn fail_commit(&self, fault: Fault) {
        self.state().faults.push_back(fault);
    }

    /// Takes back the faults that no commit has met yet.
    pub fn clear_faults(&self) {
        self.state().faults.clear();
    }

    /// Whether every call fails.
    pub fn set_down(&self, down: bool) {
        self.state().down = down;
    }

    /// From now on every turn with a commit of this workflow fails.
    pub fn poison(&self, workflow: WorkflowId) {
        self.state().poisoned.insert(workflow);
    }

    /// Forgets a job, as a rollback would.
    pub fn lose_job(&self, job: JobId) {
        self.state().jobs.remove(&job);
    }

    /// Forgets everything in the inbox, as a rollback would.
    pub fn lose_inbox(&self) {
        self.state().inbox.clear();
    }

    /// Overwrites the kept definition, as a fault of the data would.
    pub fn break_definition(&self, workflow: WorkflowId) {
        if let Some(kept) = self.state().workflows.get_mut(&workflow) {
            kept.definition = Bytes::from_static(b"{");
        }
    }

    /// Changes an instance behind the leader's back.
    pub fn touch(&self, workflow: WorkflowId) {
        if let Some(kept) = self.state().workflows.get_mut(&workflow) {
            kept.revision += 1;
        }
    }

    /// Makes something due at a time from now.
    pub fn delay(&self, due_in: Duration) {
        let mut state = self.state();
        state.made += 1;
        let due = (state.now + due_in, state.made);
        state.delayed.insert(due);
    }

    /// Makes a timer of a job pass at a time from now.
    pub fn arm(&self, passes_in: Duration) {
        let mut state = self.state();
        state.made += 1;
        let timer = (state.now + passes_in, state.made);
        state.timers.insert(timer);
    }

    /// Makes a group that is due at a time from now.
    pub fn collect(&self, due_in: Duration) {
        let mut state = self.state();
        state.made += 1;
        let due = (state.now + due_in, state.made);
        state.groups.insert(due);
    }

    /// Leaves so much in the lanes that it takes so many steps to sweep them.
    pub fn litter(&self, steps: usize) {
        self.state().untidy += steps;
    }

    /// Steps of it that are still to be taken.
    pub fn litter_left(&self) -> usize {
        self.state().untidy
    }

    /// Registers a node that holds so many runs until its lease ends.
    pub fn register(&self, node: NodeId, lease: Duration, runs: usize) {
        let mut state = self.state();
        let until = state.now + lease;
        state.leases.insert(node, (until, runs));
    }

    /// Adds records that are past their retention.
    pub fn age(&self, records: usize) {
        self.state().old_records += records;
    }

    /// The status of a workflow; none if there is none.
    #[must_use]
    pub fn status(&self, workflow: WorkflowId) -> Option<WorkflowStatus> {
        let state = self.state();
        state
            .workflows
            .get(&workflow)
            .map(|kept| kept.header.stage.status())
    }

    /// Header and records of a workflow, as they are kept.
    #[must_use]
    pub fn kept(&self, workflow: WorkflowId) -> Option<(Header, BTreeMap<u32, TaskRecord>)> {
        let state = self.state();
        let kept = state.workflows.get(&workflow)?;
        Some((kept.header.clone(), kept.tasks.clone()))
    }

    /// How a workflow was closed, if it was.
    #[must_use]
    pub fn closed(&self, workflow: WorkflowId) -> Option<Close> {
        self.state().workflows.get(&workflow)?.close.clone()
    }

    /// The log of a workflow: `workflow.task.dispatched a`, in order.
    #[must_use]
    pub fn log(&self, workflow: WorkflowId) -> Vec<String> {
        let state = self.state();
        let own = state.log.iter().filter(|(id, _)| *id == workflow);
        own.map(|(_, event)| match &event.task {
            Some(about) => format!("{} {}", event.kind, about.task),
            None => event.kind.to_string(),
        })
        .collect()
    }

    /// A job, if there is one.
    #[must_use]
    pub fn job(&self, job: JobId) -> Option<MemoryJob> {
        self.state().jobs.get(&job).cloned()
    }

    /// What was parked.
    #[must_use]
    pub fn parked(&self) -> Vec<Parked> {
        self.state().parked.clone()
    }

    /// Entries that wait in the inbox.
    #[must_use]
    pub fn inbox_len(&self) -> usize {
        self.state().inbox.len()
    }

    /// What the ledger was asked to do so far.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.state().tally
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

    /// Ends a job that has not ended; what to tell the orchestrator.
    fn end(&mut self, id: JobId, outcome: TaskOutcome) -> Option<InboxItem> {
        let job = self.jobs.get_mut(&id)?;
        if matches!(job.state, JobState::Ended(_)) {
            return None;
        }
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
}
