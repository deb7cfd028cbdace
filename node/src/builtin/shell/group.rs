//! The process group of a run: everything that the program starts, ended as one.

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::Child;

/// Between SIGTERM and SIGKILL. Shorter than the grace that a node gives a cancelled handler.
const GRACE: Duration = Duration::from_secs(2);

/// Kills the group when it is dropped, so that a run whose future is dropped leaves nothing.
pub(super) struct Group {
    leader: Option<Pid>,
}

impl Group {
    /// The group that `child` leads; it must have been started with `process_group(0)`.
    pub(super) fn of(child: &Child) -> Group {
        let leader = child.id().and_then(|id| i32::try_from(id).ok());
        Group {
            leader: leader.and_then(Pid::from_raw),
        }
    }

    /// SIGKILL to all, once.
    ///
    /// Called right after the leader was reaped as well. Its number stays taken while any of the
    /// group lives; if none does, the system would have to go once through all its numbers within
    /// this instant to give it to somebody else.
    pub(super) fn kill(&mut self) {
        if let Some(leader) = self.leader.take() {
            // An error means that there is nobody left.
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }

    /// SIGTERM to all, and SIGKILL once the leader has ended or the grace is over.
    pub(super) async fn stop(&mut self, child: &mut Child) {
        if let Some(leader) = self.leader {
            let _ = kill_process_group(leader, Signal::TERM);
        }
        let _ = tokio::time::timeout(GRACE, child.wait()).await;
        self.kill();
        // Reaps a leader that had to be killed; one that hangs in the kernel is left to it.
        let _ = tokio::time::timeout(GRACE, child.wait()).await;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}
