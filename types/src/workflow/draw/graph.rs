//! From a definition to what is drawn.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::model::{Edge, Frame, Graph, Link, Node, Of, Shape};
use super::routes::back_routes;
use crate::workflow::{Hook, TaskDefinition, TaskKind, WorkflowDefinition};

/// Frames within frames: as many as workflows may nest.
pub(super) const MAX_DEPTH: usize = 16;

/// Tasks beside one another, after they were added.
pub(super) struct Added {
    /// The node of each, in order.
    pub(super) nodes: Vec<usize>,
    /// Nodes that wait for none of them.
    pub(super) roots: Vec<usize>,
    /// Nodes for which none of them waits.
    leaves: Vec<usize>,
}

impl Graph {
    /// What a definition says; it need not be valid.
    #[must_use]
    pub fn of(definition: &WorkflowDefinition) -> Graph {
        let mut graph = Graph {
            name: definition.name.clone(),
            ..Graph::default()
        };
        let added = graph.add_tasks(&definition.tasks, None, 0);
        graph.complete(definition, None, None, &added);
        graph
    }

    /// Adds the hooks to tasks that were added, and knows both by their names.
    fn complete(
        &mut self,
        definition: &WorkflowDefinition,
        of: Of,
        frame: Option<usize>,
        added: &Added,
    ) {
        let hooks = self.add_hooks(definition, frame, added);
        let names = self.by_name.entry(of).or_default();
        for (task, &node) in definition.tasks.iter().zip(&added.nodes) {
            names.entry(task.name.clone()).or_insert(node);
        }
        names.extend(hooks);
    }

    /// Adds tasks with their edges, inside a frame.
    pub(super) fn add_tasks(
        &mut self,
        tasks: &[TaskDefinition],
        frame: Option<usize>,
        depth: usize,
    ) -> Added {
        let first = self.nodes.len();
        let nodes: Vec<usize> = (first..first + tasks.len()).collect();
        self.nodes.extend(tasks.iter().map(node));
        if let Some(frame) = frame.and_then(|frame| self.frames.get_mut(frame)) {
            frame.nodes.extend(&nodes);
        }
        let mut places = HashMap::with_capacity(tasks.len());
        for (place, task) in tasks.iter().enumerate() {
            places.entry(task.name.as_str()).or_insert(place);
        }
        let (mut waits, mut waited) = (BTreeSet::new(), BTreeSet::new());
        let back = back_routes(tasks, &places);
        for (place, task) in tasks.iter().enumerate() {
            for on in &task.depends_on {
                let Some(&on) = places.get(on.as_str()) else {
                    continue;
                };
                // The route says it already.
                let routed = tasks.get(on).is_some_and(|upstream| {
                    let mut targets = upstream.condition_routes.values();
                    targets.any(|target| *target == task.name)
                });
                waits.insert(place);
                waited.insert(on);
                if !routed {
                    self.edges.push(Edge {
                        from: first + on,
                        to: first + place,
                        link: Link::Wait,
                        label: None,
                    });
                }
            }
            for (target, numbers) in routes_of(task) {
                let Some(&target) = places.get(target) else {
                    continue;
                };
                let leads_back = back.contains(&(place, target));
                if !leads_back {
                    waits.insert(target);
                    waited.insert(place);
                }
                self.edges.push(Edge {
                    from: first + place,
                    to: first + target,
                    link: if leads_back { Link::Back } else { Link::Route },
                    label: Some(route_label(task, &numbers, leads_back)),
                });
            }
        }
        for (task, &node) in tasks.iter().zip(&nodes) {
            if let Some(child) = task.child_workflow_def.as_deref()
                && depth < MAX_DEPTH
            {
                self.add_child(child, node, frame, depth);
            }
        }
        let without = |those: &BTreeSet<usize>| {
            let places = (0..tasks.len()).filter(|place| !those.contains(place));
            places.map(|place| first + place).collect()
        };
        Added {
            roots: without(&waits),
            leaves: without(&waited),
            nodes,
        }
    }

    /// A frame with the tasks of a child, which the node is.
    pub(super) fn add_child(
        &mut self,
        child: &WorkflowDefinition,
        node: usize,
        frame: Option<usize>,
        depth: usize,
    ) {
        let inner = self.add_frame(child.name.clone(), frame);
        let added = self.add_tasks(&child.tasks, Some(inner), depth + 1);
        self.add_parts(node, &added.roots);
        self.complete(child, Some(node), Some(inner), &added);
    }

