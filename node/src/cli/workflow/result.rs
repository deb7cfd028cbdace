//! `paceline workflow result`: what a workflow, or one task of it, came to.

use bytes::Bytes;
use clap::Args;
use paceline_client::{Client, TaskResultError};
use paceline_types::workflow::Workflow;
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
    /// Only of this task, which may have ended before the workflow
    #[arg(long)]
    task: Option<String>,
    /// Wait until the workflow has ended; of one that goes on as a new one, until that has
    #[arg(long)]
    wait: bool,
}

#[derive(Serialize)]
struct Told<'a> {
    id: WorkflowId,
    #[serde(skip_serializing_if = "Option::is_none")]
    task: Option<&'a str>,
    status: &'a str,
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
        let of = ended.map_or(id, |workflow| workflow.id);
        let result = client.task_result(of, task).await?;
        let told = Told {
            id: of,
            task: Some(task),
            status: "completed",
            result: as_json(&result),
        };
        return output.either(&told, || show::bytes(&result));
    }
    let workflow = match ended {
        Some(workflow) => workflow,
        None => now(&client, id).await?,
    };
    tell(&workflow, output)
}

async fn now(client: &Client, id: WorkflowId) -> Result<Workflow, Failure> {
    let workflow = client.workflow(id).await?;
    workflow.ok_or_else(|| Failure::not_found(id))
}

fn tell(workflow: &Workflow, output: Output) -> Result<(), Failure> {
    let (id, status) = (workflow.id, workflow.status);
    match status {
        WorkflowStatus::Completed => {
            let result = workflow.output.clone().unwrap_or_default();
            let told = Told {
                id,
                task: None,
                status: status.as_str(),
                result: as_json(&result),
            };
            output.either(&told, || show::bytes(&result))
        }
        WorkflowStatus::Failed | WorkflowStatus::Cancelled => {
            let error = workflow.error.as_deref().unwrap_or("no reason was given");
            Err(Failure::new(
                Kind::Outcome,
                format!("{id} {status}: {error}"),
            ))
        }
        WorkflowStatus::Continued => {
            let next = workflow.continued_to;
            let next =
                next.map_or_else(String::new, |next| format!(" as {next}: ask for that one"));
            let sentence = format!("{id} has no result: it went on{next}, or add --wait");
            Err(Failure::new(Kind::Conflict, sentence))
        }
        WorkflowStatus::Pending | WorkflowStatus::Running | WorkflowStatus::Suspended => {
            let sentence = format!("{id} has no result: it is {status}; add --wait");
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

impl From<TaskResultError> for Failure {
    fn from(error: TaskResultError) -> Failure {
        let kind = match error {
            TaskResultError::Unknown { .. } | TaskResultError::UnknownTask { .. } => Kind::NotFound,
            TaskResultError::Store(_) => Kind::Redis,
            TaskResultError::None { .. } => Kind::Outcome,
            _ => Kind::Conflict,
        };
        Failure::new(kind, error)
    }
}
