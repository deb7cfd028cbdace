//! How a watched workflow stands, from its events: its tasks, the tasks that came to it, its
//! children and its hooks. Pure.
//!
//! Events say what happened, in order, and alone decide how a row stands until the end. What they do
//! not say (under which task a new one stands, how many elements a map has, which workflow a child
//! is) is taken from a reading of the workflow, which the board asks for when it meets something
//! that it does not know.

mod apply;
mod flows;
mod row;
#[cfg(test)]
pub(super) mod tests;

use std::collections::{BTreeSet, HashMap};

use paceline_types::workflow::{Hook, TaskState};
use paceline_types::{WorkflowDefinition, WorkflowId, WorkflowStatus};

use self::flows::Flow;
pub(super) use self::row::{Elements, Kind, Row, Status};

/// What an event, or a reading, changed.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Change {
    /// The row of this index.
    Row(usize),
    /// Of the workflow itself: a line to tell.
    Notice(String),
}

/// Where a task that a reading tells of belongs.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Place {
    /// Its name.
    pub(super) name: String,
    /// What it is; none where that is not known.
    pub(super) kind: Option<Kind>,
    /// The task that added it.
    pub(super) parent: Option<String>,
    /// Elements of a map.
    pub(super) total: Option<u32>,
    /// The workflow that it is.
    pub(super) child: Option<WorkflowId>,
}

/// All rows; those of the definition first, in its order.
#[derive(Debug, Default)]
pub(super) struct Board {
    rows: Vec<Row>,
    flows: Vec<Flow>,
    by_id: HashMap<WorkflowId, usize>,
    /// Definitions of children, by the row of the task.
    children: HashMap<usize, WorkflowDefinition>,
    /// Flows that must be read.
    unread: BTreeSet<usize>,
}

impl Board {
    /// A board on which nothing has happened yet.
    pub(super) fn of(definition: &WorkflowDefinition) -> Board {
        let mut board = Board::default();
        board.flows.push(Flow::default());
        board.add_definition(0, definition);
        board
    }

    /// The workflow was accepted under this id.
    pub(super) fn begin(&mut self, id: WorkflowId) {
        self.name_flow(0, id);
    }

    /// What a workflow of the board goes on as by now; itself unless it did.
    pub(super) fn newest_of(&self, workflow: WorkflowId) -> Option<WorkflowId> {
        let flow = self.by_id.get(&workflow)?;
        self.flows.get(*flow)?.id
    }

    /// All rows.
    pub(super) fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// How many tasks and hooks have ended.
    pub(super) fn ended(&self) -> usize {
        let ended = self.rows.iter().filter(|row| row.status.is_final());
        ended.count()
    }

    /// The name of a row with those of the tasks whose child it is of: `ship/pack`.
    pub(super) fn path(&self, row: &Row) -> String {
        let path = self.flows.get(row.flow).map_or("", |flow| &flow.path);
        format!("{path}{}", row.name)
    }

    /// How far a row is indented.
    pub(super) fn depth(&self, row: &Row) -> usize {
        let mut depth = 0;
        let mut parent = row.parent;
        while let Some(above) = parent.and_then(|index| self.rows.get(index)) {
            depth += 1;
            parent = above.parent;
        }
        depth
    }

    /// The workflow that a row belongs to, once it is known.
    pub(super) fn workflow_of(&self, row: &Row) -> Option<WorkflowId> {
        self.flows.get(row.flow)?.id
    }

    /// A workflow that must be read for the board to go on; asked once for each time it is needed.
    pub(super) fn wanted(&mut self) -> Option<WorkflowId> {
        while let Some(flow) = self.unread.pop_first() {
            if let Some(id) = self.flows.get(flow).and_then(|flow| flow.id) {
                return Some(id);
            }
        }
        None
    }

    /// Whether every hook that comes after this outcome of the workflow has ended.
    pub(super) fn hooks_ended(&self, outcome: WorkflowStatus) -> bool {
        let due = match outcome {
            WorkflowStatus::Completed => [Hook::Success, Hook::Exit],
            WorkflowStatus::Failed | WorkflowStatus::Cancelled => [Hook::Failure, Hook::Exit],
            WorkflowStatus::Pending
            | WorkflowStatus::Running
            | WorkflowStatus::Suspended
            | WorkflowStatus::Continued => return true,
        };
        due.into_iter().all(|hook| {
            let row = self.flows.first().and_then(|flow| {
                let row = flow.by_name.get(&hook.task_name())?;
                self.rows.get(*row)
            });
            row.is_none_or(|row| row.status.is_final())
        })
    }

    /// Takes in where tasks belong; what changed, and children that must be followed.
    pub(super) fn place(
        &mut self,
        workflow: WorkflowId,
        places: &[Place],
    ) -> (Vec<Change>, Vec<WorkflowId>) {
        let Some(&flow) = self.by_id.get(&workflow) else {
            return (Vec::new(), Vec::new());
        };
        let (mut changes, mut follow) = (Vec::new(), Vec::new());
        for place in places {
            let Some(index) = self.row_of(flow, &place.name) else {
                continue;
            };
            let parent = place
                .parent
                .as_ref()
                .and_then(|parent| self.row_of(flow, parent));
            let Some(row) = self.rows.get_mut(index) else {
                continue;
            };
            let before = row.clone();
            row.parent = parent.or(row.parent);
            row.placed = true;
            // What a definition says is more than a reading does.
            if let (Some(kind), Kind::Job) = (&place.kind, &row.kind) {
                row.kind = kind.clone();
                // An event may have come before it was known what the row is.
                if let (Kind::Signal(_), Status::Queued) = (kind, row.status) {
                    row.status = Status::Listening;
                }
            }
            if let Kind::Map(elements) = &mut row.kind {
                elements.total = place.total.or(elements.total);
            }
            if *row != before {
                changes.push(Change::Row(index));
            }
            if let Some(child) = place.child
                && self.add_child(index, child, &mut changes)
            {
                follow.push(child);
            }
        }
        (changes, follow)
    }

    /// Takes in what the record at the end says; the rows that it changed.
    pub(super) fn reconcile(&mut self, workflow: WorkflowId, tasks: &[TaskState]) -> Vec<usize> {
        let Some(&flow) = self.by_id.get(&workflow) else {
            return Vec::new();
        };
        let mut changed = Vec::new();
        for task in tasks {
            let known = self.flows.get(flow);
            let Some(&index) = known.and_then(|flow| flow.by_name.get(task.name.as_str())) else {
                continue;
            };
            let Some(row) = self.rows.get_mut(index) else {
                continue;
            };
            let status = match Status::of(task.status) {
                Status::Completed if task.skipped => Status::Skipped,
                Status::Dead if row.status == Status::DeadAllowed => Status::DeadAllowed,
                status => status,
            };
            if status.is_final() && row.status != status {
                row.status = status;
                row.starts = task.iteration.saturating_add(1);
                row.attempt = task.attempt;
                row.started_at = task.started_at;
                row.finished_at = task.finished_at;
                let reason = task.error.as_ref().or(task.skip_reason.as_ref());
                row.note = reason.cloned();
                changed.push(index);
            }
        }
        changed
    }
}
