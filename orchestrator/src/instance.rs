//! An instance in memory: what is kept of it, and what follows from that.
//!
//! Kept are the header and the records of tasks. Everything else here (phases of tasks without
//! a record, counters, the queue of ready tasks) is derived, by the one function that takes a
//! record in: it serves the live instance and the loading of a stored one alike, so the two
//! cannot part. Taking a record in costs the number of the task's dependents, never the size of
//! the workflow.

use std::collections::BTreeSet;
use std::sync::Arc;

use paceline_types::workflow::{Header, Plan, Stage, TaskRecord, UpstreamTasks};
use paceline_types::{JobId, WorkflowId};

use crate::ports::{Composition, TaskJob, Upstream, UpstreamJob};

/// Where a task stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TaskPhase {
    /// Some dependencies are not done yet.
    Blocked {
        /// How many.
        waiting_on: u32,
    },
    /// Every dependency is done; waits for its turn to be dispatched.
    Ready,
    /// Dispatched or ended, as its record says.
    Recorded(TaskRecord),
}

/// An instance of a workflow.
#[derive(Clone, Debug)]
pub struct Instance {
    id: WorkflowId,
    plan: Arc<Plan>,
    header: Header,
    tasks: Box<[TaskPhase]>,
    /// Ranks of the ready tasks: the first is dispatched first.
    ready: BTreeSet<u32>,
    /// Tasks whose job was made and not asked to stop.
    dispatched: BTreeSet<u32>,
    /// Tasks whose job was asked to stop.
    cancelling: BTreeSet<u32>,
    /// Tasks that count as done.
    done: u32,
}

/// Why what is kept cannot be an instance of its plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a record names task {index}, but the workflow has only {tasks}")]
pub struct NoSuchTask {
    /// The index of the record.
    pub index: u32,
    /// Tasks of the plan.
    pub tasks: u32,
}

impl Instance {
    /// An instance that was just accepted.
    #[must_use]
    pub fn new(id: WorkflowId, plan: Arc<Plan>) -> Instance {
        let mut ready = BTreeSet::new();
        let tasks = (0..plan.task_count())
            .map(|task| match plan.waits(task).len() {
                0 => {
                    ready.insert(plan.rank(task));
                    TaskPhase::Ready
                }
                count => TaskPhase::Blocked {
                    waiting_on: u32::try_from(count).unwrap_or(u32::MAX),
                },
            })
            .collect();
        Instance {
            id,
            plan,
            header: Header::NEW,
            tasks,
            ready,
            dispatched: BTreeSet::new(),
            cancelling: BTreeSet::new(),
            done: 0,
        }
    }

