//! Options that all workloads share.

use std::time::Duration;

use clap::Args;

use super::super::options::parse_duration;

/// How it is measured, whatever it is.
#[derive(Clone, Debug, Args)]
pub(crate) struct Common {
    /// Measure this often, each time from the beginning; medians are printed
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) runs: u32,
    /// Jobs, or workflows, that go through before anything is measured [default: a tenth]
    #[arg(long, value_name = "N")]
    pub(super) warm_up: Option<u32>,
    /// Keep an append-only file (everysec) on the private server
    #[arg(long)]
    pub(super) append_only: bool,
    /// Primaries of the private server; more than one are a Redis Cluster with 16 shards
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=32))]
    pub(super) primaries: u16,
    /// Bytes of each payload
    #[arg(long, default_value_t = 100, value_name = "BYTES")]
    pub(super) payload: usize,
    /// Jobs that a node runs at once
    #[arg(long, default_value_t = 1_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) concurrency: u32,
    /// Where chance begins: payloads, moments of submits and of kills
    #[arg(long, value_name = "NUMBER")]
    pub(super) seed: Option<u64>,
    /// How long each reference is measured, before and after each run
    #[arg(long, default_value = "500ms", value_parser = parse_duration, value_name = "DURATION")]
    pub(super) reference: Duration,
}

impl Common {
    /// How much goes through before `count` of them are measured.
    pub(super) fn warm_up_of(&self, count: u32) -> u32 {
        self.warm_up.unwrap_or(count / 10)
    }
}

/// How many nodes work; for workloads that more than one can share.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Nodes {
    /// Nodes that work: one runs inside this process, more are processes of their own
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=32))]
    pub(super) nodes: u16,
}
