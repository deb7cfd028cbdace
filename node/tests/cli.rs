//! The binary as its users meet it: exit codes, sentences, and what it leaves behind.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

const PACELINE: &str = env!("CARGO_BIN_EXE_paceline");

/// For anything that a busy machine does.
const LIMIT: Duration = Duration::from_secs(30);

/// `paceline dev`, ended with the test.
struct Dev {
    child: Child,
    redis: String,
}

impl Dev {
    fn start(arguments: &[&str]) -> Dev {
        let mut child = Command::new(PACELINE)
            .args(["dev", "-o", "json"])
            .args(arguments)
            .env("RUST_LOG", "error")
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let mut ready = String::new();
        BufReader::new(child.stdout.take().expect("piped"))
            .read_line(&mut ready)
            .expect("a line");
        let ready: Value = serde_json::from_str(&ready).expect("JSON");
        let redis = ready["redis"].as_str().expect("the address").to_owned();
        Dev { child, redis }
    }

    fn paceline(&self, arguments: &[&str]) -> Output {
        paceline(&self.redis, arguments, "")
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill")
            .args([name, &pid])
            .status()
            .expect("kill");
        assert!(sent.success());
    }

    fn is_reachable(&self) -> bool {
        let address = self
            .redis
            .trim_start_matches("redis://")
            .trim_end_matches('/');
        TcpStream::connect(address).is_ok()
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn paceline(redis: &str, arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(PACELINE)
        .args(arguments)
        .env("PACELINE_REDIS", redis)
        .env_remove("RUST_LOG")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(input.as_bytes()).expect("written");
    drop(stdin);
    child.wait_with_output().expect("ended")
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!("{error}: {} {}", out(output), err(output));
    })
}

const NOWHERE: &str = "redis://127.0.0.1:1/";

#[test]
fn bad_input_is_one_sentence_and_needs_no_redis() {
    let cyclic = "name: x\ntasks:\n  - {name: a, task_type: t, depends_on: [b]}\n  \
                  - {name: b, task_type: t, depends_on: [a]}";
    let table: [(&[&str], &str, &str); 10] = [
        (&["frobnicate"], "", "unrecognized subcommand 'frobnicate'"),
        (&["job", "get", "job_1"], "", "`job_1` is not a job id"),
        (
            &["job", "submit", "a:b"],
            "",
            "the task type `a:b` contains ':'",
        ),
        (&["job", "submit", "echo", "{"], "", "PAYLOAD is not JSON"),
        (
            &["job", "list", "--redis", "http://h/"],
            "",
            "the Redis URL has the unknown scheme `http`",
        ),
        (
            &["job", "list", "--namespace", "a{b"],
            "",
            "the namespace `a{b` contains '{'",
        ),
        (
            &["run", "-"],
            "name: x",
            "standard input: definition: missing field `tasks`",
        ),
        (
            &["run", "-"],
            r#"{"name":"x","tasks":[{"name":"a","task_type":"t","depend_on":[]}]}"#,
            "standard input: tasks[0].depend_on: unknown field `depend_on`",
        ),
        (&["workflow", "validate", "-"], cyclic, "a → b → a"),
        (
            &["node", "--lease", "10ms"],
            "",
            "the lease is 10ms, but must be at least 1s",
        ),
    ];
    for (arguments, input, words) in table {
        let output = paceline(NOWHERE, arguments, input);
        assert_eq!(
            output.status.code(),
            Some(2),
            "{arguments:?}: {}",
            err(&output)
        );
        assert!(
            err(&output).contains(words),
            "{arguments:?}: {}",
            err(&output)
        );
        assert_eq!(out(&output), "", "{arguments:?}");

        let arguments: Vec<&str> = arguments.iter().copied().chain(["-o", "json"]).collect();
        let output = paceline(NOWHERE, &arguments, input);
        let told: Value = serde_json::from_str(&err(&output)).expect("JSON");
        assert_eq!(told["code"], "bad_input", "{arguments:?}");
        assert!(
            told["error"].as_str().expect("a text").contains(words),
            "{told}"
        );
    }
}

#[test]
fn a_redis_that_is_not_there_is_exit_code_5() {
    let output = paceline(NOWHERE, &["node", "list"], "");
    assert_eq!(output.status.code(), Some(5));
    assert!(err(&output).contains("127.0.0.1:1"), "{}", err(&output));
}

