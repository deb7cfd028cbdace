//! One server: scripts, faults, waiting, messages.

use std::time::Duration;

use super::port::PortLease;
use super::support::{HASTE, PATIENCE, Server, ask, command, connect, try_connect, until};
use super::{COUNT, count};
use paceline_store::StoreError;
use paceline_store::check::{ServerFault, ServerWarning, check_server};
use paceline_store::link::{Blocking, Signal, Subscription};
use paceline_store::script::{Invocation, Script};

static BROKEN: Script = Script::new(
    "broken",
    "local x = 1\nreturn redis.call('LPUSH', KEYS[1], x)",
);

#[tokio::test]
async fn a_script_is_given_to_a_server_that_lacks_it() {
    let server = Server::start(&[]);
    let link = connect(&server.url()).await;
    assert_eq!(
        link.call(&count("a")).await.expect("runs"),
        redis::Value::Int(1)
    );
    assert_eq!(
        link.call(&count("a")).await.expect("runs"),
        redis::Value::Int(2)
    );
    assert_eq!(link.stats().script_loads, 1);
    let _: () = ask(&link, "SCRIPT FLUSH").await;
    assert_eq!(
        link.call(&count("a")).await.expect("runs"),
        redis::Value::Int(3)
    );
    assert_eq!(link.stats().script_loads, 2);
    let _: () = ask(&link, "SCRIPT FLUSH").await;
    link.load(&[&COUNT]).await.expect("loads");
    let (value, replicas) = link
        .call_then(&count("a"), &command("WAIT 0 1"))
        .await
        .expect("runs");
    assert_eq!(
        (value, replicas),
        (redis::Value::Int(4), redis::Value::Int(0))
    );
    assert_eq!(link.stats().script_loads, 2);
    let _: () = ask(&link, "SCRIPT FLUSH").await;
    let pair = link.call_then(&count("a"), &command("WAIT 0 1")).await;
    assert_eq!(pair.expect("runs").0, redis::Value::Int(5));
    assert_eq!(link.stats().retries, 0);
}

#[tokio::test]
async fn refusals_name_the_script_and_its_line() {
    let server = Server::start(&[]);
    let link = connect(&server.url()).await;
    let _: () = ask(&link, "SET text x").await;
    let error = link.call(&Invocation::new(&BROKEN, &["text"])).await;
    let error = error.expect_err("wrong type");
    assert_eq!(error.code(), Some("WRONGTYPE"));
    let shown = error.to_string();
    assert!(shown.contains("the script `broken`"), "{shown}");
    assert!(shown.contains("return redis.call('LPUSH'"), "{shown}");
    assert!(shown.contains(&server.address()), "{shown}");
}

#[tokio::test]
async fn commands_and_pipelines_answer_in_order() {
    let server = Server::start(&[]);
    let link = connect(&server.url()).await;
    let mut pipeline = redis::pipe();
    pipeline.cmd("SET").arg("k").arg("v").cmd("GET").arg("k");
    let replies = link.pipeline(&pipeline).await.expect("runs");
    assert_eq!(
        replies,
        [redis::Value::Okay, redis::Value::BulkString(b"v".to_vec())]
    );
    assert_eq!(link.pipeline(&redis::pipe()).await.expect("runs"), []);
    pipeline.cmd("INCR").arg("k");
    let error = link.pipeline(&pipeline).await.expect_err("not a number");
    assert!(matches!(error, StoreError::Server { .. }), "{error}");
    let name: String = ask(&link, "CLIENT GETNAME").await;
    assert_eq!(name, "link-test");
}

#[tokio::test]
async fn out_of_memory_is_said_at_once() {
    let server = Server::start(&[]);
    let link = connect(&server.url()).await;
    link.load(&[&COUNT]).await.expect("loads");
    let _: () = ask(&link, "CONFIG SET maxmemory 1").await;
    let error = link.call(&count("a")).await.expect_err("no memory");
    assert!(matches!(error, StoreError::OutOfMemory { .. }), "{error}");
    assert_eq!(link.stats().retries, 0);
}

#[tokio::test]
async fn calls_survive_a_restart_on_the_same_port() {
    let mut server = Server::start(&[]);
    let link = connect(&server.url()).await;
    link.call(&count("a")).await.expect("runs");
    server.kill();
    let calls = (0..20).map(|_| {
        let link = link.clone();
        tokio::spawn(async move { link.call(&count("a")).await })
    });
    let calls: Vec<_> = calls.collect();
    until("a retry", async || (link.stats().retries > 0).then_some(())).await;
    server.restart();
    for call in calls {
        call.await.expect("no panic").expect("runs");
    }
    assert_eq!(ask::<u64>(&link, "GET a").await, 20);
    // All of them share the connection that one of them opened.
    assert_eq!(link.stats().rebuilds, 1);
    assert_eq!(ask::<Vec<String>>(&link, "CLIENT LIST").await.len(), 1);
}