    /// The instance that was kept.
    ///
    /// # Errors
    /// When a record names a task that the plan does not have.
    pub fn restore(
        id: WorkflowId,
        plan: Arc<Plan>,
        header: Header,
        records: impl IntoIterator<Item = (u32, TaskRecord)>,
    ) -> Result<Instance, NoSuchTask> {
        let mut instance = Instance::new(id, plan);
        instance.header = header;
        for (index, record) in records {
            let tasks = instance.plan.task_count();
            if index >= tasks {
                return Err(NoSuchTask { index, tasks });
            }
            instance.record(index, record);
        }
        Ok(instance)
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> WorkflowId {
        self.id
    }

    /// What it executes.
    #[must_use]
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// What is kept once.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Where it stands.
    #[must_use]
    pub fn stage(&self) -> &Stage {
        &self.header.stage
    }

    /// Where a task stands. The index must be below the plan's count.
    #[must_use]
    pub fn phase(&self, task: u32) -> &TaskPhase {
        &self.tasks[task as usize]
    }

    /// The records of all tasks that have one, by index.
    pub fn records(&self) -> impl Iterator<Item = (u32, &TaskRecord)> {
        (0..)
            .zip(&self.tasks)
            .filter_map(|(task, phase)| match phase {
                TaskPhase::Blocked { .. } | TaskPhase::Ready => None,
                TaskPhase::Recorded(record) => Some((task, record)),
            })
    }

    /// Whether every task counts as done.
    #[must_use]
    pub fn all_done(&self) -> bool {
        self.done == self.plan.task_count()
    }

    /// Whether a job that was made has not ended.
    #[must_use]
    pub fn has_open_jobs(&self) -> bool {
        !self.dispatched.is_empty() || !self.cancelling.is_empty()
    }

    /// Whether there is something to do without a further event: tasks to dispatch, or jobs to
    /// cancel.
    #[must_use]
    pub fn has_leftover(&self) -> bool {
        match self.stage() {
            Stage::Running => !self.ready.is_empty(),
            Stage::Ending(_) => !self.dispatched.is_empty(),
            Stage::Pending
            | Stage::Opening
            | Stage::Resting(_)
            | Stage::Restarting
            | Stage::Completed
            | Stage::Continued { .. }
            | Stage::Ended(_) => false,
        }
    }

    /// Tasks from `from` on whose jobs have not ended, by index, at most `max`, with the
    /// iteration.
    #[must_use]
    pub fn open_tasks(&self, from: u32, max: usize) -> Vec<(u32, u32)> {
        let mut open: Vec<u32> = self.dispatched.range(from..).take(max).copied().collect();
        open.extend(self.cancelling.range(from..).take(max));
        open.sort_unstable();
        open.truncate(max);
        let iteration = |task| self.record_of(task).map_or(0, TaskRecord::iteration);
        open.into_iter()
            .map(|task| (task, iteration(task)))
            .collect()
    }

    /// Bytes that it takes in memory, its plan included, about.
    #[must_use]
    pub fn footprint(&self) -> usize {
        self.plan.footprint() + self.tasks.len() * (size_of::<TaskPhase>() + 32)
    }

    /// The job of a task's start, ready to be made; none where nothing runs on a node.
    #[must_use]
    pub fn task_job(&self, task: u32, iteration: u32) -> Option<TaskJob> {
        let planned = self.plan.task(task);
        Some(TaskJob {
            job: JobId::of_task(self.id, task, iteration),
            index: task,
            task: planned.name.clone(),
            iteration,
            spec: self.plan.job_spec(task)?,
            composition: Composition {
                upstream: match &planned.result_from {
                    None => Upstream::None,
                    Some(UpstreamTasks::One(from)) => Upstream::One(self.upstream_job(*from)),
                    Some(UpstreamTasks::Many(from)) => {
                        Upstream::Many(from.iter().map(|&from| self.upstream_job(from)).collect())
                    }
                },
                ..Composition::default()
            },
        })
    }

    /// Where the result of a task that is done is.
    #[must_use]
    pub fn upstream_job(&self, task: u32) -> UpstreamJob {
        let job = match self.record_of(task) {
            None | Some(TaskRecord::Skipped { .. }) => None,
            Some(record) => Some(JobId::of_task(self.id, task, record.iteration())),
        };
        UpstreamJob {
            task: self.plan.task(task).name.clone(),
            job,
        }
    }

    /// The ready task that is dispatched first.
    pub(crate) fn first_ready(&self) -> Option<u32> {
        self.ready.first().map(|&rank| self.plan.at_rank(rank))
    }

    /// The first task whose job was made and not asked to stop.
    pub(crate) fn first_dispatched(&self) -> Option<u32> {
        self.dispatched.first().copied()
    }

    pub(crate) fn set_stage(&mut self, stage: Stage) {
        self.header.stage = stage;
    }

    /// Takes in what is, or is to be, kept of a task, and everything that follows from it.
    pub(crate) fn record(&mut self, task: u32, record: TaskRecord) {
        let done = record.is_done();
        match &record {
            TaskRecord::Dispatched { .. } => {
                self.dispatched.insert(task);
            }
            TaskRecord::Cancelling { .. } => {
                self.dispatched.remove(&task);
                self.cancelling.insert(task);
            }
            TaskRecord::Returned { .. }
            | TaskRecord::Expanded { .. }
            | TaskRecord::Routed { .. }
            | TaskRecord::Rewinding { .. }
            | TaskRecord::Again { .. }
            | TaskRecord::Bypassed { .. }
            | TaskRecord::Completed { .. }
            | TaskRecord::Skipped { .. }
            | TaskRecord::FailedAllowed { .. }
            | TaskRecord::Dead { .. }
            | TaskRecord::Cancelled { .. } => {
                self.dispatched.remove(&task);
                self.cancelling.remove(&task);
            }
        }
        let place = &mut self.tasks[task as usize];
        if matches!(place, TaskPhase::Ready) {
            self.ready.remove(&self.plan.rank(task));
        }
        *place = TaskPhase::Recorded(record);
        if done {
            self.done += 1;
            self.unblock_dependents(task);
        }
    }

    fn unblock_dependents(&mut self, task: u32) {
        for &dependent in self.plan.waiters(task) {
            let phase = &mut self.tasks[dependent as usize];
            match phase {
                TaskPhase::Blocked { waiting_on: 1 } => {
                    *phase = TaskPhase::Ready;
                    self.ready.insert(self.plan.rank(dependent));
                }
                TaskPhase::Blocked { waiting_on } => *waiting_on -= 1,
                // While a stored instance is loaded, a dependent's record may come first.
                TaskPhase::Ready | TaskPhase::Recorded(_) => {}
            }
        }
    }

    fn record_of(&self, task: u32) -> Option<&TaskRecord> {
        match self.phase(task) {
            TaskPhase::Blocked { .. } | TaskPhase::Ready => None,
            TaskPhase::Recorded(record) => Some(record),
        }
    }
}

/// Equal in everything that is kept and derived; plans are compared by identity.
impl PartialEq for Instance {
    fn eq(&self, other: &Instance) -> bool {
        self.id == other.id
            && Arc::ptr_eq(&self.plan, &other.plan)
            && self.header == other.header
            && self.tasks == other.tasks
            && self.ready == other.ready
            && self.dispatched == other.dispatched
            && self.cancelling == other.cancelling
            && self.done == other.done
    }
}

impl Eq for Instance {}

/// What is kept decides; the rest follows from it.
impl std::hash::Hash for Instance {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.id.hash(state);
        self.header.hash(state);
        self.tasks.hash(state);
    }
}
