//! One turn: what it touches, the rounds in which results are fetched, and the commit.

use std::collections::{BTreeMap, BTreeSet};

use paceline_types::{BatchId, WorkflowId};

use super::batches::{BatchBench, BatchMarks};
use super::bench::{Bench, Found};
use super::{Answers, Arrival, BACKLOG_SHARE, Desk, MAX_EFFECTS, MAX_ROUNDS, Source, Work};
use crate::draft::Draft;
use crate::ports::{CommitOutcome, EntryId, Ledger, LedgerError, ReadAhead, Turn, TurnReply};
use crate::term::Term;
use crate::transition::Event;

/// Most results of one call.
pub(super) const MAX_RESULTS: usize = 100;

/// A turn that has read so many bytes of results fetches no more.
pub(super) const ENOUGH_BYTES: usize = 8 << 20;

/// A call that brought so many bytes was too large: the next one asks for half as many results.
const LARGE_REPLY: usize = 4 << 20;

/// What a turn writes beside the instances themselves.
struct Writing {
    consumed: Vec<EntryId>,
    read_ahead: Option<ReadAhead>,
    events: usize,
}

impl<L: Ledger> Desk<L> {
    /// Applies events, goes on with the backlog, and commits all of it in one call.
    ///
    /// # Errors
    /// When the ledger fails; nothing is known of the turn then, and every event may be applied
    /// again.
    pub(crate) async fn turn(&mut self, term: &Term, work: Work) -> Result<Answers, LedgerError> {
        let backlog = self.backlog.first(work.backlog);
        let batches = self.batches.waiting(work.backlog);
        let answers = self.turn_with(term, work, &backlog, batches.clone()).await;
        if answers.is_err() {
            // If one of these is what fails, the others must not wait behind it.
            for workflow in backlog {
                self.backlog.settle(workflow, true);
            }
            self.batches.defer(batches);
        }
        answers
    }

    async fn turn_with(
        &mut self,
        term: &Term,
        work: Work,
        backlog: &[WorkflowId],
        batches: Vec<BatchId>,
    ) -> Result<Answers, LedgerError> {
        for arrival in work.arrivals.iter().filter(|arrival| is_news(arrival)) {
            self.doubt(arrival.workflow);
        }
        let arriving = work.arrivals.iter().map(|arrival| arrival.workflow);
        let mended = work.mends.iter().map(|(workflow, _)| *workflow);
        let touched: BTreeSet<WorkflowId> = arriving
            .chain(mended)
            .chain(backlog.iter().copied())
            .collect();
        let ids: Vec<WorkflowId> = touched.iter().copied().collect();
        let has_backlog = !backlog.is_empty() || !batches.is_empty();
        let ledger = &*self.ledger;
        let batches = self.batches.begin(ledger, term, &work, batches);
        let mut batches = batches.await?;
        let mut bench = Bench {
            found: self.find(term, &ids).await?,
            drafts: BTreeMap::new(),
            answers: Answers::default(),
            parked: work.parked,
            sheets: &mut self.sheets,
            unwritten: BTreeSet::new(),
        };
        bench.answers.impossible = bench.parked.len();

        let events = work.arrivals.len() + work.batches.len();
        let reserve = if has_backlog { BACKLOG_SHARE } else { 0 };
        for arrival in work.arrivals {
            bench.apply(arrival, MAX_EFFECTS - reserve);
        }
        for arrival in work.batches {
            let (answers, parked) = (&mut bench.answers, &mut bench.parked);
            batches.apply(arrival, MAX_EFFECTS - reserve, answers, parked);
        }
        for (workflow, mend) in work.mends {
            bench.mend(workflow, mend);
        }
        for (batch, alarm, after) in work.arms {
            batches.arm(batch, alarm, after, &mut bench.answers);
        }
        for &workflow in backlog {
            bench.go_on(workflow);
        }
        batches.go_on(&mut bench.answers, &mut bench.parked);
        fetch(
            &*self.ledger,
            term,
            &mut bench,
            &touched,
            &mut self.results_at_once,
        )
        .await?;
        bench.sheets.trim();

        let Bench {
            found,
            drafts,
            answers,
            parked,
            ..
        } = bench;
        let finish = |(workflow, draft): (WorkflowId, Draft)| {
            draft.finish(match found.get(&workflow) {
                Some(Found::Here(held)) => Some(&held.instance),
                Some(Found::Missing | Found::Broken { .. }) | None => None,
            })
        };
        let turn = Turn {
            commits: drafts.into_iter().map(finish).collect(),
            batches: batches.finish(),
            parked,
            ..Turn::default()
        };
        let writing = Writing {
            consumed: work.consumed,
            read_ahead: work.read_ahead,
            events,
        };
        self.commit(term, turn, writing, (found, batches), answers)
            .await
    }

