//! `paceline run`: submits a workflow or batch file, shows it live, and ends as it ends.

mod batch;
mod board;
mod follow;
mod view;

use std::path::Path;

use clap::{Args, ValueEnum};
use paceline_client::Client;
use paceline_types::batch::BatchDefinition;
use paceline_types::workflow::{DefinitionError, Workflow};
use paceline_types::{DEFAULT_MAX_PAYLOAD, WorkflowDefinition, WorkflowStatus};

use self::follow::follow;
use super::connect::connect;
use super::failure::{Failure, Kind};
use super::mistakes::invalid;
use super::options::{FileArgument, Globals, NodeOptions};
use super::output::Output;
use super::private_redis::PrivateRedis;
use super::serve::{SHORT_DRAIN, Serving};
use super::signal::StopSignals;
use super::time::span;
use super::workflow::parse_input;
use super::{show, source};

/// A workflow or batch file, and how to run it.
#[derive(Debug, Args)]
pub(crate) struct Run {
    #[command(flatten)]
    file: FileArgument,
    /// JSON that every task can read, or @FILE
    #[arg(long, value_name = "JSON")]
    input: Option<String>,
    /// How progress is shown; by itself, live on a terminal and as lines elsewhere
    #[arg(
        long,
        value_enum,
        value_name = "HOW",
        default_value_t,
        default_missing_value = "live",
        num_args = 0..=1,
        require_equals = true
    )]
    watch: Watch,
    /// With a private Redis and a node of its own, which end with the run
    #[arg(long)]
    dev: bool,
    #[command(flatten)]
    options: NodeOptions,
}

/// How progress is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Watch {
    /// Live on a terminal, lines elsewhere
    #[default]
    Auto,
    /// One line for each task, kept up to date
    Live,
    /// One line for each thing that happens
    Lines,
    /// Not at all
    None,
}

/// Carries the command out.
pub(crate) async fn run(run: Run, globals: &Globals, output: Output) -> Result<(), Failure> {
    let work = Work::read(&run)?;
    let mut stop = StopSignals::catch()?;
    if !run.dev {
        let client = connect(globals).await?;
        let (what, list) = (work.what(), work.list());
        return tokio::select! {
            ended = work.follow(&client, run.watch, output) => ended,
            () = stop.wait() => Err(Failure::new(
                Kind::Outcome,
                format!("interrupted; the {what} goes on, see `paceline {list}`"),
            )),
        };
    }
    let mut redis = PrivateRedis::start(None).await?;
    let globals = Globals {
        redis: redis.url(),
        ..globals.clone()
    };
    let ended = async {
        let serving = Serving::start(&globals, &run.options, SHORT_DRAIN).await?;
        let client = connect(&globals).await?;
        let ended = tokio::select! {
            ended = work.follow(&client, run.watch, output) => ended,
            failure = redis.ended() => Err(failure),
            () = stop.wait() => Err(Failure::new(Kind::Outcome, "interrupted")),
        };
        serving.stop().await;
        ended
    };
    let ended = ended.await;
    redis.stop().await;
    ended
}

/// What a file holds.
enum Work {
    Workflow(Box<WorkflowDefinition>, Option<serde_json::Value>),
    Batch(Box<BatchDefinition>),
}

impl Work {
    /// Reads and validates the file.
    fn read(run: &Run) -> Result<Work, Failure> {
        let path = &run.file.file;
        match source::work(path)? {
            source::Work::Workflow(definition) => {
                let mistakes = definition.validate(DEFAULT_MAX_PAYLOAD).err();
                refuse(path, mistakes)?;
                let input = parse_input(run.input.as_deref())?;
                Ok(Work::Workflow(definition, input))
            }
            source::Work::Batch(definition) => {
                let mistakes = definition.validate(DEFAULT_MAX_PAYLOAD).err();
                refuse(path, mistakes)?;
                if run.input.is_some() {
                    let sentence =
                        "a batch has no input: leave --input out, or give the items payloads";
                    return Err(Failure::usage(sentence));
                }
                Ok(Work::Batch(definition))
            }
        }
    }

    fn what(&self) -> &'static str {
        match self {
            Work::Workflow(..) => "workflow",
            Work::Batch(_) => "batch",
        }
    }

    fn list(&self) -> &'static str {
        match self {
            Work::Workflow(..) => "workflow list",
            Work::Batch(_) => "batch list",
        }
    }

    async fn follow(self, client: &Client, watch: Watch, output: Output) -> Result<(), Failure> {
        match self {
            Work::Workflow(definition, input) => {
                follow(client, *definition, input, watch, output).await
            }
            Work::Batch(definition) => batch::follow(client, *definition, watch, output).await,
        }
    }
}

fn refuse(path: &Path, mistakes: Option<Vec<DefinitionError>>) -> Result<(), Failure> {
    match mistakes {
        Some(mistakes) => Err(invalid(path, &mistakes)),
        None => Ok(()),
    }
}

/// Prints the output, or fails as the workflow failed.
fn end(workflow: &Workflow, output: Output) -> Result<(), Failure> {
    if output.is_json() {
        output.json(workflow)?;
    }
    if workflow.status != WorkflowStatus::Completed {
        return Err(Failure::new(Kind::Outcome, show::failed(workflow)));
    }
    let took = workflow.completed_at.map_or_else(String::new, |ended| {
        format!(" in {}", span(workflow.created_at, ended))
    });
    let tasks = workflow.tasks.len();
    output.note(&format!("{} completed{took}, {tasks} tasks", workflow.id));
    match (&workflow.output, output.is_json()) {
        (Some(bytes), false) => output.line(&show::bytes(bytes)),
        _ => Ok(()),
    }
}
