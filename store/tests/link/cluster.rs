//! A cluster of three primaries, with a replica for one of them.

use std::collections::HashSet;
use std::time::Duration;

use paceline_store::StoreError;
use paceline_store::check::{ServerFault, check_server};
use paceline_store::link::{Blocking, Link, Signal, Subscription};

use super::port::PortLease;
use super::support::{HASTE, PATIENCE, Server, ask, command, connect, try_connect, until};
use super::{COUNT, count};

/// First and last slot of each primary.
const SLOTS: [(u16, u16); 3] = [(0, 5460), (5461, 10922), (10923, 16383)];
/// A key of each primary, in the same order.
const KEYS: [&str; 3] = ["{3}:n", "{1}:n", "{0}:n"];

struct Cluster {
    nodes: Vec<Server>,
    links: Vec<Link>,
    /// The nodes talk to each other there.
    _buses: Vec<PortLease>,
}

impl Cluster {
    async fn start(replicas: usize) -> Self {
        let buses: Vec<_> = (0..SLOTS.len() + replicas)
            .map(|_| PortLease::take())
            .collect();
        let start = |bus: &PortLease| {
            Server::start(&[
                "--cluster-enabled",
                "yes",
                "--cluster-port",
                &bus.addr().port().to_string(),
                "--cluster-node-timeout",
                "1000",
                "--cluster-require-full-coverage",
                "no",
                "--cluster-replica-validity-factor",
                "0",
            ])
        };
        let nodes: Vec<Server> = buses.iter().map(start).collect();
        let mut links = Vec::new();
        for node in &nodes {
            links.push(connect(&node.url()).await);
        }
        let bus: Vec<String> = ask(&links[0], "CONFIG GET cluster-port").await;
        for (link, (first, last)) in links.iter().zip(SLOTS) {
            let _: () = ask(link, &format!("CLUSTER ADDSLOTSRANGE {first} {last}")).await;
        }
        for link in &links[1..] {
            let words = format!("CLUSTER MEET 127.0.0.1 {} {}", nodes[0].port, bus[1]);
            let _: () = ask(link, &words).await;
        }
        let cluster = Self {
            nodes,
            links,
            _buses: buses,
        };
        cluster.agree(3).await;
        for replica in SLOTS.len()..SLOTS.len() + replicas {
            let primary: String = ask(&cluster.links[0], "CLUSTER MYID").await;
            let words = format!("CLUSTER REPLICATE {primary}");
            let _: () = ask(&cluster.links[replica], &words).await;
            until("the replica is in step", async || {
                let info: String = ask(&cluster.links[replica], "INFO replication").await;
                info.contains("master_link_status:up").then_some(())
            })
            .await;
        }
        cluster
    }

    /// Waits until every node that answers sees this many primaries with slots, all well.
    async fn agree(&self, primaries: usize) {
        for link in &self.links {
            until("the nodes agree", async || {
                let info: String = ask(link, "CLUSTER INFO").await;
                let nodes = format!("cluster_known_nodes:{}", self.nodes.len());
                let size = format!("cluster_size:{primaries}");
                let well = ["cluster_state:ok", &nodes, &size];
                well.iter().all(|part| info.contains(*part)).then_some(())
            })
            .await;
        }
    }

    fn url(&self) -> String {
        let hosts: Vec<String> = self.nodes.iter().map(Server::address).collect();
        format!("redis+cluster://{}", hosts.join(","))
    }
}

#[tokio::test]
async fn calls_waits_and_messages_find_their_server() {
    let cluster = Cluster::start(0).await;
    // One seed is enough.
    let link = connect(&format!("redis+cluster://{}", cluster.nodes[2].address())).await;
    for (key, direct) in KEYS.iter().zip(&cluster.links) {
        link.call(&count(key)).await.expect("runs");
        assert_eq!(ask::<u64>(direct, &format!("GET {key}")).await, 1);
        assert_eq!(ask::<u64>(&link, &format!("GET {key}")).await, 1);
        let mut pipeline = redis::pipe();
        pipeline
            .cmd("PING")
            .cmd("INCR")
            .arg(key)
            .cmd("GET")
            .arg(key);
        assert_eq!(link.pipeline(&pipeline).await.expect("runs").len(), 3);
    }
    assert_eq!(link.stats().script_loads, 3);
    assert_eq!(link.stats().retries, 0);

    let servers = link
        .on_each_primary(&redis::cmd("PING"))
        .await
        .expect("answers");
    let servers: HashSet<String> = servers.into_iter().map(|(server, _)| server).collect();
    assert_eq!(servers, cluster.nodes.iter().map(Server::address).collect());
    link.load(&[&COUNT]).await.expect("loads");

    let mut bell = Blocking::new(&link);
    for key in ["{3}:bell", "{1}:bell", "{0}:bell"] {
        let _: () = ask(&link, &format!("RPUSH {key} {key}")).await;
        let rung = bell.blpop(&[key.to_owned()], Duration::from_secs(5)).await;
        assert_eq!(rung.expect("waits").expect("rings").1, key.as_bytes());
    }
    let mut feed = Subscription::new(&link, "news");
    assert_eq!(feed.next().await, Signal::Reconnected);
    for node in &cluster.links {
        let _: u64 = ask(node, "PUBLISH news one").await;
        assert_eq!(feed.next().await, Signal::Message("one".into()));
    }
    let report = check_server(&link).await.expect("it is fit");
    assert_eq!(report.servers.len(), 3);
}

