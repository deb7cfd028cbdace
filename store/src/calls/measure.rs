//! Measuring: what the server spends, and what it could do without us. For the bench.

use std::time::{Duration, Instant};

use paceline_types::ShardIndex;

use crate::wire::reply::text_of;
use crate::{Store, StoreError};

/// What the primaries have spent since they started, summed up.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ServerUsage {
    /// CPU time of the server, user and system.
    pub cpu: Duration,
    /// Commands that it processed; those inside scripts count.
    pub commands: u64,
    /// Commands that clients sent: scripts count as one.
    pub requests: u64,
    /// Bytes that clients sent.
    pub bytes_in: u64,
    /// Bytes of memory in use, now.
    pub memory: u64,
}

impl Store {
    /// What the server has spent so far.
    ///
    /// # Errors
    /// When there was no answer.
    pub async fn server_usage(&self) -> Result<ServerUsage, StoreError> {
        let mut command = redis::cmd("INFO");
        command.arg("everything");
        let mut usage = ServerUsage::default();
        for (_, info) in self.link.on_each_primary(&command).await? {
            add(&mut usage, &text_of("INFO", info)?);
        }
        Ok(usage)
    }

    /// How long the server takes for `count` plain pipelined XADD of `payload` bytes, a thousand
    /// a pipeline, two under way: the reference that speeds are compared with.
    ///
    /// # Errors
    /// When there was no answer. The stream that it makes is removed in any case but that.
    pub async fn reference_xadd(
        &self,
        count: usize,
        payload: usize,
    ) -> Result<Duration, StoreError> {
        const PIPELINE: usize = 1_000;
        let key = &self.keys(ShardIndex(0))?.reference;
        let payload = vec![b'x'; payload];
        let mut pipeline = redis::pipe();
        for _ in 0..PIPELINE {
            pipeline
                .cmd("XADD")
                .arg(key)
                .arg("*")
                .arg("j")
                .arg(&payload);
        }
        let rounds = count.div_ceil(PIPELINE).div_ceil(2);
        let begun = Instant::now();
        let lane = || async {
            for _ in 0..rounds {
                self.link.pipeline(&pipeline).await?;
            }
            Ok::<(), StoreError>(())
        };
        let done = futures::future::try_join(lane(), lane()).await;
        let elapsed = begun.elapsed();
        let mut command = redis::cmd("UNLINK");
        command.arg(key);
        self.link.command(&command).await?;
        done?;
        // Rounded up to whole pipelines: scaled back to what was asked for.
        let sent = u32::try_from(2 * rounds * PIPELINE).unwrap_or(u32::MAX);
        Ok(elapsed * u32::try_from(count).unwrap_or(u32::MAX) / sent)
    }
}

fn add(usage: &mut ServerUsage, info: &str) {
    for line in info.lines() {
        let Some((name, value)) = line.split_once(':') else {
            continue;
        };
        match name {
            "used_cpu_sys" | "used_cpu_user" => {
                usage.cpu += Duration::from_secs_f64(value.parse().unwrap_or(0.0));
            }
            "total_commands_processed" => usage.commands += value.parse().unwrap_or(0),
            "total_net_input_bytes" => usage.bytes_in += value.parse().unwrap_or(0),
            "used_memory" => usage.memory += value.parse().unwrap_or(0),
            _ if name.starts_with("cmdstat_eval") => {
                let calls = value
                    .split(',')
                    .find_map(|field| field.strip_prefix("calls="));
                usage.requests += calls.and_then(|calls| calls.parse().ok()).unwrap_or(0);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn info_sums_up() {
        let info = "used_cpu_sys:1.5\r\nused_cpu_user:0.5\r\ntotal_commands_processed:7\r\n\
                    total_net_input_bytes:9\r\nused_memory:11\r\n\
                    cmdstat_evalsha:calls=3,usec=1\r\n";
        let mut usage = ServerUsage::default();
        for _ in 0..2 {
            add(&mut usage, info);
        }
        assert_eq!(usage.cpu, Duration::from_secs(4));
        assert_eq!(
            (usage.commands, usage.requests, usage.bytes_in, usage.memory),
            (14, 6, 18, 22)
        );
    }
}
