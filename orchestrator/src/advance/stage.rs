//! The course of an instance: how it starts, runs, ends and is tried again.

use paceline_types::workflow::{Ending, Stage, TaskRecord};
use paceline_types::{EventKind, JobId, RetryPolicy, WorkflowId};

use super::Step;
use crate::instance::Instance;
use crate::ports::Alarm;
use crate::transition::{Effect, Late, Refusal};

impl Step<'_> {
    pub(super) fn start(&mut self, shards: u16) -> Result<(), Refusal> {
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
        let header = self.instance.header_mut();
        header.attempt = 1;
        header.shards = shards;
        let opens = self.instance.opens();
        self.enter(match opens {
            true => Stage::Opening,
            false => Stage::Running,
        });
        self.tell(EventKind::WorkflowStarted, None);
        self.arm_deadline();
        Ok(())
    }

    pub(super) fn end_early(&mut self, ending: Ending) -> Result<(), Refusal> {
        match self.instance.stage() {
            // Its deadline is not armed while it rests: this ring was on its way.
            Stage::Resting(_) if ending == Ending::TimedOut => Err(Refusal::Late(Late::Disarmed)),
            Stage::Pending
            | Stage::Opening
            | Stage::Running
            | Stage::Resting(_)
            | Stage::Restarting => {
                self.begin_ending(ending);
                Ok(())
            }
            // The first cause stays, unless the workflow would be tried again: whoever cancels it
            // wants it to end.
            Stage::Ending(first)
                if matches!(ending, Ending::Cancelled { .. })
                    && rest_after(self.instance, first).is_some() =>
            {
                self.enter(Stage::Ending(ending));
                Ok(())
            }
            Stage::Ending(_) => Err(Refusal::Late(Late::Ending)),
            Stage::Completed | Stage::Continued { .. } | Stage::Ended(_) => {
                Err(Refusal::Late(Late::Closed))
            }
        }
    }

    pub(super) fn begin_ending(&mut self, ending: Ending) {
        if matches!(self.instance.stage(), Stage::Resting(_)) {
            self.effect(Effect::Disarm(Alarm::Retry));
        } else {
            self.disarm_deadline();
        }
        // One that never began has tried once as well: its hooks are counted by attempts.
        let header = self.instance.header_mut();
        header.attempt = header.attempt.max(1);
        self.enter(Stage::Ending(ending));
    }

    /// Decides, resets and dispatches, as long as there is something to do under the limit.
    pub(super) fn run(&mut self) {
        loop {
            let before = self.left;
            self.deliver_signals();
            self.decide();
            self.rewind();
            self.put_dropped_away();
            self.gather();
            // With anything left to reset or to put away there is no room to begin something.
            self.begin_tasks();
            if !self.is_running() {
                return;
            }
            if self.left == before {
                break;
            }
        }
        if self.instance.all_done() && !self.instance.is_suspended() {
            self.complete();
        }
    }

    pub(super) fn is_running(&self) -> bool {
        matches!(self.instance.stage(), Stage::Running)
    }

    fn complete(&mut self) {
        if let Some((leaf, iteration)) = self.continuing_leaf() {
            let to = self.instance.id().of_successor();
            self.disarm_deadline();
            self.enter(Stage::Continued { to });
            let job = self.instance.job_of(leaf, iteration);
            self.succeed(to, job);
            return;
        }
        if self.instance.calls_hooks_after(&Stage::Completed) && !self.can_act() {
            return;
        }
        self.disarm_deadline();
        self.close(Stage::Completed, EventKind::WorkflowCompleted);
    }

    /// The first leaf whose handler wants the workflow to go on as a new one.
    fn continuing_leaf(&self) -> Option<(u32, u32)> {
        let continues = |&leaf: &u32| match self.instance.record_of(leaf) {
            Some(TaskRecord::Completed {
                iteration,
                continues: true,
            }) => Some((leaf, *iteration)),
            _ => None,
        };
        self.instance.plan().leaves().iter().find_map(continues)
    }

    fn succeed(&mut self, to: WorkflowId, job: JobId) {
        self.effect(Effect::Succeed { to, job });
        let status = self.instance.stage().status();
        self.effect(Effect::Close { status });
        self.effect(Effect::Retire);
        let error = Some(format!("continued as {to}"));
        self.tell(EventKind::WorkflowCompleted, error);
    }

    /// Once nothing is under way any more: rests for the next attempt, or is over.
    pub(super) fn conclude(&mut self, ending: Ending) {
        if let Some(after) = rest_after(self.instance, &ending) {
            self.enter(Stage::Resting(ending));
            self.effect(Effect::Arm(Alarm::Retry, after));
            return;
        }
        let kind = match &ending {
            Ending::TaskFailed { .. } | Ending::TaskCancelled { .. } => EventKind::WorkflowFailed,
            Ending::Cancelled { .. } => EventKind::WorkflowCancelled,
            Ending::TimedOut => EventKind::WorkflowTimedOut,
        };
        let stage = Stage::Ended(ending);
        if self.instance.calls_hooks_after(&stage) && !self.can_act() {
            return;
        }
        self.close(stage, kind);
    }

    fn close(&mut self, stage: Stage, kind: EventKind) {
        let status = stage.status();
        let error = stage.ending().map(ToString::to_string);
        self.enter(stage);
        self.effect(Effect::Close { status });
        self.tell(kind, error);
        self.call_hooks();
        self.retire_when_over();
    }

    pub(super) fn arm_deadline(&mut self) {
        if let Some(after) = self.instance.plan().execution_timeout() {
            self.effect(Effect::Arm(Alarm::Deadline, after));
        }
    }

    fn disarm_deadline(&mut self) {
        if self.instance.plan().execution_timeout().is_some() {
            self.effect(Effect::Disarm(Alarm::Deadline));
        }
    }
}

/// How long an instance that ended so rests before it is tried again; none if it is not.
fn rest_after(instance: &Instance, ending: &Ending) -> Option<std::time::Duration> {
    let Ending::TaskFailed { error, .. } = ending else {
        return None;
    };
    let policy: &RetryPolicy = instance.plan().retry_policy()?;
    let attempt = instance.header().attempt;
    if attempt >= policy.max_attempts || policy.is_permanent(error) {
        return None;
    }
    // The id is random: workflows that failed together do not come back together.
    let mixed = instance
        .id()
        .random()
        .wrapping_add(u64::from(attempt))
        .wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let random = f64::from(u32::try_from(mixed >> 32).unwrap_or(0)) / f64::from(u32::MAX);
    Some(policy.delay(attempt, random))
}

/// Whether a cancellation would not come late.
pub(crate) fn heeds_cancel(instance: &Instance) -> bool {
    match instance.stage() {
        Stage::Pending
        | Stage::Opening
        | Stage::Running
        | Stage::Resting(_)
        | Stage::Restarting => true,
        Stage::Ending(first) => rest_after(instance, first).is_some(),
        Stage::Completed | Stage::Continued { .. } | Stage::Ended(_) => false,
    }
}
