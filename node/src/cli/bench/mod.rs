//! `paceline bench`: what a Redis carries under Paceline, beside what it carries without.
//!
//! A figure alone says little, as machines differ: each stands beside references that are measured
//! on the same server in the same run, and the ratio is what compares. `docs/bench.md` says how
//! each is measured.

mod backlog;
mod batches;
mod chance;
mod child;
mod children;
mod common;
mod flows;
mod idle;
mod jobs;
mod latency;
mod limits;
mod marks;
mod one_by_one;
mod process;
mod progress;
mod recovery;
mod references;
mod report;
mod runs;
mod schedules;
mod servers;
mod shape;
mod show;
mod singles;
mod sleepers;
mod stage;
mod stalls;
mod statistics;
mod steady;
mod workers;

use clap::Subcommand;

use super::failure::Failure;
use super::options::Globals;
use super::output::Output;
use report::Report;

/// What can be measured.
#[derive(Debug, Subcommand)]
pub(crate) enum Bench {
    /// Submit jobs, all of them, then process them with a handler that does nothing
    Jobs(jobs::Jobs),
    /// Submit from many tasks at once, each one job at a time
    Await(singles::Singles),
    /// From submit to the start of the handler, at a fixed rate
    Latency(latency::Latency),
    /// What generous limits cost: throughput of jobs that carry two keys, beside those without
    Limits(limits::Limits),
    /// How late firings begin of many schedules that fire every second
    Schedules(schedules::Schedules),
    /// Workflows of tasks one after another, with results handed on
    Chain(flows::Chain),
    /// Workflows of one task, then many, then one
    Fanout(flows::Fanout),
    /// One batch, its items all submitted at once
    Batch(batches::Batch),
    /// Workflows of one task that runs again and again
    Loop(flows::Loop),
    /// Workflows of one task for each element of an array
    Map(flows::Map),
    /// From submit to start of urgent jobs, behind a backlog that is worked on
    Backlog(backlog::Backlog),
    /// From the kill of a node until its runs have begun again elsewhere
    Recovery(recovery::Recovery),
    /// What a node that leads and has nothing to do costs
    Idle(idle::Idle),
    /// Memory of a node: with jobs that do nothing, and with many in flight
    Memory(idle::NodeMemory),
    /// Many short runs, and how many of them stood still for more than a second
    Stalls(stalls::Stalls),
    /// What the Redis does without Paceline
    References(references::ReferencesAlone),
    /// Everything, held against the marks of the project; fails unless all of them hold
    Marks(marks::Marks),
    #[command(hide = true)]
    Node(child::ChildOptions),
}

/// Runs a measurement and prints it.
pub(crate) async fn run(bench: Bench, globals: &Globals, output: Output) -> Result<(), Failure> {
    match &bench {
        Bench::Marks(options) => marks::run(options, globals, output).await,
        Bench::Node(options) => child::run(options, globals, output).await,
        workload => show::show(&measure(workload, globals).await?, output),
    }
}

/// Measures one workload.
async fn measure(bench: &Bench, globals: &Globals) -> Result<Report, Failure> {
    match bench {
        Bench::Jobs(options) => jobs::report(options, globals).await,
        Bench::Await(options) => singles::report(options, globals).await,
        Bench::Latency(options) => latency::report(options, globals).await,
        Bench::Limits(options) => limits::report(options, globals).await,
        Bench::Schedules(options) => schedules::report(options, globals).await,
        Bench::Chain(options) => flows::chain(options, globals).await,
        Bench::Fanout(options) => flows::fanout(options, globals).await,
        Bench::Batch(options) => batches::report(options, globals).await,
        Bench::Loop(options) => flows::loops(options, globals).await,
        Bench::Map(options) => flows::maps(options, globals).await,
        Bench::Backlog(options) => backlog::report(options, globals).await,
        Bench::Recovery(options) => recovery::report(options, globals).await,
        Bench::Idle(options) => idle::idle(options, globals).await,
        Bench::Memory(options) => idle::memory(options, globals).await,
        Bench::Stalls(options) => stalls::report(options, globals).await,
        Bench::References(options) => references::report(options, globals).await,
        Bench::Marks(_) | Bench::Node(_) => Err(Failure::usage("this is no workload")),
    }
}
