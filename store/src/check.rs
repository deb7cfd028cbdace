//! Whether the server is fit: looked at once, when a store is opened.

mod judge;

use redis::Value;

pub use judge::{Product, ServerInfo, Version};

use crate::StoreError;
use crate::link::Link;

/// The oldest Redis that has all that the scripts use.
pub const OLDEST_REDIS: Version = Version(7, 0, 0);
/// The oldest Valkey that has all that the scripts use.
pub const OLDEST_VALKEY: Version = Version(7, 2, 0);

/// What was found on a fit server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerReport {
    /// Every primary.
    pub servers: Vec<ServerInfo>,
    /// What works, and yet puts work at risk.
    pub warnings: Vec<ServerWarning>,
}

/// Why a server cannot be used. Each message is one sentence: what, where, and how to mend it.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerFault {
    /// Its version lacks commands that are needed.
    #[error(
        "the server at {server} is {product} {found}, and Paceline needs Redis {OLDEST_REDIS} or \
         Valkey {OLDEST_VALKEY}: upgrade it"
    )]
    TooOld {
        /// Where.
        server: String,
        /// Redis or Valkey.
        product: Product,
        /// Its version as it tells it.
        found: String,
    },
    /// It may drop keys when memory runs short.
    #[error(
        "the server at {server} drops keys when memory is short (maxmemory-policy {policy}), which \
         loses jobs: run CONFIG SET maxmemory-policy noeviction and put the same into its file"
    )]
    Evicts {
        /// Where.
        server: String,
        /// Its policy.
        policy: String,
    },
    /// It is a replica.
    #[error(
        "the server at {server} is a replica and takes no writes: connect to its primary {primary}, \
         or through the Sentinels with redis+sentinel://"
    )]
    Replica {
        /// Where.
        server: String,
        /// Where its primary is.
        primary: String,
    },
    /// It belongs to a cluster, and the URL says otherwise.
    #[error(
        "the server at {server} belongs to a Redis Cluster: write redis+cluster://{server} in place \
         of the URL in use"
    )]
    Cluster {
        /// Where.
        server: String,
    },
    /// It is a Sentinel, and the URL says otherwise.
    #[error(
        "the server at {server} is a Sentinel: write redis+sentinel://{server}/ with the name of \
         the primary after it"
    )]
    Sentinel {
        /// Where.
        server: String,
    },
    /// It did not answer, or denied the question.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What puts work at risk. Each message is one sentence: what, where, and how to mend it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ServerWarning {
    /// A restart loses everything.
    #[error(
        "the server at {server} keeps nothing on disk, so a restart loses all jobs: set appendonly \
         yes, unless that is meant"
    )]
    NotPersistent {
        /// Where.
        server: String,
    },
    /// A primary that is cut off goes on accepting work that a failover throws away.
    #[error(
        "the server at {server} has replicas and takes writes without them, so a failover can lose \
         accepted work: set min-replicas-to-write 1 and min-replicas-max-lag 2"
    )]
    Unguarded {
        /// Where.
        server: String,
    },
}

/// Looks at every primary: kind, version, eviction, role.
///
/// # Errors
/// The first fault found; nothing was changed.
pub async fn check_server(link: &Link) -> Result<ServerReport, ServerFault> {
    let by_cluster_url = link.url().is_cluster();
    let infos = link.on_each_primary(&redis::cmd("INFO")).await?;
    let saves = snapshots(link).await;
    let mut report = ServerReport {
        servers: Vec::new(),
        warnings: Vec::new(),
    };
    for (server, reply) in infos {
        let facts = judge::Facts::read(server, text(&reply));
        report.servers.push(facts.judge(by_cluster_url)?);
        let saved = saves.iter().find(|(place, _)| *place == facts.server);
        report
            .warnings
            .extend(facts.risks(saved.map(|(_, saves)| *saves)));
    }
    Ok(report)
}

/// Whether each server writes snapshots, as far as it tells us.
async fn snapshots(link: &Link) -> Vec<(String, bool)> {
    let mut command = redis::cmd("CONFIG");
    command.arg("GET").arg("save");
    // Hosted servers often deny CONFIG; their operators look after persistence.
    let Ok(replies) = link.on_each_primary(&command).await else {
        return Vec::new();
    };
    let setting = |reply: Value| match reply {
        Value::Array(parts) => parts.get(1).map(|saves| !text(saves).is_empty()),
        _ => None,
    };
    replies
        .into_iter()
        .filter_map(|(server, reply)| Some((server, setting(reply)?)))
        .collect()
}

fn text(value: &Value) -> &str {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).unwrap_or_default(),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => text,
        _ => "",
    }
}
