//! Every decision about an instance.
//!
//! An event is first judged against the instance as it stands, which may refuse it; only then is
//! anything changed. What an event makes possible (dispatches, decisions, resets, cancellations,
//! the end) is carried out by one function for all events, up to the limit of one commit; the rest
//! waits for [`Event::Continue`], derived from what is kept, so that it survives a crash.
//!
//! Decisions that rest on a result (routes, expressions, preconditions, the elements of a map)
//! are made once it is among the [`Facts`]; until then it is wanted, and other work goes on.
//!
//! A condition that leads back is `Rewinding` while what lies between is reset, its target first
//! and itself at last. Everything that is reset is done, as the condition waits for all of it, and
//! nothing begins in between, as resets come first of what the limit allows. A generator is
//! `Expanded` while its section runs, and completes with the last task of it. One that is reset drops
//! its section; the records of the tasks in it go to the history before anything else begins, so
//! that what is loaded takes the room of one section, however often the generator starts.
//!
//! An instance that ends goes through `Ending`: nothing new is dispatched, each open job is asked
//! to stop, and the end is told when the last of them has ended. The first cause stays. Tasks
//! that were never dispatched get no record: the header says that they are cancelled. Hooks are
//! dispatched with the outcome that they tell of; they change nothing any more.

mod again;
mod begin;
mod decide;
mod end;
mod hooks;
mod judge;
mod maps;
mod restart;
mod stage;
mod values;

use std::collections::{BTreeMap, BTreeSet};

use paceline_types::workflow::{Ending, Hook, Stage, TaskRecord};
use paceline_types::{EventKind, JobId};

use crate::facts::Facts;
use crate::instance::Instance;
use crate::ports::{Alarm, TaskEvent, TaskOutcome};
use crate::transition::{Effect, Event, Happening, Impossible, Late, Refusal, Transition};

pub(crate) use again::spawn_again;
pub use judge::place_of;
pub(crate) use stage::heeds_cancel;

/// Most results that one transition asks for.
pub const MAX_WANTED: usize = 100;

/// What a task that was allowed to fail says when its job was cancelled.
const CANCELLED: &str = "its job was cancelled";

/// What a task says whose job is not there any more.
const GONE: &str = "its job is not there any more; it was removed before the workflow ended";

/// Applies one event, and says what must be made true with it.
///
/// Pure: no clock, no randomness, no IO. At most `limit` dispatches, cancellations, decisions and
/// resets are made beside what the event itself says; with more to do, [`Transition::more`] is
/// set. Costs what changes, never the size of the workflow.
///
/// # Errors
/// [`Refusal::Late`] for what comes twice or after its time, [`Refusal::Impossible`] for what
/// contradicts the instance. The instance is unchanged in both cases.
pub fn advance(
    instance: &mut Instance,
    event: &Event,
    facts: &Facts,
    limit: usize,
) -> Result<Transition, Refusal> {
    let mut step = Step::new(instance, facts, limit);
    match event {
        Event::Start { shards } => step.start(*shards)?,
        Event::TaskEnded {
            task,
            iteration,
            job,
            outcome,
        } => {
            let index = step.judge_task(task, *iteration, *job)?;
            step.end_task(index, *iteration, outcome.clone(), true);
        }
        Event::JobGone { task, iteration } => {
            let index = step.judge_gone(task, *iteration)?;
            let error = GONE.to_owned();
            step.end_task(index, *iteration, TaskOutcome::Dead { error }, false);
        }
        Event::Signalled { number, name } => step.take_signal_in(*number, name)?,
        Event::CancelRequested { reason } => step.end_early(Ending::Cancelled {
            reason: reason.clone(),
        })?,
        Event::RetryRequested => step.retry_by_hand()?,
        Event::Rang(Alarm::Deadline) => {
            if step.instance.plan().execution_timeout().is_none() {
                return Err(Refusal::Impossible(Impossible::NoDeadline));
            }
            step.end_early(Ending::TimedOut)?;
        }
        Event::Rang(Alarm::Retry) => step.retry_by_policy()?,
        Event::Rang(Alarm::Signal { task, iteration }) => step.give_signal_up(*task, *iteration)?,
        Event::Continue if step.instance.has_leftover() => {}
        Event::Continue if step.instance.stage().is_closed() => {
            return Err(Refusal::Late(Late::Closed));
        }
        Event::Continue => return Err(Refusal::Late(Late::NothingLeft)),
    }
    step.go_on();
    Ok(step.finish())
}

