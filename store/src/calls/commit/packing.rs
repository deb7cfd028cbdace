//! What the commits of a batch have alike, put together: jobs by lane, events by kind.
//!
//! A script pays for each argument, so what is the same for many stands once.

use paceline_types::id::ID_LEN;
use paceline_types::{EventKind, JobId, TaskType, WorkflowId};

use super::workflows::{Commit, Dispatch, WorkflowEvent};
use crate::script::Invocation;
use crate::wire::pack::pack;
use crate::wire::{RS, US, job, plain};

/// The plain jobs of all commits, in groups of one lane, then their bodies.
pub(super) fn add_jobs(call: &mut Invocation, commits: &[&Commit<'_>]) {
    let dispatches: Vec<&Dispatch<'_>> = commits
        .iter()
        .flat_map(|commit| &commit.dispatches)
        .filter(|dispatch| !dispatch.is_special())
        .collect();
    let waits = |dispatch: &Dispatch<'_>| {
        let upstream = dispatch.upstream.as_ref();
        upstream.is_some_and(|upstream| {
            let mut named = upstream.sources.iter().chain(&upstream.references);
            named.any(|(_, job)| job.is_some())
        })
    };
    let alike = |one: &&Dispatch<'_>, next: &&Dispatch<'_>| {
        job::same_lane(one.spec, next.spec) && waits(one) == waits(next)
    };
    let groups = || dispatches.chunk_by(alike);
    call.arg(groups().count());
    for group in groups() {
        let mark = if waits(group[0]) { "u" } else { "w" };
        let mut items = String::with_capacity(96 * group.len());
        for dispatch in group {
            if !items.is_empty() {
                items.push(RS);
            }
            items.push_str(dispatch.job.bare(&mut [0; ID_LEN]));
            items.push(US);
            job::write_ident(&mut items, dispatch.spec, Some(&dispatch.place));
        }
        call.arg(mark)
            .arg(job::lane(group[0].spec))
            .arg(group.len())
            .arg(pack(group.iter().map(|dispatch| dispatch.job)))
            .arg(items);
    }
    call.arg(dispatches.len());
    for dispatch in dispatches {
        call.bytes(&job::encode(
            dispatch.spec,
            Some(&dispatch.place),
            dispatch.upstream.as_ref(),
        ));
    }
}

/// The events of all commits. Those of one workflow stay in their order; between workflows there
/// is none, so that what happened to many of them stands together.
pub(super) fn add_events(call: &mut Invocation, commits: &[&Commit<'_>]) {
    let longest = commits.iter().map(|commit| commit.events.len()).max();
    let mut runs: Vec<(&EventKind, usize, String)> = Vec::new();
    for place in 0..longest.unwrap_or(0) {
        let begun = runs.len();
        for commit in commits {
            let Some(event) = commit.events.get(place) else {
                continue;
            };
            let alike = runs[begun..]
                .iter()
                .position(|(kind, ..)| *kind == event.kind);
            let index = alike.map_or(runs.len(), |index| begun + index);
            if alike.is_none() {
                runs.push((event.kind, 0, String::new()));
            }
            let (_, count, items) = &mut runs[index];
            if *count > 0 {
                items.push(RS);
            }
            *count += 1;
            write_event(items, commit.workflow, event);
        }
    }
    call.arg(runs.len());
    for (kind, count, items) in &runs {
        call.arg(kind.as_str()).arg(count).arg(items);
    }
}

/// workflow US task US task type US job US iteration US error; empty ends are left out.
fn write_event(items: &mut String, workflow: WorkflowId, event: &WorkflowEvent<'_>) {
    use std::fmt::Write as _;
    items.push_str(workflow.bare(&mut [0; ID_LEN]));
    if let Some((task, task_type, job, iteration)) = event.task {
        let mut buffer = [0; ID_LEN];
        let job = JobId::bare(job, &mut buffer);
        // Writing to a string does not fail.
        let task_type = task_type.map_or("", TaskType::as_str);
        let _ = write!(items, "{US}{task}{US}{task_type}{US}{job}{US}{iteration}");
    } else if event.error.is_some() {
        items.extend([US; 4]);
    }
    if let Some(error) = event.error {
        items.push(US);
        items.push_str(&plain(error, 500));
    }
}
