//! `paceline events`: history, and what happens from here on.

use paceline_tests::{SOON, Source, eventually};
use serde_json::Value;

use crate::Binary;

/// The cursors that a call ended with.
fn cursors(stderr: &str) -> String {
    let line = stderr
        .lines()
        .find_map(|line| line.strip_prefix("to go on from here: --from "));
    line.unwrap_or_else(|| panic!("no cursors in {stderr}"))
        .to_owned()
}

fn kinds(lines: &str) -> Vec<String> {
    let events = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    events
        .map(|event| event["type"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn history_is_shown_once_and_goes_on_where_it_ended() {
    let (binary, _node) = Binary::with_node().await;
    let job = binary.json("job submit echo --wait", &["1"]).await["id"].clone();
    let job = job.as_str().unwrap();
    let history = binary.end("events --job", &[job]).await;
    assert_eq!(history.code, Some(0), "{}", history.stderr);
    let shown: Vec<&str> = history.stdout.lines().collect();
    assert_eq!(shown.len(), 3, "{shown:?}");
    for (line, kind) in shown
        .iter()
        .zip(["job.enqueued", "job.started", "job.completed"])
    {
        assert!(line.contains(kind) && line.contains(job), "{line}");
    }
    let from = cursors(&history.stderr);
    let nothing = binary.end("events --from", &[&from]).await;
    assert_eq!((nothing.code, nothing.stdout.as_str()), (Some(0), ""));

    binary.done("job submit noop --wait", &[]).await;
    let later = binary.done("events -o json --from", &[&from]).await;
    assert_eq!(
        kinds(&later),
        ["job.enqueued", "job.started", "job.completed"]
    );
    let dead = binary
        .done("events --kind job.dead --from start", &[])
        .await;
    assert_eq!(dead, "");
    let joined = binary
        .done(
            "events -o json --kind node.joined --kind leader.elected",
            &[],
        )
        .await;
    assert_eq!(joined.lines().count(), 2, "{joined}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_sees_each_event_once_until_it_is_stopped() {
    let (binary, _node) = Binary::with_node().await;
    let before = binary.end("events", &[]).await;
    let follower = binary
        .program("events --follow -o json --from")
        .arg(cursors(&before.stderr))
        .start();
    binary.file(
        "two.yaml",
        "name: two\ntasks:\n  - { name: a, task_type: noop }\n  - { name: b, task_type: noop, depends_on: [a] }\n",
    );
    let ran = binary.json("run two.yaml", &[]).await;
    let completed = |line: &str| line.contains("\"workflow.completed\"").then_some(());
    follower
        .line("the end of the workflow", SOON, completed)
        .await;
    let seen = follower.written(Source::Out);
    let mut of_workflow = kinds(&seen);
    of_workflow.retain(|kind| kind.starts_with("workflow."));
    assert_eq!(
        of_workflow,
        [
            "workflow.started",
            "workflow.task.dispatched",
            "workflow.task.completed",
            "workflow.task.dispatched",
            "workflow.task.completed",
            "workflow.completed",
        ]
    );
    let last: Value = serde_json::from_str(seen.lines().last().unwrap()).unwrap();
    assert_eq!(last["workflow_id"], ran["id"]);

    // One that follows from now sees nothing of that.
    let fresh = binary
        .program("events -f --kind job.completed --type echo -o json")
        .start();
    eventually("it has begun to listen", SOON, async || {
        binary.done("job submit echo --wait", &["7"]).await;
        !fresh.written(Source::Out).is_empty()
    })
    .await;
    assert!(
        kinds(&fresh.written(Source::Out))
            .iter()
            .all(|kind| kind == "job.completed")
    );
    for process in [&follower, &fresh] {
        process.interrupt();
        assert_eq!(process.finished(SOON).await.code, Some(0));
    }
    let sentence = binary.end("events --kind job.deed", &[]).await;
    assert_eq!(sentence.code, Some(2));
    assert!(
        sentence.stderr.contains("is not an event kind"),
        "{}",
        sentence.stderr
    );
}
