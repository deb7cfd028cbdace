//! What callers want of a workflow, and what it has not heard of: their words came with entries of the
//! inbox, which may be lost while the record stands.

use paceline_types::WorkflowId;

use super::{Reconciler, Suspect};
use crate::advance::heeds_cancel;
use crate::desk::MAX_EVENTS;
use crate::instance::Instance;
use crate::ports::Wish;
use crate::transition::Event;

/// How an instance stands to what callers may want of it.
pub(super) struct Standing {
    revision: u64,
    heeds_cancel: bool,
    closed: bool,
    signals: usize,
}

impl Standing {
    pub(super) fn of(instance: &Instance, revision: u64) -> Standing {
        Standing {
            revision,
            heeds_cancel: heeds_cancel(instance),
            closed: instance.stage().is_closed(),
            signals: instance.mailbox().len(),
        }
    }

    /// Whether it may lack something: only what is kept can tell. It is suspended, resumed and tried again
    /// with another revision.
    pub(super) fn lacks(&self, wish: &Wish) -> bool {
        self.revision < wish.revision
            || (wish.cancelled && self.heeds_cancel)
            || (wish.retried && self.closed)
            || (wish.signals > self.signals && !self.closed)
    }
}

impl Reconciler {
    /// Adds what has not been heard of for two walks, as far as one turn takes it.
    pub(super) fn check_unheard(
        &mut self,
        workflow: WorkflowId,
        unheard: Vec<Event>,
        events: &mut Vec<Event>,
    ) {
        // Of signals, none is told before those that came before it.
        let mut in_order = true;
        for event in unheard {
            let suspect = match &event {
                Event::CancelRequested { .. } => Suspect::Cancel(workflow),
                Event::RetryRequested => Suspect::Retry(workflow),
                Event::Signalled { number, .. } => Suspect::Signal(workflow, *number),
                Event::Start { .. }
                | Event::TaskEnded { .. }
                | Event::JobGone { .. }
                | Event::Rang(_)
                | Event::Continue => continue,
            };
            let stands_still = self.suspicions.stands_still(suspect) && events.len() < MAX_EVENTS;
            if let Event::Signalled { .. } = event {
                in_order &= stands_still;
            }
            let may_be_told = !matches!(event, Event::Signalled { .. }) || in_order;
            if stands_still && may_be_told {
                events.push(event);
            }
        }
    }
}
