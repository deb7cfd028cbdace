//! Steering jobs from the command line.

use serde_json::json;

use crate::Binary;

/// Contract rows 18, 27, 28 and 32.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_waits_is_steered() {
    let (binary, _node) = Binary::with_node().await;
    let submit = "job submit echo --delay 1h --unique k";
    let id = binary.done(submit, &["1"]).await;
    let paused = binary.json("job pause --for 1h", &[&id]).await;
    assert_eq!(paused, json!({ "id": id, "status": "paused" }));
    binary.done("job edit", &[&id, "[2]"]).await;
    assert_eq!(binary.json("job get", &[&id]).await["payload"], json!([2]));
    binary.done("job cancel --unique k", &[]).await;
    assert_eq!(binary.json("job get", &[&id]).await["status"], "cancelled");
    binary.done("job cancel --unique k", &[]).await;
    for words in ["job pause", "job requeue"] {
        let sentence = binary.refused(4, words, &[&id]).await;
        assert!(sentence.contains("is cancelled"), "{sentence}");
    }
    let again = binary.json("job retry --as-new", &[&id]).await;
    assert_ne!(again["id"], json!(id));
    let sentence = binary.refused(4, "job edit", &[&id, "3"]).await;
    assert!(sentence.contains("only while its job waits"), "{sentence}");
}

/// Contract row 116: what is not named by ids is done on purpose only; a refusal is told for each job
/// and by the exit code.
#[tokio::test(flavor = "multi_thread")]
async fn jobs_are_steered_in_bulk() {
    let binary = Binary::alone().await;
    for _ in 0..3 {
        binary
            .done("job submit later --delay 1h --tag x", &[])
            .await;
    }
    let sentence = binary.refused(2, "job cancel --tag x", &[]).await;
    assert!(sentence.contains("add --yes"), "{sentence}");
    let sentence = binary.refused(2, "job delete", &[]).await;
    assert!(sentence.contains("no jobs are named"), "{sentence}");
    let sentence = binary.refused(4, "job delete --tag x --yes", &[]).await;
    assert!(sentence.contains("cancel it first"), "{sentence}");
    let told = binary.done("job cancel --tag x --yes", &[]).await;
    assert_eq!(
        told.lines()
            .filter(|line| line.ends_with("is cancelled"))
            .count(),
        3,
        "{told}"
    );
    let told = binary.done("job retry --status cancelled --yes", &[]).await;
    assert_eq!(
        told.lines()
            .filter(|line| line.ends_with("runs again"))
            .count(),
        3,
        "{told}"
    );
    binary.done("job cancel --status pending --yes", &[]).await;
    let told = binary.done("job delete --type later --yes", &[]).await;
    assert_eq!(
        told.lines()
            .filter(|line| line.ends_with("is deleted"))
            .count(),
        3,
        "{told}"
    );
    assert_eq!(binary.json("job list", &[]).await["jobs"], json!([]));
}

/// Contract row 30: all dead letters, or those of one task type.
#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_retried_in_bulk() {
    let (binary, _node) = Binary::with_node().await;
    for _ in 0..2 {
        let id = binary
            .done("job submit fail --max-attempts 1", &["{}"])
            .await;
        paceline_tests::eventually("it is dead", paceline_tests::SOON, async || {
            binary.json("job get", &[&id]).await["status"] == "dead"
        })
        .await;
    }
    assert_eq!(binary.done("dlq retry --all --type other", &[]).await, "");
    let told = binary.done("dlq retry --all", &[]).await;
    assert_eq!(
        told.lines()
            .filter(|line| line.ends_with("runs again"))
            .count(),
        2,
        "{told}"
    );
}
