//! Waiting for lists and streams, on connections that carry nothing else.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{Cmd, RedisError, RedisResult, Value};
use tokio::time::Instant;

use super::dial::within;
use super::retry::Backoff;
use super::{Link, StoreError};
use crate::redis_url::Endpoint;

/// How much later than the server's own deadline a reply may come.
const GRACE: Duration = Duration::from_secs(2);
/// Redis takes a block time of zero as for ever, and rounds small ones down to it.
const SHORTEST: Duration = Duration::from_millis(10);

/// An entry of a stream: its id, and its fields in order.
pub type StreamEntry = (String, Vec<(Vec<u8>, Vec<u8>)>);

/// A connection for one loop that waits, opened at first use.
///
/// After an error, or when a call is dropped before it ended, the connection is closed: a server
/// that still blocks for it would hand the next element to nobody. The next call opens another,
/// after a pause that grows from 20 ms to 1 s with each failure, so a loop need not pause itself.
#[derive(Debug)]
pub struct Blocking {
    link: Link,
    open: Option<Open>,
    failures: Option<Backoff>,
}

struct Open {
    connection: MultiplexedConnection,
    endpoint: Endpoint,
}

impl std::fmt::Debug for Open {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Open({})", self.endpoint)
    }
}

impl Blocking {
    /// A connection to the Redis of `link`, with its credentials. Nothing is opened yet.
    #[must_use]
    pub fn new(link: &Link) -> Self {
        Self {
            link: link.clone(),
            open: None,
            failures: None,
        }
    }

    /// Takes the first element of the first of `keys` that has one, waiting up to `timeout`
    /// (at least 10 ms). On a cluster all keys must be in one slot.
    ///
    /// `Ok(None)` when none came. When a call is dropped while it waits, an element may be lost.
    ///
    /// # Errors
    /// When the connection failed, or Redis refused. An element may be lost then.
    pub async fn blpop(
        &mut self,
        keys: &[String],
        timeout: Duration,
    ) -> Result<Option<(String, Vec<u8>)>, StoreError> {
        let timeout = timeout.max(SHORTEST);
        let Some(first) = keys.first() else {
            tokio::time::sleep(timeout).await;
            return Ok(None);
        };
        let mut command = redis::cmd("BLPOP");
        command
            .arg(keys)
            .arg(format!("{:.3}", timeout.as_secs_f64()));
        let reply = Box::pin(self.wait(first, &command, "BLPOP", timeout)).await?;
        popped(&reply).ok_or_else(|| StoreError::protocol("BLPOP", "a key and a value", &reply))
    }

    /// Entries of the stream `key` after the id `cursor`, at most `count`, waiting up to `block`
    /// for the first one; with `block` zero it does not wait.
    ///
    /// # Errors
    /// When the connection failed, or Redis refused. Nothing is lost; read on from `cursor`.
    pub async fn xread(
        &mut self,
        key: &str,
        cursor: &str,
        count: usize,
        block: Duration,
    ) -> Result<Vec<StreamEntry>, StoreError> {
        let mut command = redis::cmd("XREAD");
        command.arg("COUNT").arg(count);
        if !block.is_zero() {
            let millis = u64::try_from(block.max(SHORTEST).as_millis()).unwrap_or(u64::MAX);
            command.arg("BLOCK").arg(millis);
        }
        command.arg("STREAMS").arg(key).arg(cursor);
        let reply = Box::pin(self.wait(key, &command, "XREAD", block)).await?;
        entries(&reply).ok_or_else(|| StoreError::protocol("XREAD", "entries of a stream", &reply))
    }

    async fn wait(
        &mut self,
        key: &str,
        command: &Cmd,
        what: &str,
        block: Duration,
    ) -> Result<Value, StoreError> {
        let started = Instant::now();
        if let Some(failures) = &mut self.failures {
            tokio::time::sleep(failures.pause(rand::random())).await;
        }
        let mut server = None;
        match self.exchange(key, command, block, &mut server).await {
            Ok(reply) => {
                self.failures = None;
                Ok(reply)
            }
            Err(error) => {
                self.failures.get_or_insert_default();
                Err(self.link.failed(error, server, started.elapsed(), what))
            }
        }
    }

