//! A primary, its replica, and a Sentinel that decides alone.

use std::time::Duration;

use paceline_store::StoreError;
use paceline_store::link::{Blocking, Link, Signal, Subscription};

use super::count;
use super::support::{HASTE, PATIENCE, Server, ask, connect, try_connect, until};

struct Pair {
    primary: Server,
    replica: Server,
    sentinel: Server,
}

impl Pair {
    /// Ready for a failover: the Sentinel knows a replica that is in step.
    async fn start() -> Self {
        let primary = Server::start(&[]);
        let port = primary.port.to_string();
        let replica = Server::start(&["--replicaof", "127.0.0.1", &port]);
        let direct = connect(&primary.url()).await;
        // A Sentinel that comes too early looks again only after ten seconds.
        until("the replica is in step", async || {
            let info: String = ask(&direct, "INFO replication").await;
            info.contains("state=online").then_some(())
        })
        .await;
        let sentinel = Server::sentinel(primary.port);
        let pair = Self {
            primary,
            replica,
            sentinel,
        };
        let direct = connect(&pair.sentinel.url()).await;
        until("the Sentinel knows the replica", async || {
            let known: Vec<Vec<String>> = ask(&direct, "SENTINEL REPLICAS line").await;
            let known = known.first()?.join(" ");
            known.contains("master-link-status ok").then_some(())
        })
        .await;
        pair
    }

    fn url(&self) -> String {
        format!("redis+sentinel://127.0.0.1:{}/line", self.sentinel.port)
    }
}

async fn server_of(link: &Link) -> String {
    let replies = link.on_each_primary(&redis::cmd("PING")).await;
    replies.expect("answers").swap_remove(0).0
}

#[tokio::test]
async fn a_failover_is_followed_when_the_primary_hangs() {
    let pair = Pair::start().await;
    let link = connect(&pair.url()).await;
    let link = link.with_response_timeout(HASTE * 3);
    let mut feed = Subscription::new(&link, "news");
    let mut bell = Blocking::new(&link);
    assert_eq!(feed.next().await, Signal::Reconnected);
    link.call(&count("a")).await.expect("runs");
    let keys = ["bell".to_owned()];
    let short = Duration::from_millis(20);
    assert_eq!(bell.blpop(&keys, short).await.expect("waits"), None);
    assert_eq!(server_of(&link).await, pair.primary.address());

    pair.primary.hang();
    link.call(&count("b")).await.expect("runs on the replica");
    assert_eq!(server_of(&link).await, pair.replica.address());
    assert_eq!(feed.next().await, Signal::Reconnected);
    let _: () = ask(&link, "RPUSH bell x").await;
    let rung = until("the bell", async || bell.blpop(&keys, short).await.ok()?);
    assert_eq!(rung.await.1, b"x");
    assert_eq!(ask::<u64>(&link, "PUBLISH news one").await, 1);
    assert_eq!(feed.next().await, Signal::Message("one".into()));
    pair.primary.wake();
}

#[tokio::test]
async fn an_old_primary_that_lost_its_replica_is_left_at_once() {
    let pair = Pair::start().await;
    let link = connect(&pair.url()).await;
    link.call(&count("a")).await.expect("runs");
    let old = connect(&pair.primary.url()).await;
    let _: () = ask(&old, "CONFIG SET min-replicas-to-write 1").await;
    let direct = connect(&pair.sentinel.url()).await;
    let _: () = ask(&direct, "SENTINEL FAILOVER line").await;
    // Sentinel demotes the old primary only seconds later; until then it answers NOREPLICAS.
    until("calls arrive at the new primary", async || {
        link.call(&count("a")).await.expect("runs");
        (server_of(&link).await == pair.replica.address()).then_some(())
    })
    .await;
    drop(pair.primary);
    link.call(&count("a")).await.expect("runs");
}

#[tokio::test]
async fn mistakes_in_the_url_are_named() {
    let primary = Server::start(&[]);
    let sentinel = Server::sentinel(primary.port);
    let url = format!("redis+sentinel://127.0.0.1:{}/nobody", sentinel.port);
    let error = try_connect(&url).await.expect_err("unknown name");
    assert!(matches!(error, StoreError::Mismatch { .. }), "{error}");
    assert!(
        error.to_string().contains("knows no primary `nobody`"),
        "{error}"
    );

    let url = format!("redis+sentinel://127.0.0.1:{}/line", primary.port);
    let error = try_connect(&url).await.expect_err("no Sentinel");
    assert!(error.to_string().contains("is no Sentinel"), "{error}");

    let link = connect(&sentinel.url()).await;
    let fault = paceline_store::check::check_server(&link).await;
    let fault = fault.expect_err("a Sentinel").to_string();
    assert!(fault.contains("redis+sentinel://"), "{fault}");
}

#[tokio::test]
async fn a_dead_sentinel_among_several_holds_no_one_up() {
    let primary = Server::start(&[]);
    let sentinel = Server::sentinel(primary.port);
    let mut dead = Server::sentinel(primary.port);
    let hung = Server::sentinel(primary.port);
    dead.kill();
    hung.hang();
    let url = format!(
        "redis+sentinel://127.0.0.1:{},127.0.0.1:{},127.0.0.1:{}/line/2",
        dead.port, hung.port, sentinel.port
    );
    let link = connect(&url).await.with_retry_for(PATIENCE);
    assert_eq!(server_of(&link).await, primary.address());
    link.call(&count("a")).await.expect("runs");
    let other = connect(&format!("{}/2", primary.url())).await;
    assert_eq!(ask::<u64>(&other, "GET a").await, 1);
}
