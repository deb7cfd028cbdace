//! The harness, tested by itself: what it promises to every other test.
// The lints of test code hold for the helpers as well, not only inside the test functions.
#![cfg(test)]

use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use paceline_tests::{
    Backend, Env, Fsync, Program, RedisCluster, RedisServer, SentinelSet, Source, eventually,
    feature_test, rng, shared_redis, throughout, within,
};
use rand::RngExt;
use redis::RedisResult;
use redis::aio::MultiplexedConnection;

mod proxy;

/// For anything that should take milliseconds, on a machine that is busy.
const SOON: Duration = Duration::from_secs(10);

fn alive(id: u32) -> bool {
    let id = rustix::process::Pid::from_raw(id.try_into().unwrap()).unwrap();
    rustix::process::test_kill_process(id).is_ok()
}

/// Connects with trust in the authority of a server, or in those of the machine only.
async fn tls_connection(
    url: &str,
    authority: Option<&RedisServer>,
) -> RedisResult<MultiplexedConnection> {
    // An error means that another test was first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let root_cert = authority.map(|server| std::fs::read(server.ca_file()).unwrap());
    let certificates = redis::TlsCertificates {
        client_tls: None,
        root_cert,
    };
    redis::Client::build_with_tls(url, certificates)?
        .get_multiplexed_async_connection()
        .await
}

async fn set(server: &RedisServer, key: &str, value: &str) {
    let mut connection = server.connect().await;
    redis::cmd("SET")
        .arg(key)
        .arg(value)
        .query_async::<()>(&mut connection)
        .await
        .unwrap();
}

async fn get(server: &RedisServer, key: &str) -> Option<String> {
    let mut connection = server.connect().await;
    redis::cmd("GET")
        .arg(key)
        .query_async(&mut connection)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_killed_server_comes_back_on_its_port_with_its_data() {
    let server = RedisServer::options()
        .append_only(Fsync::Always)
        .start()
        .await;
    let url = server.url();
    set(&server, "kept", "yes").await;
    server.kill();
    assert!(!server.is_up());
    server.restart().await;
    assert_eq!(server.url(), url);
    assert_eq!(get(&server, "kept").await.as_deref(), Some("yes"));
    server.flush().await;
    assert_eq!(get(&server, "kept").await, None);
}

#[tokio::test]
async fn a_stopped_server_answers_after_it_goes_on() {
    let server = RedisServer::start().await;
    let mut connection = server.connect().await;
    server.stop();
    assert!(!server.is_up());
    let ping = tokio::spawn(async move {
        redis::cmd("PING")
            .query_async::<String>(&mut connection)
            .await
            .unwrap()
    });
    throughout("no reply comes", Duration::from_millis(100), async || {
        !ping.is_finished()
    })
    .await;
    server.cont();
    assert_eq!(within("the reply", SOON, ping).await.unwrap(), "PONG");
}

#[tokio::test]
async fn passwords_users_and_memory_limits_are_in_force() {
    let server = RedisServer::options()
        .password("a/s:cr@t \"%")
        .acl_user("app", "s3cr?t", "~app:* +@all")
        .max_memory("64mb", "allkeys-lru")
        .start()
        .await;
    set(&server, "other", "x").await;
    let client = redis::Client::open(server.url_as("app", "s3cr?t")).unwrap();
    let mut app = client.get_multiplexed_async_connection().await.unwrap();
    let refused = redis::cmd("GET")
        .arg("other")
        .query_async::<()>(&mut app)
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Some("NOPERM"));
    let memory = server.info("memory").await.unwrap();
    assert_eq!(memory["maxmemory_policy"], "allkeys-lru");
    let nobody = redis::Client::open(format!("redis://{}/", server.addr())).unwrap();
    let mut nobody = nobody.get_multiplexed_async_connection().await.unwrap();
    let refused = redis::cmd("PING")
        .query_async::<()>(&mut nobody)
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Some("NOAUTH"));
}

#[tokio::test]
async fn tls_is_trusted_by_its_authority_only() {
    let server = RedisServer::options().tls().start().await;
    let mut trusting = tls_connection(&server.tls_url(), Some(&server))
        .await
        .unwrap();
    redis::cmd("PING")
        .query_async::<()>(&mut trusting)
        .await
        .unwrap();
    assert!(tls_connection(&server.tls_url(), None).await.is_err());
}

#[tokio::test]
async fn a_dropped_server_is_gone_with_its_folder() {
    let server = RedisServer::start().await;
    let (id, folder) = (server.id(), server.folder().to_owned());
    assert!(alive(id) && folder.exists());
    drop(server);
    assert!(!alive(id) && !folder.exists());
}

/// Runs in a process of its own, started and killed by the test below.
#[tokio::test]
async fn shared_server_of_a_doomed_process() {
    if std::env::var_os("PACELINE_TEST_DOOMED").is_some() {
        let server = shared_redis().await;
        println!(
            "\nserver {} in {}",
            server.addr(),
            server.folder().display()
        );
        std::future::pending::<()>().await;
    }
}

