//! A primary with replicas under sentinels.

use std::net::SocketAddr;
use std::time::Duration;

use futures::future::join_all;

use super::options::{Kind, RedisOptions};
use super::server::RedisServer;
use crate::wait::eventually;

/// The name that the sentinels know the primary by.
const PRIMARY: &str = "paceline";
/// Sentinels find each other by a message that they send every two seconds.
const FORM: Duration = Duration::from_secs(30);

/// A replicated set-up in the making: one primary, one replica, one sentinel by default.
#[derive(Debug, Clone)]
#[must_use = "nothing is started before `start`"]
pub struct SentinelOptions {
    sentinels: usize,
    replicas: usize,
    down_after: Duration,
    data: RedisOptions,
}

impl Default for SentinelOptions {
    fn default() -> Self {
        let down_after = Duration::from_secs(1);
        Self {
            sentinels: 1,
            replicas: 1,
            down_after,
            data: RedisOptions::default(),
        }
    }
}

impl SentinelOptions {
    /// Sentinels; a majority of them must agree on a failover.
    pub fn sentinels(mut self, count: usize) -> Self {
        self.sentinels = count;
        self
    }

    /// Replicas of the primary.
    pub fn replicas(mut self, count: usize) -> Self {
        self.replicas = count;
        self
    }

    /// When a silent primary counts as down. 1 s by default.
    pub fn down_after(mut self, silence: Duration) -> Self {
        self.down_after = silence;
        self
    }

    /// A primary without a replica in reach takes no writes: without this, one that was stopped
    /// acknowledges writes when it wakes up, and loses them.
    pub fn min_replicas(mut self) -> Self {
        self.data = self
            .data
            .config("min-replicas-to-write", "1")
            .config("min-replicas-max-lag", "2");
        self
    }

    /// Options of the data servers, for example persistence.
    pub fn data(mut self, change: impl FnOnce(RedisOptions) -> RedisOptions) -> Self {
        self.data = change(self.data);
        self
    }

    /// Starts everything, and returns once a failover would work.
    ///
    /// # Panics
    /// A server does not start, or they do not find each other.
    pub async fn start(self) -> SentinelSet {
        let primary = self.data.clone().start().await;
        let source = format!("{} {}", primary.addr().ip(), primary.addr().port());
        let mut follower = self.data.clone().config("replicaof", &source);
        if let Some(password) = self.data.password.clone() {
            follower = follower.config("masterauth", &password);
        }
        let replicas = join_all((0..self.replicas).map(|_| follower.clone().start())).await;
        for replica in &replicas {
            eventually("a replica is in step", FORM, async || {
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
        let mut watcher = RedisOptions {
            kind: Kind::Sentinel,
            ..RedisOptions::default()
        };
        let quorum = self.sentinels / 2 + 1;
        let down_after = self.down_after.as_millis();
        watcher = watcher
            .config("sentinel", &format!("monitor {PRIMARY} {source} {quorum}"))
            .config(
                "sentinel",
                &format!("down-after-milliseconds {PRIMARY} {down_after}"),
            )
            // Also the pause before a second try after a failover that did not work.
            .config(
                "sentinel",
                &format!("failover-timeout {PRIMARY} {}", 4 * down_after),
            );
        if let Some(password) = &self.data.password {
            watcher = watcher.config("sentinel", &format!("auth-pass {PRIMARY} {password}"));
        }
        let sentinels = join_all((0..self.sentinels).map(|_| watcher.clone().start())).await;
        let servers = std::iter::once(primary).chain(replicas).collect();
        let set = SentinelSet { servers, sentinels };
        set.formed().await;
        set
    }
}

/// A primary, its replicas and their sentinels; killed on drop and with the test process.
#[derive(Debug)]
pub struct SentinelSet {
    servers: Vec<RedisServer>,
    sentinels: Vec<RedisServer>,
}

impl SentinelSet {
    /// Options to start a set with.
    pub fn options() -> SentinelOptions {
        SentinelOptions::default()
    }

    /// `redis+sentinel://host:port,.../name`, without a password.
    pub fn url(&self) -> String {
        let addrs: Vec<String> = self
            .sentinels
            .iter()
            .map(|sentinel| sentinel.addr().to_string())
            .collect();
        format!("redis+sentinel://{}/{PRIMARY}", addrs.join(","))
    }

    /// The name that the sentinels know the primary by.
    pub fn name(&self) -> &'static str {
        PRIMARY
    }

    /// The data servers: first the one that started as the primary.
    pub fn servers(&self) -> &[RedisServer] {
        &self.servers
    }

    /// The sentinels.
    pub fn sentinels(&self) -> &[RedisServer] {
        &self.sentinels
    }

    /// Where the sentinels listen.
    pub fn sentinel_addrs(&self) -> Vec<SocketAddr> {
        self.sentinels.iter().map(RedisServer::addr).collect()
    }

    /// The server that the sentinels name as the primary now.
    ///
    /// # Panics
    /// No sentinel is up, or it names a server of somebody else.
    pub async fn primary(&self) -> &RedisServer {
        let sentinel = self.sentinels.iter().find(|sentinel| sentinel.is_up());
        let mut connection = sentinel.expect("a sentinel is up").connect().await;
        let mut command = redis::cmd("SENTINEL");
        command.arg("GET-MASTER-ADDR-BY-NAME").arg(PRIMARY);
        let (_, port): (String, u16) = command.query_async(&mut connection).await.unwrap();
        let named = self
            .servers
            .iter()
            .find(|server| server.addr().port() == port);
        named.expect("the sentinels name one of our servers")
    }

    /// Waits until the sentinels name another primary than `old` and it takes writes.
    ///
    /// # Panics
    /// They do not within `deadline`.
    pub async fn failed_over(&self, old: &RedisServer, deadline: Duration) -> &RedisServer {
        eventually("the sentinels name a new primary", deadline, async || {
            let now = self.primary().await;
            // Asked only if it is another one: the old one may be stopped, and would not answer.
            if now.addr() == old.addr() {
                return Err(format!("still {now:?}"));
            }
            let info = now
                .info("replication")
                .await
                .map_err(|error| error.to_string())?;
            let leads = info.get("role").is_some_and(|role| role == "master");
            if leads {
                Ok(now)
            } else {
                Err(format!("{now:?} is a replica"))
            }
        })
        .await
    }

    /// Every sentinel knows the replicas and the other sentinels.
    async fn formed(&self) {
        for sentinel in &self.sentinels {
            eventually("a sentinel knows everybody", FORM, async || {
                let info = sentinel
                    .info("sentinel")
                    .await
                    .map_err(|error| error.to_string())?;
                let line = info.get("master0").cloned().unwrap_or_default();
                let slaves = format!("slaves={},", self.servers.len() - 1);
                let sentinels = format!("sentinels={}", self.sentinels.len());
                let known = line.contains("status=ok")
                    && line.contains(&slaves)
                    && line.ends_with(&sentinels);
                if known { Ok(()) } else { Err(line) }
            })
            .await;
        }
    }
}
