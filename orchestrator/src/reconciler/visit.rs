//! One step's look at one workflow: what of it should be moving, and what moves it again.

use std::time::Duration;

use paceline_types::workflow::{Stage, TaskRecord};
use paceline_types::{JobId, TaskName, WorkflowId};

use super::unheard::Standing;
use super::{Reconciler, Report, Suspect};
use crate::desk::{Arrival, Desk, MAX_EVENTS, Mend, Source, Work};
use crate::instance::Instance;
use crate::ports::{
    Alarm, ChildPhase, JobPhase, Lanes, Ledger, LedgerError, Outbox, Post, TaskOutcome, Wish,
};
use crate::term::Term;
use crate::transition::Event;

/// One workflow, as far as a step looks at it.
struct Look {
    pending: bool,
    leftover: bool,
    suspended: bool,
    standing: Standing,
    /// What should ring for the workflow itself, and after how long if that must be said anew.
    moment: Option<(Alarm, Duration)>,
    /// What should end, by index.
    open: Vec<(u32, Open)>,
}

/// Something under way.
enum Open {
    Job {
        task: TaskName,
        iteration: u32,
        job: JobId,
    },
    Child {
        task: TaskName,
        iteration: u32,
        child: WorkflowId,
        stopping: bool,
    },
    Wait {
        alarm: Alarm,
        timeout: Duration,
    },
}

/// What a visit found to do.
#[derive(Default)]
struct Repairs {
    events: Vec<Event>,
    mends: Vec<Mend>,
}

impl Reconciler {
    /// Looks at some tasks of a workflow, from an index on.
    pub(super) async fn visit<L: Ledger + Lanes + Outbox>(
        &mut self,
        desk: &mut Desk<L>,
        term: &Term,
        workflow: WorkflowId,
        wish: Wish,
        from: u32,
    ) -> Result<Report, LedgerError> {
        let max = self.options.jobs.clamp(1, MAX_EVENTS - 1);
        let see = |instance: &Instance, revision| look(instance, revision, from, max);
        let mut seen = desk.look(term, workflow, see).await?;
        let mut unheard = Vec::new();
        if from == 0 && seen.as_ref().is_some_and(|look| look.standing.lacks(&wish)) {
            let anew = desk.look_anew(term, workflow, see).await?;
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
            desk.remember(workflow);
        }
        let mut repairs = Repairs::default();
        let stops = |event: &Event| matches!(event, Event::CancelRequested { .. });
        // To start what is to be cancelled would be for nothing.
        let starts = look.pending && !unheard.iter().any(stops);
        if starts && self.suspicions.stands_still(Suspect::Workflow(workflow)) {
            let shards = desk.ledger().shards();
            repairs.events.push(Event::Start { shards });
        }
        self.check_jobs(desk, term, &look, &mut repairs).await?;
        self.check_children(desk, term, workflow, &look, &mut repairs)
            .await?;
        self.check_moments(desk, term, workflow, &look, &mut repairs)
            .await?;
        self.check_unheard(workflow, unheard, &mut repairs.events);
        let repaired = repair(desk, term, workflow, repairs).await?;
        let last = look.open.last().map(|(task, _)| *task);
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
        look: &Look,
        repairs: &mut Repairs,
    ) -> Result<(), LedgerError> {
        let open = look.open.iter().filter_map(|(_, open)| match open {
            Open::Job {
                task,
                iteration,
                job,
            } => Some((task, *iteration, *job)),
            Open::Child { .. } | Open::Wait { .. } => None,
        });
        let jobs: Vec<JobId> = open.clone().map(|(_, _, job)| job).collect();
        if jobs.is_empty() {
            return Ok(());
        }
        let phases = desk.ledger().job_phases(term, &jobs).await?;
        for ((task, iteration, job), phase) in open.zip(phases) {
            let task = task.clone();
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
            if self.suspicions.stands_still(Suspect::Job(job)) {
                repairs.events.push(event);
            }
        }
        Ok(())
    }

