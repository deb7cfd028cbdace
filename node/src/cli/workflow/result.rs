//! `paceline workflow result`: what a workflow, or one task of it, came to.

use bytes::Bytes;
use clap::Args;
use paceline_client::Client;
use paceline_types::workflow::{TaskResult, Workflow};
use paceline_types::{WorkflowId, WorkflowStatus};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::cli::connect::connect;
use crate::cli::failure::{Failure, Kind};
use crate::cli::options::Globals;
use crate::cli::output::Output;
use crate::cli::show;

/// Whose result.
#[derive(Debug, Args)]
pub(crate) struct Outcome {
    /// The workflow's id
    id: WorkflowId,
    /// Only of this task, which may have ended before the workflow; of an element of a map: resize#7
    #[arg(long)]
    task: Option<String>,
    /// Which start of the task, from 0; the newest unless given
    #[arg(long, requires = "task", value_name = "N")]
    iteration: Option<u32>,
    /// Wait until the workflow has ended; of one that goes on as a new one, until that has
    #[arg(long)]
    wait: bool,
}

#[derive(Serialize)]
struct Told {
    id: WorkflowId,
    status: WorkflowStatus,
    result: Option<Box<RawValue>>,
}

/// Prints the result; fails as what it is of failed.
pub(super) async fn run(
    outcome: Outcome,
    globals: &Globals,
    output: Output,
) -> Result<(), Failure> {
    let client = connect(globals).await?;
    let id = outcome.id;
    let ended = match outcome.wait {
        true => Some(client.workflow_handle(id).wait().await?),
        false => None,
    };
    if let Some(task) = &outcome.task {
        let of = match ended {
            Some(workflow) => workflow.id,
            None => kept(&client, id).await?,
        };
        return match task_result(&client, of, task, outcome.iteration).await? {
            Some(start) => tell_task(of, start, output),
            None => Err(not_begun(&client, of, task, outcome.iteration).await?),
        };
    }
    let workflow = match ended {
        Some(workflow) => workflow,
        None => newest(&client, id).await?,
    };
    tell(id, &workflow, output)
}

/// The workflow itself while it is kept, else the newest that it went on as.
async fn kept(client: &Client, id: WorkflowId) -> Result<WorkflowId, Failure> {
    let workflow = client.workflow(id).await?;
    let workflow = workflow.ok_or_else(|| Failure::not_found(id))?;
    Ok(workflow.id)
}

/// The newest that a workflow went on as, or itself: what it came to so far.
async fn newest(client: &Client, id: WorkflowId) -> Result<Workflow, Failure> {
    let newest = client.newest_instance(id).await?;
    let workflow = match newest {
        Some(newest) => client.workflow(newest).await?,
        None => None,
    };
    workflow.ok_or_else(|| Failure::not_found(id))
}

async fn task_result(
    client: &Client,
    id: WorkflowId,
    task: &str,
    iteration: Option<u32>,
) -> Result<Option<TaskResult>, Failure> {
    let Some(iteration) = iteration else {
        return Ok(client.task_result(id, task).await?);
    };
    let starts = client.task_results(id, task, iteration).await?;
    let first = starts.into_iter().next();
    Ok(first.filter(|start| start.iteration == iteration))
}

/// Why there is nothing to tell of a start of a task.
async fn not_begun(
    client: &Client,
    id: WorkflowId,
    task: &str,
    iteration: Option<u32>,
) -> Result<Failure, Failure> {
    let Some(workflow) = client.workflow(id).await? else {
        return Ok(Failure::not_found(id));
    };
    // An element is named after its map.
    let map = task.rsplit_once('#').map_or(task, |(map, _)| map);
    let mut names = workflow.tasks.iter().map(|task| task.name.as_str());
    let sentence = if names.any(|name| name == task || name == map) {
        match iteration {
            Some(iteration) => {
                format!("task {task} of {id} has not begun for iteration {iteration}")
            }
            None => format!("task {task} of {id} has not begun"),
        }
    } else {
        format!("{id} has no task {task:?}; `paceline workflow get {id}` lists those that it has")
    };
    Ok(Failure::new(Kind::NotFound, sentence))
}

fn tell_task(id: WorkflowId, start: TaskResult, output: Output) -> Result<(), Failure> {
    if let Some(result) = &start.result {
        return output.either(&start, || show::bytes(result));
    }
    if output.is_json() {
        output.json(&start)?;
    }
    let status = start.status;
    let (kind, reason) = match (status.is_terminal(), start.skipped, start.error) {
        (false, ..) => (Kind::Conflict, format!("it is {status}")),
        (true, true, Some(reason)) => (Kind::Outcome, format!("it was skipped: {reason}")),
        (true, true, None) => (Kind::Outcome, "it was skipped".to_owned()),
        (true, false, Some(error)) => (Kind::Outcome, format!("it is {status}: {error}")),
        (true, false, None) => (Kind::Outcome, format!("it is {status}")),
    };
    let sentence = format!("task {} of {id} has no result: {reason}", start.task);
    Err(Failure::new(kind, sentence))
}

/// `asked` is the workflow, or what went on as it.
fn tell(asked: WorkflowId, workflow: &Workflow, output: Output) -> Result<(), Failure> {
    let (id, status) = (workflow.id, workflow.status);
    match status {
        WorkflowStatus::Completed => {
            let result = workflow.output.clone().unwrap_or_default();
            let told = Told {
                id,
                status,
                result: as_json(&result),
            };
            output.either(&told, || show::bytes(&result))
        }
        WorkflowStatus::Failed | WorkflowStatus::Cancelled => {
            Err(Failure::new(Kind::Outcome, show::failed(workflow)))
        }
        WorkflowStatus::Pending
        | WorkflowStatus::Running
        | WorkflowStatus::Suspended
        // It went on since it was found.
        | WorkflowStatus::Continued => {
            let stands = match id == asked {
                true => format!("it is {status}"),
                false => format!("it went on as {id}, which is {status}"),
            };
            let sentence = format!("{asked} has no result: {stands}; add --wait");
            Err(Failure::new(Kind::Conflict, sentence))
        }
    }
}

/// A result is JSON by convention; what is not reads as text.
fn as_json(result: &Bytes) -> Option<Box<RawValue>> {
    let text = String::from_utf8_lossy(result);
    let read = serde_json::from_str(&text).ok();
    read.or_else(|| serde_json::value::to_raw_value(&text).ok())
        .filter(|_| !result.is_empty())
}
