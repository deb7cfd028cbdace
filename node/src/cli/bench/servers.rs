//! The servers that are measured on: one of our own, a cluster of our own, or those of a user.

use tempfile::TempDir;

use super::super::failure::Failure;
use super::super::private_redis::PrivateRedis;

/// Servers of our own, which go with this value, or those behind a URL.
pub(super) struct Servers {
    ours: Vec<PrivateRedis>,
    /// Data of those with an append-only file.
    folders: Vec<TempDir>,
    url: String,
}

impl Servers {
    /// Starts as many primaries; more than one form a cluster.
    pub(super) async fn start(primaries: u16, append_only: bool) -> Result<Servers, Failure> {
        let mut servers = Servers {
            ours: Vec::new(),
            folders: Vec::new(),
            url: String::new(),
        };
        for _ in 0..primaries {
            let folder = if append_only {
                Some(tempfile::tempdir()?)
            } else {
                None
            };
            let path = folder.as_ref().map(TempDir::path);
            let started = PrivateRedis::start(path).await;
            servers.folders.extend(folder);
            match started {
                Ok(server) => servers.ours.push(server),
                Err(failure) => {
                    servers.stop().await;
                    return Err(failure);
                }
            }
        }
        if let Some(server) = servers.ours.first() {
            servers.url = server.url();
        }
        Ok(servers)
    }

    /// Those of a user.
    pub(super) fn named(url: &str) -> Servers {
        Servers {
            ours: Vec::new(),
            folders: Vec::new(),
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
