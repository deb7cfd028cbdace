//! A validated workflow, indexed: what the orchestrator works on.
//!
//! Tasks are numbered in the order of the definition. Edges stand in two flat arrays, one for
//! each direction, since a layered workflow of 10,000 tasks has a million of them and a vector
//! each would cost more than the edges. A plan never changes; share it by `Arc`.
//!
//! There are three kinds of edges. *Dependencies* are what `depends_on` says. A task that a
//! condition leads forward to waits for the condition even if it does not name it: an *implicit*
//! edge. And what is outside of a loop and waits for a task inside it waits for the loop's
//! condition as well: an *order* edge; and if that condition is in another loop, which the task
//! is outside of, for the condition of that one. The condition itself waits for all of its loop. So
//! when a loop goes round, all of it is done, and nothing outside has begun.

mod edges;
mod output;
mod parts;
mod task;

use std::time::Duration;

use bytes::Bytes;

pub(super) use edges::Edges;
pub use output::{object, with_upstream};
pub use parts::PlannedHook;
pub(super) use parts::{Body, Head, Routed};
pub use task::{MapItems, PlannedPrecondition, PlannedTask, Route, Routes, UpstreamTasks, Work};

use super::Hook;
use crate::{JobSpec, Priority, RetryPolicy, TaskName};

/// A validated, indexed DAG. Made by
/// [`WorkflowDefinition::validate`](super::WorkflowDefinition::validate) or, from what was
/// validated before, by [`Plan::restore`]; of the tasks that a subflow added, by
/// [`Plan::of_section`] and [`Plan::restore_section`].
#[derive(Clone, Debug)]
pub struct Plan {
    head: Head,
    tasks: Box<[PlannedTask]>,
    dependencies: Edges,
    /// None without conditions: then tasks wait for their dependencies alone.
    routed: Option<Routed>,
    waiters: Edges,
    leaves: Box<[u32]>,
    /// Place of each task in the order of dispatch, and the way back.
    ranks: Box<[u32]>,
    ranked: Box<[u32]>,
    named: Box<[u32]>,
}

impl Plan {
    /// Indexes what was checked.
    pub(super) fn assemble(
        head: Head,
        tasks: Vec<PlannedTask>,
        dependencies: Edges,
        routed: Option<Routed>,
    ) -> Plan {
        let count = tasks.len();
        let indices = || 0..u32::try_from(count).unwrap_or(u32::MAX);
        let of = |index: u32| &tasks[index as usize];
        let mut named: Box<[u32]> = indices().collect();
        named.sort_unstable_by(|&a, &b| of(a).name.cmp(&of(b).name));
        let mut ranked = named.clone();
        // Stable, so that tasks of one urgency keep the order of their names.
        ranked.sort_by_key(|&task| std::cmp::Reverse(of(task).urgency));
        let mut ranks = vec![0; count];
        for (rank, &task) in indices().zip(&ranked) {
            ranks[task as usize] = rank;
        }

        // The edges of loops say nothing of what comes out at the end.
        let mut inner = vec![false; count];
        let deciders = routed.as_ref().map(|routed| &routed.deciders);
        for edges in [Some(&dependencies), deciders].into_iter().flatten() {
            for (_, on) in edges.pairs() {
                inner[on as usize] = true;
            }
        }
        let leaves = indices().filter(|&task| !inner[task as usize]).collect();
        let waits = routed
            .as_ref()
            .map_or(&dependencies, |routed| &routed.waits);
        let waiters = waits.reversed();
        Plan {
            head,
            tasks: tasks.into(),
            dependencies,
            routed,
            waiters,
            leaves,
            ranks: ranks.into(),
            ranked,
            named,
        }
    }

