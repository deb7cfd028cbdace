//! A connection that carries nothing else, for measuring: what is sent over it waits behind no
//! other call, and is sent once.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{Cmd, Pipeline, RedisResult, Value};
use tokio::time::Instant;

use super::dial::within;
use super::{Link, StoreError};
use crate::redis_url::Endpoint;

/// A server that is measured is busy, so it is given more time than a call of a node.
const LIMIT: Duration = Duration::from_secs(10);

/// A connection of its own to one server.
pub(crate) struct Separate {
    link: Link,
    connection: MultiplexedConnection,
    endpoint: Endpoint,
}

impl Link {
    /// Opens a connection to the server that owns `key`.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub(crate) async fn separate(&self, key: &str) -> Result<Separate, StoreError> {
        let started = Instant::now();
        let open = async {
            let place = self.place(key.as_bytes()).await?;
            place.member.separate().await
        };
        match open.await {
            Ok((connection, endpoint)) => Ok(Separate {
                link: self.clone(),
                connection,
                endpoint,
            }),
            Err(error) => Err(self.failed(error, None, started.elapsed(), "a connection")),
        }
    }
}

impl Separate {
    /// Sends a command, and returns its reply.
    ///
    /// # Errors
    /// When there was none in time, or Redis refused.
    pub(crate) async fn send(&mut self, command: &Cmd) -> Result<Value, StoreError> {
        let started = Instant::now();
        let sent = within(LIMIT, self.connection.send_packed_command(command)).await;
        self.told(started, sent.and_then(Value::extract_error))
    }

    /// Sends commands at once, and returns their replies in order.
    ///
    /// # Errors
    /// When there were none in time, or Redis refused one of them.
    pub(crate) async fn send_all(&mut self, pipeline: &Pipeline) -> Result<Vec<Value>, StoreError> {
        let started = Instant::now();
        let count = pipeline.len();
        let sent = self.connection.send_packed_commands(pipeline, 0, count);
        let replies = within(LIMIT, sent).await;
        let replies = replies.and_then(|replies| {
            let replies = replies.into_iter().map(Value::extract_error);
            replies.collect::<RedisResult<Vec<_>>>()
        });
        self.told(started, replies)
    }

    fn told<T>(&self, started: Instant, result: RedisResult<T>) -> Result<T, StoreError> {
        let server = Some(self.endpoint.clone());
        result.map_err(|error| {
            let what = "a reference of the bench";
            self.link.failed(error, server, started.elapsed(), what)
        })
    }
}
