//! A validated workflow, indexed: what the orchestrator works on.
//!
//! Tasks are numbered in the order of the definition. Edges stand in two flat arrays, one for
//! each direction, since a layered workflow of 10,000 tasks has a million of them and a vector
//! each would cost more than the edges. A plan never changes; share it by `Arc`.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::job::as_json;
use crate::{JobSpec, Priority, RetryPolicy, TaskName, TaskType, Version};

/// Whose results a task is given, by index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UpstreamTasks {
    /// The result itself.
    One(u32),
    /// An object of results by name, in this order.
    Many(Box<[u32]>),
}

impl UpstreamTasks {
    /// The tasks, in order.
    #[must_use]
    pub fn indices(&self) -> &[u32] {
        match self {
            UpstreamTasks::One(task) => std::slice::from_ref(task),
            UpstreamTasks::Many(tasks) => tasks,
        }
    }
}

/// One task of a plan.
#[derive(Clone, Debug)]
pub struct PlannedTask {
    /// Unique in the plan.
    pub name: TaskName,
    /// Which handler runs it.
    pub task_type: TaskType,
    /// Given to the handler; `null` when the definition has none.
    pub payload: Bytes,
    /// Priority of its job.
    pub priority: Priority,
    /// A dead job counts as done.
    pub allow_failure: bool,
    /// Whose results it is given.
    pub result_from: Option<UpstreamTasks>,
    /// In place of the handler's policy.
    pub retry_policy: Option<RetryPolicy>,
    /// Longest execution of one attempt.
    pub timeout: Option<Duration>,
    /// Only nodes that serve this version of the handler run it.
    pub version: Option<Version>,
    /// Seen by the handler.
    pub headers: BTreeMap<String, String>,
    /// Among ready tasks, higher ones are dispatched first: the number in the definition as it
    /// stands there, or the workflow's default.
    pub(super) urgency: i64,
}

/// A validated, indexed DAG. Made by
/// [`WorkflowDefinition::validate`](super::WorkflowDefinition::validate) or, from what was
/// validated before, by [`Plan::restore`].
#[derive(Clone, Debug)]
pub struct Plan {
    name: String,
    execution_timeout: Option<Duration>,
    tasks: Box<[PlannedTask]>,
    dependencies: Edges,
    dependents: Edges,
    leaves: Box<[u32]>,
    /// Place of each task in the order of dispatch, and the way back.
    ranks: Box<[u32]>,
    ranked: Box<[u32]>,
    named: Box<[u32]>,
}

/// Lists of task indices, one for each task, in one allocation.
#[derive(Clone, Debug)]
struct Edges {
    /// Where the list of each task begins, and the end of the last.
    starts: Box<[u32]>,
    targets: Box<[u32]>,
}

impl Edges {
    fn of(&self, task: u32) -> &[u32] {
        let task = task as usize;
        &self.targets[self.starts[task] as usize..self.starts[task + 1] as usize]
    }

    /// Takes `(from, to)` pairs in any order; the order of one task's pairs is kept.
    fn collect(tasks: usize, pairs: impl Iterator<Item = (u32, u32)> + Clone) -> Edges {
        let mut starts = vec![0_u32; tasks + 1];
        let mut total = 0;
        for (from, _) in pairs.clone() {
            starts[from as usize + 1] += 1;
            total += 1;
        }
        for task in 0..tasks {
            starts[task + 1] += starts[task];
        }
        let mut next = starts.clone();
        let mut targets = vec![0; total];
        for (from, to) in pairs {
            let place = &mut next[from as usize];
            targets[*place as usize] = to;
            *place += 1;
        }
        Edges {
            starts: starts.into(),
            targets: targets.into(),
        }
    }
}

impl Plan {
    /// Indexes what was checked: `edges` holds `(task, dependency)` in the order of the tasks.
    pub(super) fn assemble(
        name: String,
        execution_timeout: Option<Duration>,
        tasks: Vec<PlannedTask>,
        edges: &[(u32, u32)],
    ) -> Plan {
        let count = tasks.len();
        let dependencies = Edges::collect(count, edges.iter().copied());
        let dependents = Edges::collect(count, edges.iter().map(|&(task, on)| (on, task)));
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
        let leaves = indices()
            .filter(|&task| dependents.of(task).is_empty())
            .collect();
        Plan {
            name,
            execution_timeout,
            tasks: tasks.into(),
            dependencies,
            dependents,
            leaves,
            ranks: ranks.into(),
            ranked,
            named,
        }
    }

    /// The definition's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The workflow fails when it has run for longer than this.
    #[must_use]
    pub fn execution_timeout(&self) -> Option<Duration> {
        self.execution_timeout
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

    /// The tasks that must be done before this one starts.
    #[must_use]
    pub fn dependencies(&self, index: u32) -> &[u32] {
        self.dependencies.of(index)
    }

    /// The tasks that wait for this one.
    #[must_use]
    pub fn dependents(&self, index: u32) -> &[u32] {
        self.dependents.of(index)
    }

    /// The tasks that nothing waits for, in the order of the definition.
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

    /// What is asked for when the task is dispatched.
    #[must_use]
    pub fn job_spec(&self, index: u32) -> JobSpec {
        let task = self.task(index);
        JobSpec {
            priority: task.priority,
            version: task.version.clone(),
            headers: task.headers.clone(),
            retry_policy: task.retry_policy.clone(),
            timeout: task.timeout,
            ..JobSpec::new(task.task_type.clone(), task.payload.clone())
        }
    }

    /// Bytes that the plan takes in memory, about.
    #[must_use]
    pub fn footprint(&self) -> usize {
        let tasks: usize = self
            .tasks
            .iter()
            .map(|task| {
                let headers = task
                    .headers
                    .iter()
                    .map(|(key, value)| key.len() + value.len());
                task.payload.len() + task.name.as_str().len() + headers.sum::<usize>()
            })
            .sum();
        let edges = self.dependencies.targets.len() + self.dependents.targets.len();
        tasks + edges * 4 + self.tasks.len() * (size_of::<PlannedTask>() + 64)
    }

    /// The workflow's output: the one leaf's result, or an object of the leaves' results by
    /// name.
    ///
    /// `results` are those of [`Plan::leaves`], in that order; one that is missing (skipped, or
    /// failed where that is allowed) reads as `null`. JSON is taken over as it stands, without
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

/// A JSON object of results by name; what is missing is `null`.
///
/// The results are taken over as [`Plan::output`] describes.
pub fn object<'a>(entries: impl Iterator<Item = (&'a str, Option<&'a Bytes>)>) -> Bytes {
    struct Entry<'a>(Option<&'a Bytes>);
    impl Serialize for Entry<'_> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            match self.0 {
                Some(bytes) => as_json(bytes, serializer),
                None => serializer.serialize_none(),
            }
        }
    }
    let mut written = Vec::new();
    let mut serializer = serde_json::Serializer::new(&mut written);
    let write = |mut map: serde_json::ser::Compound<'_, _, _>| {
        for (name, result) in entries {
            map.serialize_entry(name, &Entry(result))?;
        }
        SerializeMap::end(map)
    };
    // Names and checked JSON always serialize, and a vector takes every byte.
    match serializer.serialize_map(None).and_then(write) {
        Ok(()) => written.into(),
        Err(_) => Bytes::from_static(b"{}"),
    }
}

/// The payload of a task with `result_from`: `{"upstream": …, "original": …}`.
#[must_use]
pub fn with_upstream(upstream: &Bytes, original: &Bytes) -> Bytes {
    object([("upstream", Some(upstream)), ("original", Some(original))].into_iter())
}