#[tokio::test]
async fn servers_and_folders_go_when_the_test_process_is_killed() {
    let doomed = Program::at(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "shared_server_of_a_doomed_process",
            "--nocapture",
        ])
        .env("PACELINE_TEST_DOOMED", "1")
        .env("PACELINE_TEST_KEEP", "")
        .start();
    let (addr, folder) = doomed
        .line("its server", SOON, |line| {
            let (addr, folder) = line.strip_prefix("server ")?.split_once(" in ")?;
            Some((addr.parse::<SocketAddr>().unwrap(), PathBuf::from(folder)))
        })
        .await;
    // By its port rather than by its id: nobody may be there to bury the orphan.
    let refused = || TcpStream::connect(addr).is_err();
    assert!(!refused() && folder.exists());
    doomed.kill();
    eventually("the server dies with it", SOON, async || refused()).await;
    eventually("its folder goes as well", SOON, async || !folder.exists()).await;
}

#[tokio::test]
async fn a_cluster_fails_over_to_a_replica() {
    let timeout = Duration::from_secs(1);
    let cluster = RedisCluster::options()
        .replicas(1)
        .node_timeout(timeout)
        .start()
        .await;
    let owner = cluster.owner_of("key").await;
    assert_eq!(cluster.primaries().await.len(), 3);
    owner.kill();
    eventually("its replica leads", Duration::from_secs(30), async || {
        cluster.primaries().await.len() == 3
    })
    .await;
    cluster.settled(Duration::from_secs(30)).await;
    assert_ne!(cluster.owner_of("key").await.addr(), owner.addr());
    let mut connection = cluster.connect().await;
    redis::cmd("SET")
        .arg("key")
        .arg("x")
        .query_async::<()>(&mut connection)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_proxied_cluster_is_reached_through_its_proxies() {
    let cluster = RedisCluster::options().proxied().start().await;
    let mut connection = cluster.connect().await;
    for key in ["a", "b", "c", "d", "e", "f"] {
        redis::cmd("SET")
            .arg(key)
            .arg("x")
            .query_async::<()>(&mut connection)
            .await
            .unwrap();
    }
    let requests: Vec<u64> = cluster
        .proxies()
        .iter()
        .map(|proxy| proxy.tally().requests)
        .collect();
    assert!(
        requests.iter().all(|requests| *requests > 0),
        "{requests:?}"
    );
}

#[tokio::test]
async fn sentinels_replace_a_stopped_primary() {
    let set = SentinelSet::options()
        .sentinels(3)
        .min_replicas()
        .start()
        .await;
    let old = set.primary().await;
    assert_eq!(old.addr(), set.servers()[0].addr());
    old.stop();
    let new = set.failed_over(old, Duration::from_secs(30)).await;
    assert_eq!(new.addr(), set.servers()[1].addr());
    old.cont();
}

#[tokio::test]
async fn a_process_is_heard_signalled_and_awaited() {
    let script = "trap 'kill $!; echo bye; exit 3' TERM; sleep 60 >/dev/null 2>&1 &
        echo low >&2; echo up; wait";
    let process = Program::at("sh").args(["-c", script]).start();
    process
        .line("its greeting", SOON, |line| (line == "up").then_some(()))
        .await;
    process.stop();
    process.cont();
    process.terminate();
    let end = process.finished(SOON).await;
    assert_eq!(
        (end.code, end.stdout.as_str(), end.stderr.as_str()),
        (Some(3), "up\nbye\n", "low\n")
    );
    assert_eq!(process.written(Source::Out), end.stdout);
}

#[tokio::test]
#[should_panic(expected = "waited 20ms for: a miracle; last seen: \"still 7\"")]
async fn a_wait_in_vain_says_what_it_saw_last() {
    let look = async || Err::<(), _>("still 7");
    eventually("a miracle", Duration::from_millis(20), look).await;
}

#[tokio::test]
async fn a_look_that_outlasts_its_span_counts() {
    let slow = async || {
        let moment = Duration::from_millis(50);
        let never = tokio::time::timeout(moment, std::future::pending::<()>());
        never.await.is_err()
    };
    throughout("it holds", Duration::from_millis(10), slow).await;
}

#[test]
fn randomness_can_be_repeated_and_differs_by_name() {
    let draw = |name| rng(name).random::<u64>();
    assert_eq!(draw("a"), draw("a"));
    assert_ne!(draw("a"), draw("b"));
}

feature_test! {
    async fn each_test_has_its_own_keys_on_each_backend(env: Env) {
        let other = Env::on(env.backend()).await;
        let key = format!("{{{}:0}}:job", env.namespace());
        let mut raw = env.raw().await;
        redis::cmd("SET").arg(&key).arg("x").query_async::<()>(&mut raw).await.unwrap();
        assert_eq!(env.keys().await, [key]);
        assert_eq!(other.keys().await, Vec::<String>::new());
        let scheme = match env.backend() {
            Backend::Standalone => "redis://",
            Backend::Cluster => "redis+cluster://",
        };
        assert!(env.url().starts_with(scheme), "{}", env.url());
    }
}
