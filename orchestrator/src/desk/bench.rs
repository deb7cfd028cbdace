//! A turn in the making: events are applied to the instances that were found, and what follows
//! collects as one draft for each.

use std::collections::{BTreeMap, BTreeSet};

use paceline_types::{JobId, WorkflowId};

use super::plans::Plans;
use super::sheets::Sheets;
use super::{Answers, Arrival, MAX_EFFECTS, Mend, Source};
use crate::advance::advance;
use crate::cache::Held;
use crate::draft::Draft;
use crate::instance::{Instance, Limits};
use crate::ports::{Alarm, Parked, StoredInstance};
use crate::transition::{Effect, Event, Refusal, Transition};

/// An instance as a turn finds it.
pub(super) enum Found {
    Here(Box<Held>),
    Missing,
    Broken { problem: String, revision: u64 },
}

/// A turn in the making.
pub(super) struct Bench<'a> {
    pub(super) found: BTreeMap<WorkflowId, Found>,
    pub(super) drafts: BTreeMap<WorkflowId, Draft>,
    pub(super) answers: Answers,
    pub(super) parked: Vec<Parked>,
    pub(super) sheets: &'a mut Sheets,
    /// What ran on no node and leaves its result with this turn: it cannot be read before.
    pub(super) unwritten: BTreeSet<JobId>,
}

impl Bench<'_> {
    pub(super) fn apply(&mut self, arrival: Arrival, budget: usize) {
        let Arrival {
            workflow,
            event,
            source,
        } = arrival;
        let limit = budget.saturating_sub(self.answers.effects);
        let retries = event == Event::RetryRequested;
        let refusal = match self.found.get_mut(&workflow) {
            // The walk was faster, and it has ended once more since.
            Some(Found::Here(held)) if retries && !held.retried => Answer::Drop,
            Some(Found::Here(held)) => {
                let facts = self.sheets.facts(workflow);
                match advance(&mut held.instance, &event, facts, limit) {
                    Ok(transition) => {
                        held.retried &= !retries;
                        self.answers.applied += 1;
                        return self.note(workflow, transition, own_records(&event));
                    }
                    Err(refusal) => refusal.into(),
                }
            }
            Some(Found::Broken { problem, .. }) => Answer::Park(problem.clone()),
            // Purged since, with all that it could still be told.
            Some(Found::Missing) | None => Answer::Drop,
        };
        if source == Source::Mark {
            self.restate(workflow);
            if let (Event::Rang(alarm), Some(draft)) = (&event, self.drafts.get_mut(&workflow)) {
                draft.disarm(*alarm);
            }
        }
        match refusal {
            Answer::Drop => self.answers.late += 1,
            Answer::Park(reason) => self.park(workflow, &event, source, reason),
        }
    }

    /// Makes something true of an instance that is there.
    pub(super) fn mend(&mut self, workflow: WorkflowId, mend: Mend) {
        if !matches!(self.found.get(&workflow), Some(Found::Here(_))) {
            return;
        }
        self.answers.applied += 1;
        self.restate(workflow);
        if let Some(draft) = self.drafts.get_mut(&workflow) {
            match mend {
                Mend::Arm(alarm, after) => draft.rearm(alarm, after),
                Mend::Post(post) => {
                    self.answers.effects += 1;
                    draft.post(post);
                }
            }
        }
    }

    pub(super) fn go_on(&mut self, workflow: WorkflowId) {
        let limit = MAX_EFFECTS.saturating_sub(self.answers.effects);
        match self.found.get_mut(&workflow) {
            // With nothing to spare it would only be written for nothing.
            Some(Found::Here(held)) if limit > 0 => {
                let facts = self.sheets.facts(workflow);
                match advance(&mut held.instance, &Event::Continue, facts, limit) {
                    Ok(transition) => self.note(workflow, transition, 0),
                    // Its events of this turn have done it, or another leader's.
                    Err(_) => {
                        self.sheets.forget(workflow);
                        self.restate(workflow);
                    }
                }
            }
            Some(Found::Here(_)) => {}
            Some(Found::Missing) | None => self.restate(workflow),
            Some(Found::Broken { problem, .. }) => {
                let reason = problem.clone();
                self.park(workflow, &Event::Continue, Source::Mark, reason);
            }
        }
    }

    fn note(&mut self, workflow: WorkflowId, mut transition: Transition, own: usize) {
        let launched = transition.effects.iter().filter(|effect| is_job(effect));
        // What is passed by or reset writes a record, and makes no job.
        let records = transition.tasks.len().saturating_sub(own);
        self.answers.effects += launched.count().max(records) + transition.dropped.len();
        let concluded = transition.effects.iter().filter_map(|effect| match effect {
            Effect::Conclude(conclusion) => Some(conclusion.job),
            _ => None,
        });
        self.unwritten.extend(concluded);
        let wanted = std::mem::take(&mut transition.wanted);
        self.sheets.want(workflow, wanted);
        if let Some(Found::Here(held)) = self.found.get(&workflow) {
            let draft = self.drafts.entry(workflow);
            draft
                .or_insert_with(|| Draft::changing(workflow, held.revision))
                .add(&held.instance, transition);
        }
    }

    /// A commit that states the marks as they should be, if there is none yet.
    fn restate(&mut self, workflow: WorkflowId) {
        let (expected, more) = match self.found.get(&workflow) {
            Some(Found::Here(held)) => (held.revision, held.instance.has_leftover()),
            Some(Found::Broken { revision, .. }) => (*revision, false),
            Some(Found::Missing) | None => {
                let absent = || Draft::absent(workflow);
                self.drafts.entry(workflow).or_insert_with(absent);
                return;
            }
        };
        self.drafts
            .entry(workflow)
            .or_insert_with(|| Draft::changing(workflow, expected))
            .set_more(more);
    }

    fn park(&mut self, workflow: WorkflowId, event: &Event, source: Source, reason: String) {
        let state = match self.found.get(&workflow) {
            Some(Found::Here(held)) => {
                let task = match event {
                    Event::TaskEnded { task, .. } | Event::JobGone { task, .. } => Some(task),
                    Event::Start { .. }
                    | Event::Signalled { .. }
                    | Event::CancelRequested { .. }
                    | Event::RetryRequested
                    | Event::Rang(_)
                    | Event::Continue => None,
                };
                let phase = task
                    .and_then(|task| held.instance.index_of(task.as_str()))
                    .and_then(|index| held.instance.phase(index));
                format!(
                    "{:?} at revision {}, task {phase:?}",
                    held.instance.stage(),
                    held.revision
                )
            }
            Some(Found::Missing | Found::Broken { .. }) | None => "unreadable".to_owned(),
        };
        let (entry, unmark) = match source {
            Source::Inbox(entry) => (Some(entry), false),
            Source::Mark => (None, true),
            Source::Walk => (None, false),
        };
        let event = format!("{event:?}");
        tracing::error!(%workflow, event, state, reason, "an event that cannot be applied is parked");
        self.answers.impossible += 1;
        self.parked.push(Parked {
            entry,
            workflow: Some(workflow),
            batch: None,
            unmark,
            event,
            state,
            reason,
        });
    }
}