    /// The definition's name; empty for a section.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.head.name
    }

    /// The workflow fails when it has run for longer than this.
    #[must_use]
    pub fn execution_timeout(&self) -> Option<Duration> {
        self.head.execution_timeout
    }

    /// How often, and after which waits, the workflow is tried again.
    #[must_use]
    pub fn retry_policy(&self) -> Option<&RetryPolicy> {
        self.head.retry_policy.as_ref()
    }

    /// A hook, if the workflow has it.
    #[must_use]
    pub fn hook(&self, hook: Hook) -> Option<&PlannedHook> {
        self.hooks()
            .find(|&(one, _)| one == hook)
            .map(|(_, planned)| planned)
    }

    /// The hooks that the workflow has, in the order in which they run.
    pub fn hooks(&self) -> impl Iterator<Item = (Hook, &PlannedHook)> {
        let hooks = Hook::ALL.into_iter().zip(&self.head.hooks);
        hooks.filter_map(|(hook, planned)| Some((hook, planned.as_ref()?)))
    }

    /// Priority of tasks that name none, and of hooks.
    #[must_use]
    pub fn default_priority(&self) -> Priority {
        self.head.default_priority
    }

    /// Its tasks, in the order of the definition.
    #[must_use]
    pub fn tasks(&self) -> &[PlannedTask] {
        &self.tasks
    }

    /// How many tasks it has; their indices are below.
    #[must_use]
    pub fn task_count(&self) -> u32 {
        u32::try_from(self.tasks.len()).unwrap_or(u32::MAX)
    }

    /// The task of an index below [`Plan::task_count`]; panics beyond it, as slices do.
    #[must_use]
    pub fn task(&self, index: u32) -> &PlannedTask {
        &self.tasks[index as usize]
    }

    /// The index of a name.
    #[must_use]
    pub fn index_of(&self, name: &str) -> Option<u32> {
        self.named
            .binary_search_by(|&task| self.task(task).name.as_str().cmp(name))
            .ok()
            .map(|place| self.named[place])
    }

    /// Whether a name is taken: by a task, or by what an element of one of its maps may be
    /// called, `<map>#<place>`.
    #[must_use]
    pub fn has_name(&self, name: &str) -> bool {
        let is_map = |index| matches!(self.task(index).work, Work::Map { .. });
        self.index_of(name).is_some()
            || element_of(name).is_some_and(|map| self.index_of(map).is_some_and(is_map))
    }

    /// A task that is called as an element of a map of this name would be, `<map>#<place>`; it costs
    /// the number of tasks whose names begin so.
    #[must_use]
    pub fn element_of(&self, map: &str) -> Option<&TaskName> {
        let first = format!("{map}#");
        let name = |&task: &u32| &self.task(task).name;
        let from = self
            .named
            .partition_point(|task| name(task).as_str() < first.as_str());
        let names = self.named[from..].iter().map(name);
        names
            .take_while(|name| name.as_str().starts_with(&first))
            .find(|name| element_of(name.as_str()) == Some(map))
    }

    /// The tasks that `depends_on` names, in its order.
    #[must_use]
    pub fn dependencies(&self, index: u32) -> &[u32] {
        self.dependencies.of(index)
    }

    /// Every task that must be done before this one's turn comes, each once: its dependencies
    /// first, then conditions that lead to it, those of loops that must be over, and of the
    /// condition that closes a loop all tasks of the loop.
    #[must_use]
    pub fn waits(&self, index: u32) -> &[u32] {
        match &self.routed {
            Some(routed) => routed.waits.of(index),
            None => self.dependencies.of(index),
        }
    }

    /// The tasks that wait for this one, as [`Plan::waits`] has it.
    #[must_use]
    pub fn waiters(&self, index: u32) -> &[u32] {
        self.waiters.of(index)
    }

    /// The conditions that lead forward to this task, each once. If there are any, it runs only
    /// if one of them took such a route.
    #[must_use]
    pub fn deciders(&self, index: u32) -> &[u32] {
        match &self.routed {
            Some(routed) => routed.deciders.of(index),
            None => &[],
        }
    }

    /// The tasks that begin anew when a condition takes a route back to a target: the target
    /// first, the condition last, the others in the order of the definition. A condition that
    /// leads back to itself is alone. Empty if it has no such route.
    #[must_use]
    pub fn body(&self, condition: u32, target: u32) -> &[u32] {
        let bodies = self
            .routed
            .as_ref()
            .map_or(&[][..], |routed| &routed.bodies);
        bodies
            .binary_search_by_key(&(condition, target), |body| (body.condition, body.target))
            .map_or(&[], |place| &bodies[place].tasks)
    }

    /// The tasks that no other depends on, and that lead forward to none, in the order of the
    /// definition.
    #[must_use]
    pub fn leaves(&self) -> &[u32] {
        &self.leaves
    }

    /// The task's place in the order of dispatch: priority from high to low, then name.
    #[must_use]
    pub fn rank(&self, index: u32) -> u32 {
        self.ranks[index as usize]
    }

    /// The task at a place in the order of dispatch.
    #[must_use]
    pub fn at_rank(&self, rank: u32) -> u32 {
        self.ranked[rank as usize]
    }

    /// What is asked for when the task is dispatched, or an element of it if it is a map; none
    /// where nothing runs on a node. The payload is that of the definition, not rendered.
    #[must_use]
    pub fn job_spec(&self, index: u32) -> Option<JobSpec> {
        let task = self.task(index);
        let task_type = task.task_type()?.clone();
        Some(JobSpec {
            priority: task.priority,
            version: task.version.clone(),
            headers: task.headers.clone(),
            retry_policy: task.retry_policy.clone(),
            timeout: task.timeout,
            schedule_to_start_timeout: task.schedule_to_start_timeout,
            max_duration: task.max_duration,
            heartbeat_timeout: task.heartbeat_timeout,
            limits: task.limits.to_vec(),
            tags: task.tags.to_vec(),
            audited: task.audited,
            ..JobSpec::new(task_type, task.payload.clone())
        })
    }

    /// Bytes that the plan takes in memory, about.
    #[must_use]
    pub fn footprint(&self) -> usize {
        let tasks: usize = self.tasks.iter().map(PlannedTask::footprint).sum();
        let routed = self.routed.as_ref().map_or(0, |routed| {
            let bodies = routed.bodies.iter().map(|body| body.tasks.len() + 8);
            routed.waits.len() + routed.deciders.len() + bodies.sum::<usize>()
        });
        let edges = self.dependencies.len() + self.waiters.len() + routed;
        tasks + edges * 4 + self.tasks.len() * 32
    }

    /// The workflow's output: the one leaf's result, or an object of the leaves' results by
    /// name.
    ///
    /// `results` are those of [`Plan::leaves`], in that order; one that is missing (skipped) reads
    /// as `null`. What failed where that is allowed has left its error as its result. JSON is taken over as it stands, without
    /// being built; other results become text or an array of numbers, as everywhere.
    #[must_use]
    pub fn output(&self, results: &[Option<Bytes>]) -> Bytes {
        let result = |place: usize| results.get(place).and_then(Option::as_ref);
        match &*self.leaves {
            [_] => result(0).cloned().unwrap_or(Bytes::from_static(b"null")),
            leaves => object(
                leaves
                    .iter()
                    .enumerate()
                    .map(|(place, &leaf)| (self.task(leaf).name.as_str(), result(place))),
            ),
        }
    }
}

/// The map that an element of this name would be of: what is before `#` and digits.
#[must_use]
pub fn element_of(name: &str) -> Option<&str> {
    let (map, place) = name.rsplit_once('#')?;
    let digits = !place.is_empty() && place.bytes().all(|byte| byte.is_ascii_digit());
    digits.then_some(map)
}
