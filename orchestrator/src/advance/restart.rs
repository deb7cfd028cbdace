//! Trying again: what did not end well is reset, one task after the other.

use paceline_types::EventKind;
use paceline_types::workflow::{Ending, Hook, Stage, TaskRecord};

use super::Step;
use crate::transition::{Late, Refusal};

impl Step<'_> {
    /// The retry policy's wait is over.
    pub(super) fn retry_by_policy(&mut self) -> Result<(), Refusal> {
        match self.instance.stage().clone() {
            Stage::Resting(ending) => {
                self.restart(&ending);
                Ok(())
            }
            _ => Err(Refusal::Late(Late::Disarmed)),
        }
    }

    /// A caller wants what failed to be tried again.
    pub(super) fn retry_by_hand(&mut self) -> Result<(), Refusal> {
        match self.instance.stage().clone() {
            Stage::Ended(ending) => {
                self.call_rest_of_hooks();
                // Those that came while it ended were not told any more.
                let newest = self.instance.mailbox().newest().unwrap_or(0);
                let header = self.instance.header_mut();
                header.signals = header.signals.max(newest);
                self.restart(&ending);
                Ok(())
            }
            Stage::Completed | Stage::Continued { .. } => Err(Refusal::Late(Late::Closed)),
            Stage::Pending
            | Stage::Opening
            | Stage::Running
            | Stage::Ending(_)
            | Stage::Resting(_)
            | Stage::Restarting => Err(Refusal::Late(Late::Started)),
        }
    }

    fn restart(&mut self, ending: &Ending) {
        self.instance.header_mut().attempt += 1;
        self.enter(Stage::Restarting);
        self.instance.find_all_stale();
        self.tell(EventKind::WorkflowRetrying, Some(ending.to_string()));
        self.arm_deadline();
    }

    /// Resets what the next attempt runs again; when nothing is left, it runs.
    pub(super) fn reset_what_failed(&mut self) {
        while let Some(index) = self.instance.next_to_reset() {
            if !self.can_act() {
                return;
            }
            self.acted();
            match self.instance.record_of(index) {
                // It was waiting for its tasks when the workflow ended, and does so again.
                Some(&TaskRecord::Cancelled { iteration }) if self.instance.has_section(index) => {
                    self.record(index, TaskRecord::Expanded { iteration });
                    self.complete_subflow(index);
                }
                _ => {
                    self.reopen_generators(index);
                    self.reset(index, 0);
                }
            }
        }
        // It may have ended before there was room for the hook that everything waits for.
        let opens = self.instance.opens() && self.instance.hook(Hook::Init).is_none();
        self.enter(match opens {
            true => Stage::Opening,
            false => Stage::Running,
        });
    }

    fn complete_subflow(&mut self, index: u32) {
        if self.instance.elements_of(index).is_none() {
            self.complete_expanded(index);
        }
    }

    /// Subflows that were done wait for a task that is reset once more.
    fn reopen_generators(&mut self, index: u32) {
        let mut inner = index;
        while let Some(generator) = self.instance.generator_of(inner) {
            if let Some(&TaskRecord::Completed { iteration, .. }) =
                self.instance.record_of(generator)
            {
                self.record(generator, TaskRecord::Expanded { iteration });
            }
            inner = generator;
        }
    }
}
