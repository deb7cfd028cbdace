//! Follows what happens in a cluster, and shows where to go on after an interruption.
//!
//! `cargo run -p paceline-client --example follow_events [-- <cursors>]`, with the cursors that
//! it printed when it was stopped.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use paceline_client::{Client, Delivery};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let redis = std::env::var("PACELINE_REDIS");
    let client = Client::connect(redis.as_deref().unwrap_or("redis://127.0.0.1/")).await?;
    let events = match std::env::args().nth(1) {
        Some(cursors) => client.subscribe().from(cursors.parse()?),
        None => client.subscribe().from_now(),
    };
    let mut events = events.await?;

    loop {
        tokio::select! {
            delivery = events.next() => match delivery {
                Some(Ok(Delivery::Event(event))) => {
                    let about = event.job_id.map(|id| id.to_string());
                    let about = about.or(event.workflow_id.map(|id| id.to_string()));
                    println!("{:24} {}", event.kind, about.unwrap_or_default());
                }
                Some(Ok(Delivery::Gap { shard, missing, .. })) => {
                    println!("shard {shard}: {missing:?} events were trimmed before they were read");
                }
                Some(Err(error)) => return Err(error.into()),
                None => return Ok(()),
            },
            _ = tokio::signal::ctrl_c() => break,
        }
    }
    println!("go on with: {}", events.cursors());
    Ok(())
}
