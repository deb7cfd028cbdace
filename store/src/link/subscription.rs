//! Messages of a channel, over a connection that is made again whenever it fails.

use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use redis::{ErrorKind, RedisError, RedisResult};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::Link;
use super::dial::within;
use super::place::Place;
use super::retry::Backoff;

/// How long a quiet connection is trusted before the server is asked whether it is there.
const PING_EVERY: Duration = Duration::from_secs(5);
/// Messages that wait for a slow receiver before the connection does.
const WAITING: usize = 256;

/// A subscription to one channel.
///
/// On a cluster it is held by any primary, since every server passes on what is published at
/// any other.
#[derive(Debug)]
pub struct Subscription {
    link: Link,
    channel: String,
    running: Option<Running>,
}

/// What a [`Subscription`] says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signal {
    /// What was published.
    Message(Bytes),
    /// From here on messages arrive; those before may have been missed. It is the first signal,
    /// and comes again after each time the connection was lost.
    Reconnected,
}

#[derive(Debug)]
struct Running {
    signals: mpsc::Receiver<Signal>,
    task: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Subscription {
    /// A subscription to `channel` that begins with the first [`next`](Self::next).
    #[must_use]
    pub fn new(link: &Link, channel: impl Into<String>) -> Self {
        Self {
            link: link.clone(),
            channel: channel.into(),
            running: None,
        }
    }

    /// The next signal; waits for it as long as it takes. Nothing is lost when it is dropped.
    ///
    /// The connection is kept alive by a task of its own, on the runtime of the first call.
    pub async fn next(&mut self) -> Signal {
        let running = self.running.get_or_insert_with(|| {
            let (sender, signals) = mpsc::channel(WAITING);
            let task = tokio::spawn(listen(self.link.clone(), self.channel.clone(), sender));
            Running { signals, task }
        });
        match running.signals.recv().await {
            Some(signal) => signal,
            // The task ends only with its runtime.
            None => std::future::pending().await,
        }
    }
}

async fn listen(link: Link, channel: String, signals: mpsc::Sender<Signal>) {
    let mut failures = Backoff::default();
    while !signals.is_closed() {
        let error = match link.place(b"").await {
            Ok(place) => {
                let result = session(&link, &place, &channel, &signals, &mut failures).await;
                let Err(error) = result else { continue };
                // Calls may be idle, and their connection may lead to the same dead server.
                place.member.retire();
                link.doubt(&place, &error, None).await;
                error
            }
            Err(error) => error,
        };
        let pause = failures.pause(rand::random());
        tracing::debug!(server = %link.address(), %error, ?pause, "subscription lost");
        tokio::time::sleep(pause).await;
    }
}

/// One connection, until it fails, or until nobody listens any more.
async fn session(
    link: &Link,
    place: &Place,
    channel: &str,
    signals: &mpsc::Sender<Signal>,
    failures: &mut Backoff,
) -> RedisResult<()> {
    let dialer = &link.inner.dialer;
    let endpoint = match place.member.endpoint() {
        Some(endpoint) => endpoint,
        None => place.member.wire().await?.endpoint().clone(),
    };
    let (mut sink, mut messages) = dialer.pubsub(&endpoint).await?.split();
    within(dialer.timeout, sink.subscribe(channel)).await?;
    *failures = Backoff::default();
    if signals.send(Signal::Reconnected).await.is_err() {
        return Ok(());
    }
    loop {
        let signal = match tokio::time::timeout(PING_EVERY, messages.next()).await {
            Ok(Some(message)) => Signal::Message(message.get_payload_bytes().to_vec().into()),
            Ok(None) => {
                return Err(RedisError::from((
                    ErrorKind::Io,
                    "the connection was closed",
                )));
            }
            Err(_) => {
                within(dialer.timeout, sink.ping::<redis::Value>()).await?;
                continue;
            }
        };
        if signals.send(signal).await.is_err() {
            return Ok(());
        }
    }
}