/// One transition in the making.
struct Step<'a> {
    instance: &'a mut Instance,
    facts: &'a Facts,
    /// How much may still be done.
    left: usize,
    transition: Transition,
    /// By index, so that a task that changed twice is told once.
    tasks: BTreeMap<u32, TaskRecord>,
    wanted: BTreeSet<JobId>,
}

impl<'a> Step<'a> {
    fn new(instance: &'a mut Instance, facts: &'a Facts, limit: usize) -> Step<'a> {
        Step {
            instance,
            facts,
            left: limit,
            transition: Transition::default(),
            tasks: BTreeMap::new(),
            wanted: BTreeSet::new(),
        }
    }
}

impl Step<'_> {
    /// Does what has become possible, up to the limit.
    fn go_on(&mut self) {
        loop {
            let before = std::mem::discriminant(self.instance.stage());
            match self.instance.stage().clone() {
                Stage::Pending | Stage::Resting(_) => {}
                Stage::Opening => self.open(),
                Stage::Running => self.run(),
                Stage::Ending(ending) => self.wind_up(ending),
                Stage::Restarting => self.reset_what_failed(),
                Stage::Completed | Stage::Continued { .. } | Stage::Ended(_) => self.call_hooks(),
            }
            if std::mem::discriminant(self.instance.stage()) == before {
                return;
            }
        }
    }

    fn finish(mut self) -> Transition {
        self.transition.more = self.instance.has_leftover();
        self.transition.tasks = self.tasks.into_iter().collect();
        // What failed since decides nothing any more.
        if self.transition.more && matches!(self.instance.stage(), Stage::Running) {
            self.transition.wanted = self.wanted.into_iter().collect();
        }
        self.transition
    }

    fn can_act(&self) -> bool {
        self.left > 0
    }

    fn acted(&mut self) {
        self.left = self.left.saturating_sub(1);
    }

    fn enter(&mut self, stage: Stage) {
        self.instance.set_stage(stage);
        self.keep_header();
    }

    fn keep_header(&mut self) {
        self.transition.header = Some(self.instance.header().clone());
    }

    fn record(&mut self, task: u32, record: TaskRecord) {
        self.instance.take(task, record.clone());
        self.tasks.insert(task, record);
    }

    /// Starts a task afresh: the record of the start that is over goes to the history.
    fn reset(&mut self, task: u32, evaluations: u32) {
        let Some(over) = self.instance.record_of(task).cloned() else {
            return;
        };
        let iteration = over.iteration();
        let over = match over {
            TaskRecord::Rewinding {
                iteration,
                route,
                evaluations,
            } => TaskRecord::Routed {
                iteration,
                route: Some(route),
                evaluations,
            },
            over => over,
        };
        self.transition.history.push((task, over));
        let iteration = iteration + 1;
        self.record(
            task,
            TaskRecord::Again {
                iteration,
                evaluations,
            },
        );
    }

    /// Has the records of dropped tasks moved to the history.
    fn put_dropped_away(&mut self) {
        while self.can_act()
            && let Some(task) = self.instance.next_dropped()
        {
            self.acted();
            self.transition.dropped.push(task);
        }
    }

    fn effect(&mut self, effect: Effect) {
        self.transition.effects.push(effect);
    }

    fn tell(&mut self, kind: EventKind, error: Option<String>) {
        let task = None;
        self.transition.events.push(Happening { kind, task, error });
    }

    fn tell_task(&mut self, kind: EventKind, index: u32, iteration: u32, error: Option<String>) {
        let task_type = match Hook::of_index(index) {
            Some(hook) => {
                let planned = self.instance.plan().hook(hook);
                planned.map(|planned| planned.task_type.clone())
            }
            None => {
                let planned = self.instance.planned(index);
                planned.and_then(|planned| planned.task_type().cloned())
            }
        };
        let task = self.instance.task_name(index).map(|task| TaskEvent {
            task,
            task_type,
            job: self.instance.job_of(index, iteration),
            iteration,
        });
        self.transition.events.push(Happening { kind, task, error });
    }
}

#[cfg(test)]
mod tests;
