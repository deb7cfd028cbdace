//! A turn in the making: events are applied to the instances that were found, and what follows
//! collects as one draft for each.

use std::collections::BTreeMap;

use paceline_types::WorkflowId;

use super::plans::Plans;
use super::{Answers, Arrival, MAX_EFFECTS, Source};
use crate::advance::advance;
use crate::cache::Held;
use crate::draft::Draft;
use crate::facts::Facts;
use crate::instance::{Instance, Limits};
use crate::ports::{Parked, StoredInstance};
use crate::transition::{Effect, Event, Refusal, Transition};

/// An instance as a turn finds it.
pub(super) enum Found {
    Here(Held),
    Missing,
    Broken(String),
}

/// A turn in the making.
pub(super) struct Bench {
    pub(super) found: BTreeMap<WorkflowId, Found>,
    pub(super) drafts: BTreeMap<WorkflowId, Draft>,
    pub(super) answers: Answers,
    pub(super) parked: Vec<Parked>,
}

impl Bench {
    pub(super) fn apply(&mut self, arrival: Arrival, budget: usize) {
        let Arrival {
            workflow,
            event,
            source,
        } = arrival;
        let limit = budget.saturating_sub(self.answers.effects);
        let refusal = match self.found.get_mut(&workflow) {
            Some(Found::Here(held)) => match advance(&mut held.instance, &event, &Facts::new(), limit) {
                Ok(transition) => {
                    self.answers.applied += 1;
                    return self.note(workflow, transition);
                }
                Err(refusal) => refusal.into(),
            },
            Some(Found::Broken(problem)) => Answer::Park(problem.clone()),
            // Purged since, with all that it could still be told.
            Some(Found::Missing) | None => Answer::Drop,
        };
        match refusal {
            Answer::Drop => {
                self.answers.late += 1;
                if source == Source::Mark {
                    self.restate(workflow);
                }
            }
            Answer::Park(reason) => self.park(workflow, &event, source, reason),
        }
    }

    pub(super) fn go_on(&mut self, workflow: WorkflowId) {
        let limit = MAX_EFFECTS.saturating_sub(self.answers.effects);
        match self.found.get_mut(&workflow) {
            // With nothing to spare it would only be written for nothing.
            Some(Found::Here(held)) if limit > 0 => {
                match advance(&mut held.instance, &Event::Continue, &Facts::new(), limit) {
                    Ok(transition) => self.note(workflow, transition),
                    // Its events of this turn have done it, or another leader's.
                    Err(_) => self.restate(workflow),
                }
            }
            Some(Found::Here(_)) => {}
            Some(Found::Missing) | None => self.restate(workflow),
            Some(Found::Broken(problem)) => {
                let reason = problem.clone();
                self.park(workflow, &Event::Continue, Source::Mark, reason);
            }
        }
    }

    fn note(&mut self, workflow: WorkflowId, transition: Transition) {
        let is_job = |effect: &&Effect| match effect {
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
        };
        self.answers.effects += transition.effects.iter().filter(is_job).count();
        if let Some(Found::Here(held)) = self.found.get(&workflow) {
            let draft = self.drafts.entry(workflow);
            draft
                .or_insert_with(|| Draft::changing(workflow, held.revision))
                .add(&held.instance, transition);
        }
    }

    fn restate(&mut self, workflow: WorkflowId) {
        let draft = || match self.found.get(&workflow) {
            Some(Found::Here(held)) => Draft::restating(&held.instance, held.revision),
            Some(Found::Missing | Found::Broken(_)) | None => Draft::absent(workflow),
        };
        self.drafts.entry(workflow).or_insert_with(draft);
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
            Some(Found::Missing | Found::Broken(_)) | None => "unreadable".to_owned(),
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

/// An instance of what is kept.
pub(super) fn read(plans: &mut Plans, workflow: WorkflowId, stored: StoredInstance) -> Found {
    let plan = match plans.of(&stored.definition) {
        Ok(plan) => plan,
        Err(problem) => return Found::Broken(format!("the kept definition is broken: {problem}")),
    };
    let revision = stored.revision;
    match Instance::restore(workflow, plan, stored, Limits::default()) {
        Ok(instance) => Found::Here(Held::new(instance, revision)),
        Err(problem) => Found::Broken(format!("the kept instance is broken: {problem}")),
    }
}
