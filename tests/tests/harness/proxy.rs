//! Each fault of the proxy, as client and server see it.

use std::time::Duration;

use paceline_tests::{Fault, Proxy, RedisServer, eventually, throughout, within};
use redis::aio::MultiplexedConnection;
use redis::streams::StreamRangeReply;
use redis::{AsyncConnectionConfig, RedisResult};
use tokio::time::Instant;

use crate::{SOON, tls_connection};

/// A moment in which nothing should happen.
const MOMENT: Duration = Duration::from_millis(100);

async fn behind_proxy() -> (RedisServer, Proxy) {
    let server = RedisServer::start().await;
    let proxy = Proxy::before(server.addr());
    (server, proxy)
}

async fn connect(proxy: &Proxy) -> RedisResult<MultiplexedConnection> {
    let config = AsyncConnectionConfig::new().set_response_timeout(Some(SOON));
    let client = redis::Client::open(proxy.url())?;
    client
        .get_multiplexed_async_connection_with_config(&config)
        .await
}

async fn incr(connection: &mut MultiplexedConnection) -> RedisResult<i64> {
    redis::cmd("INCR").arg("n").query_async(connection).await
}

async fn count(server: &RedisServer) -> i64 {
    let mut connection = server.connect().await;
    let count: Option<i64> = redis::cmd("GET")
        .arg("n")
        .query_async(&mut connection)
        .await
        .unwrap();
    count.unwrap_or(0)
}

