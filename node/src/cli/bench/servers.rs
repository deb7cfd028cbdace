//! The servers that are measured on: one of our own, a cluster of our own, or those of a user.

use paceline_store::RedisUrl;
use paceline_store::calls::measure::form_cluster;

use super::super::failure::Failure;
use super::super::private_redis::PrivateRedis;

/// Servers of our own, which go with this value, or those behind a URL.
pub(super) struct Servers {
    ours: Vec<PrivateRedis>,
    url: String,
}

impl Servers {
    /// Starts as many primaries; more than one form a cluster.
    pub(super) async fn start(primaries: u16, append_only: bool) -> Result<Servers, Failure> {
        let mut servers = Servers {
            ours: Vec::new(),
            url: String::new(),
        };
        for _ in 0..primaries {
            let started = if primaries > 1 {
                PrivateRedis::start_member(append_only).await
            } else {
                PrivateRedis::start_measured(append_only).await
            };
            match started {
                Ok(server) => servers.ours.push(server),
                Err(failure) => {
                    servers.stop().await;
                    return Err(failure);
                }
            }
        }
        match servers.joined().await {
            Ok(url) => servers.url = url,
            Err(failure) => {
                servers.stop().await;
                return Err(failure);
            }
        }
        Ok(servers)
    }

    /// The URL of what they are together.
    async fn joined(&self) -> Result<String, Failure> {
        let [alone] = self.ours.as_slice() else {
            let urls = self.ours.iter().map(|server| server.url().parse());
            let urls: Vec<RedisUrl> = urls.collect::<Result<_, _>>().map_err(Failure::usage)?;
            return form_cluster(&urls).await.map_err(Failure::redis);
        };
        Ok(alone.url())
    }

    /// Those of a user.
    pub(super) fn named(url: &str) -> Servers {
        Servers {
            ours: Vec::new(),
            url: url.to_owned(),
        }
    }

    /// Where they are.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Whether they go when this goes.
    pub(super) fn are_ours(&self) -> bool {
        !self.ours.is_empty()
    }

    /// Stops those of our own.
    pub(super) async fn stop(self) {
        for server in self.ours {
            server.stop().await;
        }
    }
}
