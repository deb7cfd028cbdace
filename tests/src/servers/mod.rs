//! Real Redis, private to a test process: one server, a cluster, a set of sentinels.

mod address;
mod cluster;
mod connection;
mod options;
mod sentinel;
mod server;
mod tls;

pub use cluster::{ClusterOptions, RedisCluster};
pub use connection::RawRedis;
pub use options::{Fsync, RedisOptions};
pub use sentinel::{SentinelOptions, SentinelSet};
pub use server::RedisServer;
