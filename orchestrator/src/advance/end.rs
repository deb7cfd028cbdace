//! How tasks end, and how the rest of them is stopped when the instance ends.

use bytes::Bytes;
use paceline_types::EventKind;
use paceline_types::workflow::{Ending, Hook, Stage, TaskRecord, Work};
use serde_json::json;

use super::{CANCELLED, Step};
use crate::ports::{Alarm, ConcludedBy, Conclusion, TaskOutcome};
use crate::transition::{Effect, Late, Refusal};

/// What the error of a job begins with whose handler panicked.
const PANICKED: &str = "handler panicked";

impl Step<'_> {
    /// A job or a child ended. `told` says whether the job's record tells how.
    pub(super) fn end_task(
        &mut self,
        index: u32,
        iteration: u32,
        outcome: TaskOutcome,
        told: bool,
    ) {
        if let Some(hook) = Hook::of_index(index) {
            return self.end_hook(hook, iteration, outcome);
        }
        let Some(planned) = self.instance.planned(index) else {
            return;
        };
        let answers = match (&planned.work, self.instance.element(index)) {
            (Work::Condition { .. }, None) => true,
            (Work::Subflow { .. }, None) => outcome == TaskOutcome::Completed,
            _ => false,
        };
        let told = told && !matches!(planned.work, Work::Child { .. });
        match outcome {
            TaskOutcome::Completed | TaskOutcome::Continued if answers => {
                let evaluations = self.evaluations(index);
                self.record(
                    index,
                    TaskRecord::Returned {
                        iteration,
                        evaluations,
                    },
                );
            }
            TaskOutcome::Completed | TaskOutcome::Continued => {
                let continues = outcome == TaskOutcome::Continued;
                self.end_well(
                    index,
                    TaskRecord::Completed {
                        iteration,
                        continues,
                    },
                    None,
                );
            }
            TaskOutcome::Skipped { reason } => {
                self.end_well(index, TaskRecord::Skipped { iteration, reason }, None);
            }
            TaskOutcome::Dead { error } => self.fail(index, iteration, error, told),
            TaskOutcome::Cancelled => self.end_cancelled(index, iteration, told),
        }
    }

    /// How often a condition was evaluated before its present start.
    pub(super) fn evaluations(&self, index: u32) -> u32 {
        match self.instance.record_of(index) {
            Some(
                TaskRecord::Again { evaluations, .. }
                | TaskRecord::Dispatched { evaluations, .. }
                | TaskRecord::Returned { evaluations, .. },
            ) => *evaluations,
            _ => 0,
        }
    }

    /// A task is done, and so may be the section that it is of.
    pub(super) fn end_well(&mut self, index: u32, record: TaskRecord, note: Option<String>) {
        let iteration = record.iteration();
        self.record(index, record);
        self.tell_task(EventKind::WorkflowTaskCompleted, index, iteration, note);
        self.complete_generator_of(index);
    }

    /// If this was the last task of a subflow's section, the subflow is done. (A map is when its
    /// results were gathered.)
    pub(super) fn complete_generator_of(&mut self, index: u32) {
        let Some(generator) = self.instance.generator_of(index) else {
            return;
        };
        if self.instance.element(index).is_none() {
            self.complete_expanded(generator);
        }
    }

    pub(super) fn complete_expanded(&mut self, generator: u32) {
        if let Some(&TaskRecord::Expanded { iteration }) = self.instance.record_of(generator)
            && self.instance.section_done(generator)
        {
            let record = TaskRecord::Completed {
                iteration,
                continues: false,
            };
            self.end_well(generator, record, None);
        }
    }

    /// A task failed. `told` says whether the record of its job tells why; if not, it is told
    /// those that may read it.
    pub(super) fn fail(&mut self, index: u32, iteration: u32, error: String, told: bool) {
        let kind = match error.starts_with(PANICKED) {
            true => EventKind::WorkflowTaskPanicked,
            false => EventKind::WorkflowTaskFailed,
        };
        let allowed = self.allows_failure(index);
        let record = match allowed {
            true => TaskRecord::FailedAllowed {
                iteration,
                error: error.clone(),
            },
            false => TaskRecord::Dead {
                iteration,
                error: error.clone(),
            },
        };
        self.record(index, record);
        self.tell_task(kind, index, iteration, Some(error.clone()));
        if allowed {
            if !told {
                let text = json!({ "error": error }).to_string();
                self.leave(index, iteration, ConcludedBy::Value(Bytes::from(text)));
            }
            self.complete_generator_of(index);
            return;
        }
        if let Some((map, place)) = self.instance.element(index) {
            let error = format!("element {place} failed: {error}");
            return self.fail_map(map, error);
        }
        self.end_for(index, |task| Ending::TaskFailed { task, error });
    }

    fn end_cancelled(&mut self, index: u32, iteration: u32, told: bool) {
        // While the workflow ends, a cancelled job is what was asked for, not a failure.
        let ending = matches!(self.instance.stage(), Stage::Ending(_));
        if self.allows_failure(index) && !ending {
            return self.fail(index, iteration, CANCELLED.to_owned(), told);
        }
        self.cancelled(index, iteration);
        if let Some((map, place)) = self.instance.element(index) {
            return self.fail_map(map, format!("element {place} was cancelled"));
        }
        self.end_for(index, |task| Ending::TaskCancelled { task });
    }

    /// An element ended badly: so does its map, if nothing has ended that already.
    fn fail_map(&mut self, map: u32, error: String) {
        if let Some(&TaskRecord::Expanded { iteration }) = self.instance.record_of(map)
            && !matches!(self.instance.stage(), Stage::Ending(_))
        {
            self.fail(map, iteration, error, true);
        }
    }

    fn end_for(&mut self, index: u32, ending: impl FnOnce(paceline_types::TaskName) -> Ending) {
        if matches!(self.instance.stage(), Stage::Ending(_)) {
            return;
        }
        if let Some(task) = self.instance.task_name(index) {
            self.begin_ending(ending(task));
        }
    }

    fn allows_failure(&self, index: u32) -> bool {
        let planned = self.instance.planned(index);
        planned.is_some_and(|planned| planned.allow_failure)
    }

    fn cancelled(&mut self, index: u32, iteration: u32) {
        self.record(index, TaskRecord::Cancelled { iteration });
        let error = Some(CANCELLED.to_owned());
        self.tell_task(EventKind::WorkflowTaskFailed, index, iteration, error);
    }

    /// Leaves the result of what ran on no node.
    pub(super) fn leave(&mut self, index: u32, iteration: u32, result: ConcludedBy) {
        let Some(task) = self.instance.task_name(index) else {
            return;
        };
        let job = self.instance.job_of(index, iteration);
        self.effect(Effect::Conclude(Conclusion {
            job,
            task,
            iteration,
            result,
        }));
    }

    /// While it ends: stops what is open, and concludes when nothing is.
    pub(super) fn wind_up(&mut self, ending: Ending) {
        self.stop_hook();
        while self.can_act() {
            let Some(index) = self.instance.first_dispatched() else {
                break;
            };
            self.stop(index);
        }
        while self.can_act() {
            let Some(index) = self.instance.returned_after(None) else {
                break;
            };
            self.drop_undecided(index);
        }
        // A loop that is reset in part would be run in part by a retry.
        self.rewind();
        if self.instance.has_undecided() || self.instance.has_open_tasks() {
            return;
        }
        // Inner ones first; with nothing of theirs open, none of them can complete any more.
        while self.can_act() {
            let Some(index) = self.instance.last_expanded() else {
                break;
            };
            self.drop_undecided(index);
        }
        if self.instance.last_expanded().is_none() {
            self.conclude(ending);
        }
    }

    fn drop_undecided(&mut self, index: u32) {
        self.acted();
        if let Some(record) = self.instance.record_of(index) {
            let iteration = record.iteration();
            self.cancelled(index, iteration);
        }
    }

    fn stop(&mut self, index: u32) {
        self.acted();
        let Some(iteration) = self.instance.record_of(index).map(TaskRecord::iteration) else {
            return;
        };
        let planned = self.instance.planned(index);
        match planned.map(|planned| (&planned.work, planned.timeout)) {
            Some((Work::Signal { .. }, timeout)) => {
                if timeout.is_some() {
                    let task = index;
                    self.effect(Effect::Disarm(Alarm::Signal { task, iteration }));
                }
                self.cancelled(index, iteration);
            }
            Some((Work::Child { .. }, _)) => {
                self.record(index, TaskRecord::Cancelling { iteration });
                let child = self.instance.child_of(index, iteration);
                self.effect(Effect::CancelChild { child });
            }
            _ => {
                self.record(index, TaskRecord::Cancelling { iteration });
                let job = self.instance.job_of(index, iteration);
                self.effect(Effect::CancelJob(job));
            }
        }
    }

    fn stop_hook(&mut self) {
        if let Some(&TaskRecord::Dispatched { iteration, .. }) = self.instance.hook(Hook::Init)
            && self.can_act()
        {
            self.acted();
            let index = Hook::Init.index();
            self.record(index, TaskRecord::Cancelling { iteration });
            let job = self.instance.job_of(index, iteration);
            self.effect(Effect::CancelJob(job));
        }
    }

    /// A task has waited for its signal as long as it may.
    pub(super) fn give_signal_up(&mut self, index: u32, iteration: u32) -> Result<(), Refusal> {
        let late = Err(Refusal::Late(Late::Disarmed));
        let waits = matches!(self.instance.record_of(index),
            Some(TaskRecord::Dispatched { iteration: of, .. }) if *of == iteration);
        let Some(planned) = self.instance.planned(index).filter(|_| waits) else {
            return late;
        };
        let (Work::Signal { name }, Some(timeout)) = (&planned.work, planned.timeout) else {
            return late;
        };
        let timeout = paceline_types::duration::format(timeout);
        let error = format!("no signal {:?} came within {timeout}", name.as_str());
        self.fail(index, iteration, error, false);
        Ok(())
    }
}
