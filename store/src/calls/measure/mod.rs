//! Measuring: what the server spends, and what it could do without us. For the bench.

mod aside;
mod clear;
mod cluster;
mod probe;
mod references;

use std::time::Duration;

use crate::wire::reply::text_of;
use crate::{Store, StoreError};

pub use cluster::{ClusterError, form_cluster};
pub use probe::Probe;
pub use references::Reference;

/// What the primaries have spent since they started, and hold now, summed up.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ServerUsage {
    /// CPU time of the whole server, user and system, all of its threads.
    pub cpu: Duration,
    /// Calls of scripts and blocking reads, which are what nodes and clients send while work
    /// goes through. Commands inside scripts do not count, nor do those of a [`Probe`].
    pub requests: u64,
    /// Bytes that clients sent.
    pub bytes_in: u64,
    /// Bytes of memory in use, without the buffers of clients and of the append-only file.
    pub memory: u64,
}

/// What kind of server it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerFacts {
    /// The version that it tells.
    pub version: String,
    /// Whether it keeps an append-only file.
    pub append_only: bool,
}

impl Store {
    /// What the server has spent so far.
    ///
    /// # Errors
    /// When there was no answer.
    pub async fn server_usage(&self) -> Result<ServerUsage, StoreError> {
        let mut usage = ServerUsage::default();
        for info in self.infos().await? {
            add(&mut usage, &info);
        }
        Ok(usage)
    }

    /// What the server is; of a cluster, what its first primary is.
    ///
    /// # Errors
    /// When there was no answer.
    pub async fn server_facts(&self) -> Result<ServerFacts, StoreError> {
        let infos = self.infos().await?;
        Ok(infos.first().map(|info| facts(info)).unwrap_or_default())
    }

    async fn infos(&self) -> Result<Vec<String>, StoreError> {
        let mut command = redis::cmd("INFO");
        command.arg("everything");
        let infos = self.link.on_each_primary(&command).await?;
        let infos = infos.into_iter().map(|(_, info)| text_of("INFO", info));
        infos.collect()
    }
}

fn lines(info: &str) -> impl Iterator<Item = (&str, &str)> {
    info.lines().filter_map(|line| line.split_once(':'))
}

fn facts(info: &str) -> ServerFacts {
    let mut facts = ServerFacts::default();
    for (name, value) in lines(info) {
        match name {
            "redis_version" if facts.version.is_empty() => value.clone_into(&mut facts.version),
            "valkey_version" => facts.version = format!("valkey {value}"),
            "aof_enabled" => facts.append_only = value == "1",
            _ => {}
        }
    }
    facts
}

fn add(usage: &mut ServerUsage, info: &str) {
    let mut buffers: u64 = 0;
    let mut memory: u64 = 0;
    for (name, value) in lines(info) {
        let number = || value.parse::<u64>().unwrap_or(0);
        match name {
            "used_cpu_sys" | "used_cpu_user" => {
                usage.cpu += Duration::from_secs_f64(value.parse().unwrap_or(0.0));
            }
            "total_net_input_bytes" => usage.bytes_in += number(),
            "used_memory" => memory = number(),
            "mem_clients_normal" | "mem_aof_buffer" => buffers += number(),
            _ if is_request(name) => {
                let mut fields = value.split(',');
                let calls = fields.find_map(|field| field.strip_prefix("calls="));
                usage.requests += calls.and_then(|calls| calls.parse().ok()).unwrap_or(0);
            }
            _ => {}
        }
    }
    usage.memory += memory.saturating_sub(buffers);
}

/// Whether a line of the command statistics is about what only clients can send.
fn is_request(name: &str) -> bool {
    let Some(command) = name.strip_prefix("cmdstat_") else {
        return false;
    };
    ["eval", "fcall", "bl", "br", "bz", "xread"]
        .iter()
        .any(|begin| command.starts_with(begin))
}

#[cfg(test)]
mod tests {
    use super::*;

    const INFO: &str = "redis_version:7.0.15\r\nused_cpu_sys:1.5\r\nused_cpu_user:0.5\r\n\
                        total_net_input_bytes:9\r\nused_memory:11\r\n\
                        mem_clients_normal:2\r\nmem_aof_buffer:1\r\naof_enabled:1\r\n\
                        cmdstat_evalsha:calls=3,usec=1\r\ncmdstat_blpop:calls=4,usec=1\r\n\
                        cmdstat_hset:calls=5,usec=1\r\n";

    #[test]
    fn usage_sums_up() {
        let mut usage = ServerUsage::default();
        for _ in 0..2 {
            add(&mut usage, INFO);
        }
        assert_eq!(usage.cpu, Duration::from_secs(4));
        let counted = (usage.requests, usage.bytes_in, usage.memory);
        assert_eq!(counted, (14, 18, 16));
    }

    #[test]
    fn facts_are_read() {
        let told = facts(INFO);
        assert_eq!((told.version.as_str(), told.append_only), ("7.0.15", true));
        let valkey = facts("redis_version:7.2.4\r\nvalkey_version:8.1.0\r\naof_enabled:0\r\n");
        assert_eq!(
            (valkey.version.as_str(), valkey.append_only),
            ("valkey 8.1.0", false)
        );
    }
}
