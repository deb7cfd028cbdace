//! `paceline bench node`: a node for a bench that started it, which ends with the bench.

use clap::Args;
use tokio::io::AsyncReadExt;

use super::super::failure::Failure;
use super::super::options::{Globals, NodeOptions};
use super::super::output::Output;
use super::super::serve::{SHORT_DRAIN, Serving};

/// The node of `paceline node`, that ends when its standard input is closed.
#[derive(Debug, Args)]
pub(crate) struct ChildOptions {
    #[command(flatten)]
    options: NodeOptions,
}

/// Runs until the bench is done with it, or is gone.
pub(super) async fn run(
    child: &ChildOptions,
    globals: &Globals,
    output: Output,
) -> Result<(), Failure> {
    let serving = Serving::start(globals, &child.options, SHORT_DRAIN).await?;
    serving.announce(output, None)?;
    let mut end = Vec::new();
    // Whether it was closed or broke: nobody is there any more.
    let _ = tokio::io::stdin().read_to_end(&mut end).await;
    serving.stop().await;
    Ok(())
}