    async fn commit(
        &mut self,
        term: &Term,
        mut turn: Turn,
        writing: Writing,
        (mut found, batches): (BTreeMap<WorkflowId, Found>, BatchBench),
        mut answers: Answers,
    ) -> Result<Answers, LedgerError> {
        let changed: Vec<Changed> = turn.commits.iter().map(Changed::of).collect();
        let batch_marks = BatchMarks::of(&turn);
        let unmarked: Vec<WorkflowId> = turn
            .parked
            .iter()
            .filter(|parked| parked.unmark)
            .flat_map(|parked| parked.workflow)
            .collect();
        let empty = turn.commits.is_empty()
            && turn.batches.is_empty()
            && writing.consumed.is_empty()
            && turn.parked.is_empty();
        turn.consumed = writing.consumed;
        turn.read_ahead = writing.read_ahead;
        let reply = if empty && turn.read_ahead.is_none() {
            TurnReply::default()
        } else {
            metrics::histogram!("paceline_orchestrator_turn_events").record(writing.events as f64);
            metrics::histogram!("paceline_orchestrator_turn_commits")
                .record((changed.len() + turn.batches.len()) as f64);
            metrics::histogram!("paceline_orchestrator_turn_effects")
                .record(answers.effects as f64);
            self.posted |= turn.commits.iter().any(|commit| !commit.posts.is_empty());
            // What is dropped here on an error is loaded again: whether it was written is unknown.
            self.ledger.commit(term, turn).await?
        };

        for (changed, outcome) in changed.into_iter().zip(&reply.outcomes) {
            let workflow = changed.workflow;
            let held = found.remove(&workflow);
            match outcome {
                CommitOutcome::Committed { revision } => {
                    if let Some(Found::Here(mut held)) = held
                        && !changed.retired
                    {
                        held.revision = *revision;
                        if changed.grown {
                            held.measure();
                        }
                        self.cache.put(*held);
                    }
                    self.backlog.settle(workflow, changed.more);
                }
                CommitOutcome::Stale => {
                    tracing::debug!(%workflow, "stale: loading the instance again");
                    answers.stale += 1;
                }
                CommitOutcome::Missing => self.backlog.settle(workflow, false),
            }
            if changed.retired || *outcome == CommitOutcome::Missing {
                self.sheets.forget(workflow);
            }
        }
        for workflow in unmarked {
            self.backlog.remove(workflow);
            self.sheets.forget(workflow);
        }
        for held in found.into_values() {
            if let Found::Here(held) = held {
                self.cache.put(*held);
            }
        }
        let outcomes = &reply.batches;
        self.batches
            .settle(batches, batch_marks, outcomes, &mut answers);
        answers.next = reply.next;
        count(&answers);
        Ok(answers)
    }
}

/// What must be known of a commit once it is written.
struct Changed {
    workflow: WorkflowId,
    more: bool,
    retired: bool,
    grown: bool,
}

impl Changed {
    fn of(commit: &crate::ports::Commit) -> Changed {
        Changed {
            workflow: commit.workflow,
            more: commit.more,
            retired: commit.retire,
            grown: !commit.sections.is_empty(),
        }
    }
}

/// Whether an event tells that the record was changed by another hand, so that what is cached is
/// too old to judge it.
fn is_news(arrival: &Arrival) -> bool {
    matches!(
        (&arrival.event, &arrival.source),
        (Event::Continue | Event::RetryRequested, Source::Inbox(_))
    )
}

/// Fetches what instances wait for and goes on with them, until they wait for nothing that is written,
/// the turn is full, or enough was read.
async fn fetch<L: Ledger>(
    ledger: &L,
    term: &Term,
    bench: &mut Bench<'_>,
    touched: &BTreeSet<WorkflowId>,
    at_once: &mut usize,
) -> Result<(), LedgerError> {
    let mut read = 0;
    for _ in 0..MAX_ROUNDS {
        if read >= ENOUGH_BYTES || bench.answers.effects >= MAX_EFFECTS {
            break;
        }
        let unknown = bench.sheets.unknown(touched, *at_once, &bench.unwritten);
        if unknown.is_empty() {
            break;
        }
        let jobs: Vec<_> = unknown.iter().map(|(_, job)| *job).collect();
        let results = ledger.results(term, &jobs).await?;
        let bytes: usize = results.iter().flatten().map(bytes::Bytes::len).sum();
        read += bytes;
        *at_once = match bytes > LARGE_REPLY {
            true => (*at_once / 2).max(1),
            false => (*at_once * 2).min(MAX_RESULTS),
        };
        let mut ready = Vec::new();
        for ((workflow, job), result) in unknown.into_iter().zip(results) {
            bench.sheets.learn(workflow, job, result);
            if ready.last() != Some(&workflow) {
                ready.push(workflow);
            }
        }
        for workflow in ready {
            bench.go_on(workflow);
        }
    }
    Ok(())
}

fn count(answers: &Answers) {
    for (answer, events) in [
        ("applied", answers.applied),
        ("late", answers.late),
        ("impossible", answers.impossible),
    ] {
        if events > 0 {
            metrics::counter!("paceline_orchestrator_events_total", "answer" => answer)
                .increment(events as u64);
        }
    }
}
