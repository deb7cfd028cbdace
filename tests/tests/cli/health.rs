//! `/livez`, `/readyz` and `/metrics` of a node.

use paceline_tests::{NodeProcess, RedisServer, SOON, eventually, http_get};

use crate::Binary;

async fn get(node: &NodeProcess, path: &str) -> (u16, String) {
    http_get(node.http(), path).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_tells_that_it_lives_is_ready_and_what_it_did() {
    let (binary, node) = Binary::with_node().await;
    assert_eq!(get(&node, "/livez").await, (200, "ok\n".to_owned()));
    assert_eq!(
        get(&node, "/readyz").await,
        (200, "{\"ready\":true}\n".to_owned())
    );
    assert_eq!(get(&node, "/nowhere").await.0, 404);
    for _ in 0..3 {
        binary.done("job submit noop --wait", &[]).await;
    }
    binary
        .refused(1, "job submit fail --wait --max-attempts 1", &[])
        .await;
    let (status, text) = get(&node, "/metrics").await;
    assert_eq!(status, 200);
    let samples = text
        .lines()
        .filter(|line| line.starts_with("paceline_"))
        .count();
    assert!(samples > 5, "{text}");
    let of_noop = text
        .lines()
        .any(|line| line.starts_with("paceline_") && line.contains("noop"));
    assert!(of_noop, "handlers are told apart: {text}");
    assert!(text.contains("# TYPE paceline_"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_without_its_redis_lives_and_is_not_ready() {
    let redis = RedisServer::start().await;
    let binary = Binary::on(&redis.url(), "health");
    let node = binary.node(&["--lease", "1s"]).await;
    redis.stop();
    let body = eventually("it is not ready", SOON, async || {
        let (status, body) = get(&node, "/readyz").await;
        (status == 503).then_some(body)
    })
    .await;
    assert!(
        body.contains("\"ready\":false") && body.contains("\"reason\":"),
        "{body}"
    );
    assert_eq!(get(&node, "/livez").await.0, 200);
    redis.cont();
    eventually("it is ready again", SOON, async || {
        get(&node, "/readyz").await.0 == 200
    })
    .await;
    assert_eq!(binary.done("job submit echo --wait", &["1"]).await, "1");
}
