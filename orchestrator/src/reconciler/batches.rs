//! The part of the walk that looks at batches: those that were accepted and have not begun, jobs that
//! ended without a word, and moments that nobody waits for any more.

use std::collections::VecDeque;
use std::time::Duration;

use paceline_types::batch::{BatchStage, ONETIME_PLACE};
use paceline_types::{BatchId, JobId};

use super::Report;
use super::suspicions::Suspicions;
use crate::batch::{BatchEvent, BatchInstance};
use crate::desk::{BatchArrival, Desk, MAX_EVENTS, Source, Work};
use crate::ports::{BatchAlarm, BatchWish, Cursor, JobPhase, Ledger, LedgerError};
use crate::term::Term;

/// What may stand still.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Suspect {
    /// Accepted, and not begun.
    Batch(BatchId),
    /// Dispatched, and its job has ended or is missing.
    Job(JobId),
    /// To be waited for, and nobody would ring.
    Alarm(BatchId, BatchAlarm),
    /// A caller wants it cancelled, and it does not end.
    Cancel(BatchId),
    /// A caller wants it tried again, and it is not.
    Retry(BatchId),
}

/// A walk over the batches that have not ended.
#[derive(Debug, Default)]
pub(super) struct BatchWalk {
    /// With what callers wanted of them when the page was fetched.
    page: VecDeque<(BatchId, BatchWish)>,
    /// Items of the first batch of the page below this one have been looked at.
    from: u32,
    next: Option<Cursor>,
    fetched: bool,
    suspicions: Suspicions<Suspect>,
}

/// One batch, as far as a step looks at it.
struct Look {
    pending: bool,
    leftover: bool,
    heeds_cancel: bool,
    closed: bool,
    /// What should ring, and after how long if that must be said anew.
    moment: Option<(BatchAlarm, Duration)>,
    /// Place and iteration of items whose jobs should be open.
    open: Vec<(u32, u32)>,
}

impl Look {
    /// Whether it may lack something that callers want: only what is kept can tell.
    fn lacks(&self, wish: BatchWish) -> bool {
        (wish.cancelled && self.heeds_cancel) || (wish.retried && self.closed)
    }

    fn at(batch: &BatchInstance, from: u32, max: usize) -> Look {
        let mut open = batch.open_items(from, max);
        let onetime = batch.header().onetime.as_ref();
        if let Some(onetime) = onetime.filter(|onetime| onetime.is_open() && open.is_empty()) {
            open.push((ONETIME_PLACE, onetime.iteration));
        }
        Look {
            pending: *batch.stage() == BatchStage::Pending,
            leftover: batch.has_leftover(),
            heeds_cancel: batch.heeds_cancel(),
            closed: batch.stage().is_closed(),
            moment: match batch.stage() {
                BatchStage::Preparing | BatchStage::Processing => {
                    let timeout = batch.plan().execution_timeout;
                    timeout.map(|timeout| (BatchAlarm::Deadline, timeout))
                }
                BatchStage::Resting(_) => Some((BatchAlarm::Retry, Duration::ZERO)),
                BatchStage::Pending
                | BatchStage::Ending(_)
                | BatchStage::Completed
                | BatchStage::Ended(_) => None,
            }
            .filter(|_| from == 0),
            open,
        }
    }
}

