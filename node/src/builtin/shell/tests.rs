use std::future::{pending, ready};
use std::path::Path;
use std::time::Instant;

use paceline_types::{JobId, NodeId, ShardIndex, TaskName, WorkflowId};
use serde_json::{Value, json};

use super::*;

fn a_run() -> Run {
    Run {
        job: JobId::from_parts(1, ShardIndex(0), 1),
        attempt: 2,
        node: NodeId::from_parts(2, ShardIndex(0), 2),
        task: Some((
            WorkflowId::from_parts(3, ShardIndex(0), 3),
            TaskName::new("count").expect("name"),
            4,
        )),
    }
}

async fn with_workflow_input(payload: Value, input: Option<&'static str>) -> Outcome {
    let input = async || Ok(input.map(|text| Bytes::from_static(text.as_bytes())));
    run(&a_run(), payload.to_string().as_bytes(), input, pending()).await
}

async fn outcome(payload: Value) -> Outcome {
    with_workflow_input(payload, None).await
}

async fn result(payload: Value) -> Value {
    let bytes = outcome(payload).await.expect("completes");
    serde_json::from_slice(&bytes).expect("JSON")
}

async fn sentence(payload: Value) -> String {
    match outcome(payload).await.expect_err("fails") {
        JobError::Permanent(sentence) => sentence,
        other => panic!("not permanent: {other:?}"),
    }
}

/// Whether the process whose id the file holds is gone, or dead and only waits to be reaped.
fn has_ended(pid_file: &Path) -> bool {
    let pid = std::fs::read_to_string(pid_file).expect("the script wrote its id");
    let pid = pid.trim();
    if !Path::new("/proc/self/stat").exists() {
        let mut ps = std::process::Command::new("ps");
        let state = ps.args(["-o", "state=", "-p", pid]).output().expect("ps");
        return matches!(state.stdout.trim_ascii(), b"" | b"Z");
    }
    match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => matches!(stat.rsplit(") ").next(), Some(rest) if rest.starts_with('Z')),
        Err(_) => true,
    }
}

/// A signal needs a moment to do its work.
async fn assert_ends(pid_file: &Path) {
    let began = Instant::now();
    while !has_ended(pid_file) {
        let waited = began.elapsed();
        assert!(waited < Duration::from_secs(10), "{pid_file:?}");
        tokio::task::yield_now().await;
    }
}

/// Cancels once the file is there. It must be moved into place, so that it is whole.
async fn cancelled_at(payload: Value, file: &Path) -> Outcome {
    let payload = payload.to_string();
    let cancelled = async {
        while !file.exists() {
            tokio::task::yield_now().await;
        }
    };
    run(&a_run(), payload.as_bytes(), async || Ok(None), cancelled).await
}

#[tokio::test]
async fn output_that_is_json_is_json_and_the_rest_is_text() {
    let table = [
        (
            json!({"script": "echo hello; echo world"}),
            json!("hello\nworld"),
        ),
        (json!({"argv": ["echo", "{\"a\": [1]}"]}), json!({"a": [1]})),
        (json!({"script": "true"}), json!("")),
        (json!({"script": "echo $((1 + 2))"}), json!(3)),
        (
            json!({"script": "printf %s \"$BASH\"", "shell": "bash"}),
            result(json!({"argv": ["bash", "-c", "echo $BASH"]})).await,
        ),
    ];
    for (payload, expected) in table {
        assert_eq!(result(payload.clone()).await, expected, "{payload}");
    }
}

