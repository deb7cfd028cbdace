//! `paceline workflow`: submit, look at, steer, draw and validate workflows.

mod graph;
mod result;
mod steer;

use std::path::Path;

use clap::Subcommand;
use paceline_types::workflow::Workflow as Record;
use paceline_types::{DEFAULT_MAX_PAYLOAD, WorkflowDefinition, WorkflowId, WorkflowStatus};
use serde::Serialize;

use self::graph::Graph;
use self::result::Outcome;
use self::steer::Signal;
use super::connect::connect;
use super::failure::Failure;
use super::mistakes::{invalid, tell_validated};
use super::options::{FileArgument, Globals, PageOptions};
use super::output::Output;
use super::{show, source};

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Workflow {
    /// Submit a workflow file, and return at once
    Submit {
        #[command(flatten)]
        file: FileArgument,
        /// JSON that every task can read, or @FILE
        #[arg(long, value_name = "JSON")]
        input: Option<String>,
    },
    /// Show a workflow with its tasks
    Get {
        /// Its id
        id: WorkflowId,
    },
    /// List workflows, page by page
    List {
        /// Only of this status
        #[arg(long)]
        status: Option<WorkflowStatus>,
        #[command(flatten)]
        page: PageOptions,
    },
    /// Cancel workflows with their waiting and running jobs and children
    Cancel {
        /// Their ids
        #[arg(required = true)]
        ids: Vec<WorkflowId>,
        /// Why, for readers
        #[arg(long, default_value = "cancelled from the command line")]
        reason: String,
    },
    /// Show what a workflow, or one task of it, came to
    Result(Outcome),
    /// Send a signal, which the task that waits for it takes
    Signal(Signal),
    /// Let nothing new of workflows begin until they are resumed; what runs ends
    Suspend {
        /// Their ids
        #[arg(required = true)]
        ids: Vec<WorkflowId>,
    },
    /// Let suspended workflows go on
    Resume {
        /// Their ids
        #[arg(required = true)]
        ids: Vec<WorkflowId>,
    },
    /// Try failed or cancelled workflows again: what completed is kept
    Retry {
        /// Their ids
        #[arg(required = true)]
        ids: Vec<WorkflowId>,
    },
    /// Draw a workflow file, or a workflow as it stands; a file needs no Redis
    Graph(Graph),
    /// Say every mistake of a workflow file; needs no Redis
    Validate {
        #[command(flatten)]
        file: FileArgument,
    },
}

#[derive(Serialize)]
struct Submitted {
    id: WorkflowId,
}

#[derive(Serialize)]
struct Workflows<'a> {
    workflows: &'a [Record],
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<&'a str>,
}

/// Carries the command out.
pub(crate) async fn run(
    command: Workflow,
    globals: &Globals,
    output: Output,
) -> Result<(), Failure> {
    match command {
        Workflow::Submit { file, input } => {
            let definition = definition(&file.file)?;
            let input = parse_input(input.as_deref())?;
            let client = connect(globals).await?;
            let id = client.submit_workflow(definition, input).await?.id();
            output.either(&Submitted { id }, || id.to_string())
        }
        Workflow::Get { id } => {
            let workflow = connect(globals).await?.workflow(id).await?;
            let workflow = workflow.ok_or_else(|| Failure::not_found(id))?;
            if workflow.id != id {
                let newest = workflow.id;
                output.note(&format!(
                    "{id} is past its retention; it went on as {newest}"
                ));
            }
            output.either(&workflow, || show::workflow(output, &workflow))
        }
        Workflow::List { status, page } => {
            let client = connect(globals).await?;
            let mut list = client.workflows(status).limit(page.limit);
            if let Some(cursor) = page.cursor {
                list = list.after(cursor);
            }
            let page = list.await?;
            let (workflows, next) = (&page.items[..], page.next.as_deref());
            let table = show::workflows(output, workflows);
            output.page(&Workflows { workflows, next }, &table, next)
        }
        Workflow::Cancel { ids, reason } => steer::cancel(&ids, &reason, globals, output).await,
        Workflow::Result(outcome) => result::run(outcome, globals, output).await,
        Workflow::Signal(signal) => steer::signal(signal, globals, output).await,
        Workflow::Suspend { ids } => steer::suspend(&ids, globals, output).await,
        Workflow::Resume { ids } => steer::resume(&ids, globals, output).await,
        Workflow::Retry { ids } => steer::retry(&ids, globals, output).await,
        Workflow::Graph(graph) => graph::run(graph, globals, output).await,
        Workflow::Validate { file } => validate(&file.file, output),
    }
}

/// Reads and validates a workflow file.
pub(crate) fn definition(path: &Path) -> Result<WorkflowDefinition, Failure> {
    let definition = source::definition(path)?;
    match definition.validate(DEFAULT_MAX_PAYLOAD) {
        Ok(_) => Ok(definition),
        Err(mistakes) => Err(invalid(path, &mistakes)),
    }
}

/// The value of `--input`.
pub(crate) fn parse_input(input: Option<&str>) -> Result<Option<serde_json::Value>, Failure> {
    let Some(input) = input else {
        return Ok(None);
    };
    let text = source::json("--input", input)?;
    let value = serde_json::from_str(&text);
    value.map_err(|error| Failure::usage(format!("--input is not JSON: {error}")))
}

fn validate(path: &Path, output: Output) -> Result<(), Failure> {
    let definition = source::definition(path)?;
    let mistakes = definition.validate(DEFAULT_MAX_PAYLOAD).err();
    let size = format!("{} tasks", definition.tasks.len());
    tell_validated(path, &mistakes.unwrap_or_default(), &size, output)
}
