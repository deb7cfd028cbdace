//! The service that empties the inbox.
//!
//! A tick is one turn: as many events as fit are applied and committed in one call, whose reply
//! brings the next deliveries, so that under load one round trip serves both directions. Entries
//! are consumed by the call that commits the last of what they caused. Whenever a call fails or
//! finds an instance changed, everything that was read is forgotten and read again from the
//! oldest entry: a repeated event is late, and changes nothing.
//!
//! A turn that fails although the inbox could be read may hold one event that the ledger cannot
//! take. For a while the turns are small then: one event, or one instance of the backlog. An
//! event that keeps failing by itself is parked, so that it does not hold up the rest.

use std::collections::VecDeque;

use crate::batch::BatchEvent;
use crate::desk::{
    Answers, Arrival, BatchArrival, DEFAULT_CACHE_BYTES, Desk, MAX_BACKLOG, MAX_EVENTS, Source,
    Work,
};
use crate::instance::Limits;
use crate::ports::{
    BatchNews, Delivery, EntryId, InboxItem, Ledger, LedgerError, Parked, ReadAhead,
};
use crate::term::Term;
use crate::transition::Event;

/// Entries that are read at once unless configured otherwise.
pub const DEFAULT_ENTRIES: usize = 100;

/// Turns that are small after one failed.
const CAREFUL_TURNS: u32 = 32;

/// How often an event fails by itself before it is parked.
const PATIENCE: u32 = 5;

/// Marked instances that are taken up at once.
const MAX_RESUMED: usize = 100;

/// How the inbox is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Most inbox entries that are read at once; at least 1.
    pub entries: usize,
    /// Memory for cached instances, in bytes.
    pub cache_bytes: usize,
    /// Sizes that instances hold to.
    pub limits: Limits,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            entries: DEFAULT_ENTRIES,
            cache_bytes: DEFAULT_CACHE_BYTES,
            limits: Limits::default(),
        }
    }
}

/// What one tick did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// What became of the events.
    pub answers: Answers,
    /// Whether the next tick has work already.
    pub busy: bool,
}

/// Empties the inbox of one shard.
#[derive(Debug)]
pub struct Workflows {
    options: Options,
    /// Read, and not consumed yet, in order; the first may be applied in part.
    queue: VecDeque<Delivery>,
    /// Whether marked instances should be looked for: a leader before may have left some.
    resume: bool,
    /// Turns that are still to be small.
    careful: u32,
    /// The event that failed by itself last, and how often it did so.
    suspect: Option<(InboxItem, u32)>,
}

impl Workflows {
    /// A service that has read nothing yet.
    #[must_use]
    pub fn new(options: Options) -> Workflows {
        Workflows {
            options,
            queue: VecDeque::new(),
            resume: true,
            careful: 0,
            suspect: None,
        }
    }

    /// Looks for instances that are marked as unfinished with the next tick.
    pub fn resume(&mut self) {
        self.resume = true;
    }

    /// Applies and commits one turn of events, and goes on with what earlier ones left over.
    ///
    /// # Errors
    /// When the ledger fails. The next tick begins with the oldest entry.
    pub async fn tick<L: Ledger>(
        &mut self,
        desk: &mut Desk<L>,
        term: &Term,
    ) -> Result<Report, LedgerError> {
        let turned = self.turn(desk, term).await;
        // What was in the queue may not have been consumed, or was applied to a guess.
        if turned.as_ref().map_or(true, |answers| answers.stale > 0) {
            self.queue.clear();
        }
        let mut answers = turned?;
        if answers.stale == 0 {
            self.queue.extend(answers.next.drain(..));
        }
        let busy = !self.queue.is_empty() || desk.has_backlog() || answers.stale > 0;
        Ok(Report { answers, busy })
    }

    async fn turn<L: Ledger>(
        &mut self,
        desk: &mut Desk<L>,
        term: &Term,
    ) -> Result<Answers, LedgerError> {
        // A ledger that cannot even be read says nothing about an event.
        self.read(desk, term)
            .await
            .inspect_err(|_| self.suspect = None)?;
        let careful = self.careful > 0;
        self.careful = self.careful.saturating_sub(1);
        let alone = self
            .queue
            .front()
            .and_then(|delivery| delivery.items.first())
            .cloned();
        let shards = desk.ledger().shards();
        let work = self.pack(if careful { 1 } else { MAX_EVENTS }, shards);
        let turned = desk.turn(term, work).await;
        if let Err(LedgerError::Unavailable(_)) = &turned {
            self.careful = CAREFUL_TURNS;
            if let Some(item) = alone.filter(|_| careful) {
                let before = self.suspect.take().filter(|(suspect, _)| *suspect == item);
                self.suspect = Some((item, before.map_or(0, |(_, times)| times) + 1));
            }
        }
        turned
    }

