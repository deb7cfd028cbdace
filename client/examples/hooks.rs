//! Jobs at the beginning and the end of a workflow, and what the log says of them.
//!
//! Needs a Redis and a node that serves `echo` and `fail`:
//! `paceline dev`, then with the address that it prints
//! `PACELINE_REDIS=<address> cargo run -p paceline-client --example hooks`.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use paceline_client::{Client, Delivery, EventKind, HookStep, Step, WaitError, WorkflowBuilder};
use serde_json::{Value, json};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let redis = std::env::var("PACELINE_REDIS");
    let client = Client::connect(redis.as_deref().unwrap_or("redis://127.0.0.1/")).await?;

    let backup = WorkflowBuilder::new("backup")
        .on_init("echo")
        .task(
            Step::new("dump", "fail")
                .payload(json!({ "error": "the disk is full", "permanent": true })),
        )
        .on_success("echo")
        // Its handler is given {"original": {"page": "owner"}, "workflow": {"status": "failed", …}}.
        .on_failure(HookStep::new("echo").payload(json!({ "page": "owner" })))
        .on_exit("echo");

    let mut events = client.subscribe().from_now().await?;
    let handle = client.submit_workflow(backup, None).await?;
    while let Some(delivery) = events.next().await {
        let Delivery::Event(event) = delivery? else {
            continue;
        };
        if event.workflow_id != Some(handle.id()) {
            continue;
        }
        let task = event.workflow_task.as_ref().map(ToString::to_string);
        println!("{} {}", event.kind, task.as_deref().unwrap_or_default());
        if event.kind == EventKind::WorkflowHookCompleted
            && task.as_deref() == Some("__hook.on_exit")
        {
            break;
        }
    }
    match handle.output::<Value>().await {
        Err(WaitError::Failed { error, .. }) => println!("it failed: {error}"),
        other => println!("{other:?}"),
    }
    Ok(())
}
