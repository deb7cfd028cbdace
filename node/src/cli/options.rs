//! Options that several commands share.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use paceline_types::{Role, TierWeights, duration};

use super::log::LogFormat;
use super::output::Format;

/// Where Redis is when nothing is said.
pub(crate) const DEFAULT_REDIS: &str = "redis://127.0.0.1/";

/// Options of every command.
#[derive(Debug, Clone, Args)]
pub(crate) struct Globals {
    /// Where Redis is: redis://, rediss://, unix://, redis+sentinel:// or redis+cluster://
    #[arg(
        long,
        global = true,
        env = "PACELINE_REDIS",
        default_value = DEFAULT_REDIS,
        hide_env_values = true,
        value_name = "URL"
    )]
    pub(crate) redis: String,
    /// Tenant of the Redis
    #[arg(
        long,
        global = true,
        env = "PACELINE_NAMESPACE",
        default_value = "paceline"
    )]
    pub(crate) namespace: String,
    /// Form of what is printed
    #[arg(long, short, global = true, value_enum, default_value_t)]
    pub(crate) output: Format,
    /// Form of the log on standard error; RUST_LOG says how much of it
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        value_name = "FORMAT"
    )]
    pub(crate) log_format: LogFormat,
}

/// How a node works; shared by the commands that start one.
#[derive(Debug, Clone, Args)]
pub(crate) struct NodeOptions {
    /// Address of /livez, /readyz and /metrics; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDRESS")]
    pub(crate) http: std::net::SocketAddr,
    /// Jobs that run at once; by default some for each CPU
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) concurrency: Option<u32>,
    /// How long the node may be silent before its jobs go to others, such as 2s
    #[arg(long, value_parser = parse_duration, value_name = "DURATION")]
    pub(crate) lease: Option<Duration>,
    /// Serve the task type `shell`: whoever submits jobs may then run programs here
    #[arg(long)]
    pub(crate) allow_shell: bool,
    /// What the node does, once for each: worker, scheduler, orchestrator, api; by default all
    #[arg(long = "role", value_name = "ROLE")]
    pub(crate) roles: Vec<Role>,
    /// Shares of claims of the tiers high, normal and low; by default 100,50,10
    #[arg(long, value_name = "H,N,L", value_parser = parse_weights)]
    pub(crate) weights: Option<TierWeights>,
    /// Begin the most urgent jobs first always, also when others then never begin
    #[arg(long, conflicts_with = "weights")]
    pub(crate) strict_tiers: bool,
    /// Name of the node, for readers; by default host and process id
    #[arg(long)]
    pub(crate) name: Option<String>,
}

/// Which page of a list.
#[derive(Debug, Clone, Args)]
pub(crate) struct PageOptions {
    /// Entries of a page
    #[arg(long, default_value_t = 50, value_name = "N", value_parser = limit)]
    pub(crate) limit: usize,
    /// Where an earlier page said that the next one begins
    #[arg(long)]
    pub(crate) cursor: Option<String>,
}

fn limit(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(limit @ 1..=100) => Ok(limit),
        _ => Err("write a number from 1 to 100".to_owned()),
    }
}

fn parse_weights(text: &str) -> Result<TierWeights, String> {
    let numbers: Result<Vec<u32>, _> = text.split(',').map(str::parse).collect();
    match numbers.as_deref() {
        Ok(&[high, normal, low])
            if [high, normal, low]
                .iter()
                .all(|weight| (1..=1_000_000).contains(weight)) =>
        {
            Ok(TierWeights::new(high, normal, low))
        }
        _ => Err("write three numbers from 1 to 1000000, such as 100,50,10".to_owned()),
    }
}

/// For options that take a duration.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, duration::DurationError> {
    duration::parse(text)
}

/// A workflow file.
#[derive(Debug, Clone, Args)]
pub(crate) struct FileArgument {
    /// JSON or YAML by its extension; - is standard input
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}
