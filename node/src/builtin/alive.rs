//! Signs of life of a built-in while it works.

use std::time::Duration;

use crate::Context;

/// Signs of life in one heartbeat timeout; one that comes late is then no silence.
const SIGNS: u32 = 3;

/// Does the work of a built-in, and says that it lives all the while if its job has a heartbeat
/// timeout. Other jobs pay nothing for it.
pub(super) async fn alive<T>(context: &Context, work: impl Future<Output = T>) -> T {
    let Some(timeout) = context.heartbeat_timeout() else {
        return work.await;
    };
    tokio::select! {
        // The work first: what has ended needs no more signs.
        biased;
        ended = work => ended,
        never = every(timeout / SIGNS, || context.heartbeat()) => match never {},
    }
}

/// Gives a sign at once, and again after each of these intervals.
async fn every(interval: Duration, sign: impl Fn()) -> std::convert::Infallible {
    loop {
        sign();
        tokio::time::sleep(interval).await;
    }
}
