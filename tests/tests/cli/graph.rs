//! `paceline workflow graph`.

use serde_json::Value;

use crate::Binary;

const LOOP: &str = r"
name: poll
tasks:
  - { name: ask, task_type: echo, payload: { n: 1 } }
  - name: ready
    type: condition
    condition: tasks.ask.output.n eq 1
    depends_on: [ask]
    condition_routes: { 0: fetch, 1: ask }
    max_iterations: 3
  - { name: fetch, task_type: echo, depends_on: [ready] }
";

const DRAWN: &str = r#"flowchart TD
  n0["ask<br/>echo"]
  n1{"ready<br/>tasks.ask.output.n eq 1"}
  n2["fetch<br/>echo"]
  n0 --> n1
  n1 -->|"true"| n2
  n1 -.->|"false (at most 3 times)"| n0"#;

/// A file needs neither Redis nor to be valid; an instance is drawn as it stands.
#[tokio::test(flavor = "multi_thread")]
async fn files_and_instances_are_drawn() {
    let (binary, _node) = Binary::with_node().await;
    binary.file("poll.yaml", LOOP);
    let nowhere = ["--redis", "redis://127.0.0.1:1/"];
    let drawn = binary.done("workflow graph poll.yaml", &nowhere).await;
    assert_eq!(drawn, DRAWN);
    let dot = binary
        .done("workflow graph poll.yaml --format dot", &nowhere)
        .await;
    assert!(
        dot.starts_with("digraph \"poll\" {") && dot.ends_with('}'),
        "{dot}"
    );
    let told = binary.json("workflow graph poll.yaml", &nowhere).await;
    assert_eq!(
        (&told["format"], told["graph"].as_str().unwrap().trim_end()),
        (&Value::from("mermaid"), DRAWN)
    );

    binary.file("wrong.yaml", &LOOP.replace("1: ask", "1: asq"));
    binary.refused(2, "workflow validate wrong.yaml", &[]).await;
    let drawn = binary.done("workflow graph wrong.yaml", &nowhere).await;
    assert!(!drawn.contains("at most"), "{drawn}");

    let ran = binary.json("run poll.yaml", &[]).await;
    let id = ran["id"].as_str().unwrap();
    let drawn = binary.done("workflow graph", &[id]).await;
    for line in [
        r#"  n0["ask<br/>echo"]:::completed"#,
        r#"  n1{"ready<br/>tasks.ask.output.n eq 1<br/>route 0"}:::completed"#,
        r#"  n2["fetch<br/>echo"]:::completed"#,
    ] {
        assert!(drawn.lines().any(|drawn| drawn == line), "{line}\n{drawn}");
    }
    binary
        .refused(3, "workflow graph wf_00000000000000000000000000", &[])
        .await;
    let sentence = binary.refused(2, "workflow graph wf_1", &[]).await;
    assert!(sentence.contains("is not a workflow id"), "{sentence}");
    let sentence = binary.refused(2, "workflow graph nofile.yaml", &[]).await;
    assert!(
        sentence.starts_with("cannot read nofile.yaml"),
        "{sentence}"
    );
}

const FAMILY: &str = r"
name: family
tasks:
  - { name: child, child_workflow_def: { name: inner, tasks: [{ name: say, task_type: echo }] } }
  - name: plan
    type: subflow
    task_type: echo
    payload: { tasks: [{ name: late, child_workflow_def: { name: later, tasks: [{ name: say, task_type: echo }] } }] }
";

/// Row 74: of children each task is drawn as it stands, also where they came with a subflow.
#[tokio::test(flavor = "multi_thread")]
async fn children_are_drawn_as_they_stand() {
    let (binary, _node) = Binary::with_node().await;
    binary.file("family.yaml", FAMILY);
    let ran = binary.json("run family.yaml", &[]).await;
    let drawn = binary
        .done("workflow graph", &[ran["id"].as_str().unwrap()])
        .await;
    let tasks = drawn.matches(r#"["say<br/>echo"]:::completed"#).count();
    let frames = drawn
        .lines()
        .filter_map(|line| line.split_once(" [").filter(|_| line.contains("subgraph")));
    let frames: Vec<_> = frames.map(|(_, title)| title).collect();
    assert_eq!(
        (tasks, frames),
        (2, vec![r#""inner"]"#, r#""added by plan"]"#, r#""later"]"#]),
        "{drawn}"
    );
}
