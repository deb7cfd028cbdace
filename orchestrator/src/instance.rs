//! An instance in memory: what is kept of it, and what follows from that.
//!
//! Kept are the header, the records of tasks, the sections and the signals. Everything else here
//! (how many edges a task waits on, counters, the queue of ready tasks, what is to be decided,
//! reset or cancelled) is derived, by the one function that takes a record in: it serves the live
//! instance and the loading of a stored one alike, so the two cannot part. Taking a record in
//! costs the number of the task's dependents, never the size of the workflow.

mod grow;
mod jobs;
mod mailbox;
mod outcome;
mod restore;
mod standing;
mod take;
mod tasks;
mod unit;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use paceline_types::value::Known;
use paceline_types::workflow::{Header, Origin, Plan, Stage, TaskRecord};
use paceline_types::{DEFAULT_MAX_PAYLOAD, TaskName, WorkflowId};

use mailbox::Mailbox;
use unit::{Unit, Units};

pub use restore::BrokenInstance;

/// Most generators above a task, and most ancestors of a workflow.
pub const MAX_DEPTH: u32 = Origin::MAX_DEPTH;

/// Where a task stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskPhase<'a> {
    /// Not everything that it waits for is done.
    Blocked {
        /// How much of it.
        waiting_on: u32,
    },
    /// Waits for its turn to be dispatched.
    Ready,
    /// As its record says; one that was reset has a record as well.
    Recorded(&'a TaskRecord),
}

/// Sizes that an instance holds to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest payload or result that is composed, in bytes.
    pub max_payload: usize,
}

impl Default for Limits {
    /// 256 KiB.
    fn default() -> Limits {
        Limits {
            max_payload: DEFAULT_MAX_PAYLOAD,
        }
    }
}

/// A place in the queue of what waits for its turn: the first is dispatched first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Turn {
    urgency: Reverse<i64>,
    base: u32,
    /// The task's rank in its plan; 0 for the elements of a map, which have one turn together.
    rank: u32,
}

/// An instance of a workflow.
#[derive(Clone, Debug)]
pub struct Instance {
    id: WorkflowId,
    plan: Arc<Plan>,
    input: Option<Bytes>,
    origin: Option<Origin>,
    continues_another: bool,
    suspended: bool,
    limits: Limits,
    header: Header,
    units: Units,
    /// Records of the hooks, in the order in which they run.
    hooks: [Option<TaskRecord>; 4],
    /// Indices by the names of tasks of subflows' sections.
    names: BTreeMap<TaskName, u32>,
    mailbox: Mailbox,
    /// Signals that were acknowledged before their entry in the inbox was read.
    acknowledged: BTreeSet<u64>,
    /// What is dispatched next.
    ready: BTreeSet<Turn>,
    /// Tasks that were begun (a job, a child, a wait for a signal) and not asked to stop.
    dispatched: BTreeSet<u32>,
    /// Tasks whose job or child was asked to stop.
    cancelling: BTreeSet<u32>,
    /// Tasks whose answer is to be looked at.
    returned: BTreeSet<u32>,
    /// Generators whose tasks have not all ended.
    expanded: BTreeSet<u32>,
    /// Of these, maps whose elements have all ended.
    gathering: BTreeSet<u32>,
    /// Conditions that lead back, and what lies between is being reset.
    rewinding: BTreeSet<u32>,
    /// Tasks that were reset and have not begun again.
    reset: BTreeSet<u32>,
    /// Tasks that are dead or cancelled: a retry resets them.
    failed: BTreeSet<u32>,
    /// Tasks that completed, and whose result a retry does not keep.
    unkept: BTreeSet<u32>,
    /// While restarting: tasks that were passed by behind one that was reset.
    stale: BTreeSet<u32>,
    /// Tasks that went with their section and whose records are kept still.
    dropped: BTreeSet<u32>,
    /// What was worked out before and can be worked out again.
    cache: WorkedOut,
}

/// Not kept, and no part of what an instance is.
#[derive(Clone, Debug, Default)]
struct WorkedOut {
    maps: BTreeMap<u32, MapWork>,
}

/// What is known of a map while it runs, by the base of its section.
#[derive(Clone, Debug, Default)]
pub(crate) struct MapWork {
    /// The elements, as JSON.
    pub(crate) items: Option<Arc<[Bytes]>>,
    /// What the payloads of the elements refer to.
    pub(crate) known: Option<Known>,
    /// Results of the elements, as far as they were read: those of the first places.
    pub(crate) results: Vec<Option<Bytes>>,
    /// Bytes of these.
    pub(crate) size: usize,
}

