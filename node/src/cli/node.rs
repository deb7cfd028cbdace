//! `paceline node`: a node in the foreground; `paceline node list`: those that run.

use clap::{Args, Subcommand};
use paceline_client::{Client, DrainError};
use paceline_node::DEFAULT_DRAIN;
use paceline_types::{NodeId, NodeInfo};
use serde::Serialize;

use super::connect::connect;
use super::failure::{Failure, Kind};
use super::options::{Globals, NodeOptions};
use super::output::Output;
use super::serve::Serving;
use super::show;
use super::signal::StopSignals;

/// A node, or a command about nodes.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Node {
    #[command(subcommand)]
    pub(crate) command: Option<NodeCommand>,
    #[command(flatten)]
    options: NodeOptions,
}

/// What there is to do about nodes.
#[derive(Debug, Subcommand)]
pub(crate) enum NodeCommand {
    /// List the nodes that are alive
    List,
    /// Let a node claim no more; what it runs goes on
    Drain {
        /// Its id, or its name
        node: String,
    },
    /// Let a node that was drained claim again
    Undrain {
        /// Its id, or its name
        node: String,
    },
}

#[derive(Serialize)]
struct Nodes<'a> {
    nodes: &'a [NodeInfo],
}

#[derive(Serialize)]
struct Told {
    node: NodeId,
    draining: bool,
}

fn told(node: NodeId, draining: bool, output: Output) -> Result<(), Failure> {
    output.either(&Told { node, draining }, || {
        let what = if draining {
            "claims no more"
        } else {
            "claims again"
        };
        format!("{node} {what}")
    })
}

/// The node that is alive with this id, or the only one with this name.
async fn named(client: &Client, text: &str) -> Result<NodeId, Failure> {
    if let Ok(id) = text.parse() {
        return Ok(id);
    }
    let nodes = client.nodes().await?;
    let mut found = nodes.iter().filter(|node| node.name == text);
    match (found.next(), found.next()) {
        (Some(node), None) => Ok(node.node_id),
        (Some(_), Some(_)) => Err(Failure::new(
            Kind::Conflict,
            format!(
                "several nodes are named `{text}`: say which by its id, from paceline node list"
            ),
        )),
        (None, _) => Err(Failure::new(
            Kind::NotFound,
            format!("no node that is alive is named `{text}`: see paceline node list"),
        )),
    }
}

impl From<DrainError> for Failure {
    fn from(error: DrainError) -> Failure {
        let kind = match error {
            DrainError::Store(_) => Kind::Redis,
            _ => Kind::NotFound,
        };
        Failure::new(kind, error)
    }
}

/// Carries the command out.
pub(crate) async fn run(node: Node, globals: &Globals, output: Output) -> Result<(), Failure> {
    match node.command {
        Some(NodeCommand::List) => {
            let nodes = connect(globals).await?.nodes().await?;
            output.page(&Nodes { nodes: &nodes }, &show::nodes(&nodes), None)
        }
        Some(NodeCommand::Drain { node }) => {
            let client = connect(globals).await?;
            let id = named(&client, &node).await?;
            client.drain(id).await?;
            told(id, true, output)
        }
        Some(NodeCommand::Undrain { node }) => {
            let client = connect(globals).await?;
            let id = named(&client, &node).await?;
            client.undrain(id).await?;
            told(id, false, output)
        }
        None => {
            let mut stop = StopSignals::catch()?;
            let serving = tokio::select! {
                serving = Serving::start(globals, &node.options, DEFAULT_DRAIN) => serving?,
                () = stop.wait() => return Ok(()),
            };
            serving.announce(output, None)?;
            stop.wait().await;
            // Whoever asks twice does not want to wait: what still runs goes to other nodes.
            tokio::select! {
                () = serving.stop() => {}
                () = stop.wait() => {}
            }
            Ok(())
        }
    }
}
