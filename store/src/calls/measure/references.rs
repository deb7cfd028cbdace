//! What a Redis does without us: the references that every speed stands beside.
//!
//! Their clients run on a thread and a runtime of its own. On a runtime that others share, Redis
//! waits for the client's threads to wake each other, and the reference measures those.

use std::time::{Duration, Instant};

use futures::future::try_join_all;
use paceline_types::ShardIndex;
use redis::{Cmd, Pipeline, Value};

use super::aside::aside;
use crate::link::{Separate, entries_of_one_stream};
use crate::{Store, StoreError};

/// Messages of one batch of the stream cycle, as many as Paceline's own calls carry.
const BATCH: usize = 100;

/// Connections of the stream cycle: with fewer Redis waits for its clients.
const CONNECTIONS: usize = 4;

/// Commands of one pipeline of plain XADD, of which two are under way.
const PIPELINE: usize = 1_000;

const GROUP: &str = "bench";

/// How fast a reference went.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reference {
    /// Operations that were carried out.
    pub operations: u64,
    /// In this time.
    pub elapsed: Duration,
    /// For this much CPU time of all primaries.
    pub redis_cpu: Duration,
}

impl Store {
    /// Plain pipelined XADD of `payload` bytes: a thousand a pipeline, two under way, for about
    /// `time`.
    ///
    /// # Errors
    /// When there was no answer. The stream that it makes is removed in any case but that.
    pub async fn reference_xadd(
        &self,
        time: Duration,
        payload: usize,
    ) -> Result<Reference, StoreError> {
        let adds = additions(self.reference_key()?, payload, PIPELINE);
        let lane = async move |_, mut connection: Separate, until: Instant| {
            let mut count = 0;
            while Instant::now() < until {
                connection.send_all(&adds).await?;
                count += PIPELINE;
            }
            Ok(count)
        };
        self.side_by_side(time, 2, lane).await
    }

    /// The bare stream cycle: XADD, XREADGROUP, XACK and XDEL of each message of `payload`
    /// bytes, in batches of 100 on 4 connections, for about `time`.
    ///
    /// A batch is 100 XADD in one pipeline, one XREADGROUP of 100, and in one pipeline an XACK
    /// and an XDEL that name all that were read.
    ///
    /// # Errors
    /// When there was no answer. The stream that it makes is removed in any case but that.
    pub async fn reference_cycle(
        &self,
        time: Duration,
        payload: usize,
    ) -> Result<Reference, StoreError> {
        let key = self.reference_key()?.to_owned();
        let mut group = redis::cmd("XGROUP");
        group.arg("CREATE").arg(&key).arg(GROUP);
        self.link.command(group.arg("$").arg("MKSTREAM")).await?;
        let adds = additions(&key, payload, BATCH);
        let lane = async move |consumer, mut connection: Separate, until: Instant| {
            let read = reading(&key, consumer);
            let mut count = 0;
            while Instant::now() < until {
                connection.send_all(&adds).await?;
                count += take(&mut connection, &key, &read).await?;
            }
            Ok(count)
        };
        self.side_by_side(time, CONNECTIONS, lane).await
    }

    /// Runs the lanes of a reference until `time` is over, each on a connection of its own, and
    /// removes the stream that they leave.
    async fn side_by_side(
        &self,
        time: Duration,
        lanes: usize,
        lane: impl AsyncFn(usize, Separate, Instant) -> Result<usize, StoreError> + Send + 'static,
    ) -> Result<Reference, StoreError> {
        let store = self.clone();
        let key = self.reference_key()?.to_owned();
        let running = aside(move || async move {
            let opened = (0..lanes).map(|_| store.link.separate(&key));
            let connections = try_join_all(opened).await?;
            let before = store.server_usage().await?;
            let begun = Instant::now();
            let running = connections.into_iter().enumerate();
            let running = running.map(|(index, connection)| lane(index, connection, begun + time));
            let done = try_join_all(running).await;
            let elapsed = begun.elapsed();
            let after = store.server_usage().await?;
            let operations: usize = done?.into_iter().sum();
            Ok(Reference {
                operations: u64::try_from(operations).unwrap_or(u64::MAX),
                elapsed,
                redis_cpu: after.cpu.saturating_sub(before.cpu),
            })
        });
        let reference = running.result().await;
        self.forget_reference().await?;
        reference
    }

    /// The key that references work on.
    pub(super) fn reference_key(&self) -> Result<&str, StoreError> {
        Ok(&self.keys(ShardIndex(0))?.reference)
    }

    /// Removes what a reference left.
    pub(super) async fn forget_reference(&self) -> Result<(), StoreError> {
        let mut command = redis::cmd("UNLINK");
        command.arg(self.reference_key()?);
        self.link.command(&command).await.map(drop)
    }
}

fn additions(key: &str, payload: usize, count: usize) -> Pipeline {
    let payload = vec![b'x'; payload];
    let mut pipeline = Pipeline::with_capacity(count);
    for _ in 0..count {
        let command = pipeline.cmd("XADD").arg(key).arg("*");
        command.arg("j").arg(&payload);
    }
    pipeline
}

fn reading(key: &str, consumer: usize) -> Cmd {
    let mut read = redis::cmd("XREADGROUP");
    read.arg("GROUP").arg(GROUP).arg(consumer);
    read.arg("COUNT")
        .arg(BATCH)
        .arg("STREAMS")
        .arg(key)
        .arg(">");
    read
}

/// Reads a batch, acknowledges and deletes it; how many messages that were.
async fn take(connection: &mut Separate, key: &str, read: &Cmd) -> Result<usize, StoreError> {
    let reply = connection.send(read).await?;
    let Some(ids) = ids(&reply) else {
        return Err(StoreError::protocol("XREADGROUP", "entries", &reply));
    };
    if ids.is_empty() {
        return Ok(0);
    }
    let mut done = Pipeline::with_capacity(2);
    done.cmd("XACK").arg(key).arg(GROUP).arg(&ids);
    done.cmd("XDEL").arg(key).arg(&ids);
    connection.send_all(&done).await?;
    Ok(ids.len())
}

/// The ids in a reply of XREADGROUP on one stream.
fn ids(reply: &Value) -> Option<Vec<&[u8]>> {
    entries_of_one_stream(reply)?.iter().map(id).collect()
}

fn id(entry: &Value) -> Option<&[u8]> {
    let Value::Array(parts) = entry else {
        return None;
    };
    match parts.first() {
        Some(Value::BulkString(id)) => Some(id),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ids_of_what_was_read() {
        let parsed = |text: &str| {
            redis::parse_redis_value(text.replace(' ', "\r\n").as_bytes()).expect("a value")
        };
        let reply = parsed("*1 *2 $1 s *2 *2 $3 1-0 *2 $1 j $1 x *2 $3 2-0 *2 $1 j $1 x ");
        assert_eq!(ids(&reply), Some(vec![&b"1-0"[..], &b"2-0"[..]]));
        assert_eq!(ids(&Value::Nil), Some(vec![]));
        assert_eq!(ids(&Value::Okay), None);
    }
}
