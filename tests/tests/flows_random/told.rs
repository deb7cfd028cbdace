//! What came of workflows, held against what the interpreter told of them.

use std::collections::{BTreeMap, BTreeSet};

use paceline_client::Client;
use paceline_orchestrator::oracle::interpret::{Kind, Start, Told};
use paceline_orchestrator::oracle::judge::{bare, same_value};
use paceline_types::workflow::{Hook, TaskState};
use paceline_types::{JobStatus, Workflow, WorkflowId, WorkflowStatus};

use crate::play::Runs;

/// Whether a task stands as it was told.
fn is_as_told(kind: Kind, task: &TaskState) -> bool {
    let passed_by = task.skip_reason.as_deref() == Some("no route led here");
    match kind {
        Kind::Completed => task.status == JobStatus::Completed && !task.skipped,
        Kind::Routed(route) => {
            task.status == JobStatus::Completed && task.condition_route == route && !task.skipped
        }
        Kind::Skipped => task.status == JobStatus::Completed && task.skipped && !passed_by,
        Kind::Bypassed => task.status == JobStatus::Completed && task.skipped && passed_by,
        Kind::FailedAllowed | Kind::Dead => task.status == JobStatus::Dead && task.error.is_some(),
        Kind::Cancelled => task.status == JobStatus::Cancelled,
    }
}

/// Compares a workflow and its children with what was told of them.
pub(crate) async fn check(
    client: &Client,
    runs: &Runs,
    told: &Told,
    id: WorkflowId,
) -> Result<(), String> {
    let seen = client
        .workflow_with_elements(id)
        .await
        .map_err(|error| error.to_string())?;
    let seen = seen.ok_or("it is gone")?;
    if seen.status != told.status {
        return Err(format!(
            "{id} is {}, not {}: {:?}",
            seen.status, told.status, seen.error
        ));
    }
    let stands: BTreeMap<&str, &TaskState> = seen
        .tasks
        .iter()
        .map(|task| (task.name.as_str(), task))
        .collect();
    let whole = seen.status != WorkflowStatus::Failed;
    for start in &told.last {
        let Some(task) = stands.get(bare(&start.0)) else {
            match whole {
                true => return Err(format!("{id}: there is no task {}", start.0)),
                false => continue,
            }
        };
        if !whole && matches!(task.status, JobStatus::Cancelled) {
            continue;
        }
        // A run that failed may have come to an earlier start only.
        let start: Start = (start.0.clone(), task.iteration);
        let end = told
            .ends
            .get(&start)
            .ok_or(format!("{id}: {start:?} was not told"))?;
        if !is_as_told(end.kind, task) {
            return Err(format!("{id}: {task:?} is not {end:?}"));
        }
    }
    check_runs(&seen, runs, told, whole)?;
    if whole {
        let last: BTreeSet<&str> = told.last.iter().map(|start| bare(&start.0)).collect();
        if let Some(more) = stands.keys().find(|name| !last.contains(*name)) {
            return Err(format!("{id}: {more} was not told"));
        }
    }
    let open = seen.tasks.iter().find(|task| !task.status.is_terminal());
    if let Some(task) = open {
        return Err(format!("{id} has ended, but {task:?}"));
    }
    if seen.status == WorkflowStatus::Completed {
        let output = seen.output.as_deref().unwrap_or(b"null");
        let output = serde_json::from_slice(output).map_err(|error| error.to_string())?;
        if !same_value(&output, &told.output) {
            return Err(format!("{id}: its output is {output}, not {}", told.output));
        }
    }
    for task in &seen.tasks {
        let Some(child) = task.child_workflow_id else {
            continue;
        };
        let of_it =
            |start: &&Start| bare(&start.0) == task.name.as_str() && start.1 == task.iteration;
        let told = told
            .children
            .keys()
            .find(of_it)
            .map(|start| &told.children[start]);
        if let Some(told) = told
            && whole
        {
            Box::pin(check(client, runs, told, child)).await?;
        }
    }
    match (&told.next, seen.continued_to) {
        (Some(told), Some(next)) => Box::pin(check(client, runs, told, next)).await,
        (None, None) => Ok(()),
        (_, next) => Err(format!("{id} goes on as {next:?}")),
    }
}

/// Each start ran at most once, and only those that were told; of a whole workflow, all of them.
fn check_runs(seen: &Workflow, runs: &Runs, told: &Told, whole: bool) -> Result<(), String> {
    let id = seen.id;
    let mut told_runs: BTreeSet<(String, u32)> = BTreeSet::new();
    for start in &told.made {
        let is_child = told.children.contains_key(start);
        // One whose payload cannot be made does not come to its handler.
        let end = told.ends.get(start);
        let unmade = end
            .and_then(|end| end.error.as_deref())
            .is_some_and(|error| error.starts_with("payload: "));
        if !is_child && !unmade {
            told_runs.insert((bare(&start.0).to_owned(), start.1));
        }
    }
    let runs = runs.of(id);
    if let Some((run, times)) = runs.iter().find(|(_, times)| **times != 1) {
        // Sections of one name in several starts of their generator have the same names.
        let many = told
            .made
            .iter()
            .filter(|start| bare(&start.0) == run.0)
            .count();
        if many <= 1 {
            return Err(format!("{id}: {run:?} ran {times} times"));
        }
    }
    let is_hook = |task: &str| Hook::of_task_name(task).is_some();
    let ran: BTreeSet<(String, u32)> = runs
        .keys()
        .filter(|(task, _)| !is_hook(task))
        .cloned()
        .collect();
    if let Some(run) = ran.difference(&told_runs).next() {
        return Err(format!("{id}: {run:?} should not have run"));
    }
    if let Some(run) = told_runs.difference(&ran).next().filter(|_| whole) {
        return Err(format!("{id}: {run:?} should have run"));
    }
    let hooks: BTreeSet<&str> = runs
        .keys()
        .filter(|(task, _)| is_hook(task))
        .map(|(task, _)| task.as_str())
        .collect();
    let wanted: BTreeSet<String> = told.hooks.iter().map(|hook| hook.task_name()).collect();
    if hooks != wanted.iter().map(String::as_str).collect() {
        return Err(format!("{id}: hooks {hooks:?}, not {wanted:?}"));
    }
    Ok(())
}
