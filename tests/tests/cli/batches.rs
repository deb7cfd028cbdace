//! Batches from the command line.

use paceline_tests::{SOON, eventually};
use serde_json::{Value, json};

use crate::Binary;

const NOBODY: &str = "batch_00000000000000000000000000";

fn lines(text: &str) -> Vec<Value> {
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Rows 91, 92, 97 and 98: items inside or beside, the result of the onetime task, progress, and
/// results page by page.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_runs_and_its_results_are_read() {
    let (binary, _node) = Binary::with_node().await;
    let head = "name: b\nonetime_task_type: echo\nonetime_payload: 7\nitem_task_type: echo\n";
    binary.file("b.yaml", &format!("{head}items_file: i.jsonl\n"));
    let items: String = (0..150)
        .map(|n| format!("{{\"id\":\"item {n}\",\"payload\":{n}}}\n"))
        .collect();
    binary.file("i.jsonl", &items);
    assert_eq!(
        binary.done("batch validate b.yaml", &[]).await,
        "b.yaml is valid: 150 items"
    );
    let submitted = binary.json("batch submit b.yaml", &[]).await;
    assert_eq!(submitted["items"], 150);
    let id = submitted["id"].as_str().unwrap();
    let followed = binary.done("batch progress --follow -o json", &[id]).await;
    let followed = lines(&followed);
    let done = json!({ "batch_id": id, "done": 150, "total": 150, "failed": 0, "step": "done" });
    assert_eq!(followed.last(), Some(&done));
    let counts: Vec<_> = followed.iter().map(|told| told["done"].as_u64()).collect();
    assert!(counts.is_sorted(), "{counts:?}");
    assert_eq!(binary.json("batch progress", &[id]).await, done);

    let page = binary.json("batch results --limit 100", &[id]).await;
    assert_eq!(
        (page["items"].as_array().unwrap().len(), &page["next"]),
        (100, &json!(100))
    );
    let rest = binary
        .json("batch results --limit 100 --from 100", &[id])
        .await;
    assert_eq!(rest["items"].as_array().unwrap().len(), 50);
    let all = binary.done("batch results --stream", &[id]).await;
    let all = lines(&all);
    assert_eq!(all.len(), 150);
    assert_eq!(all[3]["item_id"], "item 3");
    let output = json!({ "upstream": 7, "original": 3 });
    assert_eq!(
        (&all[3]["success"], &all[3]["output"]),
        (&json!(true), &output)
    );
    let one = binary.done("batch results --item", &["item 3", id]).await;
    assert_eq!(serde_json::from_str::<Value>(&one).unwrap(), output);

    let shown = binary.done("batch get", &[id]).await;
    for part in ["150 of 150 done (done)", "onetime result:", "completed"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let listed = binary.json("batch list --status completed", &[]).await;
    assert_eq!(listed["batches"][0]["id"], id);
    let event = binary
        .done("events -o json --kind batch.item.completed --batch", &[id])
        .await;
    assert_eq!(event.lines().count(), 150);

    let words = format!("{id} cannot be cancelled: it is completed");
    assert_eq!(binary.refused(4, "batch cancel", &[id]).await, words);
    let sentence = binary.refused(4, "batch retry", &[id]).await;
    assert!(sentence.contains("it is completed"), "{sentence}");
    binary
        .refused(3, "batch results --item nobody", &[id])
        .await;
    for words in [
        "get",
        "progress",
        "progress --follow",
        "results",
        "results --stream",
        "cancel",
        "retry",
    ] {
        let sentence = binary
            .refused(3, &format!("batch {words}"), &[NOBODY])
            .await;
        assert!(
            sentence.starts_with(NOBODY) && sentence.contains("not known"),
            "{sentence}"
        );
    }
}

/// Rows 94 to 96: `paceline run` ends as the batch ends, says what failed, and a retry mends it.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_failed_is_tried_again() {
    let (binary, _node) = Binary::with_node().await;
    let flag = binary.folder.path().join("there");
    let item = |script: String| json!({ "script": script });
    let definition = json!({
        "name": "b", "item_task_type": "shell", "item_retry_policy": { "max_attempts": 1 },
        "items": [
            { "id": "good", "payload": item("echo 1".to_owned()) },
            { "id": "bad", "payload": item(format!("test -e {} && echo 2", flag.display())) },
        ],
    });
    binary.file("b.json", &definition.to_string());
    let end = binary.end("run b.json", &[]).await;
    assert_eq!(
        (end.code, end.stdout.as_str()),
        (Some(1), ""),
        "{}",
        end.stderr
    );
    let mut told = end.stderr.lines();
    let id = told.next().unwrap().strip_suffix(" submitted").unwrap();
    let failed = format!("what failed: paceline batch results {id} --failed");
    assert!(told.any(|line| line == failed), "{}", end.stderr);
    assert!(
        end.stderr.contains(&format!("error: {id} failed: ")),
        "{}",
        end.stderr
    );

    let items = binary.json("batch results --failed", &[id]).await;
    assert_eq!(items["items"].as_array().unwrap().len(), 1);
    assert_eq!(items["items"][0]["item_id"], "bad");
    let sentence = binary.refused(1, "batch results --item bad", &[id]).await;
    assert!(
        sentence.contains("it is dead: exit status: 1"),
        "{sentence}"
    );

    std::fs::write(&flag, "").unwrap();
    let retried = binary.json("batch retry", &[id]).await;
    assert_eq!(retried, json!({ "id": id, "status": "running" }));
    eventually("it completes", SOON, async || {
        binary.json("batch get", &[id]).await["status"] == "completed"
    })
    .await;
    assert_eq!(binary.done("batch results --item bad", &[id]).await, "2");

    let ran = binary.end("run b.json", &[]).await;
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stdout.starts_with("batch_"), "{}", ran.stdout);
    let ran = binary.json("run b.json", &[]).await;
    assert_eq!(
        (&ran["status"], &ran["completed_items"]),
        (&json!("completed"), &json!(2))
    );
    let sentence = binary.refused(2, "run b.json --input 1", &[]).await;
    assert!(sentence.starts_with("a batch has no input"), "{sentence}");
}

