//! Who the node is: one id per incarnation.
//!
//! A node holds a lease in each shard. When it loses one, it goes on in that shard under a new
//! id, so that nothing which its old self sent, and which may arrive late, can act in its name.
//! All shards share one id as long as none was lost; a shard that loses its lease takes the
//! newest id that it has not used, so that after a loss everywhere all of them share one again.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use paceline_store::calls::node::Cancel;
use paceline_types::{JobId, NodeId, ShardIndex, UnixMillis};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::latch::{CancelReason, Latch};
use crate::run::Run;
use crate::signs::Reports;

fn new_id() -> NodeId {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = UnixMillis::try_from(now.unwrap_or_default().as_millis()).unwrap_or(0);
    NodeId::from_parts(now, ShardIndex(0), rand::random())
}

/// The newest id of the node.
#[derive(Debug)]
pub(crate) struct Identity(Mutex<NodeId>);

impl Default for Identity {
    fn default() -> Self {
        Identity(Mutex::new(new_id()))
    }
}

impl Identity {
    pub(crate) fn newest(&self) -> NodeId {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The id to go on with after `lost`.
    pub(crate) fn after(&self, lost: NodeId) -> NodeId {
        let mut newest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if *newest == lost {
            *newest = new_id();
        }
        *newest
    }
}

/// The node under one id in one shard, from joining to the loss of its lease.
pub(crate) struct Incarnation {
    pub(crate) id: NodeId,
    born: Instant,
    /// Microseconds after `born`.
    fence_at: AtomicU64,
    over: Latch,
    /// Runs at work; none once the incarnation is over.
    runs: Mutex<Option<HashMap<JobId, Arc<Run>>>>,
    /// Runs that have something to tell.
    pub(crate) reports: Arc<Reports>,
}

/// The incarnation is over; what it holds does not count any more.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Over;

impl Incarnation {
    pub(crate) fn new(id: NodeId, fence_at: Instant) -> Incarnation {
        let incarnation = Incarnation {
            id,
            born: Instant::now(),
            fence_at: AtomicU64::new(0),
            over: Latch::default(),
            runs: Mutex::new(Some(HashMap::new())),
            reports: Arc::default(),
        };
        incarnation.extend(fence_at);
        incarnation
    }

    /// A beat was good: the lease is safe until then.
    pub(crate) fn extend(&self, fence_at: Instant) {
        let after = fence_at.saturating_duration_since(self.born).as_micros();
        let after = u64::try_from(after).unwrap_or(u64::MAX);
        self.fence_at.store(after, Ordering::Release);
    }

    /// Whether what was claimed may be started: false for a process that was stopped and woke
    /// up late, even before its heartbeat noticed.
    pub(crate) fn is_safe(&self, now: Instant) -> bool {
        let after = Duration::from_micros(self.fence_at.load(Ordering::Acquire));
        !self.over.is_fired() && now < self.born + after
    }

    /// Ends the incarnation: its handlers are told to end, and their answers do not count.
    /// Returns whether it was this call that ended it.
    pub(crate) fn fence(&self) -> bool {
        let first = self.over.fire();
        let runs = self.lock().take().unwrap_or_default();
        for run in runs.values() {
            run.signal.fire(CancelReason::Fenced);
        }
        first
    }

    pub(crate) fn is_over(&self) -> bool {
        self.over.is_fired()
    }

    /// Returns when the incarnation is over.
    pub(crate) async fn over(&self) {
        self.over.fired().await;
    }

    /// Notes runs that are about to start.
    pub(crate) fn begin<'a>(&self, new: impl Iterator<Item = &'a Arc<Run>>) -> Result<(), Over> {
        let mut runs = self.lock();
        let runs = runs.as_mut().ok_or(Over)?;
        runs.extend(new.map(|run| (run.claimed.job, Arc::clone(run))));
        Ok(())
    }

