//! Where a test runs: on which Redis, in which namespace.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::OnceCell;
use tokio::time::timeout;

use crate::servers::{RawRedis, RedisCluster, RedisServer};

/// No feature takes longer; the start of the servers is not counted.
const FEATURE_DEADLINE: Duration = Duration::from_secs(60);

/// What kind of Redis a test runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// One server.
    Standalone,
    /// Three primaries.
    Cluster,
}

#[derive(Debug, Clone, Copy)]
enum Target {
    Standalone(&'static RedisServer),
    Cluster(&'static RedisCluster),
}

/// A namespace of its own on a Redis that other tests of the process use as well: a test that
/// disturbs a server starts its own instead.
#[derive(Debug, Clone)]
pub struct Env {
    target: Target,
    namespace: String,
}

impl Env {
    /// A fresh namespace on the shared server or cluster, which is started at its first use.
    pub async fn on(backend: Backend) -> Self {
        let target = match backend {
            Backend::Standalone => Target::Standalone(shared_redis().await),
            Backend::Cluster => Target::Cluster(shared_cluster().await),
        };
        Self {
            target,
            namespace: unique_namespace(),
        }
    }

    /// What kind of Redis this is.
    pub fn backend(&self) -> Backend {
        match self.target {
            Target::Standalone(_) => Backend::Standalone,
            Target::Cluster(_) => Backend::Cluster,
        }
    }

    /// What Paceline's clients and nodes connect to.
    pub fn url(&self) -> String {
        match self.target {
            Target::Standalone(server) => server.url(),
            Target::Cluster(cluster) => cluster.url(),
        }
    }

    /// The namespace of this test, and of no other.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// A connection past Paceline.
    pub async fn raw(&self) -> RawRedis {
        match self.target {
            Target::Standalone(server) => RawRedis::Single(server.connect().await),
            Target::Cluster(cluster) => RawRedis::Cluster(cluster.connect().await),
        }
    }

    /// Every key of this test, in order. It walks the keyspace.
    ///
    /// # Panics
    /// A server does not answer.
    pub async fn keys(&self) -> Vec<String> {
        let servers = match self.target {
            Target::Standalone(server) => std::slice::from_ref(server),
            Target::Cluster(cluster) => cluster.nodes(),
        };
        let mut keys = Vec::new();
        for server in servers {
            keys.extend(server.keys(&format!("{{{}:*", self.namespace)).await);
        }
        keys.sort_unstable();
        keys
    }
}

/// The server that all tests of this process share. Started at its first use, and killed with the
/// process. Do not stop or flush it: another test is running on it.
///
/// # Panics
/// It does not start.
pub async fn shared_redis() -> &'static RedisServer {
    static SERVER: OnceCell<RedisServer> = OnceCell::const_new();
    SERVER.get_or_init(RedisServer::start).await
}

async fn shared_cluster() -> &'static RedisCluster {
    static CLUSTER: OnceCell<RedisCluster> = OnceCell::const_new();
    CLUSTER.get_or_init(RedisCluster::start).await
}

/// A namespace that nobody else uses, on a server of any age.
pub fn unique_namespace() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let random: u32 = rand::random();
    format!("t{random:08x}-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// What [`feature_test!`](crate::feature_test) expands to: the body on a fresh [`Env`], with a deadline.
///
/// # Panics
/// The body panics or does not end in time.
pub async fn run_feature<F: Future<Output = ()>>(backend: Backend, body: impl FnOnce(Env) -> F) {
    let env = Env::on(backend).await;
    if timeout(FEATURE_DEADLINE, body(env)).await.is_err() {
        panic!("the test did not end within {FEATURE_DEADLINE:?}");
    }
}

/// Defines one test that runs on every [`Backend`]: `name::standalone` and `name::cluster`.
///
/// ```
/// use paceline_tests::{Env, feature_test};
///
/// feature_test! {
///     /// What is asserted of both.
///     async fn a_namespace_starts_empty(env: Env) {
///         assert!(env.keys().await.is_empty());
///     }
/// }
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! feature_test {
    ($($(#[$attribute:meta])* async fn $name:ident($env:ident: $type:ty) $body:block)+) => {
        $($(#[$attribute])*
        mod $name {
            #[allow(unused_imports, clippy::allow_attributes, reason = "a body may need no import")]
            use super::*;

            async fn body($env: $type) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn standalone() {
                $crate::run_feature($crate::Backend::Standalone, body).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn cluster() {
                $crate::run_feature($crate::Backend::Cluster, body).await;
            }
        })+
    };
}
