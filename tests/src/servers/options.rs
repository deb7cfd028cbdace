//! How a server of the harness is configured.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;

use super::server::RedisServer;

/// How often the append-only file reaches the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fsync {
    /// Once a second, as most people run it.
    EverySecond,
    /// Before each reply.
    Always,
}

/// What kind of server the program is asked to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Data,
    Sentinel,
}

/// A private server in the making. The default one is small: no persistence, no password.
#[derive(Debug, Clone)]
#[must_use = "nothing is started before `start`"]
pub struct RedisOptions {
    pub(super) kind: Kind,
    pub(super) password: Option<String>,
    pub(super) tls: bool,
    pub(super) cluster: bool,
    pub(super) lines: Vec<String>,
}

impl Default for RedisOptions {
    fn default() -> Self {
        Self {
            kind: Kind::Data,
            password: None,
            tls: false,
            cluster: false,
            lines: Vec::new(),
        }
    }
}

impl RedisOptions {
    /// Keeps an append-only file, so that [`RedisServer::restart`] finds the data again.
    pub fn append_only(self, fsync: Fsync) -> Self {
        let policy = match fsync {
            Fsync::EverySecond => "everysec",
            Fsync::Always => "always",
        };
        self.config("appendonly", "yes")
            .config("appendfsync", policy)
    }

    /// Requires a password of the default user.
    pub fn password(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self.config("requirepass", &quoted(password))
    }

    /// Adds an ACL user; `rules` in Redis' own words, for example `~{ns:*} &* +@all -@admin`.
    /// The default user stays, for the harness.
    pub fn acl_user(mut self, name: &str, password: &str, rules: &str) -> Self {
        self.lines
            .push(format!("user {name} on >{password} {rules}"));
        self
    }

    /// Caps the memory, for example `("32mb", "noeviction")`.
    pub fn max_memory(self, bytes: &str, policy: &str) -> Self {
        self.config("maxmemory", bytes)
            .config("maxmemory-policy", policy)
    }

    /// Listens with TLS as well, under a certificate for `localhost` and `127.0.0.1` of an authority
    /// of its own: see [`RedisServer::tls_url`] and [`RedisServer::ca_file`].
    pub fn tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// Any other line of the configuration file.
    pub fn config(mut self, name: &str, value: &str) -> Self {
        self.lines.push(format!("{name} {value}"));
        self
    }

    /// Starts the server, and returns once it answers.
    ///
    /// # Panics
    /// There is no server program, or it does not answer; the message holds its log.
    pub async fn start(self) -> RedisServer {
        RedisServer::launch(self).await
    }

    /// The configuration file.
    pub(super) fn render(&self, folder: &Path, listen: &Listen) -> String {
        let mut text = String::new();
        let folder = quoted(&folder.display().to_string());
        let _ = write!(
            text,
            "bind 127.0.0.1\nport {}\ndir {folder}\ndaemonize no\nlogfile redis.log\n",
            listen.plain.port(),
        );
        if self.kind == Kind::Data {
            // Small and quiet: many of these run beside each other on two cores.
            text.push_str("save \"\"\nappendonly no\nrepl-diskless-sync-delay 0\n");
        }
        if let Some(bus) = listen.bus {
            let _ = write!(
                text,
                "cluster-enabled yes\ncluster-config-file nodes.conf\ncluster-port {}\n",
                bus.port(),
            );
        }
        if let Some(tls) = listen.tls {
            let _ = write!(
                text,
                "tls-port {}\ntls-cert-file server.pem\ntls-key-file server.key\n\
                 tls-ca-cert-file ca.pem\ntls-auth-clients no\n",
                tls.port(),
            );
        }
        // Last, so that they win over the defaults.
        for line in &self.lines {
            text.push_str(line);
            text.push('\n');
        }
        text
    }
}

/// Where a server listens.
#[derive(Debug, Clone, Copy)]
pub(super) struct Listen {
    pub(super) plain: SocketAddr,
    pub(super) tls: Option<SocketAddr>,
    /// The cluster bus.
    pub(super) bus: Option<SocketAddr>,
}

/// A value as the configuration file wants it when it may hold spaces.
fn quoted(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}
