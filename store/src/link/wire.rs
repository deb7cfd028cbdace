//! One connection to one server, and the judgement whether it is still of use.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{Cmd, Pipeline, RedisResult, Value};
use tokio::time::Instant;

use super::dial::within;
use super::retry::classify;
use crate::redis_url::Endpoint;

/// What goes over a wire at once.
#[derive(Clone, Copy)]
pub(super) enum Packet<'a> {
    One(&'a Cmd),
    Many(&'a Pipeline),
}

/// A live connection that many calls share.
pub(super) struct Wire {
    connection: MultiplexedConnection,
    endpoint: Endpoint,
    opened: Instant,
    silence: Silence,
    retired: AtomicBool,
}

impl Wire {
    pub(super) fn new(connection: MultiplexedConnection, endpoint: Endpoint) -> Self {
        Self {
            connection,
            endpoint,
            opened: Instant::now(),
            silence: Silence::default(),
            retired: AtomicBool::new(false),
        }
    }

    pub(super) const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    pub(super) fn is_usable(&self) -> bool {
        !self.retired.load(Ordering::Acquire)
    }

    /// Sees to it that the next call opens a new connection.
    pub(super) fn retire(&self) {
        self.retired.store(true, Ordering::Release);
    }

    /// Sends `packet` and waits at most `limit` for the reply, which is an array for a pipeline.
    /// An error reply is an `Err`, for a pipeline the first one in it.
    pub(super) async fn send(&self, packet: Packet<'_>, limit: Duration) -> RedisResult<Value> {
        let mut connection = self.connection.clone();
        let sent = self.age();
        let result = within(limit, async {
            match packet {
                Packet::One(command) => no_error(connection.send_packed_command(command).await?),
                Packet::Many(pipeline) => {
                    let count = pipeline.len();
                    let replies = connection
                        .send_packed_commands(pipeline, 0, count)
                        .await?
                        .into_iter()
                        .map(no_error)
                        .collect::<RedisResult<Vec<_>>>()?;
                    Ok(Value::Array(replies))
                }
            }
        })
        .await;
        match &result {
            Err(error) if error.is_timeout() => {
                if self.silence.begins_or_lasts(sent, self.age()) {
                    self.retire();
                }
            }
            Err(error) => {
                self.silence.ends();
                if classify(error).ends_connection() {
                    self.retire();
                }
            }
            Ok(_) => self.silence.ends(),
        }
        result
    }

    fn age(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// An error reply becomes an error. Scripts report refusals as values, so errors are looked for
/// at the top only, and a long reply is not walked through.
fn no_error(value: Value) -> RedisResult<Value> {
    match value {
        Value::ServerError(error) => Err(error.into()),
        value => Ok(value),
    }
}

/// Two timeouts in a row mean a hung server. Calls that were under way together time out
/// together, so the second one only counts when it was sent after the first had timed out.
#[derive(Debug, Default)]
struct Silence {
    /// One more than the time of the first timeout since the last reply; 0 without one.
    since: AtomicU64,
}

impl Silence {
    fn ends(&self) {
        self.since.store(0, Ordering::Relaxed);
    }

    /// Notes a timeout at `now` of a call sent at `sent`, in milliseconds of one clock.
    /// Returns whether it is the second in a row.
    fn begins_or_lasts(&self, sent: u64, now: u64) -> bool {
        let noted = now.saturating_add(1);
        match self
            .since
            .compare_exchange(0, noted, Ordering::Relaxed, Ordering::Relaxed)
        {
            Ok(_) => false,
            Err(since) => sent.saturating_add(1) >= since,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Silence;

    #[test]
    fn two_timeouts_in_a_row_are_a_hung_server() {
        let silence = Silence::default();
        assert!(!silence.begins_or_lasts(0, 2_000));
        assert!(silence.begins_or_lasts(2_000, 4_000));
    }

    #[test]
    fn timeouts_of_one_moment_count_once() {
        let silence = Silence::default();
        assert!(!silence.begins_or_lasts(0, 2_000));
        assert!(!silence.begins_or_lasts(0, 2_000));
        assert!(!silence.begins_or_lasts(1_990, 3_990));
    }

    #[test]
    fn a_reply_between_them_starts_anew() {
        let silence = Silence::default();
        assert!(!silence.begins_or_lasts(0, 2_000));
        silence.ends();
        assert!(!silence.begins_or_lasts(2_000, 4_000));
    }
}
