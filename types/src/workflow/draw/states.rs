//! How the tasks of an instance stand, drawn over its definition.

use std::collections::BTreeMap;

use super::graph::MAX_DEPTH;
use super::model::{Edge, Graph, Link, Look, Node, Of, Shape};
use crate::workflow::{Hook, TaskKind, TaskState, Workflow, WorkflowDefinition};
use crate::{JobStatus, WorkflowId};

impl Graph {
    /// The same graph in the colours of how an instance of it stands, with the tasks that came to it
    /// in frames of their own. Elements of maps are counted, not drawn; the tasks of its children
    /// have no colours before [`Graph::with_child`].
    #[must_use]
    pub fn with_states(self, workflow: &Workflow) -> Graph {
        self.with(&workflow.tasks, &workflow.hook_states)
    }

    /// The same graph with the colours of a child, which a task of what is drawn names as `id`;
    /// `workflow` is how it stands, or what went on as it. Of a child that came with a subflow, the
    /// definition is drawn as well. Nothing changes where no task names it.
    #[must_use]
    pub fn with_child(
        self,
        id: WorkflowId,
        definition: &WorkflowDefinition,
        workflow: &Workflow,
    ) -> Graph {
        self.with_child_of(id, definition, &workflow.tasks, &workflow.hook_states)
    }

    pub(super) fn with_child_of(
        mut self,
        id: WorkflowId,
        definition: &WorkflowDefinition,
        tasks: &[TaskState],
        hooks: &BTreeMap<String, TaskState>,
    ) -> Graph {
        let Some(&node) = self.children.get(&id) else {
            return self;
        };
        if !self.by_name.contains_key(&Some(node)) {
            let frame = self.frame_of(node);
            let depth = self.frames_around(frame);
            if depth >= MAX_DEPTH {
                return self;
            }
            self.add_child(definition, node, frame, depth);
        }
        self.show_all(Some(node), tasks, hooks);
        self
    }

    /// How many frames stand around what is in a frame.
    fn frames_around(&self, mut frame: Option<usize>) -> usize {
        let mut count = 0;
        while let Some(around) = frame {
            count += 1;
            frame = self.frames.get(around).and_then(|frame| frame.inside);
        }
        count
    }

    pub(super) fn with(
        mut self,
        tasks: &[TaskState],
        hooks: &BTreeMap<String, TaskState>,
    ) -> Graph {
        self.has_states = true;
        self.show_all(None, tasks, hooks);
        self
    }

    fn show_all(&mut self, of: Of, tasks: &[TaskState], hooks: &BTreeMap<String, TaskState>) {
        self.add_generated(of, tasks);
        for state in tasks {
            self.show(of, state.name.as_str(), state);
        }
        for hook in Hook::ALL {
            if let Some(state) = hooks.get(hook.as_str()) {
                self.show(of, &hook.task_name(), state);
            }
        }
    }

    /// A frame for each task that added others, in the order in which they came: what one that was
    /// added added itself stands in a frame within.
    fn add_generated(&mut self, of: Of, tasks: &[TaskState]) {
        let mut frames: BTreeMap<&str, usize> = BTreeMap::new();
        let mut added: Vec<(usize, &TaskState, usize)> = Vec::new();
        for state in tasks {
            let Some(generator) = state.generated_by.as_ref().map(|name| name.as_str()) else {
                continue;
            };
            let Some(from) = self.node_of(of, generator) else {
                continue;
            };
            let is_map = self.nodes.get(from).map(|node| node.shape) == Some(Shape::Map);
            if is_map || self.node_of(of, state.name.as_str()).is_some() {
                continue;
            }
            let frame = match frames.get(generator) {
                Some(&frame) => frame,
                None => {
                    let around = self.frame_of(from);
                    let frame = self.add_frame(format!("added by {generator}"), around);
                    frames.insert(generator, frame);
                    frame
                }
            };
            let node = self.nodes.len();
            self.nodes.push(added_node(state));
            if let Some(frame) = self.frames.get_mut(frame) {
                frame.nodes.push(node);
            }
            let names = self.by_name.entry(of).or_default();
            names.insert(state.name.to_string(), node);
            added.push((node, state, from));
        }
        for (node, state, generator) in added {
            let waits = state.depends_on.iter();
            let waits = waits.filter_map(|name| self.node_of(of, name.as_str()));
            let waits: Vec<usize> = waits.filter(|&on| on != generator).collect();
            if waits.is_empty() {
                self.add_parts(generator, &[node]);
            }
            self.edges.extend(waits.into_iter().map(|on| Edge {
                from: on,
                to: node,
                link: Link::Wait,
                label: None,
            }));
        }
    }

    fn show(&mut self, of: Of, name: &str, state: &TaskState) {
        let Some(index) = self.node_of(of, name) else {
            return;
        };
        if let Some(child) = state.child_workflow_id {
            self.children.insert(child, index);
        }
        let Some(node) = self.nodes.get_mut(index) else {
            return;
        };
        node.look = Some(look(state));
        let mut said = Vec::new();
        if state.iteration > 0 {
            said.push(format!("x{}", u64::from(state.iteration) + 1));
        }
        if state.attempt > 1 {
            said.push(format!("attempt {}", state.attempt));
        }
        said.extend(state.condition_route.map(|route| format!("route {route}")));
        if let Some(elements) = state.elements {
            said.push(format!("{}/{}", elements.done, elements.total));
            if elements.failed > 0 {
                said.push(format!("{} failed", elements.failed));
            }
        }
        if !said.is_empty() {
            node.lines.push(said.join(", "));
        }
    }
}

/// Of a task whose definition came while the instance ran.
fn added_node(state: &TaskState) -> Node {
    let shape = match state.kind {
        TaskKind::Static if state.task_type.is_none() => Shape::Child,
        TaskKind::Static => Shape::Job,
        TaskKind::Condition => Shape::Condition,
        TaskKind::Subflow => Shape::Subflow,
        TaskKind::Map => Shape::Map,
        TaskKind::Signal => Shape::Signal,
    };
    let what = match (&state.task_type, &state.signal, state.child_workflow_id) {
        (Some(task_type), ..) => Some(task_type.to_string()),
        (None, Some(signal), _) => Some(format!("signal {signal}")),
        (None, None, Some(child)) => Some(child.to_string()),
        (None, None, None) => None,
    };
    let lines = std::iter::once(state.name.to_string()).chain(what);
    Node {
        lines: lines.collect(),
        shape,
        look: None,
    }
}

fn look(state: &TaskState) -> Look {
    match state.status {
        JobStatus::Pending | JobStatus::Scheduled if state.job_id.is_none() => Look::Waiting,
        JobStatus::Pending | JobStatus::Scheduled | JobStatus::Paused => Look::Queued,
        JobStatus::Running | JobStatus::Retrying => Look::Running,
        JobStatus::Completed if state.skipped => Look::Skipped,
        JobStatus::Completed => Look::Completed,
        JobStatus::Dead => Look::Failed,
        JobStatus::Cancelled => Look::Cancelled,
    }
}