    /// Fills the queue if it is empty, and the backlog if a leader before may have left some.
    async fn read<L: Ledger>(
        &mut self,
        desk: &mut Desk<L>,
        term: &Term,
    ) -> Result<(), LedgerError> {
        if self.resume {
            let marked = desk.ledger().unfinished(term, MAX_RESUMED).await?;
            self.resume = marked.len() >= MAX_RESUMED;
            for workflow in marked {
                desk.remember(workflow);
            }
            let marked = desk.ledger().unfinished_batches(term, MAX_RESUMED).await?;
            self.resume |= marked.len() >= MAX_RESUMED;
            for batch in marked {
                desk.remember_batch(batch);
            }
        }
        if self.queue.is_empty() {
            let ahead = ReadAhead {
                after: None,
                max: self.options.entries.max(1),
            };
            self.queue = desk.ledger().inbox(term, ahead).await?.into();
        }
        Ok(())
    }

    /// Takes as many events from the queue as one turn may apply.
    fn pack(&mut self, mut room: usize, shards: u16) -> Work {
        let careful = room == 1;
        let mut work = Work {
            backlog: match (careful, self.queue.is_empty()) {
                (false, _) => MAX_BACKLOG,
                (true, true) => 1,
                (true, false) => 0,
            },
            ..Work::default()
        };
        let mut last = None;
        while room > 0
            && let Some(delivery) = self.queue.front_mut()
        {
            let taken = delivery.items.len().min(room);
            room -= taken;
            let entry = delivery.entry.clone();
            for item in delivery.items.drain(..taken) {
                match &self.suspect {
                    Some((suspect, PATIENCE..)) if *suspect == item => {
                        work.parked.push(given_up(&item, &entry));
                        self.suspect = None;
                    }
                    Some(_) | None => add(&mut work, item, &entry, shards),
                }
            }
            last = Some(entry.clone());
            if !delivery.items.is_empty() {
                break;
            }
            work.consumed.push(entry);
            self.queue.pop_front();
        }
        // With a full inbox the reply refills the queue; an idle one is not asked again.
        let low = self.queue.len() < self.options.entries.div_ceil(2);
        if low && !careful && !(work.consumed.is_empty() && self.queue.is_empty()) {
            let after = self
                .queue
                .back()
                .map(|delivery| delivery.entry.clone())
                .or(last);
            work.read_ahead = Some(ReadAhead {
                after,
                max: self.options.entries.max(1),
            });
        }
        work
    }
}

fn given_up(item: &InboxItem, entry: &EntryId) -> Parked {
    let event = format!("{item:?}");
    tracing::error!(
        entry = entry.0,
        event,
        "an event whose commit keeps failing is parked"
    );
    Parked {
        entry: Some(entry.clone()),
        workflow: match item {
            InboxItem::Start { workflow }
            | InboxItem::TaskEnded { workflow, .. }
            | InboxItem::Signal { workflow, .. }
            | InboxItem::Retry { workflow }
            | InboxItem::Look { workflow }
            | InboxItem::Cancel { workflow, .. } => Some(*workflow),
            InboxItem::Batch { .. } | InboxItem::Unreadable { .. } => None,
        },
        batch: match item {
            InboxItem::Batch { batch, .. } => Some(*batch),
            _ => None,
        },
        unmark: false,
        event,
        state: String::new(),
        reason: format!("its commit failed {PATIENCE} times while the inbox could be read"),
    }
}

fn add(work: &mut Work, item: InboxItem, entry: &EntryId, shards: u16) {
    let (workflow, event) = match item {
        InboxItem::Start { workflow } => (workflow, Event::Start { shards }),
        InboxItem::TaskEnded {
            workflow,
            task,
            iteration,
            attempt: _,
            job,
            outcome,
        } => {
            let event = Event::TaskEnded {
                task,
                iteration,
                job,
                outcome,
            };
            (workflow, event)
        }
        InboxItem::Signal {
            workflow,
            number,
            name,
        } => (workflow, Event::Signalled { number, name }),
        InboxItem::Retry { workflow } => (workflow, Event::RetryRequested),
        InboxItem::Look { workflow } => (workflow, Event::Continue),
        InboxItem::Cancel { workflow, reason } => (workflow, Event::CancelRequested { reason }),
        InboxItem::Batch { batch, news } => {
            work.batches.push(BatchArrival {
                batch,
                event: batch_event(news),
                source: Source::Inbox(entry.clone()),
            });
            return;
        }
        InboxItem::Unreadable { text, problem } => {
            tracing::error!(
                entry = entry.0,
                text,
                problem,
                "an unreadable entry is parked"
            );
            work.parked.push(Parked {
                entry: Some(entry.clone()),
                workflow: None,
                batch: None,
                unmark: false,
                event: text,
                state: String::new(),
                reason: problem,
            });
            return;
        }
    };
    work.arrivals.push(Arrival {
        workflow,
        event,
        source: Source::Inbox(entry.clone()),
    });
}

fn batch_event(news: BatchNews) -> BatchEvent {
    match news {
        BatchNews::Start => BatchEvent::Start,
        BatchNews::JobEnded {
            place,
            item,
            iteration,
            job,
            outcome,
        } => BatchEvent::JobEnded {
            place,
            item,
            iteration,
            job,
            outcome,
        },
        BatchNews::Cancel { reason } => BatchEvent::CancelRequested { reason },
        BatchNews::Retry { failed_only } => BatchEvent::RetryRequested { failed_only },
    }
}

#[cfg(test)]
mod tests;
