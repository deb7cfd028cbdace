//! Builds a small workflow, runs it, and shows how each of its tasks ended.
//!
//! Needs a Redis and a node that serves `echo` and `sleep`:
//! `paceline dev`, then with the address that it prints
//! `PACELINE_REDIS=<address> cargo run -p paceline-client --example workflow`.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::time::Duration;

use paceline_client::{Client, Step, WorkflowBuilder};
use serde_json::json;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let redis = std::env::var("PACELINE_REDIS");
    let client = Client::connect(redis.as_deref().unwrap_or("redis://127.0.0.1/")).await?;

    let diamond = WorkflowBuilder::new("diamond")
        .task(Step::new("top", "echo").payload(json!({ "rows": 17 })))
        .task(
            Step::new("left", "echo")
                .after(["top"])
                .result_from("top")
                .priority(8),
        )
        .task(
            Step::new("right", "sleep")
                .payload(json!({ "duration": "100ms" }))
                .after(["top"])
                .allow_failure(),
        )
        .task(
            Step::new("bottom", "echo")
                .after(["left", "right"])
                .results_from(["left"]),
        )
        .execution_timeout(Duration::from_secs(60));

    let handle = client
        .submit_workflow(diamond, Some(json!({ "day": "2026-01-31" })))
        .await?;
    println!("accepted {}", handle.id());

    let workflow = handle.wait().await?;
    for task in &workflow.tasks {
        println!("{:8} {}", task.name.as_str(), task.status);
    }
    println!("{} {}", workflow.workflow_name, workflow.status);

    let output: serde_json::Value = handle.output().await?;
    println!("{output:#}");
    Ok(())
}
