//! A private cluster.

use std::net::SocketAddr;
use std::time::Duration;

use futures::future::join_all;
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;

use super::server::RedisServer;
use crate::proxy::Proxy;
use crate::wait::eventually;

const SLOTS: usize = 16_384;
/// A primary that has just started stays silent for two seconds (`CLUSTER_WRITABLE_DELAY`).
const FORM: Duration = Duration::from_secs(30);
/// For a reply to the harness.
const REPLY: Duration = Duration::from_secs(10);

/// A cluster in the making: three primaries without replicas by default.
#[derive(Debug, Clone)]
#[must_use = "nothing is started before `start`"]
pub struct ClusterOptions {
    primaries: usize,
    replicas: usize,
    node_timeout: Duration,
    proxied: bool,
}

impl Default for ClusterOptions {
    fn default() -> Self {
        // Long enough that a busy machine does not look like a dead node.
        let node_timeout = Duration::from_secs(5);
        Self {
            primaries: 3,
            replicas: 0,
            node_timeout,
            proxied: false,
        }
    }
}

impl ClusterOptions {
    /// Replicas of each primary.
    pub fn replicas(mut self, count: usize) -> Self {
        self.replicas = count;
        self
    }

    /// When a silent node counts as failed; a failover takes about twice as long. 5 s by default.
    pub fn node_timeout(mut self, timeout: Duration) -> Self {
        self.node_timeout = timeout;
        self
    }

    /// Puts a [`Proxy`] before each node, and announces its address to clients.
    pub fn proxied(mut self) -> Self {
        self.proxied = true;
        self
    }

    /// Starts and joins the nodes, and returns once all of them say `cluster_state:ok`.
    ///
    /// # Panics
    /// A node does not start, or they do not join.
    pub async fn start(self) -> RedisCluster {
        let nodes = join_all((0..self.primaries * (1 + self.replicas)).map(|_| self.node())).await;
        let (nodes, proxies): (Vec<_>, Vec<_>) = nodes.into_iter().unzip();
        let cluster = RedisCluster {
            primaries: self.primaries,
            nodes,
            proxies: proxies.into_iter().flatten().collect(),
        };
        cluster.form().await;
        cluster
    }

    async fn node(&self) -> (RedisServer, Option<Proxy>) {
        let timeout = self.node_timeout.as_millis().to_string();
        let mut options = RedisServer::options().config("cluster-node-timeout", &timeout);
        options.cluster = true;
        if !self.proxied {
            return (options.start().await, None);
        }
        let proxy = Proxy::unaimed();
        let announced = proxy.addr().port().to_string();
        let server = options
            .config("cluster-announce-port", &announced)
            .start()
            .await;
        proxy.aim(server.addr());
        (server, Some(proxy))
    }
}

/// A private cluster, on ports of its own; its nodes are killed on drop and with the test process.
#[derive(Debug)]
pub struct RedisCluster {
    primaries: usize,
    nodes: Vec<RedisServer>,
    proxies: Vec<Proxy>,
}

impl RedisCluster {
    /// Options to start a cluster with.
    pub fn options() -> ClusterOptions {
        ClusterOptions::default()
    }

    /// Starts three primaries.
    ///
    /// # Panics
    /// As [`ClusterOptions::start`].
    pub async fn start() -> Self {
        Self::options().start().await
    }

    /// The nodes: first those that started as primaries, in the order of their slots, then replicas.
    pub fn nodes(&self) -> &[RedisServer] {
        &self.nodes
    }

    /// The proxies, in the order of [`Self::nodes`]; none unless asked for.
    pub fn proxies(&self) -> &[Proxy] {
        &self.proxies
    }

    /// The addresses that clients should use: the proxies', if there are any.
    pub fn addrs(&self) -> Vec<SocketAddr> {
        if self.proxies.is_empty() {
            self.nodes.iter().map(RedisServer::addr).collect()
        } else {
            self.proxies.iter().map(Proxy::addr).collect()
        }
    }

    /// `redis+cluster://host:port,host:port,...`
    pub fn url(&self) -> String {
        let addrs: Vec<String> = self.addrs().iter().map(ToString::to_string).collect();
        format!("redis+cluster://{}", addrs.join(","))
    }

    /// A new connection, for looking at what is stored.
    ///
    /// # Panics
    /// The cluster does not answer.
    pub async fn connect(&self) -> ClusterConnection {
        let seeds: Vec<String> = self
            .addrs()
            .iter()
            .map(|addr| format!("redis://{addr}/"))
            .collect();
        let client = ClusterClient::builder(seeds)
            .connection_timeout(REPLY)
            .response_timeout(REPLY)
            .retries(3)
            .build();
        client.unwrap().get_async_connection().await.unwrap()
    }

