//! Groups from the command line.

use paceline_tests::{SOON, eventually};
use serde_json::json;

use crate::Binary;

/// Contract row 11.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_pushed_seen_and_flushed() {
    let (binary, _node) = Binary::with_node().await;
    let limits = "--grace 1h --max-delay 1h --max-size 3";
    let push = format!("group push orders echo {limits}");
    assert_eq!(
        binary.done(&push, &[r#"{"n":1}"#]).await,
        "1 message stands"
    );
    assert_eq!(
        binary.json(&push, &["2"]).await,
        json!({"standing": 2, "jobs": []})
    );
    let listed = binary.json("group list", &[]).await;
    let group = &listed["groups"][0];
    assert_eq!(
        (&group["name"], &group["task_type"], &group["messages"]),
        (&json!("orders"), &json!("echo"), &json!(2))
    );
    let table = binary.done("group list", &[]).await;
    assert!(
        table.starts_with("NAME") && table.contains("orders"),
        "{table}"
    );

    let made = binary.json(&push, &["3"]).await;
    let id = made["jobs"][0].as_str().expect("a job").to_owned();
    let job = eventually("it completes", SOON, async || {
        let job = binary.json("job get", &[&id]).await;
        (job["status"] == "completed").then_some(job)
    })
    .await;
    assert_eq!(job["result"], json!([{"n": 1}, 2, 3]));

    binary.done(&push, &["4"]).await;
    let id = binary.done("group flush orders", &[]).await;
    assert_eq!(binary.json("job get", &[&id]).await["payload"], json!([4]));
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_with_groups_are_told() {
    let binary = Binary::alone().await;
    binary.done("group push g echo", &["1"]).await;
    let table = [
        (
            3,
            "group flush nothing",
            "nothing stands in group `nothing`",
        ),
        (4, "group push g other 1", "group `g` collects for echo"),
        (2, "group push g echo {", "PAYLOAD is not JSON"),
        (2, "group push g a:b 1", "the task type `a:b` contains ':'"),
        (2, "group push g echo 1 --max-size 0", "max_size is 0"),
        (2, "group list --cursor x", "`x` is not a cursor"),
    ];
    for (code, words, sentence) in table {
        let told = binary.refused(code, words, &[]).await;
        assert!(told.starts_with(sentence), "{words}: {told}");
    }
}
