//! A workflow that waits until somebody says yes.
//!
//! Needs a Redis and a node that serves `echo`:
//! `paceline dev`, then with the address that it prints
//! `PACELINE_REDIS=<address> cargo run -p paceline-client --example approval`.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::time::Duration;

use paceline_client::{Client, SignalError, Step, WorkflowBuilder};
use serde_json::{Value, json};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let redis = std::env::var("PACELINE_REDIS");
    let client = Client::connect(redis.as_deref().unwrap_or("redis://127.0.0.1/")).await?;

    let expense = WorkflowBuilder::new("expense")
        .task(Step::new("file", "echo").payload("{{input.amount}}"))
        // Takes no slot of a node while it waits.
        .task(
            Step::signal("decision")
                .after(["file"])
                .timeout(Duration::from_secs(3600)),
        )
        .task(
            Step::expression("approved", "tasks.decision.output.approved eq true")
                .after(["decision"])
                .routes(["pay", "refuse"]),
        )
        .task(
            Step::new("pay", "echo")
                .payload("paid {{input.amount}}")
                .after(["approved"]),
        )
        .task(
            Step::new("refuse", "echo")
                .payload("refused")
                .after(["approved"]),
        );

    let handle = client
        .submit_workflow(expense, Some(json!({ "amount": 42 })))
        .await?;
    println!("{} waits for a decision", handle.id());

    // A key lets a button be pressed twice.
    for press in 1..=2 {
        let yes = json!({ "approved": true, "by": "owner" });
        match handle.signal("decision", yes).key("expense-42").await {
            Ok(number) => println!("press {press}: signal {number}"),
            Err(error @ SignalError::Duplicate { .. }) => println!("press {press}: {error}"),
            Err(error) => return Err(error.into()),
        }
    }
    let output: Value = handle.output_within(Duration::from_secs(30)).await?;
    println!("{output}");
    Ok(())
}