/// Row 99.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_cancelled() {
    let binary = Binary::alone().await;
    let node = binary.node(&[]).await;
    binary.file(
        "b.yaml",
        "name: b\nitem_task_type: nobody.serves.it\nitems: [{ id: a }, { id: b }]\n",
    );
    let id = binary.done("batch submit b.yaml", &[]).await;
    let cancelled = binary.json("batch cancel --reason enough", &[&id]).await;
    assert_eq!(cancelled, json!({ "id": id, "status": "cancelling" }));
    let batch = eventually("it is cancelled", SOON, async || {
        let batch = binary.json("batch get", &[&id]).await;
        (batch["status"] == "cancelled").then_some(batch)
    })
    .await;
    assert_eq!(batch["error"], "cancelled: enough");
    drop(node);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_mistake_of_a_batch_file_is_told_with_its_place() {
    let binary = Binary::alone().await;
    binary.file(
        "bad.yaml",
        "name: ''\nitem_task_type: t\nchunk_size: 20000\nitems: [{ id: x }, { id: x }, { id: '' }]\n",
    );
    for words in [
        "batch submit bad.yaml",
        "batch validate bad.yaml",
        "run bad.yaml",
    ] {
        let sentence = binary.refused(2, words, &[]).await;
        assert!(
            sentence.starts_with("bad.yaml is not valid, it has 4 mistakes:"),
            "{sentence}"
        );
        for path in [
            "\n  name: ",
            "\n  items[1].id: ",
            "\n  items[2].id: ",
            "\n  chunk_size: ",
        ] {
            assert!(sentence.contains(path), "{path}: {sentence}");
        }
    }
    let end = binary.end("batch validate bad.yaml -o json", &[]).await;
    let told: Value = serde_json::from_str(&end.stdout).unwrap();
    assert_eq!((end.code, &told["valid"]), (Some(2), &json!(false)));
    assert_eq!(told["errors"].as_array().unwrap().len(), 4);
    binary.file("typo.yaml", "name: b\nitem_task_typ: t\nitems: []\n");
    let sentence = binary.refused(2, "batch submit typo.yaml", &[]).await;
    assert!(
        sentence.starts_with("typo.yaml: item_task_typ: unknown field"),
        "{sentence}"
    );
}