/// What to do with an event that changed nothing.
enum Answer {
    Drop,
    Park(String),
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Answer {
        match refusal {
            Refusal::Late(_) => Answer::Drop,
            Refusal::Impossible(why) => Answer::Park(why.to_string()),
        }
    }
}

/// Records that an event writes of what it tells of, whatever follows from it.
fn own_records(event: &Event) -> usize {
    match event {
        Event::TaskEnded { .. } | Event::JobGone { .. } | Event::Rang(Alarm::Signal { .. }) => 1,
        Event::Start { .. }
        | Event::Signalled { .. }
        | Event::CancelRequested { .. }
        | Event::RetryRequested
        | Event::Rang(Alarm::Deadline | Alarm::Retry)
        | Event::Continue => 0,
    }
}

fn is_job(effect: &Effect) -> bool {
    match effect {
        Effect::Dispatch(_)
        | Effect::CancelJob(_)
        | Effect::Spawn(_)
        | Effect::CancelChild { .. }
        | Effect::Conclude(_) => true,
        Effect::Arm(..)
        | Effect::Disarm(_)
        | Effect::Succeed { .. }
        | Effect::Close { .. }
        | Effect::Retire => false,
    }
}

/// An instance of what is kept.
pub(super) fn read(
    plans: &mut Plans,
    limits: Limits,
    workflow: WorkflowId,
    stored: StoredInstance,
) -> Found {
    let (revision, retried) = (stored.revision, stored.retried);
    let broken = |what: &str, problem: String| Found::Broken {
        problem: format!("the kept {what} is broken: {problem}"),
        revision,
    };
    let plan = match plans.of(&stored.definition) {
        Ok(plan) => plan,
        Err(problem) => return broken("definition", problem),
    };
    match Instance::restore(workflow, plan, stored, limits) {
        Ok(instance) => Found::Here(Box::new(Held::new(instance, revision, retried))),
        Err(problem) => broken("instance", problem.to_string()),
    }
}
