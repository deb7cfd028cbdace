//! What the record of an instance says that the instance has not heard of, as it came with an entry of
//! the inbox that was lost, or is still to come.

use paceline_types::workflow::Stage;
use paceline_types::{BatchId, SignalName, WorkflowId};

use super::Desk;
use super::bench::{Found, read};
use crate::advance::heeds_cancel;
use crate::batch::{BatchEvent, BatchInstance};
use crate::instance::Instance;
use crate::ports::{Ledger, LedgerError};
use crate::term::Term;
use crate::transition::Event;

impl<L: Ledger> Desk<L> {
    /// As [`Desk::look`], of what is kept, with what the instance has not heard of.
    pub(crate) async fn look_anew<T>(
        &mut self,
        term: &Term,
        workflow: WorkflowId,
        see: impl FnOnce(&Instance, u64) -> T,
    ) -> Result<Option<(T, Vec<Event>)>, LedgerError> {
        self.doubt(workflow);
        let stored = self.ledger.load(term, &[workflow]).await?;
        let Some(stored) = stored.into_iter().flatten().next() else {
            return Ok(None);
        };
        let (cancelled, retried) = (stored.cancelled.clone(), stored.retried);
        let signals = stored.signals.clone();
        let Found::Here(held) = read(&mut self.plans, self.limits, workflow, stored) else {
            return Ok(None);
        };
        let unheard = unheard(&held.instance, cancelled, retried, signals);
        let seen = see(&held.instance, held.revision);
        self.cache.put(*held);
        Ok(Some((seen, unheard)))
    }

    /// As [`Desk::look_anew`], of a batch.
    pub(crate) async fn look_at_batch_anew<T>(
        &mut self,
        term: &Term,
        batch: BatchId,
        see: impl FnOnce(&BatchInstance) -> T,
    ) -> Result<Option<(T, Vec<BatchEvent>)>, LedgerError> {
        let ledger = &*self.ledger;
        self.batches.look_anew(ledger, term, batch, see).await
    }
}

fn unheard(
    instance: &Instance,
    cancelled: Option<String>,
    retried: bool,
    mut signals: Vec<(u64, SignalName)>,
) -> Vec<Event> {
    let mut events = Vec::new();
    if retried && matches!(instance.stage(), Stage::Ended(_)) {
        events.push(Event::RetryRequested);
    }
    if let Some(reason) = cancelled.filter(|_| heeds_cancel(instance)) {
        events.push(Event::CancelRequested { reason });
    }
    // One that has ended hears of no signal.
    if !instance.stage().is_closed() {
        signals.retain(|(number, _)| *number > instance.header().signals);
        // Whoever hears of one has heard of those before it.
        signals.sort_unstable_by_key(|(number, _)| *number);
        let heard = |(number, name)| Event::Signalled { number, name };
        events.extend(signals.into_iter().map(heard));
    }
    events
}

pub(super) fn unheard_of_batch(
    batch: &BatchInstance,
    cancelled: Option<String>,
    retried: Option<bool>,
) -> Vec<BatchEvent> {
    let mut events = Vec::new();
    if let Some(failed_only) = retried.filter(|_| batch.stage().is_closed()) {
        events.push(BatchEvent::RetryRequested { failed_only });
    }
    if let Some(reason) = cancelled.filter(|_| batch.heeds_cancel()) {
        events.push(BatchEvent::CancelRequested { reason });
    }
    events
}
