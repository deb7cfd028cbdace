//! What stands on the command line: the commands, each in a file of its own.

use clap::{Parser, Subcommand};

use super::options::Globals;
use super::{
    batch, bench, config, dev, dlq, events, group, job, limit, node, run, schedule, stats, tier,
    workflow,
};

/// Distributed orchestration over Redis: jobs, workflows and their whole lifecycle.
///
/// Exit codes: 0 done, 1 the job or workflow failed, 2 wrong usage or input, 3 not found,
/// 4 not possible in its state, 5 Redis cannot be reached or used.
#[derive(Debug, Parser)]
#[command(name = "paceline", version, propagate_version = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) globals: Globals,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The commands, each in a file of its own.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// A private Redis and a node, for trying things out
    Dev(dev::Dev),
    /// Start a node, or list those that run
    Node(node::Node),
    /// Submit a workflow or batch file, show it live, and end as it ends
    Run(run::Run),
    /// Single jobs
    #[command(subcommand)]
    Job(job::Job),
    /// Workflows
    #[command(subcommand)]
    Workflow(workflow::Workflow),
    /// Batches: many items of one task type
    #[command(subcommand)]
    Batch(batch::Batch),
    /// Schedules: what starts by itself
    #[command(subcommand)]
    Schedule(schedule::ScheduleCommand),
    /// Dead letters: jobs that were given up
    #[command(subcommand)]
    Dlq(dlq::Dlq),
    /// How much waits, runs and has ended
    Stats(stats::Stats),
    /// Settings that nodes take up while they run
    #[command(subcommand)]
    Config(config::Config),
    /// Limits that jobs share by their keys
    #[command(subcommand)]
    Limit(limit::LimitCommand),
    /// Tiers: pause, resume, rate
    #[command(subcommand)]
    Tier(tier::TierCommand),
    /// Task types: pause, resume
    #[command(subcommand)]
    Type(tier::TypeCommand),
    /// Messages that are collected, and become one job together
    #[command(subcommand)]
    Group(group::Group),
    /// What happened, and what happens
    Events(events::Events),
    /// Measure the speed of a Redis under Paceline
    #[command(subcommand)]
    Bench(bench::Bench),
}
