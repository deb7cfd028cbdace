//! The harness of Paceline's cross-crate tests: real Redis, real processes, faults on demand.
//!
//! Every server is private to the test process and dies with it, however it ends. Tests of one
//! process share one server and one cluster, and keep apart by namespaces: plain `cargo test` pays
//! for them once per test file. Tests that disturb a server start their own.
//!
//! - [`feature_test!`] runs one body on a single server and on a cluster.
//! - [`RedisServer`], [`RedisCluster`], [`SentinelSet`]: servers that can be killed and stopped.
//! - [`Proxy`]: a network that loses, repeats, delays, stalls.
//! - [`NodeProcess`], [`Program`], [`Process`]: the `paceline` binary, or any other program.
//! - [`Env::ride`]: a node and a client in the test's own process; [`notes`] and [`Gate`] are how
//!   its handlers and the test talk.
//! - [`Env::run_out`], [`Env::run_out_batch`]: a timeout that rings when the test says so.
//! - [`worker`], [`work`], [`all_completed`]: something to do for fault tests.
//! - [`Bench`]: a shard that is driven by hand.
//! - [`eventually`], [`throughout`], [`within`]: the only ways to wait.
//! - [`History`]: reads an event log and says what cannot have happened.
//! - [`seed()`], [`rng`]: randomness that can be repeated.
#![expect(
    clippy::unwrap_used,
    reason = "a harness that cannot do its work must stop the test, and the place says enough"
)]

mod bench;
mod child;
mod env;
mod history;
mod moments;
mod node_process;
mod port;
mod process;
mod proxy;
mod repeater;
mod rest;
mod ride;
mod seed;
mod servers;
mod wait;
mod work;

pub use crate::bench::Bench;
pub use crate::env::{Backend, Env, run_feature, shared_redis, unique_namespace};
pub use crate::history::History;
pub use crate::node_process::{NodeProcess, leading};
pub use crate::process::{Finished, Process, Program, Source, http_get};
pub use crate::proxy::{Fault, Happened, Proxy, Request, Tally};
pub use crate::repeater::{Repeater, inboxes_empty, parked};
pub use crate::rest::live_keys;
pub use crate::ride::{
    CLUSTER_SHARDS, Gate, Look, Notes, Pen, Ride, SOON, Serve, attempts, log, notes, open, story,
};
pub use crate::seed::{rng, seed};
pub use crate::servers::{
    ClusterOptions, Fsync, RawRedis, RedisCluster, RedisOptions, RedisServer, SentinelOptions,
    SentinelSet,
};
pub use crate::wait::{Verdict, eventually, throughout, within};
pub use crate::work::{PATIENCE, WORK, all_completed, store_at, submit_all, work, worker};
