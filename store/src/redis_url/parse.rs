//! From text to [`RedisUrl`]. Pure.

use std::path::PathBuf;
use std::str::FromStr;

use super::{Credentials, Endpoint, RedisUrl, RedisUrlError, TlsFiles, Topology};

const REDIS_PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Standalone,
    Unix,
    Sentinel,
    Cluster,
}

impl FromStr for RedisUrl {
    type Err = RedisUrlError;

    fn from_str(text: &str) -> Result<Self, RedisUrlError> {
        let text = text.trim();
        let (scheme, rest) = text
            .split_once("://")
            .ok_or_else(|| RedisUrlError::Scheme {
                // Without `://` the text may be anything, a bare password included.
                found: String::new(),
            })?;
        let (kind, encrypted) = match scheme {
            "redis" => (Kind::Standalone, false),
            "rediss" => (Kind::Standalone, true),
            "unix" | "redis+unix" => (Kind::Unix, false),
            "redis+sentinel" => (Kind::Sentinel, false),
            "rediss+sentinel" => (Kind::Sentinel, true),
            "redis+cluster" => (Kind::Cluster, false),
            "rediss+cluster" => (Kind::Cluster, true),
            other => {
                return Err(RedisUrlError::Scheme {
                    found: other.to_owned(),
                });
            }
        };

        let authority_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, after) = rest.split_at(authority_end);
        let (path, query) = after.split_once('?').unwrap_or((after, ""));
        // An `@` behind the host part is the rest of a password that was cut at a reserved
        // character; guessing on would connect elsewhere, or print half of it.
        let cut = path.is_empty() && !authority.contains('@') && query.contains('@');
        if cut || path.contains(['@', '#']) {
            return Err(RedisUrlError::Unescaped);
        }
        let (user, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
        let credentials = credentials(user)?;
        let mut parameters = Parameters::parse(query)?;
        let tls = encrypted.then(|| parameters.tls()).transpose()?;
        let (topology, db) = match kind {
            Kind::Standalone => {
                let mut hosts = endpoints(hosts, REDIS_PORT, "redis://127.0.0.1:6379/0")?;
                let endpoint = hosts.swap_remove(0);
                if !hosts.is_empty() {
                    return Err(RedisUrlError::SeveralHosts);
                }
                (Topology::Standalone(endpoint), database(path)?)
            }
            Kind::Unix => {
                let path = decode(path, "socket path")?;
                if !hosts.is_empty() || path.len() < 2 {
                    return Err(RedisUrlError::NoSocket);
                }
                let db = parameters.take("db").unwrap_or_default();
                let endpoint = Endpoint::Unix(PathBuf::from(path));
                (Topology::Standalone(endpoint), database(&db)?)
            }
            Kind::Sentinel => {
                let sentinels = endpoints(
                    hosts,
                    SENTINEL_PORT,
                    "redis+sentinel://host-a:26379,host-b:26379/mymaster",
                )?;
                let path = path.strip_prefix('/').unwrap_or(path);
                let (name, db) = path.split_once('/').unwrap_or((path, ""));
                if name.is_empty() {
                    return Err(RedisUrlError::NoPrimaryName);
                }
                let topology = Topology::Sentinel {
                    sentinels,
                    name: decode(name, "name of the primary")?,
                    credentials: Credentials {
                        username: parameters.take("sentinel_username"),
                        password: parameters.take("sentinel_password"),
                    },
                };
                (topology, database(db)?)
            }
            Kind::Cluster => {
                let seeds = endpoints(hosts, REDIS_PORT, "redis+cluster://host-a,host-b")?;
                if database(path)? != 0 {
                    return Err(RedisUrlError::ClusterDatabase);
                }
                (Topology::Cluster { seeds }, 0)
            }
        };
        parameters.finish(kind, encrypted)?;
        Ok(Self {
            topology,
            credentials,
            db,
            tls,
        })
    }
}

fn credentials(text: &str) -> Result<Credentials, RedisUrlError> {
    let (username, password) = match text.split_once(':') {
        Some((username, password)) => (username, Some(password)),
        None => (text, None),
    };
    Ok(Credentials {
        username: (!username.is_empty())
            .then(|| decode(username, "user"))
            .transpose()?,
        password: password
            .map(|password| decode(password, "password"))
            .transpose()?,
    })
}

