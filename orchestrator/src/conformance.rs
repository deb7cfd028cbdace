//! What every ledger must do: one suite for all of them.
//!
//! The services are tested on the ledger in memory; that is worth as much as the two ledgers
//! agree. So whatever a test of a service leans on is a case here, and runs on both.

mod flows;
mod hands;
mod jobs;
mod lives;
mod marks;
mod posts;
mod turns;
mod unheard;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use paceline_types::{
    BatchDefinition, BatchId, JobId, SignalName, WorkflowDefinition, WorkflowId, WorkflowStatus,
};
use tokio::time::Instant;

use crate::memory::MemoryLedger;
use crate::ports::{Lanes, Ledger, Outbox, TaskOutcome, Timers};
use crate::term::{Tenure, Term};

/// A ledger, and the other hands that move what it keeps: clients and workers.
pub trait Bed: Send + Sync {
    /// The ledger under test.
    type Ledger: Ledger + Outbox + Timers + Lanes;

    /// It.
    fn ledger(&self) -> Arc<Self::Ledger>;

    /// Accepts a workflow, as a client does: its start is in the inbox then, as one entry.
    fn submit(&self, definition: &WorkflowDefinition) -> impl Future<Output = WorkflowId> + Send;

    /// As [`Bed::submit`], with an input, which is JSON.
    fn submit_with(
        &self,
        definition: &WorkflowDefinition,
        input: Bytes,
    ) -> impl Future<Output = WorkflowId> + Send;

    /// Gives a workflow a signal, as a client does; false if it was refused as the workflow has
    /// ended. One entry of the inbox.
    fn signal(
        &self,
        workflow: WorkflowId,
        name: &SignalName,
        payload: Bytes,
    ) -> impl Future<Output = bool> + Send;

    /// Suspends a workflow, as a client does; false if nothing changed. One entry of the inbox.
    fn suspend(&self, workflow: WorkflowId) -> impl Future<Output = bool> + Send;

    /// Resumes a workflow, as a client does; false if nothing changed. One entry of the inbox.
    fn resume(&self, workflow: WorkflowId) -> impl Future<Output = bool> + Send;

    /// Has what failed of a workflow tried again, as a client does; false if it was refused as the
    /// workflow has not failed. One entry of the inbox.
    fn retry(&self, workflow: WorkflowId) -> impl Future<Output = bool> + Send;

    /// Asks for a workflow to be cancelled, as a client does: one entry of the inbox.
    fn cancel(&self, workflow: WorkflowId, reason: &str) -> impl Future<Output = ()> + Send;

    /// Accepts a batch, as a client does: its start is in the inbox then, as one entry.
    fn submit_batch(&self, definition: &BatchDefinition) -> impl Future<Output = BatchId> + Send;

    /// Asks for a batch to be cancelled, as a client does: one entry of the inbox.
    fn cancel_batch(&self, batch: BatchId, reason: &str) -> impl Future<Output = ()> + Send;

    /// Has a batch tried again, as a client does; false if it was refused as the batch has not failed.
    /// One entry of the inbox.
    fn retry_batch(&self, batch: BatchId, failed_only: bool) -> impl Future<Output = bool> + Send;

    /// Ends a job that waits, as a worker does: claims it, and settles it by this outcome; what it
    /// leaves if it completes is not told. One entry of the inbox, unless the job has ended already.
    fn end(&self, job: JobId, outcome: TaskOutcome) -> impl Future<Output = ()> + Send;

