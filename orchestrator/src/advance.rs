//! Every decision about an instance.
//!
//! An event is first judged against the instance as it stands, which may refuse it; only then is
//! anything changed. What an event makes possible (dispatches, cancellations, the end) is
//! carried out by one function for all events, up to the limit of one commit; the rest waits
//! for [`Event::Continue`], derived from the records, so that it survives a crash.
//!
//! An instance that ends goes through `Ending`: nothing new is dispatched, each open job is asked
//! to stop, and the end is told when the last of them has ended. The first cause stays. Tasks
//! that were never dispatched get no record: the header says that they are cancelled.

use paceline_types::workflow::{Ending, Stage, TaskRecord};
use paceline_types::{EventKind, JobId, TaskName};

use crate::instance::{Instance, TaskPhase};
use crate::ports::{Alarm, TaskEvent, TaskOutcome};
use crate::transition::{Effect, Event, Happening, Impossible, Late, Refusal, Transition};

/// What a task that was allowed to fail says when its job was cancelled.
const CANCELLED: &str = "its job was cancelled";

/// What a task says whose job is not there any more.
const GONE: &str = "its job is not there any more; it was removed before the workflow ended";

/// Applies one event, and says what must be made true with it.
///
/// Pure: no clock, no randomness, no IO. At most `limit` dispatches and cancellations are
/// returned; with more to do, [`Transition::more`] is set. Costs what changes, never the size of
/// the workflow.
///
/// # Errors
/// [`Refusal::Late`] for what comes twice or after its time, [`Refusal::Impossible`] for what
/// contradicts the instance. The instance is unchanged in both cases.
pub fn advance(
    instance: &mut Instance,
    event: &Event,
    limit: usize,
) -> Result<Transition, Refusal> {
    let mut step = Step {
        instance,
        transition: Transition::default(),
    };
    match event {
        Event::Start { .. } => step.start()?,
        Event::TaskEnded {
            task,
            iteration,
            job,
            outcome,
        } => {
            let index = step.judge_task(task, *iteration)?;
            if *job != JobId::of_task(step.instance.id(), index, *iteration) {
                return Err(Refusal::Impossible(Impossible::ForeignJob {
                    job: *job,
                    task: task.clone(),
                    iteration: *iteration,
                }));
            }
            step.end_task(index, *iteration, outcome.clone());
        }
        Event::JobGone { task, iteration } => {
            let index = step.judge_task(task, *iteration)?;
            let error = GONE.to_owned();
            step.end_task(index, *iteration, TaskOutcome::Dead { error });
        }
        Event::CancelRequested { reason } => step.end_early(Ending::Cancelled {
            reason: reason.clone(),
        })?,
        Event::Rang(Alarm::Deadline) => {
            if step.instance.plan().execution_timeout().is_none() {
                return Err(Refusal::Impossible(Impossible::NoDeadline));
            }
            step.end_early(Ending::TimedOut)?;
        }
        Event::Signalled { .. } | Event::RetryRequested | Event::Rang(_) => {
            return Err(Refusal::Late(Late::Disarmed));
        }
        Event::Continue if step.instance.stage().is_closed() => {
            return Err(Refusal::Late(Late::Closed));
        }
        Event::Continue if !step.instance.has_leftover() => {
            return Err(Refusal::Late(Late::NothingLeft));
        }
        Event::Continue => {}
    }
    step.go_on(limit);
    Ok(step.transition)
}

/// One transition in the making.
struct Step<'a> {
    instance: &'a mut Instance,
    transition: Transition,
}

