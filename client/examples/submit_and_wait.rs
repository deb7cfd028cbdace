//! Submits a job and waits for what its handler returns.
//!
//! Needs a Redis and a node that serves `echo`:
//! `paceline dev`, then with the address that it prints
//! `PACELINE_REDIS=<address> cargo run -p paceline-client --example submit_and_wait`.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::time::Duration;

use paceline_client::{Client, Priority, Task};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Echo {
    text: String,
}

impl Task for Echo {
    const TYPE: &'static str = "echo";
    type Output = Echo;
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let redis = std::env::var("PACELINE_REDIS");
    let client = Client::connect(redis.as_deref().unwrap_or("redis://127.0.0.1/")).await?;

    let handle = client
        .submit(Echo {
            text: "hello".into(),
        })
        .priority(Priority::HIGH)
        .tag("example")
        .await?;
    println!("accepted {}", handle.id());

    let echo = handle.output_within(Duration::from_secs(10)).await?;
    println!("it returned {:?}", echo.text);

    // Many at once: a call for a hundred of them, and a result for each.
    let jobs = (0..1000).map(|n| {
        client.submit(Echo {
            text: n.to_string(),
        })
    });
    let accepted = client.submit_many(jobs).await?;
    let accepted = accepted.iter().filter(|job| job.is_ok()).count();
    println!("accepted {accepted} more");
    Ok(())
}