#[tokio::test]
async fn a_server_that_is_not_there() {
    let nobody = PortLease::take();
    let url = format!("redis://:hunter2@{}", nobody.addr());
    let options = paceline_store::LinkOptions {
        retry_for: Duration::ZERO,
        ..super::support::options()
    };
    let url = url.parse().expect("a good URL");
    let link = paceline_store::link::Link::connect(&url, options).await;
    let error = link.expect_err("nobody listens").to_string();
    assert!(error.contains("127.0.0.1:"), "{error}");
    assert!(error.contains("was not stored"), "{error}");
    assert!(!error.contains("hunter2"), "{error}");
}

#[tokio::test]
async fn a_hung_server_leaves_doubt_and_loses_its_connection() {
    let server = Server::start(&[]);
    let link = connect(&server.url()).await;
    let hasty = link
        .with_retry_for(Duration::ZERO)
        .with_response_timeout(HASTE);
    server.hang();
    for _ in 0..2 {
        let error = hasty.call(&count("a")).await.expect_err("it hangs");
        assert!(error.maybe_stored(), "{error}");
        assert!(
            error.to_string().contains("may have been stored"),
            "{error}"
        );
    }
    server.wake();
    link.call(&count("a")).await.expect("runs");
    assert!(link.stats().rebuilds > 0);
    assert_eq!(link.stats().timeouts, 2);
}

#[tokio::test]
async fn one_slow_reply_costs_no_connection() {
    let server = Server::start(&[]);
    let link = connect(&server.url()).await;
    let hasty = link
        .with_retry_for(Duration::ZERO)
        .with_response_timeout(HASTE);
    server.hang();
    hasty.call(&count("a")).await.expect_err("it hangs");
    server.wake();
    link.call(&count("a")).await.expect("runs");
    assert_eq!(link.stats().rebuilds, 0);
}

#[tokio::test]
async fn wrong_passwords_and_missing_rights_are_said_at_once() {
    let server = Server::start(&["--requirepass", "secret"]);
    let port = server.port;
    for user in ["", ":wrong@", "nobody:secret@"] {
        let url = format!("redis://{user}127.0.0.1:{port}");
        let error = try_connect(&url).await.expect_err("denied");
        assert!(
            matches!(error, StoreError::Denied { .. }),
            "{user}: {error}"
        );
    }
    let link = connect(&format!("redis://:secret@127.0.0.1:{port}")).await;
    let _: () = ask(&link, "ACL SETUSER bob on >pw ~* +@all -evalsha").await;
    let bob = connect(&format!("redis://bob:pw@127.0.0.1:{port}/3")).await;
    let error = bob.call(&count("a")).await.expect_err("denied");
    let shown = error.to_string();
    assert!(matches!(error, StoreError::Denied { .. }), "{shown}");
    assert!(shown.contains("the script `count`"), "{shown}");
    let _: () = ask(&bob, "SET k v").await;
    assert_eq!(
        ask::<u64>(&link, "DBSIZE").await,
        0,
        "bob writes to database 3"
    );
}

#[tokio::test]
async fn waiting_for_a_list() {
    let mut server = Server::start(&[]);
    let link = connect(&server.url()).await;
    let mut bell = Blocking::new(&link);
    let keys = ["a".to_owned(), "b".to_owned()];
    let short = Duration::from_millis(20);
    assert_eq!(bell.blpop(&keys, short).await.expect("waits"), None);
    assert_eq!(bell.blpop(&[], short).await.expect("waits"), None);
    let _: () = ask(&link, "RPUSH b x").await;
    let rung = bell.blpop(&keys, PATIENCE).await.expect("waits");
    assert_eq!(rung, Some(("b".to_owned(), b"x".to_vec())));

    server.kill();
    bell.blpop(&keys, short).await.expect_err("it is gone");
    server.restart();
    let _: () = ask(&link, "RPUSH a y").await;
    let rung = until("a new connection", async || {
        bell.blpop(&keys, short).await.ok()
    });
    assert_eq!(rung.await, Some(("a".to_owned(), b"y".to_vec())));
}

