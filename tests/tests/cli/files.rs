//! `paceline run`: workflow files in JSON and YAML, to their ends.

use serde_json::{Value, json};

use crate::Binary;

const YAML: &str = r#"
name: report
execution_timeout: 1m
default_priority: 8
tasks:
  - name: numbers
    task_type: echo
    payload: [3, 4]
  - name: words
    task_type: echo
    payload: { text: "a: b" }
    priority: 10
  - name: join
    task_type: shell
    depends_on: [numbers, words]
    result_from: [numbers, words]
    payload:
      script: cat
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_yaml_and_a_json_file_run_to_the_same_end() {
    let (binary, _node) = Binary::with_node().await;
    binary.file("report.yaml", YAML);
    let expected = json!({
        "input": { "day": 31 },
        "upstream": { "numbers": [3, 4], "words": { "text": "a: b" } },
    });
    let end = binary
        .end("run report.yaml --input", &[r#"{"day":31}"#])
        .await;
    assert_eq!(end.code, Some(0), "{}", end.stderr);
    let printed: Value = serde_json::from_str(&end.stdout).unwrap();
    assert_eq!(printed, expected);
    for line in [
        "numbers  completed",
        "join     running",
        "completed in ",
        ", 3 tasks",
    ] {
        assert!(end.stderr.contains(line), "{line}: {}", end.stderr);
    }

    let definition = json!({ "name": "report", "tasks": [
        { "name": "numbers", "task_type": "echo", "payload": [3, 4] },
        { "name": "words", "task_type": "echo", "payload": { "text": "a: b" } },
        { "name": "join", "task_type": "shell", "depends_on": ["numbers", "words"],
          "result_from": ["numbers", "words"], "payload": { "script": "cat" } },
    ] });
    binary.file("report.json", &definition.to_string());
    binary.file("day.json", r#"{"day":31}"#);
    let workflow = binary.json("run report.json --input @day.json", &[]).await;
    assert_eq!(workflow["status"], "completed");
    assert_eq!(workflow["output"], expected);
    assert_eq!(workflow["tasks"].as_array().unwrap().len(), 3);
    let silent = binary.end("run report.json -o json", &[]).await;
    assert_eq!(
        (silent.code, silent.stderr.as_str()),
        (Some(0), ""),
        "JSON and nothing else"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_that_fails_is_exit_code_1_and_says_why() {
    let (binary, _node) = Binary::with_node().await;
    binary.file(
        "bad.yml",
        "name: bad\ntasks:\n  - name: wrong\n    task_type: fail\n    payload: { error: no table, permanent: true }\n  - { name: after, task_type: noop, depends_on: [wrong] }\n",
    );
    let sentence = binary.refused(1, "run bad.yml", &[]).await;
    assert!(
        sentence.ends_with("failed: task wrong failed: no table"),
        "{sentence}"
    );
    let end = binary.end("run bad.yml -o json", &[]).await;
    assert_eq!(end.code, Some(1));
    let workflow: Value = serde_json::from_str(&end.stdout).unwrap();
    assert_eq!(
        (&workflow["status"], &workflow["error"]),
        (&json!("failed"), &json!("task wrong failed: no table"))
    );
    assert_eq!(workflow["tasks"][1]["status"], "cancelled");
    let told: Value = serde_json::from_str(&end.stderr).unwrap();
    assert_eq!(told["code"], "failed");

    binary.file(
        "late.json",
        r#"{"name":"late","execution_timeout":"200ms","tasks":[
            {"name":"nap","task_type":"sleep","payload":{"duration":"1h"}}]}"#,
    );
    let sentence = binary.refused(1, "run late.json", &[]).await;
    assert!(
        sentence.ends_with("failed: execution timed out"),
        "{sentence}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_brings_its_own_redis_and_node_if_asked() {
    let binary = Binary::on("redis://127.0.0.1:1/", "unused");
    binary.file("report.yaml", YAML);
    let end = binary.end("run --dev --allow-shell report.yaml", &[]).await;
    assert_eq!(end.code, Some(0), "{}", end.stderr);
    let printed: Value = serde_json::from_str(&end.stdout).unwrap();
    assert_eq!(printed["upstream"]["numbers"], json!([3, 4]));
}
