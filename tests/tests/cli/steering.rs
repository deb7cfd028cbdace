//! Steering nodes from the command line: settings, drain, roles.

use paceline_tests::{SOON, eventually};
use serde_json::json;

use crate::Binary;

/// Contract row 49.
#[tokio::test(flavor = "multi_thread")]
async fn settings_are_set_shown_and_taken_back() {
    let binary = Binary::alone().await;
    let set = "config set --handler image.* timeout=5s concurrency=3";
    let shown = binary.json(set, &[]).await;
    let expected = json!({ "config": {
        "handler:image.*": { "timeout": "5s", "concurrency": 3 },
    } });
    assert_eq!(shown, expected);
    binary.done("config set paused=true", &[]).await;
    let table = binary.done("config get", &[]).await;
    let lines: Vec<_> = table
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .collect();
    assert_eq!(lines[1], ["global", "true"]);
    assert_eq!(lines[2], ["handler:image.*", "5s", "3"]);
    let left = binary
        .json("config unset --handler image.* timeout", &[])
        .await;
    assert_eq!(
        left["config"]["handler:image.*"],
        json!({ "concurrency": 3 })
    );
    binary.done("config unset", &[]).await;
    binary.done("config unset --handler image.*", &[]).await;
    let none = binary.json("config get", &[]).await;
    assert_eq!(none, json!({ "config": {} }));

    let wrong = binary.refused(2, "config set concurrency=0", &[]).await;
    assert!(
        wrong.contains("`concurrency` is 0, but must be a whole number of at least 1"),
        "{wrong}"
    );
}

/// Contract row 47.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_drained_by_its_name_or_id() {
    let binary = Binary::alone().await;
    let _node = binary.node(&["--name", "worker-1"]).await;
    let told = binary.json("node drain worker-1", &[]).await;
    assert_eq!(told["draining"], json!(true));
    let id = told["node"].as_str().unwrap().to_owned();
    let listed = binary.json("node list", &[]).await;
    assert_eq!(listed["nodes"][0]["draining"], json!(true));
    assert_eq!(listed["nodes"][0]["node_id"], json!(id));
    let roles = &listed["nodes"][0]["roles"];
    assert_eq!(
        *roles,
        json!(["worker", "scheduler", "orchestrator", "api"])
    );
    let table = binary.done("node list", &[]).await;
    assert!(table.contains("draining"), "{table}");

    let text = binary.done("node undrain", &[&id]).await;
    assert_eq!(text, format!("{id} claims again"));
    eventually("it works again", SOON, async || {
        let end = binary.end("job submit echo --wait", &["1"]).await;
        end.code == Some(0)
    })
    .await;

    let unknown = binary.refused(3, "node drain worker-2", &[]).await;
    assert_eq!(
        unknown,
        "no node that is alive is named `worker-2`: see paceline node list"
    );
    let gone = "node_00000000000000000000000000";
    let unknown = binary.refused(3, "node drain", &[gone]).await;
    assert!(
        unknown.starts_with(&format!("{gone} is not alive")),
        "{unknown}"
    );
}

/// Contract row 102: leading is one thing.
#[tokio::test(flavor = "multi_thread")]
async fn roles_that_cannot_be_split_are_told() {
    let binary = Binary::alone().await;
    let wrong = binary.refused(2, "node --role scheduler", &[]).await;
    assert_eq!(
        wrong,
        "the list of roles is scheduler, but must be with both of scheduler and orchestrator or \
         with neither, since one leader does both"
    );
}
