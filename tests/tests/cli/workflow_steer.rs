//! Workflows from the command line: signals, suspending, retrying, results.

use paceline_tests::{SOON, eventually};
use serde_json::{Value, json};

use crate::Binary;

const NOBODY: &str = "wf_00000000000000000000000000";

const APPROVAL: &str = r"
name: approval
tasks:
  - { name: approve, type: signal, signal: go }
  - { name: after, task_type: echo, depends_on: [approve], payload: { by: '{{tasks.approve.output.by}}' } }
";

impl Binary {
    async fn submitted(&self, file: &str) -> String {
        let id = self.json("workflow submit", &[file]).await["id"].clone();
        id.as_str().unwrap().to_owned()
    }

    async fn workflow(&self, id: &str) -> Value {
        self.json("workflow get", &[id]).await
    }

    async fn becomes(&self, id: &str, status: &str) -> Value {
        eventually(&format!("{id} is {status}"), SOON, async || {
            let workflow = self.workflow(id).await;
            (workflow["status"] == status).then_some(workflow)
        })
        .await
    }
}

/// Row 84: a signal is durable, counts once by its key, and is refused after the end.
#[tokio::test(flavor = "multi_thread")]
async fn a_signal_lets_a_workflow_go_on_and_counts_once() {
    let (binary, _node) = Binary::with_node().await;
    binary.file("approval.yaml", APPROVAL);
    let id = binary.submitted("approval.yaml").await;
    let sentence = binary.refused(4, "workflow result", &[&id]).await;
    assert!(
        sentence.starts_with(&format!("{id} has no result: it is ")),
        "{sentence}"
    );

    let sent = binary
        .json("workflow signal --key k", &[&id, "go", r#"{"by":"me"}"#])
        .await;
    assert_eq!(sent, json!({ "id": id, "signal": "go", "number": 1 }));
    let again = binary
        .refused(4, "workflow signal --key k", &[&id, "go"])
        .await;
    assert!(again.contains("was sent a signal with the key"), "{again}");

    let result = binary.done("workflow result --wait", &[&id]).await;
    assert_eq!(result, r#"{"by":"me"}"#);
    let told = binary.json("workflow result", &[&id]).await;
    assert_eq!(told["result"], json!({ "by": "me" }));
    let of_task = binary.json("workflow result --task approve", &[&id]).await;
    assert_eq!(
        (&of_task["status"], &of_task["result"]),
        (&json!("completed"), &json!({ "by": "me" }))
    );
    let late = binary.refused(4, "workflow signal", &[&id, "go"]).await;
    assert_eq!(late, format!("{id} takes no signals: it is completed"));
    for (words, args) in [
        ("workflow signal", vec![NOBODY, "go"]),
        ("workflow result", vec![NOBODY]),
        ("workflow result --task nobody", vec![&id]),
        ("workflow result --task after --iteration 7", vec![&id]),
    ] {
        binary.refused(3, words, &args).await;
    }
    for (words, args, part) in [
        ("workflow signal", ["x", "go", "1"], "is not a workflow id"),
        (
            "workflow signal",
            [NOBODY, "go", "{"],
            "PAYLOAD is not JSON",
        ),
        ("workflow signal", [NOBODY, "a\nb", "1"], "contains"),
    ] {
        let sentence = binary.refused(2, words, &args).await;
        assert!(sentence.contains(part), "{sentence}");
    }
}

/// Row 85, W20: nothing new begins; both may be repeated; another state is a conflict that says it.
#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_workflow_waits_until_it_is_resumed() {
    let (binary, _node) = Binary::with_node().await;
    binary.file("approval.yaml", APPROVAL);
    let id = binary.submitted("approval.yaml").await;
    binary.becomes(&id, "running").await;
    let suspended = binary.json("workflow suspend", &[&id]).await;
    assert_eq!(suspended, json!({ "id": id, "status": "suspended" }));
    let again = binary.done("workflow suspend", &[&id]).await;
    assert_eq!(again, format!("{id} was suspended before"));
    binary
        .done("workflow signal", &[&id, "go", r#"{"by":1}"#])
        .await;
    let listed = binary.json("workflow list --status suspended", &[]).await;
    assert_eq!(listed["workflows"][0]["id"], json!(id));
    let shown = binary.done("workflow get", &[&id]).await;
    assert!(shown.contains("suspended:"), "{shown}");

    // One that cannot be resumed does not keep the other from it.
    let end = binary.end("workflow resume", &[NOBODY, &id]).await;
    assert_eq!(
        (end.code, end.stdout.trim_end()),
        (Some(3), &*format!("{id} goes on"))
    );
    binary.becomes(&id, "completed").await;
    for words in ["workflow suspend", "workflow resume", "workflow retry"] {
        let sentence = binary.refused(4, words, &[&id]).await;
        assert!(
            sentence.starts_with(&format!("{id} is completed; only")),
            "{sentence}"
        );
        binary.refused(3, words, &[NOBODY]).await;
    }
}

/// Row 82: by hand, what completed is kept.
#[tokio::test(flavor = "multi_thread")]
async fn a_failed_workflow_is_tried_again() {
    let (binary, _node) = Binary::with_node().await;
    let flag = binary.folder.path().join("there");
    let script = format!("test -e {} && echo 2", flag.display());
    let definition = json!({ "name": "retried", "tasks": [
        { "name": "first", "task_type": "shell", "payload": { "script": "echo 1" } },
        { "name": "second", "task_type": "shell", "depends_on": ["first"],
          "retry_policy": { "max_attempts": 1 }, "payload": { "script": script } },
    ]});
    binary.file("retried.json", &definition.to_string());
    let id = binary.submitted("retried.json").await;
    binary.becomes(&id, "failed").await;
    let sentence = binary.refused(1, "workflow result", &[&id]).await;
    assert!(
        sentence.starts_with(&format!("{id} failed: task second failed")),
        "{sentence}"
    );
    binary
        .refused(1, "workflow result --task second", &[&id])
        .await;
    std::fs::write(&flag, "").unwrap();
    let retried = binary.json("workflow retry", &[&id]).await;
    assert_eq!(retried, json!({ "id": id, "status": "running" }));
    assert_eq!(binary.done("workflow result --wait", &[&id]).await, "2");
    let workflow = binary.workflow(&id).await;
    let tasks = workflow["tasks"].as_array().unwrap();
    let iterations: Vec<_> = tasks.iter().map(|task| &task["iteration"]).collect();
    assert_eq!(iterations, [&json!(0), &json!(1)]);
    let shown = binary.done("workflow get", &[&id]).await;
    assert!(shown.contains("completed x2"), "{shown}");
}

const CHAIN: &str = r"
name: chain
tasks:
  - { name: more, type: condition, condition: input.left gt 0, condition_routes: { 0: again, 1: go } }
  - { name: again, task_type: continue, depends_on: [more], payload: { input: { left: 0 } } }
  - { name: go, type: signal, depends_on: [more] }
";

/// Row 87: what the first came to is what the newest came to, and whoever steers the first is told of
/// the newest.
#[tokio::test(flavor = "multi_thread")]
async fn the_first_of_a_chain_is_known_by_its_newest() {
    let (binary, _node) = Binary::with_node().await;
    binary.file("chain.yaml", CHAIN);
    let submitted = binary
        .json(r#"workflow submit --input {"left":1}"#, &["chain.yaml"])
        .await;
    let first = submitted["id"].as_str().unwrap();
    let continued = binary.becomes(first, "continued").await;
    let newest = continued["continued_to"].as_str().unwrap();
    binary.becomes(newest, "running").await;
    let sentence = binary.refused(4, "workflow result", &[first]).await;
    let expected =
        format!("{first} has no result: it went on as {newest}, which is running; add --wait");
    assert_eq!(sentence, expected);
    for (words, verb) in [
        ("workflow cancel", "cancel"),
        ("workflow suspend", "suspend"),
        ("workflow resume", "resume"),
        ("workflow retry", "retry"),
    ] {
        let sentence = binary.refused(4, words, &[first]).await;
        let remedy = format!("it went on as {newest}; {verb} that one");
        assert!(sentence.ends_with(&remedy), "{sentence}");
    }
    binary.done("workflow signal", &[newest, "go", "7"]).await;
    let expected = r#"{"again":null,"go":7}"#;
    assert_eq!(
        binary.done("workflow result --wait", &[first]).await,
        expected
    );
    assert_eq!(binary.done("workflow result", &[first]).await, expected);
    let of_task = binary.json("workflow result --task more", &[first]).await;
    assert_eq!(
        of_task["result"],
        json!({ "route": 0 }),
        "of the first itself"
    );
}
