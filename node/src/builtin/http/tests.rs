use std::future::{pending, ready};

use axum::Router;
use axum::http::StatusCode;
use axum::routing::{get, post};
use serde_json::{Value, json};

use super::*;

/// A server on a free port of this machine, for as long as the test runs.
async fn server() -> String {
    let echo = |headers: axum::http::HeaderMap, body: String| async move {
        let kind = headers
            .get("content-type")
            .and_then(|value| value.to_str().ok());
        let extra = headers.get("x-extra").and_then(|value| value.to_str().ok());
        axum::response::Response::builder()
            .header("content-type", "application/json")
            .header("etag", "\"7\"")
            .header("set-cookie", "secret")
            .body(json!({"body": body, "kind": kind, "extra": extra}).to_string())
            .expect("response")
    };
    let routes = Router::new()
        .route("/text", get(async || "plain"))
        .route("/echo", post(echo))
        .route(
            "/teapot",
            get(async || (StatusCode::IM_A_TEAPOT, "short and stout")),
        )
        .route("/broken", get(async || (StatusCode::BAD_GATEWAY, "later")))
        .route(
            "/busy",
            get(async || (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "3")])),
        )
        .route("/long", get(async || "x".repeat(300_000)))
        .route("/never", get(pending::<()>));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("port");
    let address = listener.local_addr().expect("address");
    tokio::spawn(async move { axum::serve(listener, routes).await });
    format!("http://{address}")
}

async fn outcome(payload: Value) -> Outcome {
    let sender = Sender::new().expect("client");
    sender.run(payload.to_string().as_bytes(), pending()).await
}

async fn result(payload: Value) -> Value {
    let bytes = outcome(payload).await.expect("completes");
    serde_json::from_slice(&bytes).expect("JSON")
}

#[tokio::test]
async fn a_good_answer_is_the_result() {
    let url = server().await;
    let answer = result(json!({"url": format!("{url}/text")})).await;
    assert_eq!(
        (&answer["status"], &answer["body"]),
        (&json!(200), &json!("plain"))
    );
    let answer = result(json!({
        "url": format!("{url}/echo"), "body": {"a": 1}, "headers": {"X-Extra": "e"},
    }))
    .await;
    let echoed = json!({"body": "{\"a\":1}", "kind": "application/json", "extra": "e"});
    assert_eq!(answer["body"], echoed);
    assert_eq!(answer["headers"]["etag"], "\"7\"");
    assert_eq!(answer["headers"].get("set-cookie"), None);
}

#[tokio::test]
async fn upstream_results_travel_in_the_body() {
    let url = format!("{}/echo", server().await);
    let answer = result(json!({"upstream": [1], "original": {"url": url, "body": "b"}})).await;
    assert_eq!(answer["body"]["body"], r#"{"input":"b","upstream":[1]}"#);
}

#[tokio::test]
async fn other_answers_have_their_class() {
    let url = server().await;
    let at = |path: &str| json!({"url": format!("{url}{path}")});
    let permanent = "the server answered 418 I'm a teapot: short and stout";
    assert_eq!(
        outcome(at("/teapot")).await,
        Err(JobError::permanent(permanent))
    );
    let retryable = "the server answered 502 Bad Gateway: later";
    assert_eq!(
        outcome(at("/broken")).await,
        Err(JobError::retryable(retryable))
    );
    let limited = JobError::rate_limited(Duration::from_secs(3));
    assert_eq!(outcome(at("/busy")).await, Err(limited));

    let mut expected = at("/teapot");
    expected["expect_status"] = json!([200, 418]);
    assert_eq!(result(expected).await["body"], "short and stout");

    let Err(JobError::Permanent(sentence)) = outcome(at("/long")).await else {
        panic!("too long");
    };
    assert!(
        sentence.starts_with("the answer is longer than"),
        "{sentence}"
    );
}

#[tokio::test]
async fn what_takes_too_long_and_what_cannot_be_reached_is_tried_again() {
    let mut never = json!({"url": format!("{}/never", server().await), "timeout": "50ms"});
    let limit = Duration::from_millis(50);
    assert_eq!(outcome(never.clone()).await, Err(JobError::TimedOut(limit)));
    never["timeout"] = json!("1h");
    let sender = Sender::new().expect("client");
    let cancelled = sender.run(never.to_string().as_bytes(), ready(())).await;
    let error = JobError::retryable("cancelled before the answer came");
    assert_eq!(cancelled, Err(error));

    // Port 1 is reserved, and nobody listens there.
    let refused = outcome(json!({"url": "http://127.0.0.1:1/"})).await;
    assert!(
        matches!(refused, Err(JobError::Retryable(_))),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_wrong_payload_is_told_in_a_sentence() {
    let table = [
        (json!({}), "the payload: missing field `url`"),
        (
            json!({"url": "nowhere"}),
            "`url` in the payload: relative URL without a base",
        ),
        (
            json!({"url": "ftp://a/"}),
            "`url` in the payload: it must begin with http:// or https://",
        ),
        (
            json!({"url": "http://a/", "method": "GE T"}),
            "`method` in the payload: invalid HTTP method",
        ),
        (
            json!({"url": "http://a/", "headers": {"a b": "c"}}),
            "`headers.a b` in the payload: invalid HTTP header name",
        ),
    ];
    for (payload, problem) in table {
        let sentence = format!("task type `http` cannot use {problem}");
        assert_eq!(outcome(payload).await, Err(JobError::permanent(sentence)));
    }
}
