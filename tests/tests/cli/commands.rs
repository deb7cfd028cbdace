//! Jobs, dead letters, workflows and nodes from the command line.

use paceline_tests::{SOON, eventually};
use serde_json::{Value, json};

use crate::Binary;

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_submitted_seen_and_waited_for() {
    let (binary, _node) = Binary::with_node().await;
    let payload = r#"{"n": 12345678901234567890123}"#;
    let id = binary
        .done(
            "job submit echo --tag red --tag blue --priority 9 --header a=b",
            &[payload],
        )
        .await;
    assert!(id.starts_with("job_"), "{id}");
    let job = eventually("it completes", SOON, async || {
        let job = binary.json("job get", &[&id]).await;
        (job["status"] == "completed").then_some(job)
    })
    .await;
    assert_eq!(
        (&job["id"], &job["task_type"]),
        (&json!(id), &json!("echo"))
    );
    assert_eq!(
        (&job["priority"], &job["tags"]),
        (&json!(9), &json!(["red", "blue"]))
    );
    let shown = binary.done("job get", &[&id]).await;
    for part in [&id, "completed", "red, blue", "12345678901234567890123"] {
        assert!(shown.contains(part), "{shown}");
    }
    let waited = binary
        .json("job submit echo --wait", &[r#"[1, "two"]"#])
        .await;
    assert_eq!(
        (&waited["status"], &waited["result"]),
        (&json!("completed"), &json!([1, "two"]))
    );
    assert_eq!(
        binary.done("job submit echo --wait", &["[1,2]"]).await,
        "[1,2]"
    );

    let listed = binary
        .json("job list --status completed --type echo --tag red", &[])
        .await;
    assert_eq!(listed["jobs"].as_array().unwrap().len(), 1);
    assert_eq!(listed["jobs"][0]["id"], json!(id));
    let table = binary.done("job list", &[]).await;
    assert!(table.lines().next().unwrap().starts_with("ID"), "{table}");
    assert!(table.contains(&id), "{table}");
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_a_list_join_on() {
    let binary = Binary::alone().await;
    for _ in 0..5 {
        binary.done("job submit later --delay 1h", &[]).await;
    }
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let mut args = vec!["--limit", "2"];
        if !cursor.is_empty() {
            args.extend(["--cursor", &cursor]);
        }
        let page = binary.json("job list --status scheduled", &args).await;
        seen.extend(
            page["jobs"]
                .as_array()
                .unwrap()
                .iter()
                .map(|job| job["id"].clone()),
        );
        match &page["next"] {
            Value::String(next) => cursor = next.clone(),
            _ => break,
        }
    }
    seen.sort_by_key(ToString::to_string);
    seen.dedup();
    assert_eq!(seen.len(), 5);
    let sentence = binary.refused(2, "job list --cursor nonsense", &[]).await;
    assert!(sentence.contains("nonsense"), "{sentence}");
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_are_cancelled_and_retried_with_the_right_codes() {
    let (binary, _node) = Binary::with_node().await;
    let delayed = binary.done("job submit echo --delay 1h", &[]).await;
    let cancelled = binary.json("job cancel --reason why", &[&delayed]).await;
    assert_eq!(cancelled["status"], "cancelled");
    assert_eq!(
        binary.json("job get", &[&delayed]).await["last_error"],
        "why"
    );
    // Once more changes nothing, and is no failure.
    binary.done("job cancel", &[&delayed]).await;
    let retried = binary.json("job retry", &[&delayed]).await;
    assert_eq!(retried["status"], "pending");
    eventually("it runs after all", SOON, async || {
        binary.json("job get", &[&delayed]).await["status"] == "completed"
    })
    .await;
    let sentence = binary.refused(4, "job cancel", &[&delayed]).await;
    assert_eq!(
        sentence,
        format!("{delayed} cannot be cancelled: it is completed")
    );
    let sentence = binary.refused(4, "job retry", &[&delayed]).await;
    assert!(
        sentence.contains("only dead and cancelled jobs can be retried"),
        "{sentence}"
    );

    let long = binary
        .done("job submit sleep", &[r#"{"duration":"1h"}"#])
        .await;
    eventually("it sleeps", SOON, async || {
        binary.json("job get", &[&long]).await["status"] == "running"
    })
    .await;
    assert_eq!(
        binary.json("job cancel", &[&long]).await["status"],
        "requested"
    );
    eventually("it is woken", SOON, async || {
        binary.json("job get", &[&long]).await["status"] == "cancelled"
    })
    .await;

    let nobody = "job_00000000000000000000000000";
    for words in ["job get", "job cancel", "job retry"] {
        let sentence = binary.refused(3, words, &[nobody]).await;
        assert!(
            sentence.starts_with(nobody) && sentence.contains("not known"),
            "{sentence}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_listed_retried_and_purged() {
    let (binary, _node) = Binary::with_node().await;
    let payload = r#"{"error":"no such image","permanent":true}"#;
    let sentence = binary
        .refused(1, "job submit fail --wait", &[payload])
        .await;
    assert!(sentence.ends_with("is dead: no such image"), "{sentence}");
    let letters = binary.json("dlq list", &[]).await;
    let id = letters["jobs"][0]["id"].as_str().unwrap().to_owned();
    assert!(sentence.starts_with(&id), "{sentence}");
    assert!(binary.done("dlq list", &[]).await.contains("no such image"));

    binary.done("dlq retry", &[&id]).await;
    eventually("it is dead again", SOON, async || {
        let job = binary.json("job get", &[&id]).await;
        job["status"] == "dead" && binary.done("dlq list", &[]).await.contains(&id)
    })
    .await;
    assert_eq!(
        binary.json("dlq purge", &[&id]).await,
        json!({ "purged": 1 })
    );
    binary.refused(3, "job get", &[&id]).await;
    for _ in 0..3 {
        binary
            .end("job submit fail --wait --max-attempts 1", &[])
            .await;
    }
    assert_eq!(binary.done("dlq purge --all", &[]).await, "3 removed");
    assert_eq!(binary.json("dlq list", &[]).await["jobs"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_are_listed_with_what_they_serve() {
    let (binary, node) = Binary::with_node().await;
    let plain = binary
        .node(&["--name", "plain", "--concurrency", "3", "--lease", "2s"])
        .await;
    let nodes = binary.json("node list", &[]).await["nodes"].clone();
    let nodes = nodes.as_array().unwrap();
    assert_eq!(nodes.len(), 2);
    let types = |place: usize| nodes[place]["task_types"].to_string();
    assert!(
        types(0).contains("shell") && !types(1).contains("shell"),
        "{nodes:?}"
    );
    assert_eq!(nodes[1]["name"], "plain");
    assert_eq!(nodes[1]["pool_stats"]["max_concurrency"], 3);
    assert_eq!(nodes[0]["address"], node.http().to_string());
    let table = binary.done("node list", &[]).await;
    assert!(table.contains("plain") && table.contains("echo"), "{table}");

    plain.terminate();
    let end = plain.finished(SOON).await;
    assert_eq!(end.code, Some(0), "{}", end.stderr);
    assert!(
        end.stdout.contains(" ready, http on 127.0.0.1:"),
        "{}",
        end.stdout
    );
    let left = binary.json("node list", &[]).await["nodes"].clone();
    assert_eq!(left.as_array().unwrap().len(), 1, "it took leave");
}

#[tokio::test(flavor = "multi_thread")]
async fn workflows_are_submitted_listed_and_cancelled() {
    let (binary, _node) = Binary::with_node().await;
    let task = |duration: &str| {
        json!({ "name": "nap", "tasks": [
            { "name": "nap", "task_type": "sleep", "payload": { "duration": duration } },
        ] })
        .to_string()
    };
    binary.file("long.json", &task("1h"));
    binary.file("short.json", &task("1ms"));
    let id = binary
        .done("workflow submit long.json", &["--input", r#"{"day": 1}"#])
        .await;
    assert!(id.starts_with("wf_"), "{id}");
    eventually("it runs", SOON, async || {
        let workflow = binary.json("workflow get", &[&id]).await;
        assert_eq!(workflow["input"], json!({ "day": 1 }));
        workflow["tasks"][0]["status"] == "running"
    })
    .await;
    let running = binary.json("workflow list --status running", &[]).await;
    assert_eq!(running["workflows"][0]["id"], json!(id));
    let shown = binary.done("workflow get", &[&id]).await;
    assert!(
        shown.contains("TYPE") && shown.contains("running"),
        "{shown}"
    );

    let answer = binary.json("workflow cancel --reason enough", &[&id]).await;
    assert_eq!(answer, json!({ "id": id, "status": "cancelling" }));
    eventually("it is cancelled", SOON, async || {
        let workflow = binary.json("workflow get", &[&id]).await;
        workflow["status"] == "cancelled" && workflow["error"] == "cancelled: enough"
    })
    .await;
    let sentence = binary.refused(4, "workflow cancel", &[&id]).await;
    assert_eq!(
        sentence,
        format!("{id} cannot be cancelled: it is cancelled")
    );
    let nobody = "wf_00000000000000000000000000";
    for words in ["workflow get", "workflow cancel"] {
        let sentence = binary.refused(3, words, &[nobody]).await;
        assert!(
            sentence.starts_with(nobody) && sentence.contains("not known"),
            "{sentence}"
        );
    }

    let short = binary.json("workflow submit short.json", &[]).await["id"].clone();
    eventually("it completes", SOON, async || {
        let listed = binary
            .json("workflow list --status completed --limit 1", &[])
            .await;
        listed["workflows"][0]["id"] == short
    })
    .await;
    assert_eq!(
        binary.done("workflow validate short.json", &[]).await,
        "short.json is valid: 1 tasks"
    );
    let valid = binary.json("workflow validate short.json", &[]).await;
    assert_eq!(valid, json!({ "valid": true, "errors": [] }));
}
