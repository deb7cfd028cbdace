//! That everything is over: ends of what was cancelled, the log, and what Redis still holds.

use std::collections::{BTreeMap, BTreeSet};

use futures::TryStreamExt;
use futures::future::try_join_all;
use paceline_client::{BatchHandle, Client};
use paceline_tests::History;
use paceline_types::workflow::Hook;
use paceline_types::{Event, EventKind, JobStatus, Workflow, WorkflowId};

/// All workflows that there are: those that were submitted, children, and what they went on as.
pub(crate) async fn all(client: &Client) -> Vec<Workflow> {
    let listed = client.workflows(None).stream();
    listed.try_collect().await.expect("a list")
}

/// All workflows, once all of them are over, with each of their tasks.
pub(crate) async fn over(client: &Client) -> Result<Vec<Workflow>, String> {
    let looks = all(client).await.into_iter().map(|listed| async move {
        let seen = client.workflow_with_elements(listed.id).await;
        let seen = seen.map_err(|error| error.to_string())?;
        seen.ok_or(format!("{} is gone", listed.id))
    });
    let found = try_join_all(looks).await?;
    let known: BTreeSet<WorkflowId> = found.iter().map(|seen| seen.id).collect();
    for seen in &found {
        let Workflow { id, status, .. } = seen;
        if !status.is_terminal() {
            return Err(format!("{id} is {status}"));
        }
        for task in &seen.tasks {
            // One that was cancelled before its child was made has none.
            let is_whole = task.status != JobStatus::Cancelled;
            let child = task.child_workflow_id.filter(|_| is_whole);
            let lost = child.is_some_and(|child| !known.contains(&child));
            if lost || !task.status.is_terminal() {
                return Err(format!(
                    "{id} is {status}, but {task:?}; child lost: {lost}"
                ));
            }
        }
        if let Some(next) = seen.continued_to.filter(|next| !known.contains(next)) {
            return Err(format!("{next} is not there, which {id} went on as"));
        }
    }
    Ok(found)
}

/// No event of a workflow or a batch was told twice, each of these workflows ended once, and what the
/// log tells of jobs can be.
pub(crate) fn assert_each_event_once(history: &History, workflows: &[Workflow]) {
    assert_eq!(history.violations, Vec::<String>::new());
    let mut told: BTreeMap<_, usize> = BTreeMap::new();
    for event in history.events.iter().filter(|event| is_told_once(event)) {
        let task = event.workflow_task.as_ref().map(ToString::to_string);
        let owner = (event.workflow_id, event.batch_id);
        let what = (owner, event.kind.as_str(), task, event.job_id);
        *told.entry(what).or_default() += 1;
    }
    let twice: Vec<_> = told.iter().filter(|(_, times)| **times != 1).collect();
    assert!(twice.is_empty(), "told more than once: {twice:#?}");
    for workflow in workflows {
        let of_it = |event: &&Event| event.workflow_id == Some(workflow.id);
        let own = history.events.iter().filter(of_it);
        let ends = own.filter(|event| is_end("workflow", event));
        assert_eq!(ends.count(), 1, "ends of {workflow:?}");
    }
}

fn is_told_once(event: &Event) -> bool {
    use EventKind as K;
    let repeats = matches!(
        event.kind,
        K::WorkflowSuspended | K::WorkflowResumed | K::WorkflowSignalReceived | K::BatchProgress
    );
    let kind = event.kind.as_str();
    !repeats && (kind.starts_with("workflow.") || kind.starts_with("batch."))
}

/// Whether it tells of the end of a workflow or a batch.
fn is_end(whose: &str, event: &Event) -> bool {
    let ends = ["completed", "failed", "cancelled", "timed_out"];
    let kind = event.kind.as_str().strip_prefix(whose);
    let end = kind.and_then(|kind| kind.strip_prefix('.'));
    end.is_some_and(|end| ends.contains(&end))
}

/// From the moment in which a workflow was suspended nothing new of it began.
pub(crate) fn assert_sleepers_begin_nothing(history: &History) {
    let mut asleep: BTreeSet<WorkflowId> = BTreeSet::new();
    for event in &history.events {
        let Some(id) = event.workflow_id else {
            continue;
        };
        match event.kind {
            EventKind::WorkflowSuspended => drop(asleep.insert(id)),
            EventKind::WorkflowResumed => drop(asleep.remove(&id)),
            EventKind::WorkflowTaskDispatched => {
                assert!(!asleep.contains(&id), "{event:?} while it is suspended");
            }
            _ => {}
        }
    }
}

/// Whoever began has had its `on_exit` hook, if there is one, once.
pub(crate) async fn assert_exits(client: &Client, history: &History, workflows: &[Workflow]) {
    let exit = Hook::Exit.task_name();
    for workflow in workflows {
        let id = workflow.id;
        let of_it = |kind: &EventKind| {
            let events = history.events.iter();
            let events = events.filter(|event| event.workflow_id == Some(id));
            let found = events.filter(|event| event.kind == *kind);
            found.collect::<Vec<_>>()
        };
        let definition = client.workflow_definition(id).await.expect("Redis answers");
        let hooks = definition.expect("it is kept").hooks.unwrap_or_default();
        let goes_on = workflow.continued_to.is_some();
        let began = !of_it(&EventKind::WorkflowStarted).is_empty();
        let wanted = usize::from(hooks.on_exit.is_some() && began && !goes_on);
        let hooks = of_it(&EventKind::WorkflowHookDispatched);
        let exits = hooks.iter().filter(|event| {
            let task = event.workflow_task.as_ref().map(ToString::to_string);
            task.as_deref() == Some(exit.as_str())
        });
        assert_eq!(exits.count(), wanted, "exits of {workflow:?}");
    }
}

/// Each of these batches ended, told it once, and has no item under way or waiting.
pub(crate) async fn assert_batches(history: &History, batches: &[BatchHandle]) {
    for handle in batches {
        let batch = handle.get().await.expect("Redis answers").expect("kept");
        assert!(batch.status.is_terminal(), "{batch:?}");
        assert_eq!(batch.running_items, 0, "{batch:?}");
        let of_it = |event: &&Event| event.batch_id == Some(handle.id());
        let own = history.events.iter().filter(of_it);
        let ends = own.filter(|event| is_end("batch", event));
        assert_eq!(ends.count(), 1, "ends of {batch:?}");
    }
}
