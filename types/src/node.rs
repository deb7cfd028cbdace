//! What a node tells about itself.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{NodeId, ShardIndex, UnixMillis};

/// Use of a node's run slots.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PoolStats {
    /// Runs at work now.
    pub running_workers: u32,
    /// Slots that are free.
    pub idle_workers: u32,
    /// Slots in all.
    pub max_concurrency: u32,
    /// Runs started since the node started.
    pub total_submitted: u64,
    /// Runs that completed their job.
    pub total_completed: u64,
    /// Runs that failed.
    pub total_failed: u64,
}

/// One incarnation of a node, as its last heartbeat described it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeInfo {
    /// This start of the node.
    pub node_id: NodeId,
    /// Host name and process id, for readers.
    #[serde(default)]
    pub name: String,
    /// Where its HTTP listener is, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Version of the program.
    #[serde(default)]
    pub build: String,
    /// What it serves: task types and patterns (`image.*`).
    pub task_types: Vec<String>,
    /// Versions of its handlers, where they have one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub handler_versions: BTreeMap<String, String>,
    /// When it registered, by the server's clock.
    #[serde(default)]
    pub started_at: UnixMillis,
    /// When it was last heard of, by the server's clock.
    #[serde(default)]
    pub last_heartbeat: UnixMillis,
    /// Use of its run slots.
    #[serde(default)]
    pub pool_stats: PoolStats,
    /// Shards that it leads, with their terms.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub leads: BTreeMap<ShardIndex, u64>,
}
