//! The runtime of a node: middleware, callbacks, breakers, settings, drain, roles, context, built-ins.
// The lints of test code hold for the helpers as well, not only inside the test functions.
#![cfg(test)]

use std::collections::BTreeSet;
use std::time::Duration;

use paceline_client::Client;
use paceline_node::{HandlerOptions, RunningNode};
use paceline_store::Store;
use paceline_tests::{SOON, attempts, eventually};
use paceline_types::{Bytes, NodeInfo};

mod breaker;
mod builtins;
mod callbacks;
mod config;
mod context;
mod drain;
mod middleware;
mod roles;

/// Long enough that nothing in a test waits for it to end.
const LONG: Duration = Duration::from_secs(60);

fn options() -> HandlerOptions {
    HandlerOptions::default()
}

/// Tries so often, at once.
fn tried(max_attempts: u32) -> HandlerOptions {
    HandlerOptions {
        retry_policy: Some(attempts(max_attempts)),
        ..options()
    }
}

fn done() -> Bytes {
    Bytes::from_static(b"\"done\"")
}

async fn told(client: &Client, node: &RunningNode, enough: impl Fn(&NodeInfo) -> bool) -> NodeInfo {
    eventually("the node tells it", SOON, async || {
        let nodes = client.nodes().await.map_err(|error| error.to_string())?;
        let found = nodes.into_iter().find(|info| info.node_id == node.id());
        let info = found.ok_or("it is not listed")?;
        if enough(&info) {
            Ok(info)
        } else {
            Err(format!("{info:?}"))
        }
    })
    .await
}

/// Waits until a node leads every shard.
async fn leads_everywhere(store: &Store, node: &RunningNode) {
    let all: BTreeSet<_> = store.each_shard().collect();
    eventually("it leads every shard", SOON, async || {
        let leads: BTreeSet<_> = node.leads().into_keys().collect();
        if leads == all { Ok(()) } else { Err(leads) }
    })
    .await;
}
