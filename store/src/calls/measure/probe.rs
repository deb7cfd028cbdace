//! What one round trip takes: SET again and again, beside what is measured and on the same
//! runtime, as a program would send it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::aside::{Aside, beside};
use crate::{Store, StoreError};

/// A task with a connection of its own that does nothing but SET.
pub struct Probe {
    store: Store,
    stop: Arc<AtomicBool>,
    running: Aside<Vec<Duration>>,
}

impl Store {
    /// Begins to SET a value of `payload` bytes, with a pause of `every` between round trips, as
    /// work that comes now and then finds the machine in another state than a loop does.
    ///
    /// # Errors
    /// Never, as every namespace has a first shard. What else fails is told by [`Probe::end`].
    pub fn probe(&self, every: Duration, payload: usize) -> Result<Probe, StoreError> {
        let key = self.reference_key()?.to_owned();
        let stop = Arc::new(AtomicBool::new(false));
        let (store, stopped) = (self.clone(), Arc::clone(&stop));
        let running = beside(async move {
            let mut connection = store.link.separate(&key).await?;
            let mut set = redis::cmd("SET");
            set.arg(&key).arg(vec![b'x'; payload]);
            let mut taken = Vec::new();
            while !stopped.load(Ordering::Relaxed) {
                tokio::time::sleep(every).await;
                let begun = Instant::now();
                connection.send(&set).await?;
                taken.push(begun.elapsed());
            }
            Ok(taken)
        });
        Ok(Probe {
            store: self.clone(),
            stop,
            running,
        })
    }
}

impl Probe {
    /// Stops, and returns how long each round trip took, from before it was sent to after its
    /// reply.
    ///
    /// # Errors
    /// When one of them had no answer.
    pub async fn end(self) -> Result<Vec<Duration>, StoreError> {
        self.stop.store(true, Ordering::Relaxed);
        let taken = self.running.result().await;
        self.store.forget_reference().await?;
        taken
    }
}

impl std::fmt::Debug for Probe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Probe").finish_non_exhaustive()
    }
}
