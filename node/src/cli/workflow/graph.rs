//! `paceline workflow graph`: a definition, or an instance over its definition, as a picture.

use std::path::Path;

use clap::{Args, ValueEnum};
use paceline_types::workflow::{Graph as Drawn, GraphFormat};
use paceline_types::{WorkflowDefinition, WorkflowId};
use serde::Serialize;

use crate::cli::connect::connect;
use crate::cli::failure::Failure;
use crate::cli::options::Globals;
use crate::cli::output::Output;
use crate::cli::source;

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
        Named::Instance(id) => of_instance(id, globals).await?,
    };
    let text = drawn.render(format);
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

async fn of_instance(id: WorkflowId, globals: &Globals) -> Result<Drawn, Failure> {
    let client = connect(globals).await?;
    let found = futures::try_join!(client.workflow_definition(id), client.workflow(id))?;
    match found {
        (Some(definition), Some(workflow)) => Ok(Drawn::of(&definition).with_states(&workflow)),
        _ => Err(Failure::not_found(id)),
    }
}
