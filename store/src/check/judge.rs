//! From the text of `INFO` to a judgement. Pure.

use std::fmt;

use super::{OLDEST_REDIS, OLDEST_VALKEY, ServerFault, ServerWarning};

/// Which server software runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Product {
    /// Redis, or what passes itself off as it.
    Redis,
    /// Valkey.
    Valkey,
}

/// A version: major, minor, patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u32, pub u32, pub u32);

/// One primary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerInfo {
    /// Where.
    pub server: String,
    /// What.
    pub product: Product,
    /// Its version.
    pub version: Version,
}

impl fmt::Display for Product {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Redis => "Redis",
            Self::Valkey => "Valkey",
        })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

impl Version {
    /// `7.0.15`, `8.1` or `7.2.0-rc1`; parts that are missing are 0.
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.').map(|part| {
            let digits = part.split(|c: char| !c.is_ascii_digit()).next();
            digits.unwrap_or_default().parse().ok()
        });
        Some(Self(
            parts.next()??,
            parts.next().flatten().unwrap_or(0),
            parts.next().flatten().unwrap_or(0),
        ))
    }
}

/// The lines of an `INFO`.
pub(super) struct Facts<'a> {
    pub(super) server: String,
    info: &'a str,
}

impl<'a> Facts<'a> {
    pub(super) const fn read(server: String, info: &'a str) -> Self {
        Self { server, info }
    }

    fn get(&self, name: &str) -> Option<&'a str> {
        let mut lines = self.info.lines().map(str::trim);
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
    }

    fn is(&self, name: &str, value: &str) -> bool {
        self.get(name) == Some(value)
    }

    /// Faults in the order in which mending them makes sense.
    pub(super) fn judge(&self, by_cluster_url: bool) -> Result<ServerInfo, ServerFault> {
        let server = || self.server.clone();
        if self.is("redis_mode", "sentinel") {
            return Err(ServerFault::Sentinel { server: server() });
        }
        if self.is("cluster_enabled", "1") && !by_cluster_url {
            return Err(ServerFault::Cluster { server: server() });
        }
        let (product, found, oldest) = match self.get("valkey_version") {
            Some(version) => (Product::Valkey, version, OLDEST_VALKEY),
            None => (
                Product::Redis,
                self.get("redis_version").unwrap_or("of unknown version"),
                OLDEST_REDIS,
            ),
        };
        let version = Version::parse(found)
            .filter(|version| *version >= oldest)
            .ok_or_else(|| ServerFault::TooOld {
                server: server(),
                product,
                found: found.to_owned(),
            })?;
        if self.is("role", "slave") {
            let part = |name| self.get(name).unwrap_or("?");
            return Err(ServerFault::Replica {
                server: server(),
                primary: format!("{}:{}", part("master_host"), part("master_port")),
            });
        }
        match self.get("maxmemory_policy") {
            None | Some("noeviction") => Ok(ServerInfo {
                server: server(),
                product,
                version,
            }),
            Some(policy) => Err(ServerFault::Evicts {
                server: server(),
                policy: policy.to_owned(),
            }),
        }
    }

    /// What puts work at risk; `snapshots` is unknown where the server does not tell.
    pub(super) fn risks(&self, snapshots: Option<bool>) -> Vec<ServerWarning> {
        let mut risks = Vec::new();
        let server = || self.server.clone();
        if self.is("aof_enabled", "0") && snapshots == Some(false) {
            risks.push(ServerWarning::NotPersistent { server: server() });
        }
        let replicated = self
            .get("connected_slaves")
            .is_some_and(|count| count != "0");
        // The line is only there when min-replicas-to-write is set.
        if replicated && self.get("min_slaves_good_slaves").is_none() {
            risks.push(ServerWarning::Unguarded { server: server() });
        }
        risks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIT: &str = "redis_version:7.0.15 redis_mode:standalone maxmemory_policy:noeviction \
                       aof_enabled:1 role:master connected_slaves:0 cluster_enabled:0";

    /// `FIT` with some of its lines replaced, as INFO writes them.
    fn info(changes: &str) -> String {
        let name = |line: &str| line.split(':').next().map(str::to_owned);
        let kept = FIT
            .split(' ')
            .filter(|line| !changes.split(' ').any(|change| name(change) == name(line)));
        let lines: Vec<&str> = kept.chain(changes.split(' ')).collect();
        format!("# Section\r\n{}\r\n", lines.join("\r\n"))
    }

    fn judged(changes: &str, by_cluster_url: bool) -> Result<String, String> {
        let info = info(changes);
        let judged = Facts::read("h:1".into(), &info).judge(by_cluster_url);
        judged
            .map(|info| format!("{} {}", info.product, info.version))
            .map_err(|fault| fault.to_string())
    }

    #[test]
    fn fit_servers() {
        for (changes, by_cluster_url, found) in [
            ("x:1", false, "Redis 7.0.15"),
            ("redis_version:7.0.0", false, "Redis 7.0.0"),
            ("redis_version:8.2", false, "Redis 8.2.0"),
            ("redis_version:7.4.0-rc2", false, "Redis 7.4.0"),
            ("cluster_enabled:1", true, "Redis 7.0.15"),
            (
                "redis_version:7.2.4 server_name:valkey valkey_version:7.2.6",
                false,
                "Valkey 7.2.6",
            ),
        ] {
            assert_eq!(
                judged(changes, by_cluster_url).as_deref(),
                Ok(found),
                "{changes}"
            );
        }
    }

    #[test]
    fn unfit_servers_say_why_and_what_to_do() {
        for (changes, parts) in [
            ("redis_version:6.2.14", ["Redis 6.2.14", "upgrade it"]),
            ("redis_version:unstable", ["Redis unstable", "upgrade it"]),
            (
                "redis_version:7.2.4 valkey_version:7.1.9",
                ["Valkey 7.1.9", "Valkey 7.2.0"],
            ),
            (
                "maxmemory_policy:allkeys-lru",
                ["allkeys-lru", "CONFIG SET maxmemory-policy noeviction"],
            ),
            (
                "role:slave master_host:p master_port:7",
                ["is a replica", "its primary p:7"],
            ),
            (
                "cluster_enabled:1 redis_mode:cluster",
                ["belongs to a Redis Cluster", "redis+cluster://h:1"],
            ),
            (
                "redis_mode:sentinel redis_version:6.0.0",
                ["is a Sentinel", "redis+sentinel://h:1/"],
            ),
        ] {
            let fault = judged(changes, false).expect_err(changes);
            for part in parts {
                assert!(fault.contains(part), "{changes}: {fault}");
            }
            assert!(fault.contains("h:1"), "{fault}");
        }
    }

    #[test]
    fn risks_are_warned_of() {
        for (changes, snapshots, expected) in [
            ("x:1", Some(false), vec![]),
            ("aof_enabled:0", Some(true), vec![]),
            ("aof_enabled:0", None, vec![]),
            ("aof_enabled:0", Some(false), vec!["appendonly yes"]),
            ("connected_slaves:2", None, vec!["min-replicas-to-write 1"]),
            ("connected_slaves:2 min_slaves_good_slaves:2", None, vec![]),
        ] {
            let info = info(changes);
            let risks = Facts::read("h:1".into(), &info).risks(snapshots);
            assert_eq!(risks.len(), expected.len(), "{changes}: {risks:?}");
            for (risk, part) in risks.iter().zip(expected) {
                assert!(risk.to_string().contains(part), "{risk}");
            }
        }
    }
}
