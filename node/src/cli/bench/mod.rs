//! `paceline bench`: what a Redis carries under Paceline, beside what it carries without.
//!
//! A figure alone says little, as machines differ: each stands beside the speed of plain
//! pipelined XADD on the same server in the same run, and the ratio is what compares.

mod jobs;

use clap::Subcommand;

use super::failure::Failure;
use super::options::Globals;
use super::output::Output;

/// What can be measured.
#[derive(Debug, Subcommand)]
pub(crate) enum Bench {
    /// Submit jobs, all of them, then process them with a handler that does nothing
    Jobs(jobs::Jobs),
}

/// Runs a measurement and prints it.
pub(crate) async fn run(bench: Bench, globals: &Globals, output: Output) -> Result<(), Failure> {
    match bench {
        Bench::Jobs(options) => jobs::run(options, globals, output).await,
    }
}
