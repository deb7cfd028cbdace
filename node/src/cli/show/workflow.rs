//! Workflows as text.

use paceline_types::TaskType;
use paceline_types::workflow::{Hook, TaskKind, TaskState, Workflow};

use super::{ERROR_WIDTH, Sheet, bytes, job_status, took, workflow_status};
use crate::cli::output::{Color, Output};
use crate::cli::table::{Table, shortened};
use crate::cli::time::{moment, span};

/// Everything about a workflow, its tasks and hooks included.
pub(crate) fn workflow(output: Output, workflow: &Workflow) -> String {
    let mut sheet = Sheet(vec![
        ("id", workflow.id.to_string()),
        ("name", workflow.workflow_name.clone()),
        ("status", workflow_status(output, workflow.status)),
    ]);
    sheet.maybe("attempt", attempt(workflow.attempt, workflow.max_attempts));
    sheet.maybe("parent", workflow.parent_workflow_id);
    sheet.maybe("task of parent", workflow.parent_task_name.as_ref());
    sheet.maybe("continued from", workflow.continued_from);
    sheet.maybe("continued as", workflow.continued_to);
    sheet.time("accepted", Some(workflow.created_at));
    sheet.time("deadline", workflow.deadline);
    sheet.time("suspended", workflow.suspended_at);
    sheet.time("ended", workflow.completed_at);
    let signals = workflow.signals_pending;
    sheet.maybe("signals pending", Some(signals).filter(|&count| count > 0));
    sheet.maybe("error", workflow.error.as_ref());
    sheet.maybe("input", workflow.input.as_ref().map(bytes));
    sheet.maybe("output", workflow.output.as_ref().map(bytes));
    let sheet = sheet.render();
    if workflow.tasks.is_empty() {
        return sheet;
    }
    let mut table = Table::new(["TASK", "TYPE", "STATUS", "ATTEMPT", "TOOK", "NOTE"]);
    for task in &workflow.tasks {
        // What was added stands under what added it, as far as a list of tasks shows.
        let indent = if task.generated_by.is_some() {
            "  "
        } else {
            ""
        };
        table.row(task_row(output, format!("{indent}{}", task.name), task));
    }
    for hook in Hook::ALL.map(Hook::as_str) {
        if let Some(task) = workflow.hook_states.get(hook) {
            table.row(task_row(output, hook.to_owned(), task));
        }
    }
    format!("{sheet}\n\n{}", table.render())
}

/// Which attempt of how many; nothing where there is one alone. By hand it may be tried more often.
pub(crate) fn attempt(attempt: u32, most: u32) -> Option<String> {
    match (attempt, most) {
        (0 | 1, 0 | 1) => None,
        (attempt, most) if attempt > most => Some(attempt.to_string()),
        (attempt, most) => Some(format!("{attempt} of {most}")),
    }
}

fn task_row(output: Output, name: String, task: &TaskState) -> [String; 6] {
    let status = match task.skipped {
        true => output.paint(Color::Dim, "skipped"),
        false => job_status(output, task.status),
    };
    // How often it was started, where that is more than once.
    let again = match task.iteration {
        0 => String::new(),
        iteration => format!(" x{}", u64::from(iteration) + 1),
    };
    [
        name,
        kind_of(task),
        format!("{status}{again}"),
        task.attempt.to_string(),
        took(task),
        shortened(&note(task), ERROR_WIDTH),
    ]
}

/// What a task is, and what runs it: `shell`, `map shell`, `signal`.
fn kind_of(task: &TaskState) -> String {
    let kind = match task.kind {
        TaskKind::Static if task.task_type.is_none() => "workflow",
        TaskKind::Static => "",
        TaskKind::Condition => "condition",
        TaskKind::Subflow => "subflow",
        TaskKind::Map => "map",
        TaskKind::Signal => "signal",
    };
    let words = [Some(kind), task.task_type.as_ref().map(TaskType::as_str)];
    let words: Vec<&str> = words.into_iter().flatten().collect();
    words.join(" ").trim().to_owned()
}

/// Why a task failed or was skipped; else what is particular about it.
fn note(task: &TaskState) -> String {
    let reason = task.error.as_ref().or(task.skip_reason.as_ref());
    if let Some(reason) = reason {
        return reason.clone();
    }
    let mut notes = Vec::new();
    notes.extend(task.condition_route.map(|route| format!("route {route}")));
    notes.extend(task.elements.map(|elements| {
        let (done, total, failed) = (elements.done, elements.total, elements.failed);
        match failed {
            0 => format!("{done}/{total}"),
            failed => format!("{done}/{total}, {failed} failed"),
        }
    }));
    let signal = task
        .signal
        .as_ref()
        .map(|signal| format!("signal {signal}"));
    notes.extend(signal);
    notes.extend(task.child_workflow_id.map(|child| child.to_string()));
    if !task.subflow_tasks.is_empty() {
        notes.push(format!("added {} tasks", task.subflow_tasks.len()));
    }
    notes.join(", ")
}

/// One sentence on a workflow that did not complete: `wf_… failed: task a failed`.
pub(crate) fn failed(workflow: &Workflow) -> String {
    let (id, status) = (workflow.id, workflow.status);
    let error = workflow.error.as_deref().unwrap_or("no reason was given");
    // A cancellation begins with that word itself.
    let error = error.strip_prefix("cancelled: ").unwrap_or(error);
    format!("{id} {status}: {error}")
}

/// A list of workflows.
pub(crate) fn workflows(output: Output, workflows: &[Workflow]) -> Table {
    let mut table = Table::new(["ID", "NAME", "STATUS", "ACCEPTED", "TOOK", "ERROR"]);
    for workflow in workflows {
        let error = workflow.error.as_deref().unwrap_or_default();
        let ended = workflow.completed_at;
        table.row([
            workflow.id.to_string(),
            workflow.workflow_name.clone(),
            workflow_status(output, workflow.status),
            moment(workflow.created_at),
            ended.map_or_else(String::new, |ended| span(workflow.created_at, ended)),
            shortened(error, ERROR_WIDTH),
        ]);
    }
    table
}
