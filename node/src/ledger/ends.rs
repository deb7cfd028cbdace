//! How jobs and tasks ended: words of the leader and words of the store.

use paceline_orchestrator::ports::{JobPhase, TaskOutcome};
use paceline_store::calls::inbox::TaskEnd;
use paceline_store::calls::results::TaskPhase;

/// How a task ended, in the words of the leader.
pub(super) fn outcome(end: TaskEnd) -> TaskOutcome {
    match end {
        TaskEnd::Completed => TaskOutcome::Completed,
        TaskEnd::Continued => TaskOutcome::Continued,
        TaskEnd::Skipped { reason } => TaskOutcome::Skipped { reason },
        TaskEnd::Dead { error } => TaskOutcome::Dead { error },
        TaskEnd::Cancelled => TaskOutcome::Cancelled,
    }
}

/// The same in the words of the store.
pub(super) fn end(outcome: &TaskOutcome) -> TaskEnd {
    match outcome {
        TaskOutcome::Completed => TaskEnd::Completed,
        TaskOutcome::Continued => TaskEnd::Continued,
        TaskOutcome::Skipped { reason } => TaskEnd::Skipped {
            reason: reason.clone(),
        },
        TaskOutcome::Dead { error } => TaskEnd::Dead {
            error: error.clone(),
        },
        TaskOutcome::Cancelled => TaskEnd::Cancelled,
    }
}

/// How the job of a task stands, in the words of the leader.
pub(super) fn phase(phase: TaskPhase) -> JobPhase {
    match phase {
        TaskPhase::Missing => JobPhase::Missing,
        TaskPhase::Unfinished => JobPhase::Unfinished,
        TaskPhase::Ended { end, attempt } => JobPhase::Ended {
            outcome: outcome(end),
            attempt,
        },
    }
}
