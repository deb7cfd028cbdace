//! One job for each element of an array, and their results in order.
//!
//! Needs a Redis and a node that serves `echo`:
//! `paceline dev`, then with the address that it prints
//! `PACELINE_REDIS=<address> cargo run -p paceline-client --example fan_out`.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::time::Duration;

use paceline_client::{Client, Step, WorkflowBuilder};
use serde_json::{Value, json};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let redis = std::env::var("PACELINE_REDIS");
    let client = Client::connect(redis.as_deref().unwrap_or("redis://127.0.0.1/")).await?;

    let resize = WorkflowBuilder::new("resize")
        .task(Step::new("list", "echo").payload("{{input.images}}"))
        .task(
            Step::map("resize", "echo")
                .after(["list"])
                .over("list")
                .payload(json!({ "text": "{{index}}: {{item.name}}", "width": "{{item.width}}" }))
                .window(10),
        );

    let images: Vec<_> = (0..100)
        .map(|n| json!({ "name": format!("image-{n}.png"), "width": 10 * n }))
        .collect();
    let input = json!({ "images": images });
    let handle = client.submit_workflow(resize, Some(input)).await?;
    let results: Vec<Value> = handle.output_within(Duration::from_secs(60)).await?;
    println!("{} results; the last is {}", results.len(), results[99]);
    Ok(())
}