    /// As [`Bed::end`], with what the job leaves, by an outcome that leaves something.
    fn end_with(
        &self,
        job: JobId,
        outcome: TaskOutcome,
        result: Bytes,
    ) -> impl Future<Output = ()> + Send;

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
    turns::entries_come_in_order_until_they_are_consumed(&make().await).await;
    turns::what_was_submitted_is_loaded(&make().await).await;
    turns::a_commit_is_written_whole(&make().await).await;
    turns::a_stale_commit_writes_nothing_and_consumes_nothing(&make().await).await;
    turns::a_repeated_turn_changes_nothing(&make().await).await;
    turns::a_commit_for_nothing_is_missing(&make().await).await;
    turns::an_older_term_writes_nothing(&make().await).await;
    jobs::the_end_of_a_job_reaches_the_inbox(&make().await).await;
    jobs::a_waiting_job_is_cancelled_at_once(&make().await).await;
    marks::unfinished_instances_are_marked(&make().await).await;
    marks::a_moment_passes(&make().await).await;
    marks::what_is_parked_is_consumed(&make().await).await;
    jobs::a_timer_is_seen_to_once(&make().await).await;
    lives::what_was_given_is_loaded(&make().await).await;
    lives::a_signal_is_kept_until_it_is_taken(&make().await).await;
    lives::who_is_suspended_must_be_loaded_again(&make().await).await;
    lives::what_failed_can_be_tried_again(&make().await).await;
    lives::results_are_read_as_dependents_are_given_them(&make().await).await;
    lives::a_conclusion_stays(&make().await).await;
    lives::starts_that_are_over_stand_beside(&make().await).await;
    lives::the_newest_section_counts(&make().await).await;
    flows::what_went_with_its_section_is_put_away(&make().await).await;
    posts::posts_wait_in_order_until_they_are_delivered(&make().await).await;
    posts::a_child_is_made_once(&make().await).await;
    posts::a_parent_is_told_and_given_the_output(&make().await).await;
    posts::an_end_for_a_task_that_is_gone_leaves_nothing(&make().await).await;
    posts::a_parent_that_makes_its_child_again_is_told_again(&make().await).await;
    posts::a_parent_that_asks_is_told_again(&make().await).await;
    posts::a_child_is_cancelled(&make().await).await;
    posts::an_instance_goes_on_as_another(&make().await).await;
    flows::active_instances_are_walked_until_they_close(&make().await).await;
    flows::a_turn_reads_ahead(&make().await).await;
    flows::a_workflow_runs_to_its_end(&make().await).await;
    flows::a_failing_workflow_stops_its_jobs(&make().await).await;
    unheard::what_is_wanted_of_a_workflow_stands_in_its_record(&make().await).await;
    unheard::what_is_wanted_of_a_batch_stands_in_its_record(&make().await).await;
    unheard::a_batch_waits_for_its_moments(&make().await).await;
    unheard::a_workflow_hears_of_what_the_inbox_lost(&make().await).await;
    unheard::a_workflow_that_was_resumed_unnoticed_goes_on(&make().await).await;
    unheard::a_batch_hears_of_what_was_lost(&make().await).await;
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

    async fn submit_with(&self, definition: &WorkflowDefinition, input: Bytes) -> WorkflowId {
        MemoryLedger::submit_with(self, definition, Some(input))
    }

    async fn signal(&self, workflow: WorkflowId, name: &SignalName, payload: Bytes) -> bool {
        MemoryLedger::signal(self, workflow, name, payload)
    }

    async fn suspend(&self, workflow: WorkflowId) -> bool {
        MemoryLedger::suspend(self, workflow)
    }

    async fn resume(&self, workflow: WorkflowId) -> bool {
        MemoryLedger::resume(self, workflow)
    }

    async fn retry(&self, workflow: WorkflowId) -> bool {
        MemoryLedger::retry(self, workflow)
    }

    async fn cancel(&self, workflow: WorkflowId, reason: &str) {
        MemoryLedger::cancel(self, workflow, reason);
    }

    async fn submit_batch(&self, definition: &BatchDefinition) -> BatchId {
        MemoryLedger::submit_batch(self, definition)
    }

    async fn cancel_batch(&self, batch: BatchId, reason: &str) {
        MemoryLedger::cancel_batch(self, batch, reason);
    }

    async fn retry_batch(&self, batch: BatchId, failed_only: bool) -> bool {
        MemoryLedger::retry_batch(self, batch, failed_only)
    }

    async fn end(&self, job: JobId, outcome: TaskOutcome) {
        MemoryLedger::end(self, [(job, outcome)]);
    }

    async fn end_with(&self, job: JobId, outcome: TaskOutcome, result: Bytes) {
        MemoryLedger::end_with(self, [(job, outcome, result)]);
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