impl Step<'_> {
    fn start(&mut self) -> Result<(), Refusal> {
        match self.instance.stage() {
            Stage::Pending => {}
            Stage::Opening
            | Stage::Running
            | Stage::Ending(_)
            | Stage::Resting(_)
            | Stage::Restarting => return Err(Refusal::Late(Late::Started)),
            Stage::Completed | Stage::Continued { .. } | Stage::Ended(_) => {
                return Err(Refusal::Late(Late::Closed));
            }
        }
        self.enter(Stage::Running);
        self.tell(EventKind::WorkflowStarted, None, None);
        if let Some(after) = self.instance.plan().execution_timeout() {
            self.transition
                .effects
                .push(Effect::Arm(Alarm::Deadline, after));
        }
        Ok(())
    }

    /// Whether this start of the task can end now; its index if so.
    fn judge_task(&self, name: &TaskName, iteration: u32) -> Result<u32, Refusal> {
        let impossible = |why| Err(Refusal::Impossible(why));
        let task = || name.clone();
        let Some(index) = self.instance.plan().index_of(name.as_str()) else {
            return impossible(Impossible::UnknownTask { task: task() });
        };
        let record = match self.instance.phase(index) {
            TaskPhase::Blocked { .. } | TaskPhase::Ready => {
                return impossible(Impossible::NeverDispatched { task: task() });
            }
            TaskPhase::Recorded(record) => record,
        };
        let current = record.iteration();
        if iteration > current {
            return impossible(Impossible::FutureIteration {
                task: task(),
                current,
                iteration,
            });
        }
        if iteration < current {
            return Err(Refusal::Late(Late::Superseded { current }));
        }
        match record {
            TaskRecord::Dispatched { .. } | TaskRecord::Cancelling { .. } => Ok(index),
            _ => Err(Refusal::Late(Late::TaskEnded)),
        }
    }

    fn end_task(&mut self, task: u32, iteration: u32, outcome: TaskOutcome) {
        let planned = self.instance.plan().task(task);
        let name = planned.name.clone();
        // While the workflow ends, a cancelled job is what was asked for, not a failure.
        let ending = self.instance.stage().ending().is_some();
        let allowed = planned.allow_failure;
        let (record, cause) = match outcome.clone() {
            TaskOutcome::Completed | TaskOutcome::Continued => (
                TaskRecord::Completed {
                    iteration,
                    continues: outcome == TaskOutcome::Continued,
                },
                None,
            ),
            TaskOutcome::Skipped { reason } => (TaskRecord::Skipped { iteration, reason }, None),
            TaskOutcome::Dead { error } if allowed => {
                (TaskRecord::FailedAllowed { iteration, error }, None)
            }
            TaskOutcome::Dead { error } => {
                let cause = Ending::TaskFailed {
                    task: name,
                    error: error.clone(),
                };
                (TaskRecord::Dead { iteration, error }, Some(cause))
            }
            TaskOutcome::Cancelled if allowed && !ending => {
                let error = CANCELLED.to_owned();
                (TaskRecord::FailedAllowed { iteration, error }, None)
            }
            TaskOutcome::Cancelled => (
                TaskRecord::Cancelled { iteration },
                Some(Ending::TaskCancelled { task: name }),
            ),
        };
        let (kind, error) = match &record {
            TaskRecord::Completed { .. } | TaskRecord::Skipped { .. } => {
                (EventKind::WorkflowTaskCompleted, None)
            }
            TaskRecord::FailedAllowed { error, .. } | TaskRecord::Dead { error, .. } => {
                (EventKind::WorkflowTaskFailed, Some(error.clone()))
            }
            _ => (EventKind::WorkflowTaskFailed, Some(CANCELLED.to_owned())),
        };
        self.record(task, record);
        self.tell(kind, Some((task, iteration)), error);
        if let Some(cause) = cause.filter(|_| !ending) {
            self.begin_ending(cause);
        }
    }

    fn end_early(&mut self, ending: Ending) -> Result<(), Refusal> {
        match self.instance.stage() {
            Stage::Pending
            | Stage::Opening
            | Stage::Running
            | Stage::Resting(_)
            | Stage::Restarting => {
                self.begin_ending(ending);
                Ok(())
            }
            Stage::Ending(_) => Err(Refusal::Late(Late::Ending)),
            Stage::Completed | Stage::Continued { .. } | Stage::Ended(_) => {
                Err(Refusal::Late(Late::Closed))
            }
        }
    }

    fn begin_ending(&mut self, ending: Ending) {
        self.enter(Stage::Ending(ending));
        self.disarm();
    }

    /// Does what has become possible, up to the limit, and ends the instance when nothing is
    /// left to wait for.
    fn go_on(&mut self, limit: usize) {
        match self.instance.stage().clone() {
            Stage::Pending
            | Stage::Opening
            | Stage::Resting(_)
            | Stage::Restarting
            | Stage::Completed
            | Stage::Continued { .. }
            | Stage::Ended(_) => {}
            Stage::Running if self.instance.all_done() => {
                self.disarm();
                self.close(Stage::Completed, EventKind::WorkflowCompleted);
            }
            Stage::Running => self.dispatch(limit),
            Stage::Ending(ending) => {
                self.cancel(limit);
                if !self.instance.has_open_jobs() {
                    let kind = match &ending {
                        Ending::TaskFailed { .. } | Ending::TaskCancelled { .. } => {
                            EventKind::WorkflowFailed
                        }
                        Ending::Cancelled { .. } => EventKind::WorkflowCancelled,
                        Ending::TimedOut => EventKind::WorkflowTimedOut,
                    };
                    self.close(Stage::Ended(ending), kind);
                }
            }
        }
        self.transition.more = self.instance.has_leftover();
    }

    fn dispatch(&mut self, limit: usize) {
        for _ in 0..limit {
            let Some(task) = self.instance.first_ready() else {
                return;
            };
            let iteration = 0;
            self.record(
                task,
                TaskRecord::Dispatched {
                    iteration,
                    evaluations: 0,
                },
            );
            let job = self.instance.task_job(task, iteration);
            self.transition
                .effects
                .push(Effect::Dispatch(Box::new(job)));
            self.tell(
                EventKind::WorkflowTaskDispatched,
                Some((task, iteration)),
                None,
            );
        }
    }

    fn cancel(&mut self, limit: usize) {
        for _ in 0..limit {
            let Some(task) = self.instance.first_dispatched() else {
                return;
            };
            let iteration = match self.instance.phase(task) {
                TaskPhase::Recorded(record) => record.iteration(),
                TaskPhase::Blocked { .. } | TaskPhase::Ready => 0,
            };
            self.record(task, TaskRecord::Cancelling { iteration });
            let job = JobId::of_task(self.instance.id(), task, iteration);
            self.transition.effects.push(Effect::CancelJob(job));
        }
    }

    fn close(&mut self, stage: Stage, kind: EventKind) {
        let status = stage.status();
        let error = stage.ending().map(ToString::to_string);
        self.enter(stage);
        self.transition.effects.push(Effect::Close { status });
        self.transition.effects.push(Effect::Retire);
        self.tell(kind, None, error);
    }

    fn enter(&mut self, stage: Stage) {
        self.instance.set_stage(stage);
        self.transition.header = Some(self.instance.header().clone());
    }

    fn record(&mut self, task: u32, record: TaskRecord) {
        self.instance.record(task, record.clone());
        self.transition.tasks.push((task, record));
    }

    fn disarm(&mut self) {
        if self.instance.plan().execution_timeout().is_some() {
            self.transition
                .effects
                .push(Effect::Disarm(Alarm::Deadline));
        }
    }

    fn tell(&mut self, kind: EventKind, task: Option<(u32, u32)>, error: Option<String>) {
        let plan = self.instance.plan();
        let task = task.map(|(task, iteration)| TaskEvent {
            task: plan.task(task).name.clone(),
            task_type: Some(plan.task(task).task_type.clone()),
            job: JobId::of_task(self.instance.id(), task, iteration),
            iteration,
        });
        self.transition.events.push(Happening { kind, task, error });
    }
}

#[cfg(test)]
mod tests;