impl Instance {
    /// An instance that was just accepted, without input and origin.
    #[must_use]
    pub fn new(id: WorkflowId, plan: Arc<Plan>) -> Instance {
        let definition = Unit::graph(0, 0, None, Arc::clone(&plan));
        let mut instance = Instance {
            id,
            input: None,
            origin: None,
            continues_another: false,
            suspended: false,
            limits: Limits::default(),
            header: Header::NEW,
            units: Units::new(definition),
            hooks: [const { None }; 4],
            names: BTreeMap::new(),
            mailbox: Mailbox::default(),
            acknowledged: BTreeSet::new(),
            ready: BTreeSet::new(),
            dispatched: BTreeSet::new(),
            cancelling: BTreeSet::new(),
            returned: BTreeSet::new(),
            expanded: BTreeSet::new(),
            gathering: BTreeSet::new(),
            rewinding: BTreeSet::new(),
            reset: BTreeSet::new(),
            failed: BTreeSet::new(),
            unkept: BTreeSet::new(),
            stale: BTreeSet::new(),
            dropped: BTreeSet::new(),
            cache: WorkedOut::default(),
            plan,
        };
        instance.queue_roots(0);
        instance
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

    /// Whether nothing new is dispatched.
    #[must_use]
    pub fn is_suspended(&self) -> bool {
        self.suspended
    }

    /// The task of another workflow that it is the child of.
    #[must_use]
    pub fn origin(&self) -> Option<&Origin> {
        self.origin.as_ref()
    }

    /// Whether it goes on for another instance.
    #[must_use]
    pub fn continues_another(&self) -> bool {
        self.continues_another
    }

    /// What it was given, as JSON.
    #[must_use]
    pub fn input(&self) -> Option<&Bytes> {
        self.input.as_ref()
    }

    /// Sizes that it holds to.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.limits
    }

    pub(crate) fn set_stage(&mut self, stage: Stage) {
        self.header.stage = stage;
    }

    pub(crate) fn header_mut(&mut self) -> &mut Header {
        &mut self.header
    }

    /// Whether a caller has taken a signal before it was heard of; asked once of each.
    pub(crate) fn was_acknowledged(&mut self, number: u64) -> bool {
        self.acknowledged.remove(&number)
    }

    pub(crate) fn mailbox_mut(&mut self) -> &mut Mailbox {
        &mut self.mailbox
    }

    pub(crate) fn mailbox(&self) -> &Mailbox {
        &self.mailbox
    }

    /// Bytes that it takes in memory, its plan included, about.
    #[must_use]
    pub fn footprint(&self) -> usize {
        let tasks = self.units.tasks() as usize;
        let added = tasks - self.plan.task_count() as usize;
        let input = self.input.as_ref().map_or(0, Bytes::len);
        // A task of a section brings its plan along; 300 bytes is what a short one takes.
        self.plan.footprint() + tasks * (size_of::<unit::Slot>() + 32) + added * 300 + input
    }
}

/// Equal in everything that is kept and derived; plans are compared by their tasks' count.
impl PartialEq for Instance {
    fn eq(&self, other: &Instance) -> bool {
        let sets = |instance: &Instance| {
            [
                instance.dispatched.clone(),
                instance.cancelling.clone(),
                instance.returned.clone(),
                instance.expanded.clone(),
                instance.gathering.clone(),
                instance.rewinding.clone(),
                instance.reset.clone(),
                instance.failed.clone(),
                instance.unkept.clone(),
                instance.stale.clone(),
            ]
        };
        self.id == other.id
            && self.input == other.input
            && self.origin == other.origin
            && self.continues_another == other.continues_another
            && self.suspended == other.suspended
            && self.limits == other.limits
            && self.header == other.header
            && self.units == other.units
            && self.hooks == other.hooks
            && self.names == other.names
            && self.mailbox == other.mailbox
            && self.ready == other.ready
            && self.dropped == other.dropped
            && sets(self) == sets(other)
    }
}

impl Eq for Instance {}

/// What is kept decides; the rest follows from it.
impl std::hash::Hash for Instance {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.id.hash(state);
        self.header.hash(state);
        for record in self.records() {
            record.hash(state);
        }
    }
}