#[tokio::test]
async fn standard_input_follows_the_rule() {
    let cat = json!({"argv": ["cat"]});
    let with = |input: Value| json!({"argv": ["cat"], "input": input});
    assert_eq!(result(cat.clone()).await, json!(""));
    assert_eq!(result(with(json!({"a": 1}))).await, json!({"a": 1}));
    assert_eq!(result(with(json!("plain text"))).await, json!("plain text"));
    let upstream = json!({"upstream": {"x": [1]}, "original": with(json!(7))});
    let handed = json!({"input": 7, "upstream": {"x": [1]}});
    assert_eq!(result(upstream).await, handed);
    let hook = json!({"original": with(json!(7)), "workflow": {"status": "failed"}});
    let handed = json!({"input": 7, "workflow": {"status": "failed"}});
    assert_eq!(result(hook).await, handed);

    let bytes = with_workflow_input(cat, Some(r#"{"day":3}"#)).await;
    assert_eq!(bytes.as_deref(), Ok(&br#"{"day":3}"#[..]));
    let bytes = with_workflow_input(with(json!(1)), Some(r#"{"day":3}"#)).await;
    assert_eq!(bytes.as_deref(), Ok(&b"1"[..]));
}

#[tokio::test]
async fn a_large_input_that_is_not_read_is_no_error() {
    let payload = json!({"script": "echo done", "input": "x".repeat(1 << 20)});
    assert_eq!(result(payload).await, json!("done"));
}

#[tokio::test]
async fn input_and_output_larger_than_a_pipe_flow_at_once() {
    let text = "y".repeat(200_000);
    assert_eq!(
        result(json!({"argv": ["cat"], "input": text})).await,
        json!(text)
    );
}

#[tokio::test]
async fn the_environment_names_the_run_and_takes_additions() {
    let folder = tempfile::tempdir().expect("folder");
    let script = "echo $PACELINE_JOB_ID $PACELINE_ATTEMPT $PACELINE_WORKFLOW_ID $PACELINE_TASK \
                  $PACELINE_ITERATION $PACELINE_NODE $EXTRA; pwd -P";
    let printed = result(json!({
        "script": script, "env": {"EXTRA": "more"}, "cwd": folder.path(),
    }))
    .await;
    let run = a_run();
    let (workflow, task, iteration) = run.task.expect("task");
    let first = format!(
        "{} 2 {workflow} {task} {iteration} {} more",
        run.job, run.node
    );
    let cwd = folder.path().canonicalize().expect("path");
    assert_eq!(printed, json!(format!("{first}\n{}", cwd.display())));
}

#[tokio::test]
async fn a_failing_program_fails_the_run_with_the_end_of_its_standard_error() {
    let payload = json!({"script": "echo working; echo no such thing >&2; exit 3"});
    let error = JobError::retryable("exit status: 3: no such thing");
    assert_eq!(outcome(payload).await, Err(error));
    let payload = json!({"script": "exit 65", "permanent_exit_codes": [64, 65]});
    assert_eq!(
        outcome(payload).await,
        Err(JobError::permanent("exit status: 65"))
    );
    let payload = json!({"argv": ["/no/such/program"]});
    let error = outcome(payload).await.expect_err("fails");
    let JobError::Retryable(sentence) = error else {
        panic!("{error:?}");
    };
    assert!(
        sentence.starts_with("cannot start `/no/such/program`: No such file"),
        "{sentence}"
    );
}

#[tokio::test]
async fn output_over_the_limit_is_an_error_and_ends_the_program() {
    let began = Instant::now();
    let payload = json!({"argv": ["yes"], "output_limit": 1000});
    let told = sentence(payload).await;
    assert!(
        told.starts_with("standard output is longer than 1000 bytes;"),
        "{told}"
    );
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn a_timeout_ends_the_program() {
    let payload = json!({"argv": ["sleep", "600"], "timeout": "50ms"});
    let limit = Duration::from_millis(50);
    assert_eq!(outcome(payload).await, Err(JobError::TimedOut(limit)));
}

#[tokio::test]
async fn cancellation_ends_the_whole_group() {
    let folder = tempfile::tempdir().expect("folder");
    let script = "echo $$ >outer
                  sh -c 'echo $$ >new; mv new inner; exec sleep 600' &
                  wait";
    let payload = json!({"script": script, "cwd": folder.path()});
    let [outer, inner] = ["outer", "inner"].map(|name| folder.path().join(name));
    let error = JobError::retryable("cancelled, and the program was stopped");
    assert_eq!(cancelled_at(payload, &inner).await, Err(error));
    assert_ends(&outer).await;
    assert_ends(&inner).await;
}

#[tokio::test]
async fn a_program_that_ignores_termination_is_killed() {
    let folder = tempfile::tempdir().expect("folder");
    let script = "trap '' TERM; echo $$ >new; mv new stubborn; while :; do sleep 0.1; done";
    let payload = json!({"script": script, "cwd": folder.path()});
    let stubborn = folder.path().join("stubborn");
    assert!(cancelled_at(payload, &stubborn).await.is_err());
    assert_ends(&stubborn).await;
}

#[tokio::test]
async fn what_a_program_leaves_in_the_background_ends_with_it() {
    let folder = tempfile::tempdir().expect("folder");
    let script = "sleep 600 & echo $! >left; echo done";
    let payload = json!({"script": script, "cwd": folder.path()});
    assert_eq!(result(payload).await, json!("done"));
    assert_ends(&folder.path().join("left")).await;
}

#[tokio::test]
async fn a_cancellation_before_the_start_stops_the_program() {
    let payload = json!({"argv": ["sleep", "600"]}).to_string();
    let ended = run(&a_run(), payload.as_bytes(), async || Ok(None), ready(())).await;
    let error = JobError::retryable("cancelled, and the program was stopped");
    assert_eq!(ended, Err(error));
}

#[tokio::test]
async fn a_dropped_run_leaves_nothing() {
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("dropped");
    let script = "echo $$ >new; mv new dropped; sleep 600";
    let payload = json!({"script": script, "cwd": folder.path()});
    let started = async {
        while !file.exists() {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        ended = outcome(payload) => panic!("{ended:?}"),
        () = started => {}
    }
    assert_ends(&file).await;
}

#[tokio::test]
async fn a_wrong_payload_is_told_in_a_sentence() {
    let known = "expected one of `argv`, `script`, `shell`, `env`, `cwd`, `timeout`, `input`, \
                 `output_limit`, `permanent_exit_codes`";
    let table = [
        (
            json!({"scrip": "date"}),
            format!("`scrip` in the payload: unknown field `scrip`, {known}"),
        ),
        (
            json!({"argv": ["a"], "script": "b"}),
            "both `argv` and `script`; give one of them".to_owned(),
        ),
        (
            json!({}),
            r#"a payload without `argv` and `script`; give one, such as {"script":"date"}"#
                .to_owned(),
        ),
        (
            json!({"argv": []}),
            "an empty `argv`; its first entry is the program".to_owned(),
        ),
        (
            json!({"argv": ["a"], "shell": "bash"}),
            "`shell` with `argv`; it goes with `script`".to_owned(),
        ),
        (
            json!({"script": "a", "output_limit": 0}),
            "an `output_limit` of 0; use 1 to 8388608 bytes".to_owned(),
        ),
        (
            json!({"script": "a", "env": {"A": 1}}),
            "`env.A` in the payload: invalid type: integer `1`, expected a string".to_owned(),
        ),
    ];
    for (payload, problem) in table {
        let expected = format!("task type `shell` cannot use {problem}");
        assert_eq!(sentence(payload.clone()).await, expected, "{payload}");
    }
}
