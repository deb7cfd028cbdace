//! The service that rings for moments which workflows and batches wait for, by the server's clock: execution
//! timeouts, the next attempt, the longest wait for a signal.

use crate::batch::BatchEvent;
use crate::desk::{Answers, Arrival, BatchArrival, Desk, MAX_EVENTS, Source, Work};
use crate::ports::{Ledger, LedgerError};
use crate::term::Term;
use crate::transition::Event;

/// Alarms that ring at once unless configured otherwise.
pub const DEFAULT_BATCH: usize = 50;

/// How alarms are looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Most alarms of one tick, 1 to 100.
    pub batch: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            batch: DEFAULT_BATCH,
        }
    }
}

/// What one tick did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// What became of the alarms.
    pub answers: Answers,
    /// Whether there may be more.
    pub busy: bool,
}

/// Rings for what has passed.
#[derive(Debug)]
pub struct Alarms {
    options: Options,
}

impl Alarms {
    /// A service with these options.
    #[must_use]
    pub fn new(options: Options) -> Alarms {
        let batch = options.batch.clamp(1, MAX_EVENTS);
        Alarms {
            options: Options { batch },
        }
    }

    /// Rings for the moments that passed longest ago.
    ///
    /// # Errors
    /// When the ledger fails; the moments are found again by the next tick.
    pub async fn tick<L: Ledger>(
        &mut self,
        desk: &mut Desk<L>,
        term: &Term,
    ) -> Result<Report, LedgerError> {
        let overdue = desk.ledger().overdue(term, self.options.batch).await?;
        let room = self.options.batch - overdue.len();
        let batches = match room {
            0 => Vec::new(),
            room => desk.ledger().overdue_batches(term, room).await?,
        };
        let busy = batches.len() >= room;
        if overdue.is_empty() && batches.is_empty() {
            return Ok(Report::default());
        }
        let arrivals = overdue.into_iter().map(|(workflow, alarm)| Arrival {
            workflow,
            event: Event::Rang(alarm),
            source: Source::Mark,
        });
        let rung = batches.into_iter().map(|(batch, alarm)| BatchArrival {
            batch,
            event: BatchEvent::Rang(alarm),
            source: Source::Mark,
        });
        let work = Work {
            arrivals: arrivals.collect(),
            batches: rung.collect(),
            ..Work::default()
        };
        let answers = desk.turn(term, work).await?;
        Ok(Report {
            busy: busy || answers.stale > 0,
            answers,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use paceline_types::WorkflowStatus;
    use tokio::time::Instant;

    use super::*;
    use crate::desk::DEFAULT_CACHE_BYTES;
    use crate::graph::graph;
    use crate::memory::MemoryLedger;
    use crate::term::Tenure;
    use crate::workflows::{self, Workflows};

    #[tokio::test]
    async fn what_is_overdue_is_ended_and_told_once() {
        let ledger = Arc::new(MemoryLedger::new());
        let (_tenure, term) = Tenure::begin(1, Instant::now() + Duration::from_secs(3_600));
        let mut desk = Desk::new(ledger.clone(), DEFAULT_CACHE_BYTES);
        let mut inbox = Workflows::new(workflows::Options::default());
        let mut alarms = Alarms::new(Options { batch: 2 });
        let late: Vec<_> = (0..3).map(|_| ledger.submit(&graph("@5s a b<a"))).collect();
        let fine = ledger.submit(&graph("@6s a"));
        while inbox.tick(&mut desk, &term).await.expect("tick").busy {}
        let report = alarms.tick(&mut desk, &term).await.expect("tick");
        assert_eq!(report, Report::default(), "nothing is overdue");

        ledger.pass(Duration::from_secs(5));
        for (ended, busy) in [(2, true), (1, false), (0, false)] {
            let report = alarms.tick(&mut desk, &term).await.expect("tick");
            assert_eq!((report.answers.applied, report.busy), (ended, busy));
        }
        while inbox.tick(&mut desk, &term).await.expect("tick").busy {}
        for workflow in late {
            assert_eq!(ledger.status(workflow), Some(WorkflowStatus::Failed));
            let told = ledger.log(workflow);
            assert_eq!(told.last().map(String::as_str), Some("workflow.timed_out"));
        }
        assert_eq!(ledger.status(fine), Some(WorkflowStatus::Running));
    }

    #[tokio::test]
    async fn a_broken_instance_does_not_hold_up_the_others() {
        let ledger = Arc::new(MemoryLedger::new());
        let (_tenure, term) = Tenure::begin(1, Instant::now() + Duration::from_secs(3_600));
        let mut desk = Desk::new(ledger.clone(), DEFAULT_CACHE_BYTES);
        let mut inbox = Workflows::new(workflows::Options::default());
        let (broken, healthy) = (
            ledger.submit(&graph("@1s a")),
            ledger.submit(&graph("@2s a")),
        );
        while inbox.tick(&mut desk, &term).await.expect("tick").busy {}
        ledger.break_definition(broken);
        ledger.pass(Duration::from_secs(3));
        // Another leader, that has nothing cached.
        let mut desk = Desk::new(ledger.clone(), DEFAULT_CACHE_BYTES);
        let mut alarms = Alarms::new(Options { batch: 1 });
        for _ in 0..2 {
            alarms.tick(&mut desk, &term).await.expect("tick");
        }
        let mut inbox = Workflows::new(workflows::Options::default());
        while inbox.tick(&mut desk, &term).await.expect("tick").busy {}
        assert_eq!(ledger.status(healthy), Some(WorkflowStatus::Failed));
        assert_eq!(ledger.parked().len(), 1);
    }
}
