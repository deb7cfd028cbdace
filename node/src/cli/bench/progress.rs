//! How far the work is: counted by handlers, waited for by the bench, which also sees it stall.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::super::failure::{Failure, Kind};

/// How often it is looked at for stalls.
const LOOK: Duration = Duration::from_millis(10);

/// Work that stands still for this long is given up.
const GIVE_UP: Duration = Duration::from_secs(60);

/// What has been done, and a bell for when it is enough.
#[derive(Debug, Default)]
pub(super) struct Progress {
    done: AtomicU64,
    target: AtomicU64,
    reached: Notify,
}

impl Progress {
    /// One more is done.
    pub(super) fn add(&self) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        if done == self.target.load(Ordering::Relaxed) {
            self.reached.notify_one();
        }
    }

    /// How much is done.
    pub(super) fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// Says how many more have to be done for [`Progress::reached`]. Before they can begin.
    pub(super) fn expect(&self, more: u64) {
        self.target.store(self.done() + more, Ordering::Relaxed);
    }

    /// Waits until as many are done as were expected; the longest time in which none was.
    pub(super) async fn reached(&self) -> Result<Duration, Failure> {
        let target = self.target.load(Ordering::Relaxed);
        let mut gaps = Gaps::new(self.done());
        while self.done() < target {
            let _ = tokio::time::timeout(LOOK, self.reached.notified()).await;
            let standing = gaps.look(self.done(), Instant::now());
            if standing > GIVE_UP {
                return Err(Failure::new(
                    Kind::Outcome,
                    format!(
                        "the work stands still: {} of {target} are done after {GIVE_UP:?} without \
                         another; look at the server and at the log (RUST_LOG=info)",
                        self.done()
                    ),
                ));
            }
        }
        Ok(gaps.longest)
    }
}

/// The longest time without progress.
#[derive(Debug)]
pub(super) struct Gaps {
    seen: u64,
    since: Instant,
    /// So far.
    pub(super) longest: Duration,
}

impl Gaps {
    /// Begins now, with so much done.
    pub(super) fn new(done: u64) -> Gaps {
        Gaps {
            seen: done,
            since: Instant::now(),
            longest: Duration::ZERO,
        }
    }

    /// Looks how much is done; returns for how long it has been that much.
    pub(super) fn look(&mut self, done: u64, now: Instant) -> Duration {
        let standing = now.saturating_duration_since(self.since);
        self.longest = self.longest.max(standing);
        if done != self.seen {
            self.seen = done;
            self.since = now;
        }
        standing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_time_without_progress_is_kept() {
        let mut gaps = Gaps::new(0);
        let begun = gaps.since;
        for (millis, done) in [(10, 5), (40, 5), (250, 6), (260, 7)] {
            gaps.look(done, begun + Duration::from_millis(millis));
        }
        assert_eq!(gaps.longest, Duration::from_millis(240));
    }

    #[tokio::test]
    async fn the_bell_rings_when_enough_is_done() {
        let progress = std::sync::Arc::new(Progress::default());
        progress.add();
        progress.expect(3);
        let worker = std::sync::Arc::clone(&progress);
        tokio::spawn(async move {
            for _ in 0..3 {
                worker.add();
            }
        });
        progress.reached().await.expect("done");
        assert_eq!(progress.done(), 4);
    }
}
