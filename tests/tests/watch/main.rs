//! Looking at work: why it does not run, what happened to it, how much of it there is, and lists.
// The lints of test code hold for the helpers as well, not only inside the test functions.
#![cfg(test)]

use paceline_node::HandlerOptions;
use paceline_store::Store;
use paceline_tests::{Env, RawRedis};
use paceline_types::{Bytes, JobId, ShardIndex};

mod audit;
mod listing;
mod pages;
mod stats;
mod why;

fn options() -> HandlerOptions {
    HandlerOptions::default()
}

fn done() -> Bytes {
    Bytes::from_static(b"\"done\"")
}

/// A key of a shard, for looks and disturbances past Paceline.
fn key(store: &Store, shard: ShardIndex, name: &str) -> String {
    format!("{{{}:{shard}}}:{name}", store.namespace())
}

/// A command past Paceline.
async fn raw(env: &Env, words: &[&str]) {
    let mut redis: RawRedis = env.raw().await;
    let mut command = redis::cmd(words[0]);
    command.arg(&words[1..]);
    command.exec_async(&mut redis).await.unwrap();
}

/// An id without its prefix, as it stands in keys.
fn bare(id: JobId) -> String {
    id.bare(&mut [0; 26]).to_owned()
}