    /// Children that have ended, or are missing. One that has ended is asked to say so, and one that
    /// is missing is made, unless nothing is to begin.
    async fn check_children<L: Ledger + Outbox>(
        &mut self,
        desk: &mut Desk<L>,
        term: &Term,
        workflow: WorkflowId,
        look: &Look,
        repairs: &mut Repairs,
    ) -> Result<(), LedgerError> {
        let open: Vec<(u32, &TaskName, u32, WorkflowId, bool)> = look
            .open
            .iter()
            .filter_map(|(index, open)| match open {
                Open::Child {
                    task,
                    iteration,
                    child,
                    stopping,
                } => Some((*index, task, *iteration, *child, *stopping)),
                Open::Job { .. } | Open::Wait { .. } => None,
            })
            .collect();
        let children: Vec<WorkflowId> = open.iter().map(|&(_, _, _, child, _)| child).collect();
        if children.is_empty() {
            return Ok(());
        }
        let phases = match desk.ledger().children(term, &children).await {
            Ok(phases) => phases,
            Err(LedgerError::Unavailable(error)) => {
                // Their shard is down; this one's walk goes on.
                tracing::warn!(%workflow, error, "children cannot be looked at");
                return Ok(());
            }
            Err(fenced) => return Err(fenced),
        };
        let mut missing = Vec::new();
        for ((index, task, iteration, child, stopping), phase) in open.into_iter().zip(phases) {
            let waits = phase == ChildPhase::Unfinished && !stopping;
            if waits || !self.suspicions.stands_still(Suspect::Child(child)) {
                continue;
            }
            match (phase, stopping) {
                (ChildPhase::Unfinished, _) => repairs.mends.push(Mend::Post(Post::Cancel {
                    child,
                    reason: format!("its parent {workflow} ends"),
                })),
                (ChildPhase::Missing, true) => repairs.events.push(Event::TaskEnded {
                    task: task.clone(),
                    iteration,
                    job: JobId::of_task(workflow, index, iteration),
                    outcome: TaskOutcome::Cancelled,
                }),
                (ChildPhase::Missing, false) if look.suspended => {}
                (ChildPhase::Missing, false) => missing.push((index, task, iteration)),
                (ChildPhase::Ended, _) => {
                    repairs.mends.push(Mend::Post(Post::Ask { child }));
                }
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        let tasks: Vec<u32> = missing.iter().map(|&(index, ..)| index).collect();
        let mut composed = desk.spawn_again(term, workflow, &tasks).await?;
        for (index, task, iteration) in missing {
            match composed.remove(&index) {
                Some(Some(spawn)) => {
                    repairs.mends.push(Mend::Post(Post::Spawn(Box::new(spawn))));
                }
                // What it was given is gone: it cannot be made again.
                Some(None) => repairs.events.push(Event::JobGone {
                    task: task.clone(),
                    iteration,
                }),
                // The walk after this one.
                None => {}
            }
        }
        Ok(())
    }

    /// Moments that should be waited for.
    async fn check_moments<L: Ledger>(
        &mut self,
        desk: &Desk<L>,
        term: &Term,
        workflow: WorkflowId,
        look: &Look,
        repairs: &mut Repairs,
    ) -> Result<(), LedgerError> {
        let waits = look.open.iter().filter_map(|(_, open)| match open {
            Open::Wait { alarm, timeout } => Some((*alarm, *timeout)),
            Open::Job { .. } | Open::Child { .. } => None,
        });
        let due: Vec<(Alarm, Duration)> = look.moment.into_iter().chain(waits).collect();
        let moments: Vec<_> = due.iter().map(|&(alarm, _)| (workflow, alarm)).collect();
        if moments.is_empty() {
            return Ok(());
        }
        let armed = desk.ledger().armed(term, &moments).await?;
        for ((alarm, after), armed) in due.into_iter().zip(armed) {
            if armed
                || !self
                    .suspicions
                    .stands_still(Suspect::Alarm(workflow, alarm))
            {
                continue;
            }
            match alarm {
                // It rests too long already.
                Alarm::Retry => repairs.events.push(Event::Rang(alarm)),
                Alarm::Deadline | Alarm::Signal { .. } => {
                    repairs.mends.push(Mend::Arm(alarm, after));
                }
            }
        }
        Ok(())
    }
}

/// What of an instance should be moving.
fn look(instance: &Instance, revision: u64, from: u32, max: usize) -> Look {
    let named = |index: u32| instance.task_name(index);
    let mut open = Vec::new();
    for (index, iteration) in instance.open_tasks(from, max) {
        let job = instance.job_of(index, iteration);
        let of = |task| Open::Job {
            task,
            iteration,
            job,
        };
        open.extend(named(index).map(of).map(|open| (index, open)));
    }
    for (index, iteration) in instance.open_children(from, max) {
        let child = instance.child_of(index, iteration);
        let record = instance.record_of(index);
        let stopping = matches!(record, Some(TaskRecord::Cancelling { .. }));
        let of = |task| Open::Child {
            task,
            iteration,
            child,
            stopping,
        };
        open.extend(named(index).map(of).map(|open| (index, open)));
    }
    for (task, iteration, timeout) in instance.open_waits(from, max) {
        let alarm = Alarm::Signal { task, iteration };
        open.push((task, Open::Wait { alarm, timeout }));
    }
    open.sort_unstable_by_key(|(index, _)| *index);
    open.truncate(max);
    let timeout = instance.plan().execution_timeout();
    Look {
        pending: *instance.stage() == Stage::Pending,
        leftover: instance.has_leftover(),
        suspended: instance.is_suspended(),
        standing: Standing::of(instance, revision),
        moment: match instance.stage() {
            Stage::Opening | Stage::Running | Stage::Restarting => {
                timeout.map(|timeout| (Alarm::Deadline, timeout))
            }
            Stage::Resting(_) => Some((Alarm::Retry, Duration::ZERO)),
            Stage::Pending
            | Stage::Ending(_)
            | Stage::Completed
            | Stage::Ended(_)
            | Stage::Continued { .. } => None,
        }
        .filter(|_| from == 0),
        open,
    }
}

/// How much was repaired.
async fn repair<L: Ledger>(
    desk: &mut Desk<L>,
    term: &Term,
    workflow: WorkflowId,
    repairs: Repairs,
) -> Result<usize, LedgerError> {
    let Repairs { events, mends } = repairs;
    for event in &events {
        tracing::warn!(%workflow, ?event, "a workflow stood still; repairing it");
    }
    // A cancellation that is said again is no repair: the child may be about to end.
    let quiet = |mend: &&Mend| matches!(mend, Mend::Post(Post::Cancel { .. }));
    let said_again = mends.iter().filter(quiet).count();
    for mend in mends.iter().filter(|mend| !quiet(mend)) {
        tracing::warn!(%workflow, ?mend, "a workflow stood still; repairing it");
    }
    if events.is_empty() && mends.is_empty() {
        return Ok(0);
    }
    let arrivals = events.into_iter().map(|event| Arrival {
        workflow,
        event,
        source: Source::Walk,
    });
    let work = Work {
        arrivals: arrivals.collect(),
        mends: mends.into_iter().map(|mend| (workflow, mend)).collect(),
        ..Work::default()
    };
    let applied = desk.turn(term, work).await?.applied;
    Ok(applied.saturating_sub(said_again))
}
