//! One caller does the work, those who wait for it share the result.

use std::sync::atomic::{AtomicU64, Ordering};

use redis::{RedisError, RedisResult};
use tokio::sync::Mutex;

/// Lets one caller at a time rebuild something.
///
/// Whoever waited while another tried finds the result ready, or shares its failure; without
/// that, a hundred callers would try a dead server one after the other.
#[derive(Debug, Default)]
pub(super) struct Gate {
    ended: AtomicU64,
    failure: Mutex<Option<RedisError>>,
}

impl Gate {
    /// What `ready` finds, or else the result of `work`, which runs for one caller at a time.
    pub(super) async fn pass<T>(
        &self,
        ready: impl Fn() -> Option<T>,
        work: impl Future<Output = RedisResult<T>>,
    ) -> RedisResult<T> {
        let ended = self.ended.load(Ordering::Acquire);
        let mut failure = self.failure.lock().await;
        if let Some(found) = ready() {
            return Ok(found);
        }
        if self.ended.load(Ordering::Acquire) != ended
            && let Some(error) = failure.as_ref()
        {
            return Err(error.clone());
        }
        let result = work.await;
        *failure = result.as_ref().err().cloned();
        self.ended.fetch_add(1, Ordering::Release);
        result
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::atomic::AtomicU32;

    use futures::future::join_all;

    use super::*;

    #[tokio::test]
    async fn waiting_callers_share_a_failure() {
        let gate = Gate::default();
        let tries = AtomicU32::new(0);
        let calls = (0..50).map(|_| {
            gate.pass(|| None::<()>, async {
                tries.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
                Err(RedisError::from(io::Error::from(io::ErrorKind::TimedOut)))
            })
        });
        let results = join_all(calls).await;
        assert!(results.iter().all(Result::is_err));
        assert_eq!(tries.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn a_later_caller_tries_again() {
        let gate = Gate::default();
        let error = || RedisError::from(io::Error::from(io::ErrorKind::TimedOut));
        assert!(
            gate.pass(|| None, async { Err::<u8, _>(error()) })
                .await
                .is_err()
        );
        assert_eq!(gate.pass(|| None, async { Ok(7) }).await, Ok(7));
        assert_eq!(gate.pass(|| Some(8), async { Ok(7) }).await, Ok(8));
    }

    #[tokio::test]
    async fn a_caller_that_gives_up_leaves_the_gate_open() {
        let gate = Gate::default();
        let stuck = gate.pass(|| None::<u8>, std::future::pending());
        assert!(futures::FutureExt::now_or_never(stuck).is_none());
        assert_eq!(gate.pass(|| None, async { Ok(7) }).await, Ok(7));
    }
}