#[tokio::test]
async fn a_slot_that_moves_is_followed() {
    let cluster = Cluster::start(0).await;
    let link = connect(&cluster.url()).await;
    let key = KEYS[0];
    link.call(&count(KEYS[1])).await.expect("runs");
    let mut bell = Blocking::new(&link);
    let bells = ["{3}:bell".to_owned()];
    let short = Duration::from_millis(20);
    bell.blpop(&bells, short).await.expect("waits");

    let slot: u16 = ask(&cluster.links[0], &format!("CLUSTER KEYSLOT {key}")).await;
    let from: String = ask(&cluster.links[0], "CLUSTER MYID").await;
    let to: String = ask(&cluster.links[1], "CLUSTER MYID").await;
    let words = format!("CLUSTER SETSLOT {slot} IMPORTING {from}");
    let _: () = ask(&cluster.links[1], &words).await;
    let words = format!("CLUSTER SETSLOT {slot} MIGRATING {to}");
    let _: () = ask(&cluster.links[0], &words).await;
    // The key is not there, so the old server says ASK.
    assert_eq!(
        link.call(&count(key)).await.expect("runs"),
        redis::Value::Int(1)
    );
    let mut pipeline = redis::pipe();
    pipeline.cmd("INCR").arg(key).cmd("GET").arg(key);
    let replies = link.pipeline(&pipeline).await.expect("runs");
    assert_eq!(replies[1], redis::Value::BulkString(b"2".to_vec()));
    assert_eq!(link.stats().retries, 0);

    for direct in [1, 0, 2] {
        let words = format!("CLUSTER SETSLOT {slot} NODE {to}");
        let _: () = ask(&cluster.links[direct], &words).await;
    }
    // Now it says MOVED.
    let refreshes = link.stats().refreshes;
    assert_eq!(
        link.call(&count(key)).await.expect("runs"),
        redis::Value::Int(3)
    );
    assert!(link.stats().refreshes > refreshes);
    let _: () = ask(&link, "RPUSH {3}:bell x").await;
    let rung = until("the bell", async || bell.blpop(&bells, short).await.ok()?);
    assert_eq!(rung.await.1, b"x");
}

#[tokio::test]
async fn a_hung_server_holds_up_no_other_and_its_replica_takes_over() {
    let cluster = Cluster::start(1).await;
    let link = connect(&cluster.url()).await;
    for key in &KEYS[1..] {
        link.call(&count(key)).await.expect("runs");
    }
    let patient = link.with_response_timeout(PATIENCE);
    let wait = command("WAIT 1 0");
    let replicated = patient.call_then(&count(KEYS[0]), &wait).await;
    assert_eq!(replicated.expect("runs").1, redis::Value::Int(1));
    let link = link.with_response_timeout(HASTE * 3);
    let mut bell = Blocking::new(&link);
    let bells = ["{3}:bell".to_owned()];
    let short = Duration::from_millis(20);
    bell.blpop(&bells, short).await.expect("waits");
    cluster.nodes[0].hang();
    let held = tokio::spawn({
        let link = link.clone();
        async move { link.call(&count(KEYS[0])).await }
    });
    for key in &KEYS[1..] {
        link.call(&count(key)).await.expect("runs meanwhile");
    }
    held.await.expect("no panic").expect("runs on the replica");
    let stored: u64 = ask(&cluster.links[3], &format!("GET {}", KEYS[0])).await;
    // Once on the old primary, and at least once more on the new one.
    assert!(stored >= 2, "{stored}");
    let _: () = ask(&link, "RPUSH {3}:bell x").await;
    let rung = until("the bell", async || bell.blpop(&bells, short).await.ok()?);
    assert_eq!(rung.await.1, b"x");
    cluster.nodes[0].wake();
}

#[tokio::test]
async fn the_wrong_kind_of_url_is_named() {
    let cluster = Cluster::start(0).await;
    let fault = check_server(&cluster.links[0])
        .await
        .expect_err("a cluster");
    assert!(matches!(fault, ServerFault::Cluster { .. }), "{fault}");
    let plain = Server::start(&[]);
    let url = format!("redis+cluster://{}", plain.address());
    let error = try_connect(&url).await.expect_err("no cluster");
    assert!(matches!(error, StoreError::Mismatch { .. }), "{error}");
    assert!(error.to_string().contains(&plain.url()), "{error}");
}

#[tokio::test]
async fn slots_are_those_of_the_server() {
    let cluster = Cluster::start(0).await;
    for key in [
        "foo",
        "{foo}bar",
        "x{foo}bar",
        "{}foo",
        "{foo",
        "a{foo}{bar}",
        "{3}:n",
    ] {
        let link = connect(&cluster.url()).await;
        let _: () = ask(&link, &format!("SET {key} x")).await;
        assert_eq!(link.stats().retries, 0, "{key} was found at once");
    }
}
