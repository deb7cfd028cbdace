//! Workflows and the inbox: words of the leader and words of the store.

use paceline_orchestrator::ports::{
    Alarm, Commit, Composition, ConcludedBy, Conclusion, Delivery, EntryId, InboxItem, LedgerError,
    LogEvent, StoredInstance, TaskJob, Upstream, UpstreamJob,
};
use paceline_store::calls::commit::{
    Alarm as StoreAlarm, Commit as StoreCommit, ConcludedBy as StoreConcludedBy,
    Conclusion as StoreConclusion, Dispatch, WorkflowEvent,
};
use paceline_store::calls::inbox::{InboxEntry, InboxItem as StoreItem};
use paceline_store::calls::turn::{UpstreamRef, WorkflowRef};
use paceline_store::calls::workflow::StoredWorkflow;
use paceline_types::{JobId, TaskName, WorkflowId};

use super::batches;
use super::ends::outcome;
use super::post::{self, Told};

/// An entry of the inbox in the words of the leader.
pub(super) fn delivery(entry: InboxEntry) -> Delivery {
    Delivery {
        entry: EntryId(entry.id),
        items: entry.items.into_iter().map(inbox_item).collect(),
    }
}

fn inbox_item(item: StoreItem) -> InboxItem {
    match item {
        StoreItem::Start(workflow) => InboxItem::Start { workflow },
        StoreItem::Cancel { workflow, reason } => InboxItem::Cancel { workflow, reason },
        StoreItem::TaskEnded {
            workflow,
            task,
            iteration,
            attempt,
            job,
            end,
        } => InboxItem::TaskEnded {
            workflow,
            task,
            iteration,
            attempt,
            job,
            outcome: outcome(end),
        },
        StoreItem::Signal {
            workflow,
            number,
            name,
        } => InboxItem::Signal {
            workflow,
            number,
            name,
        },
        StoreItem::Retry(workflow) => InboxItem::Retry { workflow },
        StoreItem::Look(workflow) => InboxItem::Look { workflow },
        StoreItem::Batch(batch, news) => batches::news(batch, news),
        StoreItem::Unreadable(text) => InboxItem::Unreadable {
            text,
            problem: "not an item that this version knows".to_owned(),
        },
    }
}

fn source(upstream: &UpstreamJob) -> (TaskName, Option<JobId>) {
    (upstream.task.clone(), upstream.job)
}

fn composed(composition: &Composition) -> Option<UpstreamRef> {
    let (many, sources) = match &composition.upstream {
        Upstream::None => (false, Vec::new()),
        Upstream::One(job) => (false, vec![source(job)]),
        Upstream::Many(jobs) => (true, jobs.iter().map(source).collect()),
    };
    let composed = UpstreamRef {
        many,
        sources,
        template: composition.template,
        input: composition.input,
        references: composition.references.iter().map(source).collect(),
    };
    (!composed.is_plain()).then_some(composed)
}

fn dispatch<'a>(workflow: WorkflowId, job: &'a TaskJob) -> Dispatch<'a> {
    Dispatch {
        job: job.job,
        place: WorkflowRef {
            workflow,
            task: job.task.clone(),
            iteration: job.iteration,
        },
        spec: &job.spec,
        upstream: composed(&job.composition),
    }
}

/// A commit in the words of the store.
pub(super) fn commit(commit: &Commit) -> Result<StoreCommit<'_>, LedgerError> {
    let cancels = commit.cancels.as_ref();
    let mut posts = Vec::with_capacity(commit.posts.len());
    let mut successor = None;
    for told in &commit.posts {
        match post::stored(told)? {
            Told::Later(told) => posts.push(told),
            Told::Now { to, job } => successor = Some((to, job)),
        }
    }
    Ok(StoreCommit {
        workflow: commit.workflow,
        expected: commit.expected,
        header: commit.header.as_ref(),
        tasks: &commit.tasks,
        history: &commit.history,
        sections: &commit.sections,
        dropped: &commit.dropped,
        conclusions: commit.conclusions.iter().map(conclusion).collect(),
        posts,
        successor,
        dispatches: commit
            .dispatches
            .iter()
            .map(|job| dispatch(commit.workflow, job))
            .collect(),
        cancels: cancels.map_or(&[], |cancels| &cancels.jobs),
        reason: cancels.map_or("", |cancels| &cancels.reason),
        events: commit.events.iter().map(event).collect(),
        more: commit.more,
        alarms: commit
            .alarms
            .iter()
            .map(|(which, wait)| (stored_alarm(*which), *wait))
            .collect(),
        close: commit.close.is_some(),
        retire: commit.retire,
    })
}

fn event(event: &LogEvent) -> WorkflowEvent<'_> {
    WorkflowEvent {
        kind: &event.kind,
        task: event.task.as_ref().map(|about| {
            let task_type = about.task_type.as_ref();
            (&about.task, task_type, about.job, about.iteration)
        }),
        error: event.error.as_deref(),
    }
}

fn conclusion(conclusion: &Conclusion) -> StoreConclusion<'_> {
    StoreConclusion {
        job: conclusion.job,
        result: match &conclusion.result {
            ConcludedBy::Value(value) => StoreConcludedBy::Value(value),
            ConcludedBy::Signal { number } => StoreConcludedBy::Signal(*number),
        },
    }
}

/// An alarm in the words of the store.
pub(super) fn stored_alarm(alarm: Alarm) -> StoreAlarm {
    match alarm {
        Alarm::Deadline => StoreAlarm::Deadline,
        Alarm::Retry => StoreAlarm::Retry,
        Alarm::Signal { task, iteration } => StoreAlarm::Signal { task, iteration },
    }
}

/// An alarm in the words of the leader.
pub(super) fn alarm(alarm: StoreAlarm) -> Alarm {
    match alarm {
        StoreAlarm::Deadline => Alarm::Deadline,
        StoreAlarm::Retry => Alarm::Retry,
        StoreAlarm::Signal { task, iteration } => Alarm::Signal { task, iteration },
    }
}

/// An instance in the words of the leader.
pub(super) fn instance(stored: StoredWorkflow) -> StoredInstance {
    StoredInstance {
        definition: stored.definition,
        input: stored.input,
        origin: stored.child_of.map(|child| child.origin),
        continued_from: stored.continued_from,
        suspended: stored.suspended_at.is_some(),
        cancelled: stored.cancelled,
        retried: stored.retried,
        header: stored.header,
        revision: stored.revision,
        tasks: stored.tasks,
        sections: stored.sections,
        signals: stored.signals,
        last_signal: stored.last_signal,
    }
}
