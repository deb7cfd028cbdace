//! The built-in task types, end to end.

use paceline_tests::{SOON, eventually, throughout};
use serde_json::{Value, json};

use crate::Binary;

async fn result(binary: &Binary, task_type: &str, payload: Value) -> Value {
    let submit = format!("job submit {task_type} --wait");
    binary.json(&submit, &[&payload.to_string()]).await["result"].clone()
}

async fn error(binary: &Binary, task_type: &str, payload: Value) -> String {
    let submit = format!("job submit {task_type} --wait --max-attempts 1");
    binary.refused(1, &submit, &[&payload.to_string()]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn echo_noop_sleep_and_fail_do_what_they_say() {
    let (binary, _node) = Binary::with_node().await;
    assert_eq!(
        result(&binary, "echo", json!({ "a": [1] })).await,
        json!({ "a": [1] })
    );
    assert_eq!(
        result(&binary, "noop", json!({ "a": [1] })).await,
        Value::Null
    );
    assert_eq!(
        result(&binary, "sleep", json!({ "duration": "20ms" })).await,
        Value::Null
    );
    for (task_type, payload, part) in [
        ("fail", json!({}), "is dead: failed on purpose"),
        ("fail", json!({ "eror": "x" }), "unknown field `eror`"),
        (
            "sleep",
            json!({ "duration": "soon" }),
            "`soon` is not a duration",
        ),
        ("sleep", json!({}), "missing field `duration`"),
    ] {
        let sentence = error(&binary, task_type, payload).await;
        assert!(sentence.contains(part), "{sentence}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn shell_runs_programs_and_takes_their_output() {
    let (binary, _node) = Binary::with_node().await;
    let script = |script: &str| json!({ "script": script });
    for (payload, expected) in [
        (json!({ "argv": ["printf", "%s", "a b"] }), json!("a b")),
        (script("echo '{\"n\": 1.5}'"), json!({ "n": 1.5 })),
        (
            json!({ "script": "cat", "input": { "x": 1 } }),
            json!({ "x": 1 }),
        ),
        (json!({ "script": "cat", "input": "plain" }), json!("plain")),
        (
            json!({ "script": "echo $WHO $PACELINE_ATTEMPT", "env": { "WHO": "me" } }),
            json!("me 1"),
        ),
        (json!({ "script": "pwd", "cwd": "/" }), json!("/")),
    ] {
        assert_eq!(result(&binary, "shell", payload).await, expected);
    }
    for (payload, part) in [
        (script("echo oops >&2; exit 3"), "exit status: 3: oops"),
        (
            json!({ "script": "sleep 60", "timeout": "100ms" }),
            "exceeded its timeout of 100ms",
        ),
        (
            json!({ "script": "head -c 2000 /dev/zero", "output_limit": 1000 }),
            "longer than 1000 bytes",
        ),
        (
            json!({ "argv": ["/no/such/program"] }),
            "cannot start `/no/such/program`",
        ),
        (json!({}), "give one, such as"),
    ] {
        let sentence = error(&binary, "shell", payload).await;
        assert!(sentence.contains(part), "{sentence}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn shell_is_only_served_where_it_is_allowed() {
    let binary = Binary::alone().await;
    let _node = binary.node(&[]).await;
    let id = binary
        .done("job submit shell", &[r#"{"script":"echo hi"}"#])
        .await;
    // The node has seen later work, and left this.
    binary.done("job submit noop --wait", &[]).await;
    let span = std::time::Duration::from_millis(300);
    throughout("it waits", span, async || {
        binary.json("job get", &[&id]).await["status"] == "pending"
    })
    .await;
    let _other = binary.node(&["--allow-shell"]).await;
    eventually("another node takes it", SOON, async || {
        binary.json("job get", &[&id]).await["result"] == "hi"
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn http_sends_requests_and_takes_the_answers() {
    let (binary, node) = Binary::with_node().await;
    let url = |path: &str| format!("http://{}{path}", node.http());
    let answer = result(&binary, "http", json!({ "url": url("/livez") })).await;
    assert_eq!(
        (&answer["status"], &answer["body"]),
        (&json!(200), &json!("ok\n"))
    );
    let ready = result(&binary, "http", json!({ "url": url("/readyz") })).await;
    assert_eq!(ready["body"], json!({ "ready": true }));
    let missing = json!({ "url": url("/nowhere"), "expect_status": [404] });
    assert_eq!(result(&binary, "http", missing).await["status"], 404);
    for (payload, part) in [
        (json!({ "url": url("/nowhere") }), "404"),
        (
            json!({ "url": "ftp://x/" }),
            "must begin with http:// or https://",
        ),
        (json!({ "url": "http://127.0.0.1:1/" }), "is dead: "),
        (json!({}), "missing field `url`"),
    ] {
        let sentence = error(&binary, "http", payload).await;
        assert!(sentence.contains(part), "{sentence}");
    }
}
