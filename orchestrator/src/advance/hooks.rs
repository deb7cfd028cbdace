//! Jobs at moments of a workflow's life.
//!
//! Each runs once for an outcome, in its order; one that is still to come is found from the
//! records of the others, so nothing more is kept.

use paceline_types::EventKind;
use paceline_types::workflow::{Hook, Stage, TaskRecord};

use super::Step;
use crate::ports::TaskOutcome;
use crate::transition::Effect;

impl Step<'_> {
    /// While it opens: dispatches the hook that everything else waits for.
    pub(super) fn open(&mut self) {
        if self.instance.hook(Hook::Init).is_none()
            && self.can_act()
            && !self.instance.is_suspended()
        {
            self.call(Hook::Init);
        }
    }

    /// Dispatches the hook whose turn it is.
    pub(super) fn call_hooks(&mut self) {
        if let Some(hook) = self.instance.due_hook()
            && self.can_act()
        {
            self.call(hook);
        }
    }

    fn call(&mut self, hook: Hook) {
        let Some(job) = self.instance.hook_job(hook) else {
            return;
        };
        self.acted();
        let iteration = job.iteration;
        // Of an outcome before this one: its job is kept as long as the workflow.
        if let Some(over) = self.instance.hook(hook).cloned() {
            self.transition.history.push((hook.index(), over));
        }
        self.record(
            hook.index(),
            TaskRecord::Dispatched {
                iteration,
                evaluations: 0,
            },
        );
        self.effect(Effect::Dispatch(Box::new(job)));
        let kind = EventKind::WorkflowHookDispatched;
        self.tell_task(kind, hook.index(), iteration, None);
    }

    /// Before another attempt: the hooks of the outcome that is being left are not forgotten. They
    /// do not wait for one another then.
    pub(super) fn call_rest_of_hooks(&mut self) {
        let rest: Vec<Hook> = self.instance.hooks_of_outcome().collect();
        for hook in rest {
            let iteration = self.instance.hook_iteration(hook);
            let called = self.instance.hook(hook);
            if called.is_none_or(|record| record.iteration() != iteration) {
                self.call(hook);
            }
        }
    }

    /// What a hook comes to changes nothing but what comes after it.
    pub(super) fn end_hook(&mut self, hook: Hook, iteration: u32, outcome: TaskOutcome) {
        let (record, kind, error) = match outcome {
            TaskOutcome::Completed | TaskOutcome::Continued => (
                TaskRecord::Completed {
                    iteration,
                    continues: false,
                },
                EventKind::WorkflowHookCompleted,
                None,
            ),
            TaskOutcome::Skipped { reason } => (
                TaskRecord::Skipped { iteration, reason },
                EventKind::WorkflowHookCompleted,
                None,
            ),
            TaskOutcome::Dead { error } => (
                TaskRecord::Dead {
                    iteration,
                    error: error.clone(),
                },
                EventKind::WorkflowHookFailed,
                Some(error),
            ),
            TaskOutcome::Cancelled => (
                TaskRecord::Cancelled { iteration },
                EventKind::WorkflowHookFailed,
                Some(super::CANCELLED.to_owned()),
            ),
        };
        self.record(hook.index(), record);
        self.tell_task(kind, hook.index(), iteration, error);
        match self.instance.stage() {
            Stage::Opening => self.enter(Stage::Running),
            // One of an outcome before this one says nothing of this one.
            Stage::Completed | Stage::Ended(_)
                if iteration == self.instance.hook_iteration(hook)
                    && self.instance.hooks_of_outcome().any(|one| one == hook) =>
            {
                self.retire_when_over();
            }
            _ => {}
        }
    }

    /// After the outcome, and after each hook: whether nothing is under way or still to come.
    pub(super) fn retire_when_over(&mut self) {
        if self.instance.stage().is_closed() && !self.instance.has_open_hooks() {
            self.effect(Effect::Retire);
        }
    }
}