#[test]
fn commands_work_on_a_cluster_and_end_with_their_codes() {
    let dev = Dev::start(&["--allow-shell"]);
    let unknown = "job_00000000000000000000000000";

    let output = dev.paceline(&[
        "job",
        "submit",
        "echo",
        r#"{"n":12345678901234567890}"#,
        "--wait",
    ]);
    let (result, code) = (out(&output), output.status.code());
    assert_eq!(
        (result.as_str(), code),
        ("{\"n\":12345678901234567890}\n", Some(0))
    );

    let permanent = r#"{"permanent":true,"error":"no way"}"#;
    let output = dev.paceline(&["job", "submit", "fail", permanent, "--wait", "-o", "json"]);
    assert_eq!(output.status.code(), Some(1));
    let dead = json(&output);
    assert_eq!(
        (&dead["status"], &dead["last_error"]),
        (&"dead".into(), &"no way".into())
    );
    let dead = dead["id"].as_str().expect("id");

    let listed = json(&dev.paceline(&["dlq", "list", "-o", "json"]));
    assert_eq!(listed["jobs"][0]["id"], dead);
    assert_eq!(
        dev.paceline(&["job", "get", unknown]).status.code(),
        Some(3)
    );
    assert_eq!(
        dev.paceline(&["dlq", "retry", unknown]).status.code(),
        Some(3)
    );
    assert_eq!(
        dev.paceline(&["job", "cancel", dead]).status.code(),
        Some(4)
    );
    assert_eq!(
        out(&dev.paceline(&["dlq", "purge", "--all"])),
        "1 removed\n"
    );
    assert_eq!(dev.paceline(&["job", "get", dead]).status.code(), Some(3));

    let held = ["job", "submit", "noop", "--delay", "1h", "--unique", "k"];
    assert_eq!(dev.paceline(&held).status.code(), Some(0));
    let output = dev.paceline(&held);
    assert_eq!(output.status.code(), Some(4));
    assert!(
        err(&output).contains("the unique key k is held by job_"),
        "{}",
        err(&output)
    );

    let nodes = json(&dev.paceline(&["node", "list", "-o", "json"]));
    assert_eq!(nodes["nodes"].as_array().map(Vec::len), Some(1));
    let events = out(&dev.paceline(&["events", "--kind", "job.dead", "-o", "json"]));
    let event: Value = serde_json::from_str(events.trim()).expect("one event");
    assert_eq!(event["job_id"], dead);
}

#[test]
fn a_workflow_file_runs_to_its_end() {
    let dev = Dev::start(&["--allow-shell"]);
    let good = r#"
name: good
tasks:
  - {name: greet, task_type: shell, payload: {script: "echo Hello, $(cat)"}}
  - {name: letter, task_type: echo, depends_on: [greet], result_from: [greet]}
"#;
    let output = paceline(&dev.redis, &["run", "-", "--input", "\"world\""], good);
    let letter = "{\"upstream\":{\"greet\":\"Hello, world\"},\"original\":null}\n";
    assert_eq!(
        (out(&output).as_str(), output.status.code()),
        (letter, Some(0))
    );
    let progress = err(&output);
    for line in [
        "greet   running on node_",
        "letter  completed after",
        "completed in",
    ] {
        assert!(progress.contains(line), "{line}: {progress}");
    }

    let bad = r#"
name: bad
tasks:
  - {name: a, task_type: fail, payload: {permanent: true, error: it broke}}
  - {name: b, task_type: noop, depends_on: [a]}
"#;
    let output = paceline(&dev.redis, &["run", "-", "-o", "json"], bad);
    assert_eq!(output.status.code(), Some(1));
    let workflow = json(&output);
    assert_eq!(workflow["status"], "failed");
    assert_eq!(workflow["tasks"][1]["status"], "cancelled");
    let id = workflow["id"].as_str().expect("id");
    assert_eq!(
        dev.paceline(&["workflow", "cancel", id]).status.code(),
        Some(4)
    );
    let listed = json(&dev.paceline(&["workflow", "list", "--status", "failed", "-o", "json"]));
    assert_eq!(listed["workflows"][0]["id"], id);
}

#[test]
fn a_run_brings_its_own_redis_if_asked() {
    let definition = r#"{"name":"x","tasks":[{"name":"a","task_type":"echo","payload":[1]}]}"#;
    let output = paceline(NOWHERE, &["run", "--dev", "-", "--watch=none"], definition);
    assert_eq!(
        (out(&output).as_str(), output.status.code()),
        ("[1]\n", Some(0))
    );
}

#[test]
fn dev_stops_when_told_and_takes_its_redis_along() {
    let mut dev = Dev::start(&[]);
    assert!(dev.is_reachable());
    dev.signal("-TERM");
    assert_eq!(dev.child.wait().expect("ended").code(), Some(0));
    assert!(!dev.is_reachable());
}

#[test]
fn a_killed_dev_leaves_no_redis_behind() {
    let mut dev = Dev::start(&[]);
    dev.child.kill().expect("killed");
    dev.child.wait().expect("ended");
    let began = Instant::now();
    while dev.is_reachable() {
        assert!(began.elapsed() < LIMIT, "the server outlives its owner");
        std::thread::yield_now();
    }
}

#[test]
fn data_in_a_folder_is_there_again() {
    let folder = tempfile::tempdir().expect("folder");
    let data = ["--data", folder.path().to_str().expect("UTF-8")];
    let mut dev = Dev::start(&data);
    let id = out(&dev.paceline(&["job", "submit", "noop", "--delay", "1h"]));
    dev.signal("-INT");
    assert_eq!(dev.child.wait().expect("ended").code(), Some(0));

    let dev = Dev::start(&data);
    let job = json(&dev.paceline(&["job", "get", id.trim(), "-o", "json"]));
    assert_eq!(job["status"], "scheduled");
}
