//! The service that looks for what stands still, and makes it move again.
//!
//! Events reach the inbox in the same step as what they tell of, so there should be nothing to
//! find. What is found is the trace of a rollback, of removal by hand, or of a fault of this
//! program; hence each repair is counted and logged. It goes through `advance` and the desk as
//! any other event, so that one that was merely on its way is late, and changes nothing.
//!
//! A walk looks at every active workflow, a bounded step at a time. What it suspects is only
//! repaired if the walk after it finds the same: an event may be on its way, and its entry in
//! the inbox is the better witness.

mod batches;

use std::collections::{BTreeSet, VecDeque};

use batches::BatchWalk;
use paceline_types::workflow::Stage;
use paceline_types::{JobId, TaskName, WorkflowId};

use crate::desk::{Arrival, Desk, Source, Work};
use crate::ports::{Cursor, JobPhase, Lanes, Ledger, LedgerError};
use crate::term::Term;
use crate::transition::Event;

/// Workflows that are fetched at once unless configured otherwise.
pub const DEFAULT_WORKFLOWS: usize = 20;

/// Jobs, or places of lanes, that one step looks at unless configured otherwise.
pub const DEFAULT_JOBS: usize = 50;

/// Most suspicions that are carried from one walk to the next.
const MAX_SUSPECTS: usize = 10_000;

/// How workflows are walked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Workflows that are fetched at once; at least 1.
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
}

/// Where the walk is.
#[derive(Debug)]
enum Place {
    Workflows {
        page: VecDeque<WorkflowId>,
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
    /// What the walk before this one suspected, and what this one does.
    before: BTreeSet<Suspect>,
    suspects: BTreeSet<Suspect>,
}

/// One workflow, as far as a step looks at it.
struct Look {
    pending: bool,
    leftover: bool,
    /// Name, iteration, job and index of tasks whose jobs should be open.
    open: Vec<(TaskName, u32, JobId, u32)>,
}

impl Reconciler {
    /// A service at the beginning of its first walk.
    #[must_use]
    pub fn new(options: Options) -> Reconciler {
        Reconciler {
            options,
            place: BEGINNING,
            batches: BatchWalk::default(),
            before: BTreeSet::new(),
            suspects: BTreeSet::new(),
        }
    }

    /// Takes one step: looks at a bounded number of things, and repairs what stands still.
    ///
    /// # Errors
    /// When the ledger fails; the next tick repeats the step.
    pub async fn tick<L: Ledger + Lanes>(
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
                let max = self.options.workflows.max(1);
                let found = desk.ledger().active(term, next.clone(), max).await?;
                let seen = found.items.len();
                (*page, *next, *fetched) = (found.items.into(), found.next, true);
                Ok(Report {
                    seen,
                    ..Report::default()
                })
            }
            Place::Workflows { page, from, .. } => match page.front().copied() {
                Some(workflow) => {
                    let from = *from;
                    self.visit(desk, term, workflow, from).await
                }
                None => {
                    self.place = Place::Batches;
                    Ok(Report::default())
                }
            },
            Place::Batches => {
                let (batches, jobs) = (self.options.workflows.max(1), self.options.jobs);
                let jobs = jobs.clamp(1, crate::desk::MAX_EVENTS - 1);
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
                    self.before = std::mem::take(&mut self.suspects);
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

    /// Looks at some tasks of a workflow.
    async fn visit<L: Ledger + Lanes>(
        &mut self,
        desk: &mut Desk<L>,
        term: &Term,
        workflow: WorkflowId,
        from: u32,
    ) -> Result<Report, LedgerError> {
        let max = self.options.jobs.clamp(1, crate::desk::MAX_EVENTS - 1);
        let look = desk
            .look(term, workflow, |instance| Look {
                pending: *instance.stage() == Stage::Pending,
                leftover: instance.has_leftover(),
                open: instance
                    .open_tasks(from, max)
                    .into_iter()
                    .map(|(task, iteration)| {
                        let name = instance.plan().task(task).name.clone();
                        (
                            name,
                            iteration,
                            JobId::of_task(workflow, task, iteration),
                            task,
                        )
                    })
                    .collect(),
            })
            .await?;
        let Some(look) = look else {
            self.pass_on(None);
            return Ok(Report {
                seen: 1,
                ..Report::default()
            });
        };
        if look.leftover {
            desk.remember(workflow);
        }
        let mut events = Vec::new();
        if look.pending && self.stands_still(Suspect::Workflow(workflow)) {
            let shards = desk.ledger().shards();
            events.push(Event::Start { shards });
        }
        let jobs: Vec<JobId> = look.open.iter().map(|&(_, _, job, _)| job).collect();
        let phases = match jobs.is_empty() {
            true => Vec::new(),
            false => desk.ledger().job_phases(term, &jobs).await?,
        };
        let last = look.open.last().map(|&(_, _, _, task)| task);
        for ((task, iteration, job, _), phase) in look.open.into_iter().zip(phases) {
            let event = match phase {
                JobPhase::Unfinished => continue,
                JobPhase::Missing => Event::JobGone { task, iteration },
                JobPhase::Ended { outcome, .. } => Event::TaskEnded {
                    task,
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
            tracing::warn!(%workflow, ?event, "a workflow stood still; repairing it");
        }
        let arrivals = events.into_iter().map(|event| Arrival {
            workflow,
            event,
            source: Source::Walk,
        });
        let work = Work {
            arrivals: arrivals.collect(),
            ..Work::default()
        };
        let repaired = match work.arrivals.is_empty() {
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

    /// Whether the walk before suspected the same; remembers it for the next one.
    fn stands_still(&mut self, suspect: Suspect) -> bool {
        if self.suspects.len() < MAX_SUSPECTS {
            self.suspects.insert(suspect);
        }
        self.before.contains(&suspect)
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