    /// Forgets runs that ended.
    pub(crate) fn end<'a>(&self, ended: impl Iterator<Item = &'a Arc<Run>>) {
        if let Some(runs) = self.lock().as_mut() {
            for run in ended {
                // A job whose run was taken by force may run here again.
                if let Entry::Occupied(entry) = runs.entry(run.claimed.job)
                    && Arc::ptr_eq(entry.get(), run)
                {
                    entry.remove();
                }
            }
        }
    }

    /// Runs that must say that they live.
    pub(crate) fn watched(&self) -> Vec<Arc<Run>> {
        let runs = self.lock();
        let runs = runs.iter().flat_map(HashMap::values);
        runs.filter(|run| run.claimed.record.spec.heartbeat_timeout.is_some())
            .map(Arc::clone)
            .collect()
    }

    /// Tells the handler of a run to end, if it is on here.
    pub(crate) fn cancel(&self, cancel: Cancel) {
        let Cancel { job, run } = cancel;
        let runs = self.lock();
        let found = runs.as_ref().and_then(|runs| runs.get(&job));
        if let Some(run) = found.filter(|found| found.claimed.run == run) {
            // Each beat repeats what has not ended.
            if run.signal.reason().is_none() {
                tracing::info!(%job, run = run.claimed.run, node = %self.id, "cancelling a run");
            }
            run.signal.fire(CancelReason::Requested);
        }
    }

    /// Tells all handlers to end.
    pub(crate) fn cancel_all(&self, reason: CancelReason) {
        for run in self.lock().iter().flat_map(HashMap::values) {
            run.signal.fire(reason);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<HashMap<JobId, Arc<Run>>>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The node's place in one shard: who it is there, and how its heartbeat fares.
pub(crate) struct Seat {
    pub(crate) shard: ShardIndex,
    pub(crate) incarnation: watch::Sender<Option<Arc<Incarnation>>>,
    /// Why the last beat failed; none while all is well.
    trouble: Mutex<Option<String>>,
}

impl Seat {
    pub(crate) fn new(shard: ShardIndex) -> Seat {
        Seat {
            shard,
            incarnation: watch::Sender::new(None),
            trouble: Mutex::new(Some("the node has not joined yet".to_owned())),
        }
    }

    /// Gives up what the node does in this shard; it joins again under another id.
    pub(crate) fn give_up(&self) {
        let incarnation = self.incarnation.borrow().clone();
        if let Some(incarnation) = incarnation {
            incarnation.fence();
        }
    }

    pub(crate) fn set_trouble(&self, trouble: Option<String>) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }

    /// Why no work can be done in this shard, in words; none when it can.
    pub(crate) fn unready(&self) -> Option<String> {
        let trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        match (&*trouble, self.incarnation.borrow().is_some()) {
            (None, true) => None,
            (Some(trouble), true) => Some(trouble.clone()),
            (Some(trouble), false) => Some(format!("holds no lease: {trouble}")),
            (None, false) => Some("holds no lease".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_that_lose_their_lease_meet_again_under_one_id() {
        let identity = Identity::default();
        let first = identity.newest();
        let second = identity.after(first);
        assert_ne!(first, second);
        assert_eq!(identity.after(first), second);
        let third = identity.after(second);
        assert_ne!(second, third);
        assert_eq!(identity.newest(), third);
    }

    #[tokio::test(start_paused = true)]
    async fn an_incarnation_is_safe_until_its_fence() {
        let now = Instant::now();
        let later = now + Duration::from_secs(8);
        let incarnation = Incarnation::new(new_id(), later);
        assert!(incarnation.is_safe(now));
        assert!(!incarnation.is_safe(later));
        incarnation.extend(later + Duration::from_secs(1));
        assert!(incarnation.is_safe(later));
        assert!(incarnation.fence());
        assert!(!incarnation.fence());
        assert!(!incarnation.is_safe(now));
        assert_eq!(incarnation.begin(std::iter::empty()), Err(Over));
        incarnation.over().await;
    }

    #[test]
    fn a_seat_says_why_it_is_not_ready() {
        let seat = Seat::new(ShardIndex(0));
        assert_eq!(
            seat.unready().as_deref(),
            Some("holds no lease: the node has not joined yet")
        );
        let incarnation = Incarnation::new(new_id(), Instant::now());
        seat.incarnation.send_replace(Some(Arc::new(incarnation)));
        seat.set_trouble(None);
        assert_eq!(seat.unready(), None);
        seat.set_trouble(Some("no answer".to_owned()));
        assert_eq!(seat.unready().as_deref(), Some("no answer"));
    }
}
