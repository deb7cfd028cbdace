//! `paceline run`: submits a workflow file, shows it live, and ends as it ends.

mod board;
mod view;

use clap::{Args, ValueEnum};
use paceline_client::{Client, Delivery, Subscription, WorkflowHandle};
use paceline_types::workflow::Workflow;
use paceline_types::{WorkflowDefinition, WorkflowStatus};

use self::board::Board;
use self::view::View;
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

/// Submits the workflow and follows it to its end.
async fn follow(
    client: &Client,
    definition: WorkflowDefinition,
    input: Option<serde_json::Value>,
    watch: Watch,
    output: Output,
) -> Result<(), Failure> {
    let board = Board::of(&definition);
    let view = View::new(watch, output, &board);
    // Taken before the submit, so that nothing of it is missed; its id is only known afterwards.
    let before = client.subscribe().from_now().await?.cursors().clone();
    let handle = client.submit_workflow(definition, input).await?;
    let mut events = client
        .subscribe()
        .from(before)
        .workflow(handle.id())
        .await?;
    view.submitted(handle.id());
    let workflow = watch_to_the_end(&handle, &mut events, board, &view).await?;
    end(&workflow, output)
}

async fn watch_to_the_end(
    handle: &WorkflowHandle,
    events: &mut Subscription,
    mut board: Board,
    view: &View,
) -> Result<Workflow, Failure> {
    let ended = handle.wait();
    tokio::pin!(ended);
    loop {
        tokio::select! {
            delivery = events.next() => match delivery {
                Some(Ok(Delivery::Event(event))) => {
                    if let Some(task) = board.apply(&event) {
                        view.changed(&board, task, &event);
                    }
                }
                // The record at the end has what is missing.
                Some(Ok(Delivery::Gap { .. })) => {}
                Some(Err(error)) => return Err(error.into()),
                None => return Err(Failure::redis("the subscription ended")),
            },
            workflow = &mut ended => {
                let workflow = workflow?;
                for task in board.reconcile(&workflow) {
                    view.settled(&board, task);
                }
                view.finish(&board);
                return Ok(workflow);
            }
        }
    }
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
