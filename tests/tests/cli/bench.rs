//! `paceline bench`: that every measurement works and tells what it should. Never how fast.

use std::time::Duration;

use paceline_tests::{Finished, Program, RedisServer};
use serde_json::Value;

/// Many short measurements, each with servers of its own, on a busy machine.
const LIMIT: Duration = Duration::from_secs(240);

/// A measurement on a private server.
async fn bench(words: &str) -> Finished {
    let program = Program::paceline().arg("bench");
    program.args(words.split_whitespace()).finish(LIMIT).await
}

async fn json(words: &str) -> Value {
    let end = bench(&format!("{words} --reference 10ms -o json")).await;
    assert_eq!(end.code, Some(0), "{words}: {}", end.stderr);
    serde_json::from_str(&end.stdout).unwrap_or_else(|error| panic!("{error}: {}", end.stdout))
}

/// Whether there is a number that says something under this name.
fn is_told(report: &Value, part: &str, name: &str) -> bool {
    report[part][name].as_f64().is_some_and(|value| value > 0.0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_tells_environment_figures_references_and_ratios() {
    let table: [(&str, &str, &[&str]); 6] = [
        (
            "jobs --count 200 --runs 2 --seed 7",
            "submit_jobs_per_s",
            &[
                "submit_r2",
                "process_r2",
                "total_r2",
                "redis_cpu_r2",
                "node_cpu",
            ],
        ),
        (
            "jobs --count 200 --append-only",
            "bytes_per_finished_job",
            &["submit_r2_aof", "process_r2_aof", "total_r2_aof"],
        ),
        ("await --count 200", "accepted_p50_us", &["await_r2"]),
        (
            "latency --time 100ms",
            "latency_p99_us",
            &["latency_p50_set", "latency_p99_set"],
        ),
        (
            "schedules --count 10 --time 1s --spread",
            "late_p99_ms",
            &[],
        ),
        (
            "chain --count 3 --nodes 2",
            "chain_tasks_per_s",
            &["chain_r2"],
        ),
    ];
    for (words, figure, ratios) in table {
        let report = json(words).await;
        assert!(is_told(&report, "figures", figure), "{words}: {report}");
        for ratio in ratios {
            assert!(is_told(&report, "ratios", ratio), "{ratio}: {report}");
        }
        for name in ["r1_xadd_per_s_before", "r2_messages_per_s_after"] {
            assert!(is_told(&report, "references", name), "{name}: {report}");
        }
        let environment = &report["environment"];
        assert_eq!(
            environment["append_only"],
            words.contains("append"),
            "{report}"
        );
        if words.contains("--runs 2") {
            assert_eq!(environment["seed"], 7);
            assert!(report["spreads"]["submit_r2"].is_number(), "{report}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_node_is_recovered_while_it_is_measured() {
    let report = json("recovery --count 30 --lease 2s").await;
    for figure in ["recovery_s", "recovery_of_leader_s"] {
        assert!(is_told(&report, "figures", figure), "{report}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_was_named_is_left_as_it_was() {
    let server = RedisServer::start().await;
    let mut redis = server.connect().await;
    for workload in ["jobs --count 200", "chain --count 2", "references"] {
        json(&format!("{workload} --redis redis://{}/", server.addr())).await;
        let keys: u64 = redis::cmd("DBSIZE").query_async(&mut redis).await.unwrap();
        assert_eq!(keys, 0, "{workload}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn marks_are_told_with_their_verdicts_and_decide_the_exit_code() {
    let end = bench("marks --short -o json").await;
    let told: Value = serde_json::from_str(&end.stdout)
        .unwrap_or_else(|error| panic!("{error}: {} {}", end.stdout, end.stderr));
    let marks = told["marks"].as_array().unwrap();
    for mark in marks {
        let verdict = mark["verdict"].as_str().unwrap();
        assert_ne!(verdict, "not_measured", "{mark}");
        assert!(mark["value"].is_number(), "{mark}");
    }
    for ratio in ["total_r2", "total_r2_aof", "chain_one_set", "cluster_cpu"] {
        assert!(is_told(&told, "ratios", ratio), "{ratio}: {told}");
    }
    let all_hold = told["all_hold"].as_bool().unwrap();
    assert_eq!(end.code, Some(if all_hold { 0 } else { 1 }));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_table_of_marks_says_how_each_line_is_repeated() {
    let end = bench("marks --short --only await --markdown").await;
    let line = end.stdout.lines().last().unwrap_or_default();
    assert!(line.starts_with("| await_jobs_per_s | "), "{}", end.stdout);
    assert!(
        line.contains("| `paceline bench await --count 500"),
        "{line}"
    );
    let end = bench("marks --short --only await").await;
    let row = end.stdout.lines().last().unwrap_or_default();
    let verdict = ["holds", "falls short", "aim reached"];
    assert!(verdict.iter().any(|words| row.ends_with(words)), "{row}");
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_are_told_before_anything_is_measured() {
    for (words, sentence) in [
        ("latency --rate 0", "--rate must be above zero"),
        ("schedules --time 0s", "--time must be at least 1s"),
        ("latency --load 0", "--load must be above zero"),
        ("chain --one --nodes 2", "leave --nodes out"),
        ("marks --only speed", "no measurement begins with `speed`"),
        ("jobs --count 0", "0 is not in 1.."),
        ("jobs --reference soon", "such as 500ms"),
    ] {
        let end = bench(words).await;
        assert_eq!(end.code, Some(2), "{words}: {}", end.stderr);
        assert!(end.stderr.contains(sentence), "{words}: {}", end.stderr);
    }
}