/// At least one endpoint, or an error.
fn endpoints(
    hosts: &str,
    default_port: u16,
    example: &'static str,
) -> Result<Vec<Endpoint>, RedisUrlError> {
    hosts
        .split(',')
        .map(|host| endpoint(host, default_port, example))
        .collect()
}

fn endpoint(
    text: &str,
    default_port: u16,
    example: &'static str,
) -> Result<Endpoint, RedisUrlError> {
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or(RedisUrlError::Ipv6)?;
        match rest.strip_prefix(':') {
            Some(port) => (host, Some(port)),
            None if rest.is_empty() => (host, None),
            None => return Err(RedisUrlError::Ipv6),
        }
    } else {
        match text.split_once(':') {
            Some((_, port)) if port.contains(':') => return Err(RedisUrlError::Ipv6),
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        }
    };
    if host.is_empty() {
        return Err(RedisUrlError::NoHost { example });
    }
    let port = match port {
        None => default_port,
        Some(port) => {
            port.parse()
                .ok()
                .filter(|port| *port != 0)
                .ok_or_else(|| RedisUrlError::Port {
                    host: host.to_owned(),
                })?
        }
    };
    Ok(Endpoint::Tcp {
        host: host.to_owned(),
        port,
    })
}

/// The number in `/3` or `3`; 0 when there is none.
fn database(path: &str) -> Result<i64, RedisUrlError> {
    let digits = path.trim_matches('/');
    if digits.is_empty() {
        return Ok(0);
    }
    digits
        .parse()
        .ok()
        .filter(|db| *db >= 0)
        .ok_or_else(|| RedisUrlError::Database {
            found: digits.to_owned(),
        })
}

fn decode(text: &str, part: &'static str) -> Result<String, RedisUrlError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |at: usize| {
            after
                .get(at)
                .and_then(|digit| char::from(*digit).to_digit(16))
        };
        let decoded = digit(0)
            .zip(digit(1))
            .and_then(|(high, low)| u8::try_from(high * 16 + low).ok());
        bytes.push(decoded.ok_or(RedisUrlError::Percent { part })?);
        rest = &after[2..];
    }
    String::from_utf8(bytes).map_err(|_| RedisUrlError::Percent { part })
}

/// What stands behind `?`; taken out one by one, so that what remains is unknown.
struct Parameters(Vec<(String, String)>);

impl Parameters {
    fn parse(query: &str) -> Result<Self, RedisUrlError> {
        let mut found: Vec<(String, String)> = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            if found.iter().any(|(known, _)| known == name) {
                return Err(RedisUrlError::Twice {
                    name: name.to_owned(),
                });
            }
            found.push((name.to_owned(), decode(value, "parameters")?));
        }
        Ok(Self(found))
    }

    fn take(&mut self, name: &str) -> Option<String> {
        let index = self.0.iter().position(|(known, _)| known == name)?;
        Some(self.0.swap_remove(index).1).filter(|value| !value.is_empty())
    }

    fn tls(&mut self) -> Result<TlsFiles, RedisUrlError> {
        let ca = self.take("ca").map(PathBuf::from);
        let client = match (self.take("cert"), self.take("key")) {
            (Some(cert), Some(key)) => Some((cert.into(), key.into())),
            (None, None) => None,
            _ => return Err(RedisUrlError::HalfCertificate),
        };
        Ok(TlsFiles { ca, client })
    }

    fn finish(self, kind: Kind, encrypted: bool) -> Result<(), RedisUrlError> {
        let Some((name, _)) = self.0.into_iter().next() else {
            return Ok(());
        };
        let remedy = match name.as_str() {
            "ca" | "cert" | "key" if !encrypted => {
                "certificates need an encrypted scheme, such as rediss://"
            }
            "db" if kind != Kind::Unix => "the database stands in the path, as in /0",
            "sentinel_username" | "sentinel_password" => "it belongs to redis+sentinel:// only",
            _ => match kind {
                Kind::Sentinel => "known are sentinel_username, sentinel_password, ca, cert, key",
                Kind::Unix => "known is db",
                Kind::Standalone | Kind::Cluster => "known are ca, cert and key, with rediss",
            },
        };
        Err(RedisUrlError::Parameter { name, remedy })
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
