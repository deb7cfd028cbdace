//! Tasks that end with their owner, and tasks that must not end by a fault of the program.

use std::time::Duration;

use tokio::task::{JoinError, JoinHandle};

/// How long a part of the node that panicked waits before it begins again.
const AFTER_PANIC: Duration = Duration::from_secs(1);

/// A task that is aborted when this is dropped.
pub(crate) struct Owned(JoinHandle<()>);

impl Owned {
    pub(crate) fn spawn(work: impl Future<Output = ()> + Send + 'static) -> Owned {
        Owned(tokio::spawn(work))
    }

    /// Returns when the task has ended.
    async fn ended(&mut self) -> Result<(), JoinError> {
        (&mut self.0).await
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Runs a part of the node to its end. Should it panic, `after` is called and it begins again:
/// a node that beats but does not work would keep its runs from others for ever.
pub(crate) async fn persist<W>(what: &'static str, part: impl Fn() -> W, after: impl Fn())
where
    W: Future<Output = ()> + Send + 'static,
{
    while let Err(error) = Owned::spawn(part()).ended().await {
        tracing::error!(what, %error, "a part of the node failed and begins again");
        after();
        tokio::time::sleep(AFTER_PANIC).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_panics_begins_again() {
        let runs = Arc::new(AtomicU32::new(0));
        let mended = AtomicU32::new(0);
        let part = || {
            let runs = Arc::clone(&runs);
            async move { assert!(runs.fetch_add(1, Ordering::SeqCst) >= 2, "not yet") }
        };
        let after = || {
            mended.fetch_add(1, Ordering::SeqCst);
        };
        persist("a test", part, after).await;
        assert_eq!(runs.load(Ordering::SeqCst), 3);
        assert_eq!(mended.load(Ordering::SeqCst), 2);
    }
}
