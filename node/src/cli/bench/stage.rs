//! Where it is measured: a Redis of our own or the one that was named, and connections to it.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use paceline_client::Client;
use paceline_store::calls::measure::{ServerFacts, ServerUsage};
use paceline_store::{LinkOptions, RedisUrl, Store, StoreOptions};

use super::super::failure::Failure;
use super::super::options::{DEFAULT_REDIS, Globals};
use super::common::Common;
use super::report::References;
use super::servers::Servers;

/// A server under load answers later than one of a person.
const PATIENCE: Duration = Duration::from_secs(10);

/// How far two looks at the memory may differ when nothing moves any more, of a thousand.
const STILL: u64 = 1;

/// Between two looks.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Looks at the memory before it is taken as it is.
const LOOKS: usize = 30;

/// One Redis with one namespace, ready to be measured on.
pub(super) struct Stage {
    servers: Servers,
    /// Where it is, and which namespace of it is ours.
    pub(super) globals: Globals,
    pub(super) store: Store,
    pub(super) client: Client,
    pub(super) facts: ServerFacts,
}

impl Stage {
    /// Starts a server of our own, unless `--redis` names another than the default; connects.
    pub(super) async fn open(common: &Common, globals: &Globals) -> Result<Stage, Failure> {
        let servers = if is_private(globals) {
            Servers::start(common.primaries, common.append_only).await?
        } else {
            Servers::named(&globals.redis)
        };
        let globals = Globals {
            redis: servers.url().to_owned(),
            namespace: own_namespace(globals),
            ..globals.clone()
        };
        match connect(&globals).await {
            Ok((store, facts)) => Ok(Stage {
                servers,
                globals,
                client: Client::from_store(store.clone()),
                store,
                facts,
            }),
            Err(failure) => {
                servers.stop().await;
                Err(failure)
            }
        }
    }

    /// Removes what was stored, or the server with it.
    pub(super) async fn close(self) -> Result<(), Failure> {
        let removed = if self.servers.are_ours() {
            Ok(())
        } else {
            self.store.remove_namespace().await
        };
        self.servers.stop().await;
        Ok(removed?)
    }

    /// Measures both references, now.
    pub(super) async fn references(&self, common: &Common) -> Result<References, Failure> {
        let (time, payload) = (common.reference, common.payload);
        // A fifth is enough for R1, and spares an append-only file some hundred megabytes.
        Ok(References {
            r1: self.store.reference_xadd(time / 5, payload).await?,
            r2: self.store.reference_cycle(time, payload).await?,
        })
    }

    /// What the server has spent so far.
    pub(super) async fn usage(&self) -> Result<ServerUsage, Failure> {
        Ok(self.store.server_usage().await?)
    }

    /// The same, once its memory stands still: buffers shrink and tables move for a while.
    pub(super) async fn settled_usage(&self) -> Result<ServerUsage, Failure> {
        let mut usage = self.usage().await?;
        for _ in 0..LOOKS {
            tokio::time::sleep(LOOK_AGAIN).await;
            let next = self.usage().await?;
            let moved = next.memory.abs_diff(usage.memory);
            usage = next;
            if moved <= usage.memory / 1_000 * STILL {
                break;
            }
        }
        Ok(usage)
    }
}

/// Whether it is measured on a server of our own.
pub(super) fn is_private(globals: &Globals) -> bool {
    globals.redis == DEFAULT_REDIS
}

/// A namespace that nobody else uses, as what is in it is removed at the end.
fn own_namespace(globals: &Globals) -> String {
    static STAGES: AtomicU32 = AtomicU32::new(0);
    let stage = STAGES.fetch_add(1, Ordering::Relaxed);
    let chance = rand::random::<u32>();
    format!("{}.bench.{chance:08x}.{stage}", globals.namespace)
}

async fn connect(globals: &Globals) -> Result<(Store, ServerFacts), Failure> {
    let url: RedisUrl = globals.redis.parse().map_err(Failure::usage)?;
    let options = StoreOptions {
        namespace: globals.namespace.parse().map_err(Failure::usage)?,
        link: LinkOptions {
            response_timeout: PATIENCE,
            ..LinkOptions::default()
        },
        ..StoreOptions::default()
    };
    let store = Store::open(&url, options).await.map_err(Failure::redis)?;
    let facts = store.server_facts().await?;
    Ok((store, facts))
}
