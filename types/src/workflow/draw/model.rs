//! What is drawn: nodes, edges and frames around nodes.

use std::collections::{BTreeSet, HashMap};

use crate::WorkflowId;

/// A workflow as nodes, edges and frames; see [`Graph::render`].
#[derive(Clone, Debug, Default)]
pub struct Graph {
    pub(super) name: String,
    pub(super) nodes: Vec<Node>,
    pub(super) edges: Vec<Edge>,
    pub(super) frames: Vec<Frame>,
    /// Nodes of tasks and hooks by the workflow that they are of and by their name.
    pub(super) by_name: HashMap<Of, HashMap<String, usize>>,
    /// Nodes of tasks that are workflows, by the instance.
    pub(super) children: HashMap<WorkflowId, usize>,
    pub(super) has_states: bool,
}

/// Which of the workflows in a graph: the one that is drawn, or the child that this node is.
pub(super) type Of = Option<usize>;

/// What a node is; decides its form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Job,
    Condition,
    Subflow,
    Map,
    Child,
    Signal,
    Hook,
}

/// How what a node stands for stands; decides its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Look {
    Waiting,
    Queued,
    Running,
    Completed,
    /// Completed because there was nothing to do.
    Skipped,
    Failed,
    Cancelled,
}

impl Look {
    pub(super) const ALL: [Look; 7] = [
        Look::Waiting,
        Look::Queued,
        Look::Running,
        Look::Completed,
        Look::Skipped,
        Look::Failed,
        Look::Cancelled,
    ];

    /// The name of its class.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Look::Waiting => "waiting",
            Look::Queued => "queued",
            Look::Running => "running",
            Look::Completed => "completed",
            Look::Skipped => "skipped",
            Look::Failed => "failed",
            Look::Cancelled => "cancelled",
        }
    }

    /// Fill and border.
    pub(super) fn colors(self) -> (&'static str, &'static str) {
        match self {
            Look::Waiting => ("#f4f4f5", "#a1a1aa"),
            Look::Queued => ("#e0f2fe", "#0284c7"),
            Look::Running => ("#fef3c7", "#d97706"),
            Look::Completed => ("#dcfce7", "#16a34a"),
            Look::Skipped => ("#ffffff", "#a1a1aa"),
            Look::Failed => ("#fee2e2", "#dc2626"),
            Look::Cancelled => ("#f3e8ff", "#9333ea"),
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Node {
    /// The first line is the name.
    pub(super) lines: Vec<String>,
    pub(super) shape: Shape,
    pub(super) look: Option<Look>,
}

/// What an edge says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link {
    /// What it leads to waits for what it comes from.
    Wait,
    /// A condition decides it.
    Route,
    /// A condition leads back.
    Back,
    /// A hook's moment, or from a task to what it consists of.
    Part,
}

#[derive(Clone, Debug)]
pub(super) struct Edge {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) link: Link,
    pub(super) label: Option<String>,
}

/// Nodes that belong together.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub(super) title: String,
    /// The frame that it stands in.
    pub(super) inside: Option<usize>,
    pub(super) nodes: Vec<usize>,
}

impl Graph {
    /// How many edges it has. Mermaid draws 500 unless its `maxEdges` says otherwise.
    #[must_use]
    pub fn edge_count(&self) -> usize {
        self.edges.len()
    }

    /// The node of a task or hook.
    pub(super) fn node_of(&self, of: Of, name: &str) -> Option<usize> {
        self.by_name.get(&of)?.get(name).copied()
    }

    /// The frame that a node stands in.
    pub(super) fn frame_of(&self, node: usize) -> Option<usize> {
        let mut frames = self.frames.iter();
        frames.position(|frame| frame.nodes.contains(&node))
    }
}

/// Nodes that stand in a frame.
pub(super) fn framed(graph: &Graph) -> BTreeSet<usize> {
    let nodes = graph.frames.iter().flat_map(|frame| &frame.nodes);
    nodes.copied().collect()
}