#[tokio::test]
async fn a_wait_that_is_dropped_takes_nothing() {
    let server = Server::start(&[]);
    let link = connect(&server.url()).await;
    let waiting = async || {
        let clients: String = ask(&link, "CLIENT LIST").await;
        clients.contains("cmd=blpop")
    };
    let waiter = link.clone();
    let task = tokio::spawn(async move {
        let mut bell = Blocking::new(&waiter);
        let _ = bell.blpop(&["a".to_owned()], PATIENCE).await;
    });
    until("it blocks", async || waiting().await.then_some(())).await;
    task.abort();
    until("it is closed", async || (!waiting().await).then_some(())).await;
    let _: () = ask(&link, "RPUSH a x").await;
    assert_eq!(ask::<u64>(&link, "LLEN a").await, 1);
}

#[tokio::test]
async fn waiting_for_a_stream() {
    let server = Server::start(&[]);
    let link = connect(&server.url()).await;
    let mut tail = Blocking::new(&link);
    let none = tail.xread("s", "0-0", 10, Duration::ZERO).await;
    assert_eq!(none.expect("reads"), []);
    let pusher = link.clone();
    let pushed = tokio::spawn(async move { ask::<String>(&pusher, "XADD s 5-1 f v g w").await });
    let entries = tail.xread("s", "0-0", 10, PATIENCE).await.expect("reads");
    pushed.await.expect("no panic");
    let fields = vec![
        (b"f".to_vec(), b"v".to_vec()),
        (b"g".to_vec(), b"w".to_vec()),
    ];
    assert_eq!(entries, [("5-1".to_owned(), fields)]);
    let after = tail.xread("s", "5-1", 10, Duration::from_millis(20)).await;
    assert_eq!(after.expect("reads"), []);
    let _: () = ask(&link, "SET t x").await;
    let error = tail.xread("t", "0", 1, Duration::ZERO).await;
    assert_eq!(error.expect_err("wrong type").code(), Some("WRONGTYPE"));
}

#[tokio::test]
async fn messages_and_what_may_have_been_missed() {
    let mut server = Server::start(&[]);
    let link = connect(&server.url()).await;
    let mut feed = Subscription::new(&link, "news");
    assert_eq!(feed.next().await, Signal::Reconnected);
    let heard = |text: &'static str| Signal::Message(text.as_bytes().into());
    assert_eq!(ask::<u64>(&link, "PUBLISH news one").await, 1);
    assert_eq!(feed.next().await, heard("one"));
    assert_eq!(ask::<u64>(&link, "CLIENT KILL TYPE pubsub").await, 1);
    assert_eq!(feed.next().await, Signal::Reconnected);
    server.kill();
    server.restart();
    assert_eq!(feed.next().await, Signal::Reconnected);
    assert_eq!(ask::<u64>(&link, "PUBLISH news two").await, 1);
    assert_eq!(feed.next().await, heard("two"));
    drop(feed);
    until("it is closed", async || {
        (ask::<u64>(&link, "PUBLISH news three").await == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_unix_socket_does_as_well() {
    let server = Server::start(&["--unixsocket", "redis.sock"]);
    let path = server.folder.join("redis.sock");
    let link = connect(&format!("unix://{}?db=1", path.display())).await;
    link.call(&count("a")).await.expect("runs");
    assert_eq!(ask::<u64>(&link, "GET a").await, 1);
}

#[tokio::test]
async fn fit_and_unfit_servers() {
    let primary = Server::start(&[]);
    let link = connect(&primary.url()).await;
    let report = check_server(&link).await.expect("it is fit");
    assert_eq!(report.servers.len(), 1);
    assert!(matches!(
        report.warnings.as_slice(),
        [ServerWarning::NotPersistent { server }] if *server == primary.address()
    ));
    let _: () = ask(&link, "CONFIG SET appendonly yes").await;
    assert_eq!(check_server(&link).await.expect("fit").warnings, []);

    let replica = Server::start(&["--replicaof", "127.0.0.1", &primary.port.to_string()]);
    let fault = check_server(&connect(&replica.url()).await).await;
    let fault = fault.expect_err("a replica").to_string();
    assert!(
        fault.contains(&format!("primary {}", primary.address())),
        "{fault}"
    );
    until("replication", async || {
        let report = check_server(&link).await.expect("it is fit");
        let unguarded = |warning: &_| matches!(warning, ServerWarning::Unguarded { .. });
        report.warnings.iter().any(unguarded).then_some(())
    })
    .await;

    let _: () = ask(&link, "CONFIG SET maxmemory-policy allkeys-lru").await;
    let fault = check_server(&link).await.expect_err("it evicts");
    assert!(matches!(fault, ServerFault::Evicts { .. }), "{fault}");
}
