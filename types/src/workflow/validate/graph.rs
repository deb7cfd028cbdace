//! Walks over the edges of a definition.

use petgraph::algo::kosaraju_scc;
use petgraph::graph::{DiGraph, NodeIndex};

use crate::workflow::plan::Edges;

/// Most edges that are looked at to work out what conditions add: takes less than a second.
const MAX_STEPS: usize = 50_000_000;

/// Groups of tasks that reach each other, each in ascending order. Not recursive, since a chain
/// of tasks may be long.
pub(super) fn circles(tasks: usize, edges: impl Iterator<Item = (u32, u32)>) -> Vec<Vec<u32>> {
    let mut graph = DiGraph::<(), (), u32>::with_capacity(tasks, edges.size_hint().0);
    for _ in 0..tasks {
        graph.add_node(());
    }
    graph.extend_with_edges(edges);
    let mut groups: Vec<Vec<u32>> = kosaraju_scc(&graph)
        .into_iter()
        .filter(|group| group.len() > 1)
        .map(|group| {
            let index = |node: NodeIndex| u32::try_from(node.index());
            let mut group: Vec<u32> = group.into_iter().flat_map(index).collect();
            group.sort_unstable();
            group
        })
        .collect();
    groups.sort_unstable();
    groups
}

/// The tasks that a walk came by, and how far all walks went together.
pub(super) struct Walk {
    /// Which walk came by last, from 1.
    seen: Vec<u32>,
    walk: u32,
    queue: Vec<u32>,
    steps: usize,
}

/// The walks went too far.
#[derive(Debug)]
pub(super) struct TooFar;

impl Walk {
    pub(super) fn new(tasks: usize) -> Walk {
        Walk {
            seen: vec![0; tasks],
            walk: 0,
            queue: Vec::new(),
            steps: 0,
        }
    }

    /// Walks from some tasks along the edges, through those that `within` allows, until
    /// `enough` says so of one that it came by.
    pub(super) fn from(
        &mut self,
        starts: &[u32],
        edges: &Edges,
        within: impl Fn(u32) -> bool,
        mut enough: impl FnMut(u32) -> bool,
    ) -> Result<(), TooFar> {
        self.walk += 1;
        self.queue.clear();
        for &start in starts {
            if self.come_by(start) && enough(start) {
                return Ok(());
            }
        }
        while let Some(task) = self.queue.pop() {
            let next = edges.of(task);
            self.steps += 1 + next.len();
            if self.steps > MAX_STEPS {
                return Err(TooFar);
            }
            for &task in next {
                if within(task) && self.come_by(task) && enough(task) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Counts something else that takes as long as looking at an edge.
    pub(super) fn step(&mut self) -> Result<(), TooFar> {
        self.steps += 1;
        match self.steps > MAX_STEPS {
            true => Err(TooFar),
            false => Ok(()),
        }
    }

    /// Whether the last walk came by a task.
    pub(super) fn saw(&self, task: u32) -> bool {
        self.seen[task as usize] == self.walk
    }

    fn come_by(&mut self, task: u32) -> bool {
        let seen = &mut self.seen[task as usize];
        if *seen == self.walk {
            return false;
        }
        *seen = self.walk;
        self.queue.push(task);
        true
    }
}
