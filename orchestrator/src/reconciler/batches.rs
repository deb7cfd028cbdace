//! The part of the walk that looks at batches: those that were accepted and have not begun, jobs that
//! ended without a word, and moments that nobody waits for any more.

use std::collections::{BTreeSet, VecDeque};

use paceline_types::batch::{BatchStage, ONETIME_PLACE};
use paceline_types::{BatchId, JobId};

use super::{MAX_SUSPECTS, Report};
use crate::batch::{BatchEvent, BatchInstance};
use crate::desk::{BatchArrival, Desk, Source, Work};
use crate::ports::{Cursor, JobPhase, Ledger, LedgerError};
use crate::term::Term;

/// What may stand still.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Suspect {
    /// Accepted, and not begun.
    Batch(BatchId),
    /// Dispatched, and its job has ended or is missing.
    Job(JobId),
}

/// A walk over the batches that have not ended.
#[derive(Debug, Default)]
pub(super) struct BatchWalk {
    page: VecDeque<BatchId>,
    /// Items of the first batch of the page below this one have been looked at.
    from: u32,
    next: Option<Cursor>,
    fetched: bool,
    /// What the walk before this one suspected, and what this one does.
    before: BTreeSet<Suspect>,
    suspects: BTreeSet<Suspect>,
}

/// One batch, as far as a step looks at it.
struct Look {
    pending: bool,
    leftover: bool,
    /// Place and iteration of items whose jobs should be open.
    open: Vec<(u32, u32)>,
}

impl Look {
    fn at(batch: &BatchInstance, from: u32, max: usize) -> Look {
        let mut open = batch.open_items(from, max);
        let onetime = batch.header().onetime.as_ref();
        if let Some(onetime) = onetime.filter(|onetime| onetime.is_open() && open.is_empty()) {
            open.push((ONETIME_PLACE, onetime.iteration));
        }
        Look {
            pending: *batch.stage() == BatchStage::Pending,
            leftover: batch.has_leftover(),
            open,
        }
    }
}

impl BatchWalk {
    /// Takes one step, with at most `batches` fetched and `jobs` looked at; none at the end of the
    /// walk.
    pub(super) async fn step<L: Ledger>(
        &mut self,
        desk: &mut Desk<L>,
        term: &Term,
        batches: usize,
        jobs: usize,
    ) -> Result<Option<Report>, LedgerError> {
        if let Some(batch) = self.page.front().copied() {
            return self.visit(desk, term, batch, jobs).await.map(Some);
        }
        if self.fetched && self.next.is_none() {
            self.fetched = false;
            self.before = std::mem::take(&mut self.suspects);
            return Ok(None);
        }
        let found = desk
            .ledger()
            .active_batches(term, self.next.clone(), batches);
        let found = found.await?;
        let seen = found.items.len();
        (self.page, self.next, self.fetched) = (found.items.into(), found.next, true);
        Ok(Some(Report {
            seen,
            ..Report::default()
        }))
    }

    /// Looks at some items of a batch.
    async fn visit<L: Ledger>(
        &mut self,
        desk: &mut Desk<L>,
        term: &Term,
        batch: BatchId,
        max: usize,
    ) -> Result<Report, LedgerError> {
        let from = self.from;
        let look = desk.look_at_batch(term, batch, |found| Look::at(found, from, max));
        let Some(look) = look.await? else {
            self.pass_on(None);
            return Ok(Report {
                seen: 1,
                ..Report::default()
            });
        };
        if look.leftover {
            desk.remember_batch(batch);
        }
        let mut events = Vec::new();
        if look.pending && self.stands_still(Suspect::Batch(batch)) {
            events.push(BatchEvent::Start);
        }
        let job_of = |&(place, iteration): &(u32, u32)| JobId::of_item(batch, place, iteration);
        let jobs: Vec<JobId> = look.open.iter().map(job_of).collect();
        let phases = match jobs.is_empty() {
            true => Vec::new(),
            false => desk.ledger().job_phases(term, &jobs).await?,
        };
        let last = look.open.last().map(|&(place, _)| place);
        for (((place, iteration), &job), phase) in look.open.into_iter().zip(&jobs).zip(phases) {
            let event = match phase {
                JobPhase::Unfinished => continue,
                JobPhase::Missing => BatchEvent::JobGone { place, iteration },
                JobPhase::Ended { outcome, .. } => BatchEvent::JobEnded {
                    place,
                    item: Box::default(),
                    iteration,
                    job,
                    outcome,
                },
            };
            if self.stands_still(Suspect::Job(job)) {
                events.push(event);
            }
        }
        for event in &events {
            tracing::warn!(%batch, ?event, "a batch stood still; repairing it");
        }
        let arrivals = events.into_iter().map(|event| BatchArrival {
            batch,
            event,
            source: Source::Walk,
        });
        let work = Work {
            batches: arrivals.collect(),
            ..Work::default()
        };
        let repaired = match work.batches.is_empty() {
            true => 0,
            false => desk.turn(term, work).await?.applied,
        };
        self.pass_on(last.filter(|_| jobs.len() >= max));
        Ok(Report {
            seen: 1 + jobs.len(),
            repaired,
            ..Report::default()
        })
    }

    /// Goes on behind an item of the same batch, or with the next one.
    fn pass_on(&mut self, place: Option<u32>) {
        match place.filter(|&place| place < ONETIME_PLACE) {
            Some(place) => self.from = place + 1,
            None => {
                self.page.pop_front();
                self.from = 0;
            }
        }
    }

    /// Whether the walk before suspected the same; remembers it for the next one.
    fn stands_still(&mut self, suspect: Suspect) -> bool {
        if self.suspects.len() < MAX_SUSPECTS {
            self.suspects.insert(suspect);
        }
        self.before.contains(&suspect)
    }
}
