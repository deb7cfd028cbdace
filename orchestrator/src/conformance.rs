//! What every ledger must do: one suite for all of them.
//!
//! The services are tested on the ledger in memory; that is worth as much as the two ledgers
//! agree. So whatever a test of a service leans on is a case here, and runs on both.

mod cases;
mod flows;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use paceline_types::{JobId, WorkflowDefinition, WorkflowId, WorkflowStatus};
use tokio::time::Instant;

use crate::memory::MemoryLedger;
use crate::ports::{Ledger, TaskOutcome, Timers};
use crate::term::{Tenure, Term};

/// A ledger, and the other hands that move what it keeps: clients and workers.
pub trait Bed: Send + Sync {
    /// The ledger under test.
    type Ledger: Ledger + Timers;

    /// It.
    fn ledger(&self) -> Arc<Self::Ledger>;

    /// Accepts a workflow, as a client does: its start is in the inbox then, as one entry.
    fn submit(&self, definition: &WorkflowDefinition) -> impl Future<Output = WorkflowId> + Send;

    /// Asks for a workflow to be cancelled, as a client does: one entry of the inbox.
    fn cancel(&self, workflow: WorkflowId, reason: &str) -> impl Future<Output = ()> + Send;

    /// Ends a job that waits, as a worker does: claims it, and settles it by this outcome. One
    /// entry of the inbox, unless the job has ended already.
    fn end(&self, job: JobId, outcome: TaskOutcome) -> impl Future<Output = ()> + Send;

    /// Arms a timer of a job, which passes after so long.
    fn arm(&self, passes_in: Duration) -> impl Future<Output = ()> + Send;

    /// The status that a client reads.
    fn status(&self, workflow: WorkflowId) -> impl Future<Output = Option<WorkflowStatus>> + Send;

    /// The events of a workflow and its tasks, oldest first: `workflow.started`, or
    /// `workflow.task.dispatched NAME`.
    fn log(&self, workflow: WorkflowId) -> impl Future<Output = Vec<String>> + Send;
}

/// Runs every case, each on a bed of its own.
///
/// # Panics
/// When the ledger does not do what the ports promise; the message names the case.
pub async fn exercise<B: Bed, F: Future<Output = B>>(make: impl Fn() -> F) {
    cases::entries_come_in_order_until_they_are_consumed(&make().await).await;
    cases::what_was_submitted_is_loaded(&make().await).await;
    cases::a_commit_is_written_whole(&make().await).await;
    cases::a_stale_commit_writes_nothing_and_consumes_nothing(&make().await).await;
    cases::a_repeated_turn_changes_nothing(&make().await).await;
    cases::a_commit_for_nothing_is_missing(&make().await).await;
    cases::an_older_term_writes_nothing(&make().await).await;
    cases::the_end_of_a_job_reaches_the_inbox(&make().await).await;
    cases::a_waiting_job_is_cancelled_at_once(&make().await).await;
    cases::unfinished_instances_are_marked(&make().await).await;
    cases::a_moment_passes(&make().await).await;
    cases::what_is_parked_is_consumed(&make().await).await;
    cases::a_timer_is_seen_to_once(&make().await).await;
    flows::active_instances_are_walked_until_they_close(&make().await).await;
    flows::a_turn_reads_ahead(&make().await).await;
    flows::a_workflow_runs_to_its_end(&make().await).await;
    flows::a_failing_workflow_stops_its_jobs(&make().await).await;
}

/// A term for tests, and what keeps it.
fn term(number: u64) -> (Tenure, Term) {
    Tenure::begin(number, Instant::now() + Duration::from_secs(3_600))
}

impl Bed for Arc<MemoryLedger> {
    type Ledger = MemoryLedger;

    fn ledger(&self) -> Arc<MemoryLedger> {
        self.clone()
    }

    async fn submit(&self, definition: &WorkflowDefinition) -> WorkflowId {
        MemoryLedger::submit(self, definition)
    }

    async fn cancel(&self, workflow: WorkflowId, reason: &str) {
        MemoryLedger::cancel(self, workflow, reason);
    }

    async fn end(&self, job: JobId, outcome: TaskOutcome) {
        MemoryLedger::end(self, [(job, outcome)]);
    }

    async fn arm(&self, passes_in: Duration) {
        MemoryLedger::arm(self, passes_in);
    }

    async fn status(&self, workflow: WorkflowId) -> Option<WorkflowStatus> {
        MemoryLedger::status(self, workflow)
    }

    async fn log(&self, workflow: WorkflowId) -> Vec<String> {
        MemoryLedger::log(self, workflow)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_ledger_in_memory_does_what_the_ports_promise() {
        exercise(|| async { Arc::new(MemoryLedger::new()) }).await;
    }
}
