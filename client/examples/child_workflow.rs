//! A task that is a workflow of its own.
//!
//! Needs a Redis and a node that serves `echo`:
//! `paceline dev`, then with the address that it prints
//! `PACELINE_REDIS=<address> cargo run -p paceline-client --example child_workflow`.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::time::Duration;

use paceline_client::{Client, Step, WorkflowBuilder};
use serde_json::{Value, json};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let redis = std::env::var("PACELINE_REDIS");
    let client = Client::connect(redis.as_deref().unwrap_or("redis://127.0.0.1/")).await?;

    let invoice =
        WorkflowBuilder::new("invoice")
            .task(Step::new("number", "echo").payload("2026-{{input.customer}}"))
            .task(Step::new("print", "echo").after(["number"]).payload(
                json!({ "invoice": "{{tasks.number.output}}", "lines": "{{input.lines}}" }),
            ));
    let order = WorkflowBuilder::new("order")
        .task(Step::new("lines", "echo").payload(json!(["bread", "butter"])))
        .task(Step::child("invoice", invoice).after(["lines"]).payload(
            json!({ "customer": "{{input.customer}}", "lines": "{{tasks.lines.output}}" }),
        ))
        .task(
            Step::new("send", "echo")
                .after(["invoice"])
                .result_from("invoice"),
        );

    let input = json!({ "customer": 7 });
    let handle = client.submit_workflow(order, Some(input)).await?;
    let sent: Value = handle.output_within(Duration::from_secs(30)).await?;
    println!("sent {}", sent["upstream"]);
    Ok(())
}
