//! The hooks of an instance: which belong to its outcome, and which is due.

use paceline_types::workflow::{Hook, Stage};

use super::Instance;
use super::standing::is_open;

impl Instance {
    /// Which start of its hooks belongs to the present outcome.
    pub(crate) fn hook_iteration(&self, hook: Hook) -> u32 {
        match hook {
            Hook::Init => 0,
            Hook::Success | Hook::Failure | Hook::Exit => self.header.attempt.saturating_sub(1),
        }
    }

    /// The hooks of the present outcome, in their order, that the definition has.
    pub(crate) fn hooks_of_outcome(&self) -> impl Iterator<Item = Hook> + '_ {
        self.hooks_after(self.stage())
    }

    /// Whether there is a hook to call when it comes to this stage.
    pub(crate) fn calls_hooks_after(&self, stage: &Stage) -> bool {
        self.hooks_after(stage).next().is_some()
    }

    fn hooks_after(&self, stage: &Stage) -> impl Iterator<Item = Hook> + '_ {
        let of: &[Hook] = match stage {
            Stage::Completed => &[Hook::Success, Hook::Exit],
            Stage::Ended(_) => &[Hook::Failure, Hook::Exit],
            _ => &[],
        };
        let there = |hook: &Hook| self.plan.hook(*hook).is_some();
        of.iter().copied().filter(there)
    }

    /// Whether a hook comes before its first task.
    pub(crate) fn opens(&self) -> bool {
        !self.continues_another && self.plan.hook(Hook::Init).is_some()
    }

    /// The hook whose turn it is; none while one is under way.
    pub(crate) fn due_hook(&self) -> Option<Hook> {
        for hook in self.hooks_of_outcome() {
            let iteration = self.hook_iteration(hook);
            match self.hook(hook) {
                Some(record) if record.iteration() == iteration => {
                    if is_open(record) {
                        return None;
                    }
                }
                _ => return Some(hook),
            }
        }
        None
    }

    /// Whether a hook of the present outcome is under way, or is still to come.
    pub(crate) fn has_open_hooks(&self) -> bool {
        let over = |hook: Hook| {
            let iteration = self.hook_iteration(hook);
            self.hook(hook)
                .is_some_and(|record| record.iteration() == iteration && !is_open(record))
        };
        self.hooks_of_outcome().any(|hook| !over(hook))
    }
}