/// What a visit found to do.
#[derive(Default)]
struct Repairs {
    events: Vec<BatchEvent>,
    arms: Vec<(BatchId, BatchAlarm, Duration)>,
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
        if let Some((batch, wish)) = self.page.front().copied() {
            return self.visit(desk, term, batch, wish, jobs).await.map(Some);
        }
        if self.fetched && self.next.is_none() {
            self.fetched = false;
            self.suspicions.end_walk();
            return Ok(None);
        }
        let found = desk
            .ledger()
            .active_batches(term, self.next.clone(), batches);
        let found = found.await?;
        let seen = found.items.len();
        let wishes = match seen {
            0 => Vec::new(),
            _ => desk.ledger().batch_wishes(term, &found.items).await?,
        };
        self.page = found.items.into_iter().zip(wishes).collect();
        (self.next, self.fetched) = (found.next, true);
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
        wish: BatchWish,
        max: usize,
    ) -> Result<Report, LedgerError> {
        let from = self.from;
        let see = |found: &BatchInstance| Look::at(found, from, max);
        let mut seen = desk.look_at_batch(term, batch, see).await?;
        let mut unheard = Vec::new();
        if from == 0 && seen.as_ref().is_some_and(|look| look.lacks(wish)) {
            let anew = desk.look_at_batch_anew(term, batch, see).await?;
            (seen, unheard) =
                anew.map_or((None, Vec::new()), |(look, events)| (Some(look), events));
        }
        let Some(look) = seen else {
            self.pass_on(None);
            return Ok(Report {
                seen: 1,
                ..Report::default()
            });
        };
        if look.leftover {
            desk.remember_batch(batch);
        }
        let mut repairs = Repairs::default();
        let stops = |event: &BatchEvent| matches!(event, BatchEvent::CancelRequested { .. });
        // To start what is to be cancelled would be for nothing.
        let starts = look.pending && !unheard.iter().any(stops);
        if starts && self.suspicions.stands_still(Suspect::Batch(batch)) {
            repairs.events.push(BatchEvent::Start);
        }
        self.check_jobs(desk, term, batch, &look, &mut repairs)
            .await?;
        self.check_moment(desk, term, batch, &look, &mut repairs)
            .await?;
        self.check_unheard(batch, unheard, &mut repairs);
        let repaired = repair(desk, term, batch, repairs).await?;
        let last = look.open.last().map(|&(place, _)| place);
        self.pass_on(last.filter(|_| look.open.len() >= max));
        Ok(Report {
            seen: 1 + look.open.len(),
            repaired,
            ..Report::default()
        })
    }

    /// Jobs that have ended, or are missing.
    async fn check_jobs<L: Ledger>(
        &mut self,
        desk: &Desk<L>,
        term: &Term,
        batch: BatchId,
        look: &Look,
        repairs: &mut Repairs,
    ) -> Result<(), LedgerError> {
        let job_of = |&(place, iteration): &(u32, u32)| JobId::of_item(batch, place, iteration);
        let jobs: Vec<JobId> = look.open.iter().map(job_of).collect();
        if jobs.is_empty() {
            return Ok(());
        }
        let phases = desk.ledger().job_phases(term, &jobs).await?;
        for ((&(place, iteration), job), phase) in look.open.iter().zip(jobs).zip(phases) {
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
            if self.suspicions.stands_still(Suspect::Job(job)) {
                repairs.events.push(event);
            }
        }
        Ok(())
    }

    /// The moment that should be waited for.
    async fn check_moment<L: Ledger>(
        &mut self,
        desk: &Desk<L>,
        term: &Term,
        batch: BatchId,
        look: &Look,
        repairs: &mut Repairs,
    ) -> Result<(), LedgerError> {
        let Some((alarm, after)) = look.moment else {
            return Ok(());
        };
        let armed = desk.ledger().armed_batches(term, &[(batch, alarm)]).await?;
        if armed == [true] || !self.suspicions.stands_still(Suspect::Alarm(batch, alarm)) {
            return Ok(());
        }
        match alarm {
            // It rests too long already.
            BatchAlarm::Retry => repairs.events.push(BatchEvent::Rang(alarm)),
            BatchAlarm::Deadline => repairs.arms.push((batch, alarm, after)),
        }
        Ok(())
    }

    /// What callers wanted, and the batch has not heard of for two walks.
    fn check_unheard(&mut self, batch: BatchId, unheard: Vec<BatchEvent>, repairs: &mut Repairs) {
        for event in unheard {
            let suspect = match &event {
                BatchEvent::CancelRequested { .. } => Suspect::Cancel(batch),
                BatchEvent::RetryRequested { .. } => Suspect::Retry(batch),
                BatchEvent::Start
                | BatchEvent::JobEnded { .. }
                | BatchEvent::JobGone { .. }
                | BatchEvent::Rang(_)
                | BatchEvent::Continue => continue,
            };
            if self.suspicions.stands_still(suspect) && repairs.events.len() < MAX_EVENTS {
                repairs.events.push(event);
            }
        }
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
}

/// How much was repaired.
async fn repair<L: Ledger>(
    desk: &mut Desk<L>,
    term: &Term,
    batch: BatchId,
    repairs: Repairs,
) -> Result<usize, LedgerError> {
    let Repairs { events, arms } = repairs;
    for event in &events {
        tracing::warn!(%batch, ?event, "a batch stood still; repairing it");
    }
    for (_, alarm, _) in &arms {
        tracing::warn!(%batch, ?alarm, "a batch would not be rung for; arming it again");
    }
    if events.is_empty() && arms.is_empty() {
        return Ok(0);
    }
    let arrivals = events.into_iter().map(|event| BatchArrival {
        batch,
        event,
        source: Source::Walk,
    });
    let work = Work {
        batches: arrivals.collect(),
        arms,
        ..Work::default()
    };
    Ok(desk.turn(term, work).await?.applied)
}
