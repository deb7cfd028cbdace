//! Connections against real servers: one, a primary with a Sentinel, a cluster, and with TLS.

mod cluster;
// Ports are leased among all test processes, so those of the harness and these by the same code.
#[path = "../../../tests/src/port.rs"]
mod port;
mod sentinel;
mod single;
mod support;
mod tls;

use paceline_store::script::{Invocation, Script};

static COUNT: Script = Script::new("count", "return redis.call('INCRBY', KEYS[1], ARGV[1])");

/// Adds one to the number at `key`.
fn count(key: &str) -> Invocation {
    let mut call = Invocation::new(&COUNT, &[key]);
    call.arg(1);
    call
}