    /// The nodes that are primaries now, and answer.
    pub async fn primaries(&self) -> Vec<&RedisServer> {
        let roles = join_all(self.nodes.iter().map(async |node| {
            let info = if node.is_up() {
                node.info("replication").await.ok()?
            } else {
                return None;
            };
            (info.get("role")? == "master").then_some(node)
        }));
        roles.await.into_iter().flatten().collect()
    }

    /// The node that owns the slot of `key` now, as the first answering node knows it.
    ///
    /// # Panics
    /// No node answers, or nobody owns the slot.
    pub async fn owner_of(&self, key: &str) -> &RedisServer {
        let primaries = self.primaries().await;
        let mut connection = primaries.first().expect("a node answers").connect().await;
        let mut command = redis::cmd("CLUSTER");
        let slot: u16 = command
            .arg("KEYSLOT")
            .arg(key)
            .query_async(&mut connection)
            .await
            .unwrap();
        for node in primaries {
            if owned_slots(node)
                .await
                .iter()
                .any(|range| range.contains(&slot))
            {
                return node;
            }
        }
        panic!("no node owns slot {slot}")
    }

    /// Waits until every node that is up says that all slots are served.
    ///
    /// # Panics
    /// They do not within `deadline`.
    pub async fn settled(&self, deadline: Duration) {
        let size = self.nodes.len().to_string();
        eventually("every node sees the whole cluster", deadline, async || {
            for node in self.nodes.iter().filter(|node| node.is_up()) {
                let mut connection = node.connect().await;
                let info: String = redis::cmd("CLUSTER")
                    .arg("INFO")
                    .query_async(&mut connection)
                    .await
                    .unwrap();
                let has = |line: &str| info.lines().any(|other| other.trim() == line);
                if !has("cluster_state:ok") || !has(&format!("cluster_known_nodes:{size}")) {
                    return Err(format!("{node:?}: {info}"));
                }
            }
            Ok(())
        })
        .await;
    }

    /// Gives the primaries their slots and epochs, joins all nodes, and attaches the replicas.
    async fn form(&self) {
        for (index, node) in self.nodes.iter().enumerate() {
            // Epochs are given rather than agreed upon, which saves a round of conflicts.
            cluster(node, &["SET-CONFIG-EPOCH", &(index + 1).to_string()]).await;
            if index < self.primaries {
                let first = (SLOTS * index / self.primaries).to_string();
                let last = (SLOTS * (index + 1) / self.primaries - 1).to_string();
                cluster(node, &["ADDSLOTSRANGE", &first, &last]).await;
            }
        }
        for node in &self.nodes[1..] {
            let (ip, port) = (node.addr().ip().to_string(), node.addr().port().to_string());
            let bus = node.bus_port().to_string();
            cluster(&self.nodes[0], &["MEET", &ip, &port, &bus]).await;
        }
        self.settled(FORM).await;
        let replicas = &self.nodes[self.primaries..];
        for (index, replica) in replicas.iter().enumerate() {
            let primary = &self.nodes[index % self.primaries];
            let mut connection = primary.connect().await;
            let id: String = redis::cmd("CLUSTER")
                .arg("MYID")
                .query_async(&mut connection)
                .await
                .unwrap();
            cluster(replica, &["REPLICATE", &id]).await;
        }
        for replica in replicas {
            eventually("a replica follows its primary", FORM, async || {
                let info = replica
                    .info("replication")
                    .await
                    .map_err(|error| error.to_string())?;
                let up = info
                    .get("master_link_status")
                    .is_some_and(|status| status == "up");
                if up { Ok(()) } else { Err(format!("{info:?}")) }
            })
            .await;
        }
    }
}

async fn cluster(node: &RedisServer, words: &[&str]) {
    let mut connection = node.connect().await;
    let done = redis::cmd("CLUSTER")
        .arg(words)
        .query_async::<()>(&mut connection)
        .await;
    if let Err(error) = done {
        panic!("CLUSTER {words:?} on {node:?}: {error}");
    }
}

/// The slots of one node, as it says itself.
async fn owned_slots(node: &RedisServer) -> Vec<std::ops::RangeInclusive<u16>> {
    let mut connection = node.connect().await;
    let table: String = redis::cmd("CLUSTER")
        .arg("NODES")
        .query_async(&mut connection)
        .await
        .unwrap();
    let own = table
        .lines()
        .find(|line| line.contains("myself"))
        .unwrap_or_default();
    let ranges = own
        .split_whitespace()
        .skip(8)
        .filter(|range| !range.starts_with('['));
    ranges
        .map(|range| {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            first.parse().unwrap()..=last.parse().unwrap()
        })
        .collect()
}
