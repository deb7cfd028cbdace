//! What becomes of jobs, from submit to removal, on one Redis and on a cluster.
// The lints of test code hold for the helpers as well, not only inside the test functions.
#![cfg(test)]

use std::time::Duration;

use paceline_node::HandlerOptions;
use paceline_tests::attempts;
use paceline_types::{Bytes, RetryPolicy};

mod bulk;
mod cancel;
mod dead_letters;
mod deadlines;
mod failures;
mod heartbeats;
mod keeps;
mod keys;
mod limits;
mod listing;
mod pause;
mod payload;
mod retention;
mod retry;
mod serve;
mod steer;
mod submit;
mod tiers;
mod time;
mod wait;

/// Short, and still longer than what it must outlast.
const MOMENT: Duration = Duration::from_millis(100);

fn options() -> HandlerOptions {
    HandlerOptions::default()
}

/// Options of a handler with this policy.
fn retried(policy: RetryPolicy) -> HandlerOptions {
    HandlerOptions {
        retry_policy: Some(policy),
        ..options()
    }
}

/// Options of a handler whose jobs are executed so often, at once.
fn tried(times: u32) -> HandlerOptions {
    retried(attempts(times))
}

fn done() -> Bytes {
    Bytes::from_static(b"\"done\"")
}
