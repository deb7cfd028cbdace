//! What a node tells about itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

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

/// What a node does. By default each does everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Claims work and runs handlers.
    Worker,
    /// Stands for leader of the shards: moves work that is due, recovers, keeps house.
    Scheduler,
    /// Stands for leader of the shards: advances workflows.
    Orchestrator,
    /// Serves HTTP, where an address was given.
    Api,
}

impl Role {
    /// Every role.
    pub const ALL: [Role; 4] = [Role::Worker, Role::Scheduler, Role::Orchestrator, Role::Api];

    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Worker => "worker",
            Role::Scheduler => "scheduler",
            Role::Orchestrator => "orchestrator",
            Role::Api => "api",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Why a text is not a role.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a role; use worker, scheduler, orchestrator or api")]
pub struct RoleError(String);

impl FromStr for Role {
    type Err = RoleError;

    fn from_str(text: &str) -> Result<Role, RoleError> {
        let mut all = Role::ALL.into_iter();
        all.find(|role| role.as_str() == text)
            .ok_or_else(|| RoleError(text.to_owned()))
    }
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
    /// What it does; empty from a node of a version that did not tell.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub roles: BTreeSet<Role>,
    /// Whether it was told to claim no more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub draining: bool,
    /// Handlers that are not called since their last runs failed, and until when about, by the
    /// server's clock; then one run tries whether that has passed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub breakers: BTreeMap<String, UnixMillis>,
    /// Handlers with a limit of their own that run as many jobs as they may.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub full_handlers: BTreeSet<String>,
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
