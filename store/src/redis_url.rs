//! Where Redis is, read from one string.
//!
//! | form | meaning |
//! |---|---|
//! | `redis://[user[:password]@]host[:6379][/db]` | one server |
//! | `unix:///path[?db=n]`, `redis+unix:///path` | one server behind a Unix socket |
//! | `redis+sentinel://[user:password@]host[:26379],…/name[/db]` | the primary that Sentinels call `name` |
//! | `redis+cluster://[user:password@]host[:6379],…` | a Redis Cluster, some of its nodes named |
//!
//! With `rediss` in place of `redis` the connection is encrypted; `ca=`, `cert=` and `key=` then
//! name PEM files. `sentinel_username=` and `sentinel_password=` are the credentials of the
//! Sentinels themselves. Users, passwords, names and paths are percent-decoded.

mod parse;

use std::fmt;
use std::path::PathBuf;

/// A parsed address of Redis.
///
/// `Display` and `Debug` never show a password.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisUrl {
    /// What is behind the address.
    pub topology: Topology,
    /// User and password of the servers.
    pub credentials: Credentials,
    /// Number of the logical database; always 0 on a cluster.
    pub db: i64,
    /// How to encrypt, or `None` for plain text.
    pub tls: Option<TlsFiles>,
}

/// What kind of Redis an address names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Topology {
    /// One server.
    Standalone(Endpoint),
    /// The primary that these Sentinels know under a name.
    Sentinel {
        /// Where Sentinels listen; any of them will do.
        sentinels: Vec<Endpoint>,
        /// The name of the primary in their configuration.
        name: String,
        /// User and password of the Sentinels, which are not those of the servers.
        credentials: Credentials,
    },
    /// A Redis Cluster of which these nodes are known.
    Cluster {
        /// Any nodes of the cluster; the others are learnt from them.
        seeds: Vec<Endpoint>,
    },
}

/// Where one server listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// A host name or address (IPv6 without brackets), and a port.
    Tcp {
        /// Name or address.
        host: String,
        /// Port.
        port: u16,
    },
    /// The path of a Unix socket.
    Unix(PathBuf),
}

/// User and password; both absent when the server asks for none.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    /// ACL user; `None` means the user `default`.
    pub username: Option<String>,
    /// Password.
    pub password: Option<String>,
}

/// PEM files of an encrypted connection. Without `ca` the system's roots are trusted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// Certificates of the authorities that are trusted.
    pub ca: Option<PathBuf>,
    /// The client's certificate chain and its private key.
    pub client: Option<(PathBuf, PathBuf)>,
}

/// Why a string is no address of Redis. Each message names the fault and the remedy, and none of
/// them repeats a part of the string that could be a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RedisUrlError {
    /// There is no `scheme://` at its start, or one that is not ours.
    #[error(
        "the Redis URL has the unknown scheme `{found}`: use redis://, rediss://, unix://, \
         redis+sentinel:// or redis+cluster://"
    )]
    Scheme {
        /// The text before `://`.
        found: String,
    },
    /// No host is named.
    #[error("the Redis URL names no host: write it as in {example}")]
    NoHost {
        /// A whole URL of this scheme.
        example: &'static str,
    },
    /// Several hosts where one is meant.
    #[error(
        "the Redis URL lists several hosts, which redis:// cannot use: write redis+cluster:// for a \
         cluster, or redis+sentinel:// with the name of the primary"
    )]
    SeveralHosts,
    /// A port is not a number from 1 to 65535.
    #[error("the port after host `{host}` in the Redis URL is not a number from 1 to 65535")]
    Port {
        /// The host before it.
        host: String,
    },
    /// A `[` without `]`, or text between them and the port.
    #[error("an IPv6 address in the Redis URL must stand in brackets, as in redis://[::1]:6379")]
    Ipv6,
    /// The password seems to hold a character that ends the host part.
    #[error(
        "the user or password in the Redis URL holds one of `/ ? #` unescaped: write them as %2F, \
         %3F and %23"
    )]
    Unescaped,
    /// A `%` that two hexadecimal digits do not follow, or bytes that are not UTF-8.
    #[error(
        "the {part} in the Redis URL holds a `%` that is not followed by the two hexadecimal \
         digits of a UTF-8 byte: write a plain percent sign as %25"
    )]
    Percent {
        /// Which part.
        part: &'static str,
    },
    /// The database is not a number.
    #[error("the database `{found}` in the Redis URL is not a number: end the URL in, say, /0")]
    Database {
        /// The text found.
        found: String,
    },
    /// A database other than 0 on a cluster.
    #[error("a Redis Cluster has only database 0: remove the path from the Redis URL")]
    ClusterDatabase,
    /// A Sentinel URL without the name of the primary.
    #[error(
        "the Redis URL lacks the name that the Sentinels give the primary: add it after the hosts, \
         as in redis+sentinel://host:26379/mymaster"
    )]
    NoPrimaryName,
    /// A Unix URL without a path.
    #[error("the Redis URL names no socket: write its absolute path, as in unix:///run/redis.sock")]
    NoSocket,
    /// A parameter that this scheme does not know.
    #[error("the parameter `{name}` of the Redis URL is unknown here: {remedy}")]
    Parameter {
        /// Its name.
        name: String,
        /// What may stand there instead.
        remedy: &'static str,
    },
    /// A parameter given twice.
    #[error("the parameter `{name}` stands twice in the Redis URL: keep one of them")]
    Twice {
        /// Its name.
        name: String,
    },
    /// `cert` without `key`, or the reverse.
    #[error("a client certificate needs both files: give cert= and key= together in the Redis URL")]
    HalfCertificate,
}

