//! `paceline bench`: what a Redis carries under Paceline, beside what it carries without.
//!
//! A figure alone says little, as machines differ: each stands beside references that are measured
//! on the same server in the same run, and the ratio is what compares. `docs/bench.md` says how
//! each is measured.

mod chance;
mod child;
mod children;
mod common;
mod flows;
mod jobs;
mod latency;
mod process;
mod progress;
mod references;
mod report;
mod runs;
mod servers;
mod show;
mod singles;
mod stage;
mod statistics;
mod workers;

use clap::Subcommand;

use super::failure::Failure;
use super::options::Globals;
use super::output::Output;

/// What can be measured.
#[derive(Debug, Subcommand)]
pub(crate) enum Bench {
    /// Submit jobs, all of them, then process them with a handler that does nothing
    Jobs(jobs::Jobs),
    /// Submit from many tasks at once, each one job at a time
    Await(singles::Singles),
    /// From submit to the start of the handler, at a fixed rate
    Latency(latency::Latency),
    /// Workflows of tasks one after another, with results handed on
    Chain(flows::Chain),
    /// Workflows of one task, then many, then one
    Fanout(flows::Fanout),
    /// What the Redis does without Paceline
    References(references::ReferencesAlone),
    #[command(hide = true)]
    Node(child::ChildOptions),
}

/// Runs a measurement and prints it.
pub(crate) async fn run(bench: Bench, globals: &Globals, output: Output) -> Result<(), Failure> {
    let report = match &bench {
        Bench::Jobs(options) => jobs::report(options, globals).await?,
        Bench::Await(options) => singles::report(options, globals).await?,
        Bench::Latency(options) => latency::report(options, globals).await?,
        Bench::Chain(options) => flows::chain(options, globals).await?,
        Bench::Fanout(options) => flows::fanout(options, globals).await?,
        Bench::References(options) => references::report(options, globals).await?,
        Bench::Node(options) => return child::run(options, globals, output).await,
    };
    show::show(&report, output)
}
