//! Large and many: loops, maps, crowds of workflows, children of children. What a task costs does
//! not grow with what is around it.
#![cfg(test)]

mod crowds;
mod depth;
mod loops;
mod maps;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use paceline_client::Client;
use paceline_node::{HandlerOptions, Node, RunningNode};
use paceline_store::Store;
use paceline_tests::{RedisServer, attempts, open, within};
use paceline_types::workflow::Workflow;
use paceline_types::{Bytes, WorkflowDefinition, WorkflowId};
use redis::AsyncTypedCommands;
use serde_json::Value;

/// For the largest of these in a debug build, on a machine that is busy.
const LARGE: Duration = Duration::from_secs(180);

/// A task of a large one may cost so much of one of a small one.
const GROWTH: f64 = 1.2;

/// A server, a node and a client of a namespace of their own.
struct House {
    server: RedisServer,
    store: Store,
    client: Client,
    node: RunningNode,
    /// How often a condition is to lead back before it leads on.
    rounds: Arc<AtomicUsize>,
}

impl House {
    /// Handlers: `nothing` answers null, `echo` what it is given, `again` leads back as often as
    /// `rounds` says.
    async fn open(shards: u16) -> House {
        let server = RedisServer::start().await;
        let store = open(&server.url(), "scale", shards).await;
        let client = Client::from_store(store.clone());
        let options = || HandlerOptions {
            retry_policy: Some(attempts(1)),
            ..HandlerOptions::default()
        };
        let rounds = Arc::new(AtomicUsize::new(0));
        let left = rounds.clone();
        let node = Node::builder()
            .redis(server.url())
            .namespace("scale")
            .shards(shards)
            .handle_raw("nothing", options(), async |_, _| {
                Ok(Bytes::from_static(b"null"))
            })
            .handle_raw("echo", options(), async |_, payload| Ok(payload))
            .handle_raw("again", options(), move |_, _| {
                let left = left.clone();
                async move {
                    let back = left
                        .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                            left.checked_sub(1)
                        })
                        .is_ok();
                    let route: &[u8] = if back {
                        br#"{"route":0}"#
                    } else {
                        br#"{"route":1}"#
                    };
                    Ok(Bytes::from_static(route))
                }
            })
            .start()
            .await
            .unwrap();
        House {
            server,
            store,
            client,
            node,
            rounds,
        }
    }

    /// Runs a workflow to its end.
    async fn run(&self, definition: Value) -> Workflow {
        let definition = WorkflowDefinition::from_json(&definition.to_string()).unwrap();
        let handle = self.client.submit_workflow(definition, None).await.unwrap();
        within("its end", LARGE, handle.wait()).await.unwrap()
    }

    /// The record of a workflow, as a leader loads it.
    async fn record(&self, id: WorkflowId) -> HashMap<String, String> {
        let key = format!("{{scale:0}}:wf:{}", id.bare(&mut [0; 26]) as &str);
        self.server.connect().await.hgetall(key).await.unwrap()
    }

    /// What Redis did since it started.
    async fn cost(&self) -> Cost {
        let stats = self.server.info("stats").await.unwrap();
        let number = |name: &str| stats[name].parse::<f64>().unwrap();
        Cost {
            commands: number("total_commands_processed"),
            bytes: number("total_net_input_bytes") + number("total_net_output_bytes"),
        }
    }
}

/// What Redis did: commands, and bytes on the wire both ways.
#[derive(Clone, Copy, Debug)]
struct Cost {
    commands: f64,
    bytes: f64,
}

impl Cost {
    /// The share of each of `count` since `before`.
    fn of_each(self, before: Cost, count: u32) -> Cost {
        Cost {
            commands: (self.commands - before.commands) / f64::from(count),
            bytes: (self.bytes - before.bytes) / f64::from(count),
        }
    }

    /// One of a large one may cost hardly more than one of a small one.
    #[track_caller]
    fn assert_grown_little(self, small: Cost) {
        let growth = [self.commands / small.commands, self.bytes / small.bytes];
        println!("commands and bytes grow by {growth:.2?}: {small:.1?}, {self:.1?}");
        assert!(growth.iter().all(|&growth| growth < GROWTH), "{growth:?}");
    }
}