impl RedisUrl {
    /// The hosts alone, as error messages name them: no user, no password.
    #[must_use]
    pub fn address(&self) -> String {
        match &self.topology {
            Topology::Standalone(endpoint) => endpoint.to_string(),
            Topology::Sentinel {
                sentinels, name, ..
            } => format!("`{name}` of the Sentinels {}", List(sentinels)),
            Topology::Cluster { seeds } => format!("the cluster at {}", List(seeds)),
        }
    }

    /// Whether this address names a Redis Cluster.
    #[must_use]
    pub const fn is_cluster(&self) -> bool {
        matches!(self.topology, Topology::Cluster { .. })
    }
}

struct List<'a>(&'a [Endpoint]);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, endpoint) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            endpoint.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("username", &self.username)
            .field("password", &self.password.as_ref().map(|_| "***"))
            .finish()
    }
}

/// `user:***@`, or nothing.
impl fmt::Display for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.username.is_none() && self.password.is_none() {
            return Ok(());
        }
        f.write_str(self.username.as_deref().unwrap_or_default())?;
        f.write_str(if self.password.is_some() {
            ":***@"
        } else {
            "@"
        })
    }
}

impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let redis = if self.tls.is_some() {
            "rediss"
        } else {
            "redis"
        };
        let user = &self.credentials;
        let mut parameters: Vec<(&str, String)> = Vec::new();
        match &self.topology {
            Topology::Standalone(Endpoint::Unix(path)) => {
                write!(f, "unix://{user}{}", path.display())?;
                if self.db != 0 {
                    parameters.push(("db", self.db.to_string()));
                }
            }
            Topology::Standalone(endpoint) => write!(f, "{redis}://{user}{endpoint}/{}", self.db)?,
            Topology::Sentinel {
                sentinels,
                name,
                credentials,
            } => {
                let hosts = List(sentinels);
                write!(f, "{redis}+sentinel://{user}{hosts}/{name}/{}", self.db)?;
                if let Some(username) = &credentials.username {
                    parameters.push(("sentinel_username", username.clone()));
                }
                if credentials.password.is_some() {
                    parameters.push(("sentinel_password", "***".to_owned()));
                }
            }
            Topology::Cluster { seeds } => write!(f, "{redis}+cluster://{user}{}", List(seeds))?,
        }
        if let Some(tls) = &self.tls {
            if let Some(ca) = &tls.ca {
                parameters.push(("ca", ca.display().to_string()));
            }
            if let Some((cert, key)) = &tls.client {
                parameters.push(("cert", cert.display().to_string()));
                parameters.push(("key", key.display().to_string()));
            }
        }
        for (index, (name, value)) in parameters.iter().enumerate() {
            write!(f, "{}{name}={value}", if index == 0 { '?' } else { '&' })?;
        }
        Ok(())
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisUrl({self})")
    }
}
