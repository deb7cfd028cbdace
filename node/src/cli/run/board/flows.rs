//! The workflows of a board, and how rows come to them.

use std::collections::HashMap;

use paceline_types::workflow::Hook;
use paceline_types::{WorkflowDefinition, WorkflowId};

use super::{Board, Change, Kind, Row};

/// Children within children that are shown.
const MAX_DEPTH: usize = 16;

/// Rows are added for so many tasks that came on the way; the others are only counted.
const MAX_ROWS: usize = 100_000;

/// One workflow on the board: the one that was submitted, or a child.
#[derive(Debug, Default)]
pub(super) struct Flow {
    pub(super) id: Option<WorkflowId>,
    /// The task of its parent.
    pub(super) row: Option<usize>,
    /// Names of the parents' tasks: `ship/`.
    pub(super) path: String,
    depth: usize,
    pub(super) by_name: HashMap<String, usize>,
}

impl Board {
    /// The row of a task, which is added where there is none.
    pub(super) fn row_of(&mut self, flow: usize, name: &str) -> Option<usize> {
        if let Some(&row) = self.flows.get(flow)?.by_name.get(name) {
            return Some(row);
        }
        if self.rows.len() >= MAX_ROWS {
            return None;
        }
        let mut row = match Hook::of_task_name(name) {
            Some(hook) => Row::new(hook.as_str(), flow, None, Kind::Hook),
            None => Row::new(name, flow, None, Kind::Job),
        };
        row.parent = self.flows.get(flow)?.row;
        row.placed = false;
        self.unread.insert(flow);
        Some(self.add_row(flow, name, row))
    }

    fn add_row(&mut self, flow: usize, name: &str, row: Row) -> usize {
        let index = self.rows.len();
        self.rows.push(row);
        if let Some(flow) = self.flows.get_mut(flow) {
            flow.by_name.entry(name.to_owned()).or_insert(index);
        }
        index
    }

    pub(super) fn add_definition(&mut self, flow: usize, definition: &WorkflowDefinition) {
        let parent = self.flows.get(flow).and_then(|flow| flow.row);
        let hooks = definition.hooks.as_ref();
        let add_hook = |board: &mut Board, hook: Hook| {
            if hooks.is_some_and(|hooks| hooks.get(hook).is_some()) {
                let row = Row::new(hook.as_str(), flow, parent, Kind::Hook);
                board.add_row(flow, &hook.task_name(), row);
            }
        };
        add_hook(self, Hook::Init);
        for task in &definition.tasks {
            let row = Row::new(&task.name, flow, parent, Kind::of(task));
            let index = self.add_row(flow, &task.name, row);
            if let Some(child) = &task.child_workflow_def {
                self.children.insert(index, child.as_ref().clone());
            }
        }
        for hook in [Hook::Success, Hook::Failure, Hook::Exit] {
            add_hook(self, hook);
        }
    }

    pub(super) fn name_flow(&mut self, flow: usize, id: WorkflowId) {
        if let Some(known) = self.flows.get_mut(flow) {
            known.id = Some(id);
            self.by_id.insert(id, flow);
        }
    }

    /// A child came to a row, the first or, in a loop, the next; whether it is a new one.
    pub(super) fn add_child(
        &mut self,
        row: usize,
        id: WorkflowId,
        changes: &mut Vec<Change>,
    ) -> bool {
        if self.by_id.contains_key(&id) {
            return false;
        }
        let known = self.flows.iter().position(|flow| flow.row == Some(row));
        let Some(task) = self.rows.get(row) else {
            return false;
        };
        let depth = self.flows.get(task.flow).map_or(0, |flow| flow.depth) + 1;
        if depth > MAX_DEPTH {
            return false;
        }
        let path = format!("{}/", self.path(task));
        let flow = known.unwrap_or_else(|| {
            self.flows.push(Flow {
                row: Some(row),
                path,
                depth,
                ..Flow::default()
            });
            self.flows.len() - 1
        });
        self.name_flow(flow, id);
        let first = self.rows.len();
        match known {
            Some(flow) => changes.extend(self.reset_flow(flow)),
            None => {
                if let Some(definition) = self.children.remove(&row) {
                    self.add_definition(flow, &definition);
                }
            }
        }
        changes.extend((first..self.rows.len()).map(Change::Row));
        true
    }

    /// Every row of a flow as it was before anything happened.
    pub(super) fn reset_flow(&mut self, flow: usize) -> Vec<Change> {
        let rows = self.rows.iter_mut().enumerate();
        let rows = rows.filter(|(_, row)| row.flow == flow);
        let reset = rows.map(|(index, row)| {
            row.reset();
            row.starts = 0;
            Change::Row(index)
        });
        reset.collect()
    }
}
