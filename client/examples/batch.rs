//! Submits a batch, shows how far it is as it goes, and reads what its items came to.
//!
//! Needs a Redis and a node that serves `echo`:
//! `paceline dev`, then `cargo run -p paceline-client --example batch`.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use futures::TryStreamExt;
use paceline_client::{BatchBuilder, Client};
use serde_json::json;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let client = Client::connect("redis://127.0.0.1/").await?;

    let squares = BatchBuilder::new("squares", "echo")
        .onetime("echo", json!({ "unit": "m²" }))
        .items((1..=1_000).map(|n| (format!("square-{n}"), json!(n * n))))
        .chunk_size(50);
    let batch = client.submit_batch(squares).await?;
    println!("accepted {}", batch.id());

    let mut feed = batch.follow().await?;
    while let Some(progress) = feed.next().await? {
        println!("{} of {} done", progress.done, progress.total);
    }

    let ended = batch.wait().await?;
    println!("{}, {} items failed", ended.status, ended.failed_items);
    let outputs: Vec<_> = batch.results().stream().try_collect().await?;
    for item in outputs.iter().take(3) {
        println!("{}: {:?}", item.item_id, item.output);
    }
    Ok(())
}
