//! The service that looks for what stands still, and makes it move again.
//!
//! Events reach the inbox in the same step as what they tell of, so there should be nothing to
//! find. What is found is the trace of a rollback, of removal by hand, or of a fault of this
//! program; hence each repair is counted and logged. It goes through `advance` and the desk as
//! any other event, so that one that was merely on its way is late, and changes nothing.
//!
//! Some words of callers came with entries of the inbox alone: to cancel, to try again, a signal.
//! Their records say so as well, which is how a walk finds what the inbox has lost.
//!
//! A walk looks at every active workflow, a bounded step at a time. What it suspects is only
//! repaired if the walk after it finds the same: an event may be on its way, and its entry in
//! the inbox is the better witness.

mod batches;
mod suspicions;
mod unheard;
mod visit;

use std::collections::VecDeque;

use batches::BatchWalk;
use paceline_types::{JobId, WorkflowId};
use suspicions::Suspicions;

use crate::desk::Desk;
use crate::ports::{Alarm, Cursor, Lanes, Ledger, LedgerError, Outbox, Wish};
use crate::term::Term;

/// Workflows that are fetched at once unless configured otherwise.
pub const DEFAULT_WORKFLOWS: usize = 20;

/// Jobs, or places of lanes, that one step looks at unless configured otherwise.
pub const DEFAULT_JOBS: usize = 50;

/// Most workflows or batches of one call that says what is wanted of them.
const MAX_PAGE: usize = 100;

/// How workflows are walked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Workflows that are fetched at once, 1 to 100.
    pub workflows: usize,
    /// Jobs that one step looks at, 1 to 80.
    pub jobs: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            workflows: DEFAULT_WORKFLOWS,
            jobs: DEFAULT_JOBS,
        }
    }
}

/// What one step did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Workflows, jobs and places of lanes that were looked at.
    pub seen: usize,
    /// What stood still for two walks, or lanes that were wrong.
    pub repaired: usize,
    /// Whether there is more to do at once.
    pub more: bool,
    /// Whether the walk is at its end.
    pub done: bool,
}

/// What may stand still.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Suspect {
    /// Accepted, and not begun.
    Workflow(WorkflowId),
    /// Dispatched, and its job has ended or is missing.
    Job(JobId),
    /// Its parent waits for it, and it has ended or is missing.
    Child(WorkflowId),
    /// To be waited for, and nobody would ring.
    Alarm(WorkflowId, Alarm),
    /// A caller wants it cancelled, and it does not end.
    Cancel(WorkflowId),
    /// A caller wants it tried again, and it is not.
    Retry(WorkflowId),
    /// Accepted, and not heard of by its workflow.
    Signal(WorkflowId, u64),
}

/// Where the walk is.
#[derive(Debug)]
enum Place {
    Workflows {
        /// With what callers wanted of them when the page was fetched.
        page: VecDeque<(WorkflowId, Wish)>,
        /// Tasks of the first workflow of the page below this one have been looked at.
        from: u32,
        next: Option<Cursor>,
        fetched: bool,
    },
    Batches,
    Lanes {
        cursor: Option<Cursor>,
    },
}

/// Walks what should be moving.
#[derive(Debug)]
pub struct Reconciler {
    options: Options,
    place: Place,
    batches: BatchWalk,
    suspicions: Suspicions<Suspect>,
}

impl Reconciler {
    /// A service at the beginning of its first walk.
    #[must_use]
    pub fn new(options: Options) -> Reconciler {
        Reconciler {
            options,
            place: BEGINNING,
            batches: BatchWalk::default(),
            suspicions: Suspicions::default(),
        }
    }

    /// Takes one step: looks at a bounded number of things, and repairs what stands still.
    ///
    /// # Errors
    /// When the ledger fails; the next tick repeats the step.
    pub async fn tick<L: Ledger + Lanes + Outbox>(
        &mut self,
        desk: &mut Desk<L>,
        term: &Term,
    ) -> Result<Report, LedgerError> {
        match &mut self.place {
            Place::Workflows {
                page,
                next,
                fetched,
                ..
            } if page.is_empty() && (next.is_some() || !*fetched) => {
                let max = self.options.workflows.clamp(1, MAX_PAGE);
                let found = desk.ledger().active(term, next.clone(), max).await?;
                let seen = found.items.len();
                let wishes = match seen {
                    0 => Vec::new(),
                    _ => desk.ledger().wishes(term, &found.items).await?,
                };
                *page = found.items.into_iter().zip(wishes).collect();
                (*next, *fetched) = (found.next, true);
                Ok(Report {
                    seen,
                    ..Report::default()
                })
            }
            Place::Workflows { page, from, .. } => match page.front().copied() {
                Some((workflow, wish)) => {
                    let from = *from;
                    self.visit(desk, term, workflow, wish, from).await
                }
                None => {
                    self.place = Place::Batches;
                    Ok(Report::default())
                }
            },
            Place::Batches => {
                let batches = self.options.workflows.clamp(1, MAX_PAGE);
                let jobs = self.options.jobs.clamp(1, crate::desk::MAX_EVENTS - 1);
                let step = self.batches.step(desk, term, batches, jobs).await?;
                Ok(step.unwrap_or_else(|| {
                    self.place = Place::Lanes { cursor: None };
                    Report::default()
                }))
            }
            Place::Lanes { cursor } => {
                let max = self.options.jobs.max(1);
                let checked = desk.ledger().check_lanes(term, cursor.clone(), max).await?;
                let done = checked.next.is_none();
                if done {
                    self.place = BEGINNING;
                    self.suspicions.end_walk();
                } else {
                    *cursor = checked.next;
                }
                if checked.repaired > 0 {
                    tracing::warn!(
                        repaired = checked.repaired,
                        "lanes were wrong and are mended"
                    );
                }
                Ok(Report {
                    seen: checked.seen,
                    repaired: checked.repaired,
                    more: checked.more,
                    done,
                })
            }
        }
    }

    /// Goes on behind `task` of the same workflow, or with the next one.
    fn pass_on(&mut self, task: Option<u32>) {
        if let Place::Workflows { page, from, .. } = &mut self.place {
            match task {
                Some(task) => *from = task + 1,
                None => {
                    page.pop_front();
                    *from = 0;
                }
            }
        }
    }
}

const BEGINNING: Place = Place::Workflows {
    page: VecDeque::new(),
    from: 0,
    next: None,
    fetched: false,
};

#[cfg(test)]
mod tests;
