//! `paceline workflow graph`: a definition, or an instance over its definition, as a picture.

use std::collections::VecDeque;
use std::path::Path;

use clap::{Args, ValueEnum};
use paceline_client::Client;
use paceline_types::workflow::{Graph as Drawn, GraphFormat, Workflow};
use paceline_types::{WorkflowDefinition, WorkflowId};
use serde::Serialize;

use crate::cli::connect::connect;
use crate::cli::failure::Failure;
use crate::cli::options::Globals;
use crate::cli::output::Output;
use crate::cli::source;

/// Children that are read for their colours; those of a child come after those beside it.
const MOST_CHILDREN: usize = 200;

/// What Mermaid draws unless it is configured otherwise.
const MERMAID_EDGES: usize = 500;
const MERMAID_LENGTH: usize = 50_000;

/// What to draw.
#[derive(Debug, Args)]
pub(crate) struct Graph {
    /// A workflow file, which need not be valid; or the id of a workflow, which is drawn as it stands
    #[arg(value_name = "FILE|ID")]
    what: String,
    /// The language of the picture
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Languages of pictures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For Markdown, and the editors that draw Mermaid
    #[default]
    Mermaid,
    /// For Graphviz: dot -Tsvg
    Dot,
}

impl From<Format> for GraphFormat {
    fn from(format: Format) -> GraphFormat {
        match format {
            Format::Mermaid => GraphFormat::Mermaid,
            Format::Dot => GraphFormat::Dot,
        }
    }
}

#[derive(Serialize)]
struct Told {
    format: &'static str,
    graph: String,
}

/// Prints the picture.
pub(super) async fn run(graph: Graph, globals: &Globals, output: Output) -> Result<(), Failure> {
    let format = GraphFormat::from(graph.format);
    let drawn = match named(&graph.what)? {
        Named::File(definition) => Drawn::of(&definition),
        Named::Instance(id) => of_instance(id, globals, output).await?,
    };
    let text = drawn.render(format);
    let too_large = drawn.edge_count() > MERMAID_EDGES || text.len() > MERMAID_LENGTH;
    if format == GraphFormat::Mermaid && too_large {
        output.note(
            "Mermaid draws 500 edges and 50,000 characters unless its maxEdges and maxTextSize say \
             more; --format dot has no such limit",
        );
    }
    let told = Told {
        format: format.as_str(),
        graph: text,
    };
    output.either(&told, || told.graph.trim_end().to_owned())
}

/// What a word may name.
enum Named {
    File(Box<WorkflowDefinition>),
    Instance(WorkflowId),
}

/// A file is a file even if its name looks like an id.
fn named(what: &str) -> Result<Named, Failure> {
    let is_file = what == "-" || Path::new(what).exists();
    if !is_file && what.starts_with(WorkflowId::PREFIX) {
        return what.parse().map(Named::Instance).map_err(Failure::usage);
    }
    let definition = source::definition(Path::new(what))?;
    Ok(Named::File(Box::new(definition)))
}

async fn of_instance(id: WorkflowId, globals: &Globals, output: Output) -> Result<Drawn, Failure> {
    let client = connect(globals).await?;
    let found = futures::try_join!(client.workflow_definition(id), client.workflow(id))?;
    let (Some(definition), Some(workflow)) = found else {
        return Err(Failure::not_found(id));
    };
    let mut drawn = Drawn::of(&definition).with_states(&workflow);
    let mut children: VecDeque<WorkflowId> = children(&workflow).collect();
    for _ in 0..MOST_CHILDREN {
        let Some(child) = children.pop_front() else {
            break;
        };
        // One that is not made yet is drawn as the definition has it.
        if let Some((definition, workflow)) = newest(&client, child).await? {
            drawn = drawn.with_child(child, &definition, &workflow);
            children.extend(self::children(&workflow));
        }
    }
    if !children.is_empty() {
        let more = format!("only the first {MOST_CHILDREN} children are drawn as they stand");
        output.note(&more);
    }
    Ok(drawn)
}

/// The children of a workflow, of loops those of the newest iteration.
fn children(workflow: &Workflow) -> impl Iterator<Item = WorkflowId> {
    let tasks = workflow.tasks.iter();
    tasks.filter_map(|task| task.child_workflow_id)
}

/// A child as it goes on by now.
async fn newest(
    client: &Client,
    child: WorkflowId,
) -> Result<Option<(WorkflowDefinition, Workflow)>, Failure> {
    let Some(newest) = client.newest_instance(child).await? else {
        return Ok(None);
    };
    let found = futures::try_join!(client.workflow_definition(newest), client.workflow(newest))?;
    Ok(found.0.zip(found.1))
}
