//! The `paceline` binary: nodes, and a command line on the cluster.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
