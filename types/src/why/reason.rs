//! What may stand in the way of a job.

use serde::Serialize;

use crate::{
    JobId, JobStatus, LimitKey, NodeId, TaskName, TaskType, Tier, UnixMillis, Version,
    WorkflowStatus,
};

/// Something that stands in the way of a job, or what it does in place of waiting.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reason {
    /// Nothing happens to it any more.
    Ended {
        /// How.
        status: JobStatus,
        /// When.
        at: Option<UnixMillis>,
        /// Why, where there is a why.
        error: Option<String>,
    },
    /// A node is at it.
    Running {
        /// The node.
        node: Option<NodeId>,
        /// Its name, while it is alive.
        name: Option<String>,
        /// Since when.
        since: Option<UnixMillis>,
        /// Which execution.
        attempt: u32,
    },
    /// It runs, and was asked to stop.
    CancelRequested,
    /// Its time has not come.
    Scheduled {
        /// When it is due.
        until: UnixMillis,
    },
    /// It failed, and waits for its next attempt.
    Retrying {
        /// When it is due.
        until: UnixMillis,
        /// Executions so far.
        attempt: u32,
        /// Executions in all, where the job says so.
        most: Option<u32>,
        /// Why the last one failed.
        error: Option<String>,
    },
    /// It is paused.
    Paused {
        /// When it goes on by itself; none by hand only.
        until: Option<UnixMillis>,
        /// Why.
        error: Option<String>,
    },
    /// Nobody moves what is due, recovers or starts workflows.
    NoLeader,
    /// A task of a workflow that is not dispatched, as others must end first.
    Dependencies {
        /// The task.
        task: TaskName,
        /// Tasks that have not ended, and where they stand.
        open: Vec<(TaskName, JobStatus)>,
    },
    /// A task of a workflow that will not be dispatched, as the workflow has ended or not begun.
    Workflow {
        /// Where the workflow stands.
        status: WorkflowStatus,
    },
    /// Every claim of its tier is paused by hand.
    TierPaused {
        /// The tier.
        tier: Tier,
    },
    /// Its task type is paused.
    TypePaused {
        /// The type.
        task_type: TaskType,
        /// By the settings of handlers, else by a pause of the type.
        by_settings: bool,
    },
    /// There is no live node at all.
    NoNode,
    /// No live node has a handler of its type.
    NotServed {
        /// The type.
        task_type: TaskType,
        /// A type that is served and named almost so.
        nearest: Option<String>,
    },
    /// Nodes have handlers of its type, but of other versions.
    VersionNotServed {
        /// The version that it asks for.
        version: Version,
        /// Those that are served.
        served: Vec<String>,
    },
    /// Every node that serves it was told to claim no more.
    Draining {
        /// Their names.
        nodes: Vec<String>,
    },
    /// Its handler failed so often in a row that no node calls it for now.
    BreakerOpen {
        /// When the first node tries again, about.
        until: UnixMillis,
    },
    /// Other jobs hold all slots of a limit.
    LimitFull {
        /// The key of the limit.
        key: LimitKey,
        /// Most jobs at once.
        most: u32,
        /// Some of those that hold slots, and the nodes that run them.
        held: Vec<(JobId, Option<NodeId>)>,
        /// Jobs that wait there before it.
        ahead: u64,
    },
    /// As many jobs of a limit have begun as may for now.
    LimitRate {
        /// The key of the limit.
        key: LimitKey,
        /// When the next one may begin.
        until: UnixMillis,
        /// Jobs that wait there before it.
        ahead: u64,
    },
    /// It is parked at a limit that has room: it gets its slot in its turn.
    LimitTurn {
        /// The key of the limit.
        key: LimitKey,
        /// Jobs that wait there before it.
        ahead: u64,
    },
    /// As many jobs of its tier have begun as may for now.
    TierRate {
        /// The tier.
        tier: Tier,
        /// When the next one may begin.
        until: UnixMillis,
    },
    /// Every node that serves it runs as many jobs as it may.
    SlotsFull {
        /// Nodes that serve it.
        nodes: usize,
        /// Jobs that they run.
        running: u32,
        /// Jobs that they may run.
        slots: u32,
    },
    /// Its handler runs as many jobs as it may, on every node that serves it and has free slots.
    HandlerFull {
        /// Those nodes.
        nodes: usize,
    },
    /// The setting of its handler allows few runs at once on each node.
    Concurrency {
        /// Most runs at once on each node.
        most: u32,
    },
    /// Jobs of its own lane come first.
    Behind {
        /// How many; of [`MOST_AHEAD`](super::MOST_AHEAD) there are more.
        ahead: u64,
    },
    /// Lanes of its tier come first, as what waits there has waited longer.
    OlderLanes {
        /// How many.
        lanes: u64,
    },
    /// Nothing stands in its way: the next claim of a node that serves it takes it.
    Next,
}

/// Why a job is not running.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Why {
    /// The job; none of a task that is not dispatched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job: Option<JobId>,
    /// Where it stands.
    pub status: JobStatus,
    /// When that was read, by the server's clock.
    pub at: UnixMillis,
    /// What stands in its way, what blocks first coming first; never empty.
    pub reasons: Vec<Reason>,
}
