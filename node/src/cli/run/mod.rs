//! `paceline run`: submits a workflow file, shows it live, and ends as it ends.

mod board;
mod follow;
mod view;

use clap::{Args, ValueEnum};
use paceline_types::WorkflowStatus;
use paceline_types::workflow::Workflow;

use self::follow::follow;
use super::connect::connect;
use super::failure::{Failure, Kind};
use super::options::{FileArgument, Globals, NodeOptions};
use super::output::Output;
use super::private_redis::PrivateRedis;
use super::serve::{SHORT_DRAIN, Serving};
use super::show;
use super::signal::StopSignals;
use super::time::span;
use super::workflow::{definition, parse_input};

/// A workflow file, and how to run it.
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
    let definition = definition(&run.file.file)?;
    let input = parse_input(run.input.as_deref())?;
    let mut stop = StopSignals::catch()?;
    if !run.dev {
        let client = connect(globals).await?;
        let work = follow(&client, definition, input, run.watch, output);
        return tokio::select! {
            ended = work => ended,
            () = stop.wait() => Err(Failure::new(
                Kind::Outcome,
                "interrupted; the workflow goes on, see `paceline workflow list`",
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
            ended = follow(&client, definition, input, run.watch, output) => ended,
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

/// Prints the output, or fails as the workflow failed.
fn end(workflow: &Workflow, output: Output) -> Result<(), Failure> {
    if output.is_json() {
        output.json(workflow)?;
    }
    if workflow.status != WorkflowStatus::Completed {
        let error = workflow.error.as_deref().unwrap_or("no reason was given");
        let sentence = format!("{} {}: {error}", workflow.id, workflow.status);
        return Err(Failure::new(Kind::Outcome, sentence));
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
