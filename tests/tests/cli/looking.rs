//! `job why`, `job audit`, `stats`, and the filters of `job list`.

use paceline_tests::{SOON, eventually};
use serde_json::{Value, json};

use crate::Binary;

async fn submitted(binary: &Binary, words: &str, args: &[&str]) -> String {
    let told = binary.json(&format!("job submit {words}"), args).await;
    told["id"].as_str().unwrap().to_owned()
}

/// Contract row 111: in words and as JSON, with the exit code of what is not there.
#[tokio::test(flavor = "multi_thread")]
async fn why_a_job_does_not_run_is_said_in_words_and_as_json() {
    let (binary, _node) = Binary::with_node().await;
    let id = submitted(&binary, "ecko", &["1"]).await;
    let why = binary.json(&format!("job why {id}"), &[]).await;
    assert_eq!(why["status"], "pending");
    let text = "no live node serves task type ecko; echo is served, was that meant?";
    let reason = json!({
        "reason": "not_served", "task_type": "ecko", "nearest": "echo", "text": text,
    });
    assert_eq!(why["reasons"], json!([reason]));
    let words = binary.done(&format!("job why {id}"), &[]).await;
    assert_eq!(words, format!("{id} is pending\n- {text}"));
    let nobody = "job_00000000000000000000000001";
    let sentence = binary.refused(3, &format!("job why {nobody}"), &[]).await;
    assert!(
        sentence.starts_with(&format!("{nobody} is not known")),
        "{sentence}"
    );
    let sentence = binary.refused(3, &format!("job audit {nobody}"), &[]).await;
    assert!(
        sentence.starts_with(&format!("{nobody} is not known")),
        "{sentence}"
    );
}

/// Contract row 111: what happened, and whether it is all of it.
#[tokio::test(flavor = "multi_thread")]
async fn an_audit_shows_what_happened() {
    let (binary, node) = Binary::with_node().await;
    let id = submitted(&binary, "fail --audit --max-attempts 1", &[]).await;
    let audit = eventually("it is dead", SOON, async || {
        let audit = binary.json(&format!("job audit {id}"), &[]).await;
        if audit["entries"].as_array().unwrap().len() == 3 {
            Ok(audit)
        } else {
            Err(audit)
        }
    })
    .await;
    assert_eq!(
        (&audit["source"], &audit["complete"]),
        (&json!("trail"), &json!(true))
    );
    let moves: Vec<(&Value, &Value)> = audit["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| (&entry["event"], &entry["to"]))
        .collect();
    let expected = [
        (&json!("job.enqueued"), &json!("pending")),
        (&json!("job.started"), &json!("running")),
        (&json!("job.dead"), &json!("dead")),
    ];
    assert_eq!(moves, expected);
    let table = binary.done(&format!("job audit {id}"), &[]).await;
    assert!(
        table.starts_with("TIME") && table.contains("job.dead"),
        "{table}"
    );
    let plain = submitted(&binary, "echo", &["1"]).await;
    let end = binary.end(&format!("job audit {plain}"), &[]).await;
    assert!(end.stderr.contains("not an audited job"), "{}", end.stderr);
    drop(node);
}

/// Contract rows 19, 113 and 117: totals, and lists by what is in a payload.
#[tokio::test(flavor = "multi_thread")]
async fn totals_and_filters_of_lists() {
    let (binary, _node) = Binary::with_node().await;
    for user in ["1", "2", "2"] {
        binary
            .done(
                "job submit echo --wait",
                &[&format!("{{\"user\": {user}}}")],
            )
            .await;
    }
    binary.done("job submit nobody", &[]).await;
    let stats = binary.json("stats --days 2", &[]).await;
    let days = stats["days"].as_array().unwrap();
    let processed: u64 = days
        .iter()
        .map(|day| day["processed"].as_u64().unwrap())
        .sum();
    assert_eq!((days.len(), processed), (2, 3));
    assert_eq!((&stats["pending"], &stats["nodes"]), (&json!(1), &json!(1)));
    assert_eq!(stats["unserved"], json!(["n:nobody:"]));
    let table = binary.done("stats", &[]).await;
    assert!(table.contains("no live node serves nobody"), "{table}");
    let listed = binary.json("job list --payload user=2", &[]).await;
    assert_eq!(listed["jobs"].as_array().unwrap().len(), 2);
    assert_eq!(listed["scanned"], 4);
    for (filter, count) in [
        ("--since 1h", 4),
        ("--until 1h", 0),
        ("--ended-since 1h", 3),
    ] {
        let listed = binary.json(&format!("job list {filter}"), &[]).await;
        assert_eq!(listed["jobs"].as_array().unwrap().len(), count, "{filter}");
    }
}
