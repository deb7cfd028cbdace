//! URLs, servers and namespaces.

use std::time::Duration;

use paceline_client::Client;
use paceline_node::Node;
use paceline_tests::{RedisCluster, RedisServer, SOON, within};
use paceline_types::MAX_PAYLOAD_CEILING;

use crate::assert_sentence;
use crate::old_redis::old_redis;

/// What a client and a node say about a URL.
async fn both(url: &str) -> String {
    let client = Client::builder()
        .url(url)
        .namespace("refused")
        .retry_for(Duration::from_millis(300))
        .connect();
    let client = within("the client's refusal", SOON, client)
        .await
        .unwrap_err()
        .to_string();
    if url.ends_with(":1/") {
        return client;
    }
    let node = Node::builder().redis(url).namespace("refused").start();
    let Err(node) = within("the node's refusal", SOON, node).await else {
        panic!("the node starts on {url}");
    };
    assert_eq!(node.to_string(), client, "a node says the same");
    client
}

#[tokio::test(flavor = "multi_thread")]
async fn a_url_that_is_none_is_told_without_its_password() {
    for (url, parts) in [
        (
            "http://127.0.0.1/",
            vec!["unknown scheme `http`", "use redis://"],
        ),
        ("127.0.0.1:6379", vec!["scheme", "use redis://"]),
        ("", vec!["scheme", "use redis://"]),
        ("redis://", vec!["names no host", "write it as in"]),
        (
            "redis://h:70000/",
            vec!["the port after host `h`", "1 to 65535"],
        ),
        ("redis://:secret/x@h/", vec!["unescaped", "%2F"]),
        ("redis://:secret%@h/", vec!["`%`", "%25"]),
        ("redis://h/one", vec!["the database `one`", "/0"]),
        ("redis://h,i/", vec!["several hosts", "redis+cluster://"]),
        (
            "redis+sentinel://h:1/",
            vec!["lacks the name", "redis+sentinel://host:26379/mymaster"],
        ),
        (
            "redis+cluster://h/3",
            vec!["only database 0", "remove the path"],
        ),
        ("redis://h/?db=1&dB=2", vec!["is unknown here"]),
    ] {
        let said = both(url).await;
        assert_sentence(&said, &parts);
        assert!(!said.contains("secret"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_cannot_be_used_is_told_with_the_remedy_and_left_alone() {
    let locked = RedisServer::options()
        .password("right")
        .acl_user("weak", "pass", "~* +@read +info")
        .start()
        .await;
    let evicting = RedisServer::options()
        .max_memory("64mb", "volatile-ttl")
        .start()
        .await;
    let plain = RedisServer::start().await;
    let right = locked.url();
    let (wrong, none) = (
        right.replace("right", "wr0ng"),
        right.replace(":right@", ""),
    );
    let old = old_redis().await;
    let sentinel = format!("redis+sentinel://{}/mymaster", plain.addr());
    let cluster = format!("redis+cluster://{}", plain.addr());
    for (url, parts) in [
        (
            wrong,
            vec!["denied", "mend the user and password of the Redis URL"],
        ),
        (
            none,
            vec!["denied", "mend the user and password of the Redis URL"],
        ),
        (
            locked.url_as("nobody", "pass"),
            vec!["denied", "mend the user and password"],
        ),
        (
            locked.url_as("weak", "pass"),
            vec!["denied", "grant the user this command"],
        ),
        (
            evicting.url(),
            vec![
                "volatile-ttl",
                "loses jobs",
                "CONFIG SET maxmemory-policy noeviction",
            ],
        ),
        (
            old,
            vec![
                "is Redis 6.2.14",
                "needs Redis 7.0.0 or Valkey 7.2.0",
                "upgrade it",
            ],
        ),
        (sentinel, vec!["Sentinel"]),
        (cluster, vec!["luster", "redis://"]),
        (
            "redis://127.0.0.1:1/".to_owned(),
            vec!["127.0.0.1:1", "check that it is up and reachable"],
        ),
    ] {
        let said = both(&url).await;
        assert_sentence(&said, &parts);
        assert!(!said.contains("wr0ng"), "{said}");
    }
    for server in [&locked, &evicting, &plain] {
        assert_eq!(server.keys("*").await, Vec::<String>::new());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_of_a_cluster_is_not_taken_for_a_single_server() {
    let cluster = RedisCluster::start().await;
    let node = &cluster.nodes()[0];
    let said = both(&node.url()).await;
    let url = format!("redis+cluster://{}", node.addr());
    assert_sentence(&said, &["belongs to a Redis Cluster", &url]);
    assert_eq!(node.keys("*").await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_and_its_shards_are_checked() {
    let server = RedisServer::start().await;
    let on = |namespace: &str| Client::builder().url(server.url()).namespace(namespace);
    for (namespace, parts) in [
        (
            "",
            vec!["the namespace is empty", "give it 1 to 64 characters"],
        ),
        (
            "a{b",
            vec!["the namespace `a{b` contains '{'", "use letters"],
        ),
        (
            "a:b",
            vec!["the namespace `a:b` contains ':'", "use letters"],
        ),
    ] {
        let error = on(namespace).connect().await.unwrap_err().to_string();
        assert_sentence(&error, &parts);
    }
    for shards in [0, 1_025] {
        let error = on("n")
            .shards(shards)
            .connect()
            .await
            .unwrap_err()
            .to_string();
        assert_sentence(&error, &["shards are not possible: use 1 to 1024"]);
    }
    let error = on("n")
        .max_payload(MAX_PAYLOAD_CEILING + 1)
        .connect()
        .await
        .unwrap_err();
    assert_sentence(
        &error.to_string(),
        &[
            "8388609 bytes is not possible",
            "choose one from 1 to 8388608",
        ],
    );
    assert_eq!(server.keys("*").await, Vec::<String>::new());

    assert_eq!(on("n").shards(3).connect().await.unwrap().shards(), 3);
    assert_eq!(
        on("n").connect().await.unwrap().shards(),
        3,
        "what is recorded"
    );
    let error = on("n").shards(2).connect().await.unwrap_err().to_string();
    assert_sentence(
        &error,
        &["namespace n has 3 shards, not 2", "leave the number out"],
    );
}
