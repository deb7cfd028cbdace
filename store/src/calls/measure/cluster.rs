//! Making a Redis Cluster of servers that were started for it.

use std::time::Duration;

use futures::future::try_join_all;
use redis::Cmd;
use tokio::time::Instant;

use crate::link::{ConnectError, Link};
use crate::redis_url::{Endpoint, RedisUrl, Topology};
use crate::wire::reply::text_of;
use crate::{LinkOptions, StoreError};

const SLOTS: usize = 16_384;

/// A primary that has just started stays silent for two seconds.
const FORM: Duration = Duration::from_secs(30);

/// Between two looks at whether it has formed.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Why a cluster was not formed. The servers may know of each other all the same.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClusterError {
    /// One of the servers cannot be reached.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// One of the servers refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// They did not come together.
    #[error("{servers} servers did not form a Redis Cluster within {FORM:?}: {state}")]
    NotFormed {
        /// How many.
        servers: usize,
        /// What one of them said last.
        state: String,
    },
}

/// Makes primaries of these servers, which are empty and have cluster mode on, and shares the
/// slots out evenly.
///
/// On `Ok` each of them says that the cluster is well, and the URL leads to all of them.
///
/// # Errors
/// See [`ClusterError`].
pub async fn form_cluster(servers: &[RedisUrl]) -> Result<String, ClusterError> {
    let connected = servers
        .iter()
        .map(|url| Link::connect(url, LinkOptions::default()));
    let links = try_join_all(connected).await?;
    for (index, link) in links.iter().enumerate() {
        let first = SLOTS * index / links.len();
        let last = SLOTS * (index + 1) / links.len() - 1;
        // Epochs are given rather than agreed upon, which saves a round of conflicts.
        link.command(cluster("SET-CONFIG-EPOCH").arg(index + 1))
            .await?;
        link.command(cluster("ADDSLOTSRANGE").arg(first).arg(last))
            .await?;
    }
    if let Some(first) = links.first() {
        for (link, url) in links.iter().zip(servers).skip(1) {
            let Topology::Standalone(Endpoint::Tcp { host, port }) = &url.topology else {
                continue;
            };
            let mut ask = redis::cmd("CONFIG");
            let told = link.command(ask.arg("GET").arg("cluster-port")).await?;
            let bus = match told {
                redis::Value::Array(mut pair) => pair.pop().unwrap_or(redis::Value::Nil),
                other => other,
            };
            let bus = text_of("CONFIG GET", bus)?;
            first
                .command(cluster("MEET").arg(host).arg(*port).arg(bus))
                .await?;
        }
    }
    settled(&links).await?;
    let hosts: Vec<String> = servers.iter().map(RedisUrl::address).collect();
    Ok(format!("redis+cluster://{}", hosts.join(",")))
}

fn cluster(word: &str) -> Cmd {
    let mut command = redis::cmd("CLUSTER");
    command.arg(word);
    command
}

/// Waits until every server says that all slots are served and all others are known.
async fn settled(links: &[Link]) -> Result<(), ClusterError> {
    let begun = Instant::now();
    let size = format!("cluster_known_nodes:{}", links.len());
    for link in links {
        loop {
            let told = link.command(&cluster("INFO")).await?;
            let state = text_of("CLUSTER INFO", told)?;
            let has = |line: &str| state.lines().any(|other| other.trim() == line);
            if has("cluster_state:ok") && has(&size) {
                break;
            }
            if begun.elapsed() > FORM {
                let lines = state.lines().take(5).collect::<Vec<_>>();
                return Err(ClusterError::NotFormed {
                    servers: links.len(),
                    state: lines.join(", "),
                });
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
    Ok(())
}
