//! Every decision about a batch.
//!
//! An event is judged against the batch as it stands, which may refuse it; only then is anything
//! changed. What it makes possible is carried out by one function for all events, up to the limit
//! of one commit; the rest waits for [`BatchEvent::Continue`], derived from what is kept.
//!
//! A batch that fails ends as a workflow does: nothing new begins, what is open is asked to stop,
//! and the outcome comes when the last of it has ended. So a batch that is tried again has nothing
//! under way, and its counters are counted anew.

mod items;
mod judge;
mod stage;
mod step;

use paceline_types::batch::BatchStage;

use super::instance::BatchInstance;
use super::transition::{BatchEvent, BatchImpossible, BatchRefusal, BatchTransition};
use crate::ports::{BatchAlarm, TaskOutcome};
use crate::transition::Late;
use step::Step;

/// What an item says whose job is not there any more.
const GONE: &str = "its job is not there any more; it was removed before the batch ended";

/// Applies one event, and says what must be made true with it.
///
/// Pure: no clock, no randomness, no IO. At most `limit` dispatches and cancellations are
/// returned; with more to do, [`BatchTransition::more`] is set. Costs what changes, never the size of
/// the batch, but for one pass over two bytes an item in each attempt.
///
/// # Errors
/// [`BatchRefusal::Late`] for what comes twice or after its time, [`BatchRefusal::Impossible`] for
/// what contradicts the batch. It is unchanged in both cases.
pub fn advance_batch(
    batch: &mut BatchInstance,
    event: &BatchEvent,
    limit: usize,
) -> Result<BatchTransition, BatchRefusal> {
    let mut step = Step {
        batch,
        transition: BatchTransition::default(),
        changed: false,
    };
    match event {
        BatchEvent::Start => step.start()?,
        BatchEvent::JobEnded {
            place,
            item,
            iteration,
            job,
            outcome,
        } => {
            step.judge(*place, *iteration)?;
            if *job != step.batch.job(*place, *iteration) {
                return Err(BatchRefusal::Impossible(BatchImpossible::ForeignJob {
                    job: *job,
                    place: *place,
                    iteration: *iteration,
                }));
            }
            step.end_job(*place, item, *iteration, outcome.clone());
        }
        BatchEvent::JobGone { place, iteration } => {
            step.judge(*place, *iteration)?;
            let error = GONE.to_owned();
            step.end_job(*place, "", *iteration, TaskOutcome::Dead { error });
        }
        BatchEvent::CancelRequested { reason } => step.cancel_all(reason)?,
        BatchEvent::RetryRequested { failed_only } => step.retry(*failed_only)?,
        BatchEvent::Rang(BatchAlarm::Deadline) => step.time_out()?,
        BatchEvent::Rang(BatchAlarm::Retry) => match step.batch.stage() {
            BatchStage::Resting(_) => step.begin(true),
            _ => return Err(BatchRefusal::Late(Late::Disarmed)),
        },
        BatchEvent::Continue if step.batch.stage().is_closed() => {
            return Err(BatchRefusal::Late(Late::Closed));
        }
        BatchEvent::Continue if !step.batch.has_leftover() => {
            return Err(BatchRefusal::Late(Late::NothingLeft));
        }
        BatchEvent::Continue => {}
    }
    step.go_on(limit);
    if step.changed {
        step.transition.header = Some(step.batch.header().clone());
    }
    Ok(step.transition)
}

impl Step<'_> {
    /// Does what has become possible, up to the limit, and comes to the outcome when nothing is left
    /// to wait for.
    fn go_on(&mut self, limit: usize) {
        match self.batch.stage().clone() {
            BatchStage::Preparing => {
                if limit > 0 && !self.batch.onetime_is_open() {
                    self.dispatch_onetime();
                }
            }
            BatchStage::Processing => {
                self.dispatch(limit);
                self.finish_items();
            }
            BatchStage::Ending(ending) => {
                self.cancel(limit);
                if !self.batch.has_open_jobs() {
                    self.come_to(ending);
                }
            }
            BatchStage::Pending
            | BatchStage::Resting(_)
            | BatchStage::Completed
            | BatchStage::Ended(_) => {}
        }
        self.transition.more = self.batch.has_leftover();
    }
}
