//! `paceline node`: a node in the foreground; `paceline node list`: those that run.

use clap::{Args, Subcommand};
use paceline_node::DEFAULT_DRAIN;
use paceline_types::NodeInfo;
use serde::Serialize;

use super::connect::connect;
use super::failure::Failure;
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
}

#[derive(Serialize)]
struct Nodes<'a> {
    nodes: &'a [NodeInfo],
}

/// Carries the command out.
pub(crate) async fn run(node: Node, globals: &Globals, output: Output) -> Result<(), Failure> {
    match node.command {
        Some(NodeCommand::List) => {
            let nodes = connect(globals).await?.nodes().await?;
            output.page(&Nodes { nodes: &nodes }, &show::nodes(&nodes), None)
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
