//! What a run tells while it is on: that it lives, and how far it is.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::run::Run;

/// What the leader waits for a sign of life beyond the node, which enforces the timeout itself: only
/// a node that hangs, or whose handler does not let go of its thread, leaves it to the leader.
const SLACK: Duration = Duration::from_secs(15);

/// Nothing was told to Redis yet.
const NEVER: u64 = u64::MAX;

/// The signs of one run. All times are microseconds after its start.
#[derive(Debug)]
pub(crate) struct Signs {
    /// When it last said that it lives; it begins with one.
    beat: AtomicU64,
    /// The beat that Redis was told of last.
    told: AtomicU64,
    /// What it told of how far it is, and Redis does not know yet.
    progress: Mutex<Option<Bytes>>,
}

impl Default for Signs {
    fn default() -> Signs {
        Signs {
            beat: AtomicU64::new(0),
            told: AtomicU64::new(NEVER),
            progress: Mutex::new(None),
        }
    }
}

impl Signs {
    /// The run lives.
    pub(crate) fn beat(&self, started: Instant) {
        let after = u64::try_from(started.elapsed().as_micros()).unwrap_or(NEVER - 1);
        self.beat.fetch_max(after, Ordering::Relaxed);
    }

    /// When a run that must say that it lives every so often is silent for too long.
    pub(crate) fn silent_at(&self, started: Instant, timeout: Duration) -> Instant {
        started + Duration::from_micros(self.beat.load(Ordering::Relaxed)) + timeout
    }

    /// After how long from `now` the leader may take the run; none when it knows that already, or
    /// may do so now.
    pub(crate) fn news(
        &self,
        started: Instant,
        timeout: Duration,
        now: Instant,
    ) -> Option<Duration> {
        let beat = self.beat.load(Ordering::Relaxed);
        if self.told.swap(beat, Ordering::Relaxed) == beat {
            return None;
        }
        let until = started + Duration::from_micros(beat) + timeout + SLACK;
        Some(until.saturating_duration_since(now)).filter(|wait| !wait.is_zero())
    }

    /// Redis was not told after all.
    pub(crate) fn forget_told(&self) {
        self.told.store(NEVER, Ordering::Relaxed);
    }

    /// Notes how far the run is. Whether that was told already: then somebody must tell this.
    pub(crate) fn note(&self, progress: Bytes) -> bool {
        self.lock().replace(progress).is_none()
    }

    /// What Redis does not know yet.
    pub(crate) fn take_progress(&self) -> Option<Bytes> {
        self.lock().take()
    }

    /// It could not be told, and is to be unless there is something newer.
    pub(crate) fn put_back(&self, progress: Bytes) {
        self.lock().get_or_insert(progress);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Bytes>> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs of one shard that have something to tell.
#[derive(Default)]
pub(crate) struct Reports {
    waiting: Mutex<Vec<Arc<Run>>>,
    news: Notify,
}

impl Reports {
    /// This run has something to tell.
    pub(crate) fn add(&self, run: &Arc<Run>) {
        let waiting = self.waiting.lock();
        waiting
            .unwrap_or_else(PoisonError::into_inner)
            .push(Arc::clone(run));
        self.news.notify_one();
    }

    /// Returns when there is something to tell.
    pub(crate) async fn news(&self) {
        self.news.notified().await;
    }

    /// Those that have, for the caller to tell it.
    pub(crate) fn take(&self) -> Vec<Arc<Run>> {
        let waiting = self.waiting.lock();
        std::mem::take(&mut *waiting.unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_sign_of_life_is_news_once() {
        let (signs, started) = (Signs::default(), Instant::now());
        let timeout = Duration::from_secs(30);
        let news = |signs: &Signs| signs.news(started, timeout, Instant::now());
        assert_eq!(news(&signs), Some(timeout + SLACK));
        assert_eq!(news(&signs), None, "nothing new");
        tokio::time::advance(Duration::from_secs(10)).await;
        signs.beat(started);
        assert_eq!(
            signs.silent_at(started, timeout),
            started + Duration::from_secs(40)
        );
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(news(&signs), Some(timeout + SLACK - Duration::from_secs(5)));
        signs.forget_told();
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(news(&signs), None, "too late: the leader may take it");
    }

    #[test]
    fn only_the_newest_progress_is_told() {
        let (signs, text) = (Signs::default(), Bytes::from_static);
        assert!(signs.note(text(b"1")), "somebody must tell it");
        assert!(!signs.note(text(b"2")), "somebody will");
        assert_eq!(signs.take_progress(), Some(text(b"2")));
        signs.put_back(text(b"2"));
        assert!(!signs.note(text(b"3")));
        signs.put_back(text(b"2"));
        assert_eq!(signs.take_progress(), Some(text(b"3")));
        assert_eq!(signs.take_progress(), None);
    }
}