    /// A frame with nothing in it yet.
    pub(super) fn add_frame(&mut self, title: String, inside: Option<usize>) -> usize {
        self.frames.push(Frame {
            title,
            inside,
            nodes: Vec::new(),
        });
        self.frames.len() - 1
    }

    /// From a node to what it consists of.
    pub(super) fn add_parts(&mut self, node: usize, roots: &[usize]) {
        self.edges.extend(roots.iter().map(|&root| Edge {
            from: node,
            to: root,
            link: Link::Part,
            label: None,
        }));
    }

    /// Hooks before the roots and behind the leaves; the names that they have as tasks.
    fn add_hooks(
        &mut self,
        definition: &WorkflowDefinition,
        frame: Option<usize>,
        tasks: &Added,
    ) -> Vec<(String, usize)> {
        let mut nodes = BTreeMap::new();
        for hook in Hook::ALL {
            let hooks = definition.hooks.as_ref();
            let Some(defined) = hooks.and_then(|hooks| hooks.get(hook)) else {
                continue;
            };
            nodes.insert(hook, self.nodes.len());
            if let Some(frame) = frame.and_then(|frame| self.frames.get_mut(frame)) {
                frame.nodes.push(self.nodes.len());
            }
            self.nodes.push(Node {
                lines: vec![hook.as_str().to_owned(), defined.task_type.clone()],
                shape: Shape::Hook,
                look: None,
            });
        }
        let mut link = |from: usize, to: usize| {
            self.edges.push(Edge {
                from,
                to,
                link: Link::Part,
                label: None,
            });
        };
        if let Some(&init) = nodes.get(&Hook::Init) {
            tasks.roots.iter().for_each(|&root| link(init, root));
        }
        let mut last: Vec<usize> = Vec::new();
        for outcome in [Hook::Success, Hook::Failure] {
            if let Some(&node) = nodes.get(&outcome) {
                tasks.leaves.iter().for_each(|&leaf| link(leaf, node));
                last.push(node);
            }
        }
        if let Some(&exit) = nodes.get(&Hook::Exit) {
            let last = if last.is_empty() {
                &tasks.leaves
            } else {
                &last
            };
            last.iter().for_each(|&before| link(before, exit));
        }
        let named = nodes.into_iter();
        named.map(|(hook, node)| (hook.task_name(), node)).collect()
    }
}

/// The routes of a condition by their target, in the order of their numbers.
fn routes_of(task: &TaskDefinition) -> Vec<(&str, Vec<u32>)> {
    let mut by_target: Vec<(&str, Vec<u32>)> = Vec::new();
    for (&number, target) in &task.condition_routes {
        match by_target.iter_mut().find(|(known, _)| *known == target) {
            Some((_, numbers)) => numbers.push(number),
            None => by_target.push((target, vec![number])),
        }
    }
    by_target
}

/// The numbers of routes; true and false of an expression, which has these two. A way back says
/// how often it may be gone.
fn route_label(task: &TaskDefinition, numbers: &[u32], back: bool) -> String {
    let named = numbers.iter().map(|number| match number {
        0 if task.condition.is_some() => "true".to_owned(),
        1 if task.condition.is_some() => "false".to_owned(),
        number => number.to_string(),
    });
    let mut label = named.collect::<Vec<_>>().join(", ");
    if back {
        let most = match task.max_iterations {
            0 => 100,
            most => most,
        };
        label.push_str(&format!(" (at most {most} times)"));
    }
    label
}

fn node(task: &TaskDefinition) -> Node {
    let (shape, what) = match task.kind {
        TaskKind::Static => match &task.child_workflow_def {
            Some(child) => (Shape::Child, format!("workflow {}", child.name)),
            None => (Shape::Job, task.task_type.clone()),
        },
        TaskKind::Condition => {
            let condition = task.condition.as_ref();
            let what = condition.unwrap_or(&task.task_type);
            (Shape::Condition, what.clone())
        }
        TaskKind::Subflow => (Shape::Subflow, format!("adds tasks: {}", task.task_type)),
        TaskKind::Map => (Shape::Map, format!("for each: {}", task.task_type)),
        TaskKind::Signal => {
            let signal = task.awaited_signal().unwrap_or_default();
            (Shape::Signal, format!("signal {signal}"))
        }
    };
    let mut lines = vec![task.name.clone(), what];
    for precondition in &task.preconditions {
        lines.push(format!(
            "if {}.{} is {}",
            precondition.task, precondition.path, precondition.expected
        ));
    }
    if task.allow_failure {
        lines.push("may fail".to_owned());
    }
    lines.retain(|line| !line.is_empty());
    Node {
        lines,
        shape,
        look: None,
    }
}
