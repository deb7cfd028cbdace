//! A workflow that chooses between two ways, and goes round in a loop before.
//!
//! Needs a Redis and a node that serves `echo` and `route`:
//! `paceline dev`, then with the address that it prints
//! `PACELINE_REDIS=<address> cargo run -p paceline-client --example condition`.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::time::Duration;

use paceline_client::{Client, Step, WorkflowBuilder};
use serde_json::{Value, json};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let redis = std::env::var("PACELINE_REDIS");
    let client = Client::connect(redis.as_deref().unwrap_or("redis://127.0.0.1/")).await?;

    // `again` leads back to `measure` twice, and on to `large` then; a handler of yours would
    // answer `Route(0)` or `Route(1)`.
    let sort = WorkflowBuilder::new("sort")
        .task(Step::new("measure", "echo").payload(json!({ "rows": "{{input.rows}}" })))
        .task(
            Step::condition("again", "route")
                .payload(json!({ "route": 0, "times": 2, "default": 1 }))
                .after(["measure"])
                .route(0, "measure")
                .route(1, "large"),
        )
        // No handler: the leader looks at the result.
        .task(
            Step::expression("large", "tasks.measure.output.rows gt 1000")
                .after(["again", "measure"])
                .routes(["on-disk", "in-memory"]),
        )
        .task(
            Step::new("on-disk", "echo")
                .payload("sorted on disk")
                .after(["large"]),
        )
        .task(
            Step::new("in-memory", "echo")
                .payload("sorted in memory")
                .after(["large"]),
        )
        .task(
            Step::new("report", "echo")
                .after(["on-disk", "in-memory"])
                .results_from(["on-disk", "in-memory"]),
        );

    for rows in [17, 70_000] {
        let input = json!({ "rows": rows });
        let handle = client.submit_workflow(sort.clone(), Some(input)).await?;
        let output: Value = handle.output_within(Duration::from_secs(30)).await?;
        println!("{rows} rows: {}", output["upstream"]);
    }
    Ok(())
}