    async fn exchange(
        &mut self,
        key: &str,
        command: &Cmd,
        block: Duration,
        server: &mut Option<Endpoint>,
    ) -> RedisResult<Value> {
        let place = self.link.place(key.as_bytes()).await?;
        let result = async {
            // Taken out while in use: what is dropped half-way is closed.
            let owner = place.member.endpoint();
            let kept = self.open.take().filter(|open| {
                let moved = self.link.url().is_cluster() && owner.as_ref() != Some(&open.endpoint);
                !moved
            });
            let mut open = match kept {
                Some(open) => open,
                None => {
                    let (connection, endpoint) = place.member.separate().await?;
                    Open {
                        connection,
                        endpoint,
                    }
                }
            };
            *server = Some(open.endpoint.clone());
            let sent = open.connection.send_packed_command(command);
            let reply = within(block + GRACE, sent).await?.extract_error()?;
            self.open = Some(open);
            Ok(reply)
        };
        let result: Result<Value, RedisError> = result.await;
        if let Err(error) = &result {
            self.link.doubt(&place, error, server.as_ref()).await;
        }
        result
    }
}

fn popped(reply: &Value) -> Option<Option<(String, Vec<u8>)>> {
    match reply {
        Value::Nil => Some(None),
        Value::Array(parts) => match parts.as_slice() {
            [key, Value::BulkString(value)] => Some(Some((text(key)?, value.clone()))),
            _ => None,
        },
        _ => None,
    }
}

fn entries(reply: &Value) -> Option<Vec<StreamEntry>> {
    entries_of_one_stream(reply)?.iter().map(entry).collect()
}

/// What a read of one stream found; `None` when the reply is of another shape.
pub(crate) fn entries_of_one_stream(reply: &Value) -> Option<&[Value]> {
    let streams = match reply {
        Value::Nil => return Some(&[]),
        Value::Array(streams) => streams,
        _ => return None,
    };
    let [Value::Array(stream)] = streams.as_slice() else {
        return None;
    };
    match stream.as_slice() {
        [_, Value::Array(entries)] => Some(entries),
        _ => None,
    }
}

fn entry(entry: &Value) -> Option<StreamEntry> {
    let Value::Array(parts) = entry else {
        return None;
    };
    let [id, Value::Array(fields)] = parts.as_slice() else {
        return None;
    };
    let fields = fields.chunks(2).map(|pair| match pair {
        [Value::BulkString(name), Value::BulkString(value)] => Some((name.clone(), value.clone())),
        _ => None,
    });
    Some((text(id)?, fields.collect::<Option<_>>()?))
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => String::from_utf8(bytes.clone()).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(bytes: &str) -> Value {
        redis::parse_redis_value(bytes.replace(' ', "\r\n").as_bytes()).expect("a value")
    }

    #[test]
    fn what_blpop_answers() {
        let reply = parsed("*2 $1 k $2 vw ");
        assert_eq!(popped(&reply), Some(Some(("k".into(), b"vw".to_vec()))));
        assert_eq!(popped(&Value::Nil), Some(None));
        assert_eq!(popped(&parsed("*1 $1 k ")), None);
        assert_eq!(popped(&Value::Int(1)), None);
    }

    #[test]
    fn what_xread_answers() {
        let reply = parsed("*1 *2 $1 s *2 *2 $3 1-0 *2 $1 f $1 v *2 $3 2-0 *0 ");
        let expected = vec![
            ("1-0".to_owned(), vec![(b"f".to_vec(), b"v".to_vec())]),
            ("2-0".to_owned(), vec![]),
        ];
        assert_eq!(entries(&reply), Some(expected));
        assert_eq!(entries(&Value::Nil), Some(vec![]));
        let odd = parsed("*1 *2 $1 s *1 *2 $3 1-0 *1 $1 f ");
        assert_eq!(entries(&odd), None);
        assert_eq!(entries(&Value::Okay), None);
    }
}
