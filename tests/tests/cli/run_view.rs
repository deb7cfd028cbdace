//! What `paceline run` tells without a terminal: each transition once, also of what a definition
//! does not name.

use paceline_tests::SOON;

use crate::Binary;

impl Binary {
    /// The lines of a run, without the ids and times that differ.
    async fn lines_of(&self, file: &str) -> Vec<String> {
        let end = self.end("run", &[file]).await;
        assert_eq!(end.code, Some(0), "{}", end.stderr);
        let lines = end.stderr.lines();
        let told = lines.filter(|line| !line.starts_with("wf_"));
        told.map(|line| {
            let line = line.split(" after ").next().unwrap();
            let line = line.split(" on node_").next().unwrap();
            line.split_whitespace().collect::<Vec<_>>().join(" ")
        })
        .collect()
    }
}

/// Rows 69 to 71 and 81: a loop counts, the other branch is skipped, and hooks are waited for.
#[tokio::test(flavor = "multi_thread")]
async fn loops_skips_and_hooks_are_told() {
    let (binary, _node) = Binary::with_node().await;
    binary.file(
        "loop.yaml",
        r#"
name: loop
hooks: { on_init: { task_type: noop }, on_exit: { task_type: noop } }
tasks:
  - { name: count, task_type: shell, payload: { script: "echo $PACELINE_ITERATION" } }
  - { name: enough, type: condition, condition: tasks.count.output gte 1, depends_on: [count], condition_routes: { 0: done, 1: count } }
  - { name: done, type: condition, condition: input exists, depends_on: [enough], condition_routes: { 0: yes, 1: no } }
  - { name: "yes", task_type: noop, depends_on: [done] }
  - { name: "no", task_type: noop, depends_on: [done] }
"#
        .replace("0: yes, 1: no", r#"0: "yes", 1: "no""#)
        .as_str(),
    );
    let told = binary.lines_of("loop.yaml").await;
    let expected = [
        "on_init queued",
        "on_init running",
        "on_init completed",
        "count queued",
        "count running",
        "count completed",
        "enough completed",
        "count queued x2",
        "count running x2",
        "count completed x2",
        "enough completed x2",
        "done completed",
        "no queued",
        "yes skipped: no route led here",
        "no running",
        "no completed",
        "on_exit queued",
        "on_exit running",
        "on_exit completed",
    ];
    // What is dispatched beside one another comes in any order.
    let (mut told_sorted, mut wanted) = (told.clone(), expected.map(str::to_owned).to_vec());
    told_sorted.sort();
    wanted.sort();
    assert_eq!(told_sorted, wanted, "{told:#?}");
    assert_eq!(told[..12], expected[..12]);
    assert_eq!(told[16..], expected[16..]);
}

/// Rows 73, 74 and 89: tasks that came on the way, children, and maps in steps.
#[tokio::test(flavor = "multi_thread")]
async fn what_comes_on_the_way_is_told() {
    let (binary, _node) = Binary::with_node().await;
    binary.file(
        "parts.yaml",
        r#"
name: parts
tasks:
  - name: plan
    type: subflow
    task_type: echo
    payload: { tasks: [{ name: part, task_type: noop }] }
  - name: ship
    depends_on: [plan]
    child_workflow_def: { name: shipping, tasks: [{ name: pack, task_type: sleep, payload: { duration: 700ms } }] }
  - { name: many, type: map, depends_on: [ship], task_type: noop, items: [1, 2, 3, 4, 5] }
"#,
    );
    let told = binary.lines_of("parts.yaml").await;
    for line in [
        "plan waiting for the tasks that it added",
        "part completed",
        "plan completed",
        "ship running",
        "ship/pack running",
        "ship/pack completed",
        "ship completed",
        "many completed",
    ] {
        let times = told.iter().filter(|told| *told == line).count();
        assert_eq!(times, 1, "{line}: {told:#?}");
    }
    assert!(
        !told.iter().any(|line| line.contains('#')),
        "elements: {told:#?}"
    );
}

/// Row 84: the command that is told sends the signal.
#[tokio::test(flavor = "multi_thread")]
async fn a_signal_that_is_waited_for_is_told_with_its_command() {
    let (binary, _node) = Binary::with_node().await;
    binary.file(
        "wait.yaml",
        "name: wait\ntasks:\n  - { name: approve, type: signal, signal: go&on }\n",
    );
    let output = binary.signalled("wait.yaml", "go&on", "'go&on'").await;
    assert_eq!(output, "5");
}

/// Rows 73 and 84: also of a task that no definition names.
#[tokio::test(flavor = "multi_thread")]
async fn a_signal_of_a_task_that_was_added_is_told_with_its_command() {
    let (binary, _node) = Binary::with_node().await;
    binary.file(
        "plan.yaml",
        r#"
name: plan
tasks:
  - name: plan
    type: subflow
    task_type: echo
    payload: { tasks: [{ name: ask, type: signal, signal: "-go$" }] }
"#,
    );
    binary.signalled("plan.yaml", "-go$", "-- '-go$'").await;
}

/// Row 87: of a child that goes on as a new one, what that does is told as well.
#[tokio::test(flavor = "multi_thread")]
async fn a_child_that_goes_on_is_followed() {
    let (binary, _node) = Binary::with_node().await;
    binary.file(
        "outer.yaml",
        r#"
name: outer
tasks:
  - name: child
    payload: { left: 1 }
    child_workflow_def:
      name: inner
      tasks:
        - { name: more, type: condition, condition: input.left gt 0, condition_routes: { 0: again, 1: last } }
        - { name: again, task_type: continue, depends_on: [more], payload: { input: { left: 0 } } }
        - { name: last, type: signal, depends_on: [more] }
"#,
    );
    binary.signalled("outer.yaml", "last", "last").await;
}

impl Binary {
    /// Runs a file that waits for one signal, and sends it by the command that the run tells, which
    /// names it with these words; the output.
    async fn signalled(&self, file: &str, name: &str, words: &str) -> String {
        let run = self.program("run").args([file]).start();
        let told = run
            .line("what would send it", SOON, |line| {
                let (_, words) = line.split_once("waiting for: paceline workflow signal ")?;
                Some(words.to_owned())
            })
            .await;
        let (id, signal) = told.split_once(' ').unwrap();
        assert_eq!(signal, words);
        self.done("workflow signal", &[id, "--", name, "5"]).await;
        let end = run.finished(SOON).await;
        assert_eq!(end.code, Some(0), "{}", end.stderr);
        end.stdout.trim_end().to_owned()
    }
}