#[tokio::test]
async fn requests_and_replies_of_many_tasks_pass() {
    let (server, proxy) = behind_proxy().await;
    let connection = connect(&proxy).await.unwrap();
    let big = "x".repeat(1 << 20);
    let tasks = (0..20).map(|n| {
        let (mut connection, value) = (connection.clone(), format!("{n}{big}"));
        tokio::spawn(async move {
            let mut set = redis::cmd("SET");
            set.arg(n).arg(&value);
            set.query_async::<()>(&mut connection).await.unwrap();
            let back: String = redis::cmd("GET")
                .arg(n)
                .query_async(&mut connection)
                .await
                .unwrap();
            assert_eq!(back, value);
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    assert!(proxy.tally().requests >= 40);
    assert_eq!(server.keys("*").await.len(), 20);
}

#[tokio::test]
async fn a_lost_request_is_not_carried_out() {
    let (server, proxy) = behind_proxy().await;
    let mut connection = connect(&proxy).await.unwrap();
    let lost = proxy.once(Fault::LoseRequest, |request| request.is("incr"));
    incr(&mut connection).await.unwrap_err();
    within("the loss", SOON, lost).await;
    assert_eq!(count(&server).await, 0);
}

#[tokio::test]
async fn a_lost_reply_is_the_chosen_one_and_was_carried_out() {
    let (server, proxy) = behind_proxy().await;
    let connection = connect(&proxy).await.unwrap();
    let lost = proxy.once(Fault::LoseReply, |request| {
        request.is("INCR") && request.mentions("n")
    });
    let mut pipe = redis::pipe();
    pipe.cmd("SET")
        .arg("m")
        .arg(1)
        .ignore()
        .cmd("INCR")
        .arg("n");
    pipe.query_async::<()>(&mut connection.clone())
        .await
        .unwrap_err();
    within("the loss", SOON, lost).await;
    assert_eq!(count(&server).await, 1);
    assert_eq!(incr(&mut connect(&proxy).await.unwrap()).await.unwrap(), 2);
    assert_eq!(proxy.tally().faults, 1);
}

#[tokio::test]
async fn a_mute_connection_stays_open_and_carries_out() {
    let (server, proxy) = behind_proxy().await;
    let mut connection = connect(&proxy).await.unwrap();
    let muted = proxy.once(Fault::Mute, |request| request.is("INCR"));
    let mut second = connection.clone();
    let call = tokio::spawn(async move { incr(&mut connection).await });
    within("silence", SOON, muted).await;
    let call_two = tokio::spawn(async move { incr(&mut second).await });
    eventually("both are carried out", SOON, async || {
        count(&server).await == 2
    })
    .await;
    throughout("no reply comes", MOMENT, async || !call.is_finished()).await;
    assert!(!call_two.is_finished());
    proxy.cut();
    within("the cut", SOON, call).await.unwrap().unwrap_err();
}

#[tokio::test]
async fn a_late_request_is_carried_out_when_nobody_waits() {
    let (server, proxy) = behind_proxy().await;
    let mut connection = connect(&proxy).await.unwrap();
    let late = proxy.once(Fault::Late(2 * MOMENT), |request| request.is("XADD"));
    // By the server's clock, which an entry's id tells: this test may look too late to see nothing.
    let mut direct = server.connect().await;
    let add = |key| {
        redis::cmd("XADD")
            .arg(key)
            .arg("*")
            .arg("f")
            .arg("v")
            .to_owned()
    };
    let before: String = add("before").query_async(&mut direct).await.unwrap();
    let lost = add("late").query_async::<String>(&mut connection).await;
    lost.unwrap_err();
    within("its arrival", SOON, late).await;
    let entries: StreamRangeReply = redis::cmd("XRANGE")
        .arg(&["late", "-", "+"])
        .query_async(&mut direct)
        .await
        .unwrap();
    assert_eq!(entries.ids.len(), 1);
    let millis = |id: &str| id.split_once('-').unwrap().0.parse::<u128>().unwrap();
    assert!(millis(&entries.ids[0].id) >= millis(&before) + (2 * MOMENT).as_millis());
}

#[tokio::test]
async fn a_repeated_request_is_carried_out_twice_and_answered_once() {
    let (server, proxy) = behind_proxy().await;
    let mut connection = connect(&proxy).await.unwrap();
    let repeated = proxy.once(Fault::Twice, |request| request.is("INCR"));
    assert_eq!(incr(&mut connection).await.unwrap(), 1);
    within("the repetition", SOON, repeated).await;
    assert_eq!(count(&server).await, 2);
    assert_eq!(incr(&mut connection).await.unwrap(), 3);
}

#[tokio::test]
async fn a_standing_order_hits_until_it_is_healed() {
    let (server, proxy) = behind_proxy().await;
    proxy.always(Fault::LoseRequest, |request| request.is("INCR"));
    for _ in 0..3 {
        incr(&mut connect(&proxy).await.unwrap()).await.unwrap_err();
    }
    assert_eq!(proxy.tally().faults, 3);
    proxy.heal();
    incr(&mut connect(&proxy).await.unwrap()).await.unwrap();
    assert_eq!(count(&server).await, 1);
}

#[tokio::test]
async fn a_paused_proxy_holds_everything_back() {
    let (server, proxy) = behind_proxy().await;
    let mut connection = connect(&proxy).await.unwrap();
    proxy.pause();
    let call = tokio::spawn(async move { incr(&mut connection).await });
    throughout("nothing arrives", MOMENT, async || {
        count(&server).await == 0
    })
    .await;
    proxy.resume();
    assert_eq!(within("the reply", SOON, call).await.unwrap().unwrap(), 1);
}

#[tokio::test]
async fn a_proxy_that_is_down_refuses_until_it_is_up() {
    let (_server, proxy) = behind_proxy().await;
    let mut connection = connect(&proxy).await.unwrap();
    proxy.down();
    incr(&mut connection).await.unwrap_err();
    eventually("new connections are refused", SOON, async || {
        let refused = tokio::net::TcpStream::connect(proxy.addr()).await.err()?;
        (refused.kind() == std::io::ErrorKind::ConnectionRefused).then_some(())
    })
    .await;
    proxy.up();
    eventually("it is up again", SOON, async || {
        connect(&proxy).await.map(drop)
    })
    .await;
    let before = proxy.tally().connections;
    connect(&proxy).await.unwrap();
    assert!(
        proxy
            .tallied(|tally| tally.connections > before)
            .await
            .connections
            > before
    );
}

#[tokio::test]
async fn replies_are_delayed() {
    let (_server, proxy) = behind_proxy().await;
    let mut connection = connect(&proxy).await.unwrap();
    proxy.delay(MOMENT);
    let start = Instant::now();
    incr(&mut connection).await.unwrap();
    assert!(start.elapsed() >= MOMENT);
}

#[tokio::test]
async fn subscriptions_pass_in_both_protocols() {
    let (server, proxy) = behind_proxy().await;
    for url in [proxy.url(), format!("{}?protocol=resp3", proxy.url())] {
        let client = redis::Client::open(url).unwrap();
        let mut pubsub = client.get_async_pubsub().await.unwrap();
        pubsub.subscribe("news").await.unwrap();
        let mut connection = server.connect().await;
        redis::cmd("PUBLISH")
            .arg("news")
            .arg("x")
            .query_async::<()>(&mut connection)
            .await
            .unwrap();
        let mut messages = pubsub.on_message();
        let message = futures::StreamExt::next(&mut messages);
        let message = within("the message", SOON, message).await.unwrap();
        assert_eq!(message.get_payload_bytes(), b"x");
    }
}

#[tokio::test]
async fn an_encrypted_connection_passes_unread() {
    let server = RedisServer::options().tls().start().await;
    let url = server.tls_url();
    let port = url
        .trim_end_matches('/')
        .rsplit(':')
        .next()
        .unwrap()
        .parse::<u16>()
        .unwrap();
    let proxy = Proxy::before(([127, 0, 0, 1], port).into());
    let through = format!("rediss://localhost:{}/", proxy.addr().port());
    let mut connection = tls_connection(&through, Some(&server)).await.unwrap();
    assert_eq!(incr(&mut connection).await.unwrap(), 1);
    proxy.cut();
    incr(&mut connection).await.unwrap_err();
}
