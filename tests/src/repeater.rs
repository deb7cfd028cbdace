//! Inbox and outbox deliver at least once: each entry is put there a second time.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use redis::streams::{StreamReadOptions, StreamReadReply};
use tokio::task::JoinSet;

use crate::env::Env;
use crate::ride::SOON;
use crate::servers::RawRedis;
use crate::wait::eventually;

/// Puts a copy of each entry of every inbox behind it, and of every outbox if asked to, as long as it
/// lives.
#[derive(Debug)]
pub struct Repeater {
    repeated: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Repeater {
    /// Begins with the inboxes of all shards of a namespace.
    ///
    /// # Panics
    /// Redis does not answer.
    pub async fn start(env: &Env) -> Repeater {
        Repeater::of(env, &["inbox"]).await
    }

    /// Begins with the inboxes and the outboxes of all shards of a namespace.
    ///
    /// # Panics
    /// Redis does not answer.
    pub async fn with_posts(env: &Env) -> Repeater {
        Repeater::of(env, &["inbox", "outbox"]).await
    }

    async fn of(env: &Env, streams: &[&str]) -> Repeater {
        let repeated = Arc::new(AtomicUsize::new(0));
        let mut tasks = JoinSet::new();
        for shard in 0..env.shards() {
            for stream in streams {
                let stream = format!("{{{}:{shard}}}:{stream}", env.namespace());
                tasks.spawn(repeat(env.raw().await, stream, repeated.clone()));
            }
        }
        Repeater {
            repeated,
            _tasks: tasks,
        }
    }

    /// Entries that were put there a second time.
    #[must_use]
    pub fn count(&self) -> usize {
        self.repeated.load(Ordering::SeqCst)
    }

    /// Waits until so many were.
    ///
    /// # Panics
    /// They are not, in time.
    pub async fn reached(&self, count: usize) {
        eventually(&format!("{count} entries are repeated"), SOON, async || {
            let now = self.count();
            if now >= count { Ok(()) } else { Err(now) }
        })
        .await;
    }
}

/// A reader that is blocked on the stream is served before anybody else can take the entry away.
async fn repeat(mut redis: RawRedis, stream: String, repeated: Arc<AtomicUsize>) {
    let mut copies: BTreeSet<String> = BTreeSet::new();
    let mut last = "0".to_owned();
    loop {
        let options = StreamReadOptions::default().block(1_000).count(10);
        let mut read = redis::cmd("XREAD");
        read.arg(options).arg("STREAMS").arg(&stream).arg(&last);
        let Ok(reply) = read
            .query_async::<Option<StreamReadReply>>(&mut redis)
            .await
        else {
            continue;
        };
        for entry in reply
            .into_iter()
            .flat_map(|reply| reply.keys)
            .flat_map(|key| key.ids)
        {
            last.clone_from(&entry.id);
            if copies.remove(&entry.id) {
                continue;
            }
            let mut add = redis::cmd("XADD");
            add.arg(&stream).arg("*");
            for field in entry.map.keys() {
                let items: Vec<u8> = entry.get(field).expect("the items");
                add.arg(field).arg(items);
            }
            copies.insert(add.query_async(&mut redis).await.expect("added"));
            repeated.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// Waits until the leaders have seen everything in the inboxes, copies included.
///
/// # Panics
/// They have not, in time.
pub async fn inboxes_empty(env: &Env) {
    let mut redis = env.raw().await;
    for shard in 0..env.shards() {
        let inbox = format!("{{{}:{shard}}}:inbox", env.namespace());
        eventually("the inbox is empty", SOON, async || {
            let length: usize = redis::cmd("XLEN")
                .arg(&inbox)
                .query_async(&mut redis)
                .await
                .unwrap();
            length == 0
        })
        .await;
    }
}

/// What leaders could make no sense of.
///
/// # Panics
/// Redis does not answer.
pub async fn parked(env: &Env) -> Vec<String> {
    let mut redis = env.raw().await;
    let mut parked = Vec::new();
    for shard in 0..env.shards() {
        let mut range = redis::cmd("LRANGE");
        range.arg(format!("{{{}:{shard}}}:parked", env.namespace()));
        let found: Vec<String> = range.arg(0).arg(-1).query_async(&mut redis).await.unwrap();
        parked.extend(found);
    }
    parked
}
