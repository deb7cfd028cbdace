//! The tasks of an instance: where they stand in it, and how each of them stands.

use std::collections::HashMap;

use paceline_types::workflow::{
    Hook, MapProgress, Section, SectionBody, Stage, TaskDefinition, TaskKind, TaskRecord,
    TaskState, WorkflowDefinition,
};
use paceline_types::{
    Job, JobId, JobStatus, SignalName, TaskName, TaskType, UnixMillis, WorkflowId,
};

use super::StoredWorkflow;
use crate::StoreError;

/// Why a task was passed by.
pub(super) const NO_ROUTE: &str = "no route led here";

/// A task and its place in the instance.
pub(super) struct Placed<'a> {
    pub(super) index: u32,
    pub(super) name: TaskName,
    /// As its definition has it; of the element of a map that of its map, of a hook none.
    definition: Option<&'a TaskDefinition>,
    /// What was added by its newest start.
    section: Option<&'a Section>,
    generated_by: Option<TaskName>,
    is_element: bool,
    task_type: Option<&'a str>,
}

/// What stands under the id of a task's job.
pub(super) enum Found {
    /// The job.
    Job(Box<Job>),
    /// The result of what ran on no node, since then.
    Concluded(UnixMillis),
}

impl StoredWorkflow {
    /// Its records by the index of the task.
    pub(super) fn records(&self) -> HashMap<u32, &TaskRecord> {
        let records = self.tasks.iter();
        records.map(|(index, record)| (*index, record)).collect()
    }
}

fn named(name: &str) -> Result<TaskName, StoreError> {
    TaskName::new(name).map_err(|_| StoreError::protocol("HGETALL", "the name of a task", &name))
}

/// Every task of an instance: those of its definition, then those of its sections, as far as these
/// belong to the present start of their generators.
pub(super) fn place_tasks<'a>(
    definition: &'a WorkflowDefinition,
    stored: &'a StoredWorkflow,
    records: &HashMap<u32, &TaskRecord>,
    elements: bool,
) -> Result<Vec<Placed<'a>>, StoreError> {
    let mut placed = Vec::with_capacity(definition.tasks.len());
    for (task, index) in definition.tasks.iter().zip(0..) {
        placed.push(of_definition(task, index, None)?);
    }
    // They are in the order of their first index, so a generator comes before what it added.
    for section in &stored.sections {
        let generator = placed
            .iter()
            .position(|task| task.index == section.generator);
        let (Some(generator), Some(record)) = (generator, records.get(&section.generator)) else {
            continue;
        };
        if record.iteration() != section.iteration {
            continue;
        }
        placed[generator].section = Some(section);
        let name = placed[generator].name.clone();
        match &section.body {
            SectionBody::Subflow(tasks) => {
                for (task, index) in tasks.iter().zip(section.base..) {
                    placed.push(of_definition(task, index, Some(&name))?);
                }
            }
            SectionBody::Map { count } if elements => {
                let of = placed[generator].definition;
                for (element, index) in (0..*count).zip(section.base..) {
                    placed.push(Placed {
                        index,
                        name: named(&format!("{name}#{element}"))?,
                        definition: of,
                        section: None,
                        generated_by: Some(name.clone()),
                        is_element: true,
                        task_type: of.map(|map| map.task_type.as_str()),
                    });
                }
            }
            SectionBody::Map { .. } => {}
        }
    }
    Ok(placed)
}

fn of_definition<'a>(
    task: &'a TaskDefinition,
    index: u32,
    generated_by: Option<&TaskName>,
) -> Result<Placed<'a>, StoreError> {
    Ok(Placed {
        index,
        name: named(&task.name)?,
        definition: Some(task),
        section: None,
        generated_by: generated_by.cloned(),
        is_element: false,
        task_type: Some(task.task_type.as_str()).filter(|name| !name.is_empty()),
    })
}

/// A hook of a definition.
pub(super) fn hook(definition: &WorkflowDefinition, which: Hook) -> Option<Placed<'_>> {
    let hook = definition.hooks.as_ref()?.get(which)?;
    Some(Placed {
        index: which.index(),
        name: TaskName::new(&which.task_name()).ok()?,
        definition: None,
        section: None,
        generated_by: None,
        is_element: false,
        task_type: Some(&hook.task_type),
    })
}

/// How a task stands.
pub(super) fn task_view(
    id: WorkflowId,
    placed: &Placed<'_>,
    stored: &StoredWorkflow,
    records: &HashMap<u32, &TaskRecord>,
    found: &HashMap<JobId, Found>,
) -> TaskState {
    let definition = placed.definition.filter(|_| !placed.is_element);
    let kind = definition.map_or(TaskKind::Static, |task| task.kind);
    let mut view = TaskState::new(placed.name.clone(), kind, waiting(stored));
    view.task_type = placed.task_type.and_then(|name| TaskType::new(name).ok());
    view.generated_by = placed.generated_by.clone();
    view.signal = definition.and_then(|task| SignalName::new(task.awaited_signal()?).ok());
    let depends_on = definition.map_or(&[][..], |task| &task.depends_on);
    view.depends_on = depends_on
        .iter()
        .filter_map(|name| TaskName::new(name).ok())
        .collect();
    let Some(record) = records.get(&placed.index) else {
        return view;
    };
    tell_record(&mut view, record);
    let job = JobId::of_task(id, placed.index, record.iteration());
    match found.get(&job) {
        Some(Found::Job(job)) => {
            view.job_id = Some(job.id);
            view.attempt = job.attempt;
            view.started_at = job.started_at;
            view.finished_at = job.completed_at;
            view.error = view
                .error
                .take()
                .or_else(|| job.last_error.clone())
                .filter(|_| !view.skipped);
            if let TaskRecord::Dispatched { .. } | TaskRecord::Cancelling { .. } = record {
                view.status = job.status;
            }
        }
        Some(Found::Concluded(at)) => view.finished_at = Some(*at),
        None => {}
    }
    let child = definition.and_then(|task| task.child_workflow_def.as_ref());
    // One that ended, or was given up, without leaving an end was never made.
    let made = record.final_status().is_none() || found.contains_key(&job);
    if let Some(child) = child.filter(|_| began(record) && made) {
        let (iteration, shards) = (record.iteration(), stored.header.shards.max(1));
        view.child_workflow_id = Some(match child.has_limits() {
            true => WorkflowId::of_child_beside(id, placed.index, iteration),
            false => WorkflowId::of_child(id, placed.index, iteration, shards),
        });
    }
    match placed.section.map(|section| (section.base, &section.body)) {
        Some((_, SectionBody::Subflow(tasks))) => {
            view.subflow_tasks = tasks
                .iter()
                .filter_map(|task| TaskName::new(&task.name).ok())
                .collect();
        }
        Some((base, SectionBody::Map { count })) => {
            view.elements = Some(progress(base, *count, records));
        }
        None => {}
    }
    view
}

/// The status of what has no record. Whatever was never dispatched never will be, once the workflow
/// ends.
fn waiting(stored: &StoredWorkflow) -> JobStatus {
    match &stored.header.stage {
        Stage::Ending(_) | Stage::Ended(_) if !stored.retried => JobStatus::Cancelled,
        _ => JobStatus::Pending,
    }
}

fn tell_record(view: &mut TaskState, record: &TaskRecord) {
    view.iteration = record.iteration();
    view.error = record.error().map(str::to_owned);
    view.status = record.final_status().unwrap_or(match record {
        // Its turn has not come, as that of a task without a record.
        TaskRecord::Again { .. } => view.status,
        _ => JobStatus::Running,
    });
    match record {
        TaskRecord::Skipped { reason, .. } => {
            view.skipped = true;
            view.skip_reason = Some(reason.clone());
        }
        TaskRecord::Bypassed { .. } => {
            view.skipped = true;
            view.skip_reason = Some(NO_ROUTE.to_owned());
        }
        TaskRecord::Routed {
            route, evaluations, ..
        } => {
            view.condition_route = *route;
            view.condition_iterations = *evaluations;
        }
        TaskRecord::Rewinding {
            route, evaluations, ..
        } => {
            view.condition_route = Some(*route);
            view.condition_iterations = *evaluations;
        }
        TaskRecord::Dispatched { evaluations, .. }
        | TaskRecord::Returned { evaluations, .. }
        | TaskRecord::Again { evaluations, .. } => view.condition_iterations = *evaluations,
        TaskRecord::Cancelling { .. }
        | TaskRecord::Expanded { .. }
        | TaskRecord::Completed { .. }
        | TaskRecord::FailedAllowed { .. }
        | TaskRecord::Dead { .. }
        | TaskRecord::Cancelled { .. } => {}
    }
}

/// Whether this start of a task was dispatched.
fn began(record: &TaskRecord) -> bool {
    !matches!(
        record,
        TaskRecord::Again { .. } | TaskRecord::Skipped { .. } | TaskRecord::Bypassed { .. }
    )
}

fn progress(base: u32, count: u32, records: &HashMap<u32, &TaskRecord>) -> MapProgress {
    let mut progress = MapProgress {
        total: count,
        ..MapProgress::default()
    };
    for index in base..base.saturating_add(count) {
        match records.get(&index) {
            None | Some(TaskRecord::Again { .. }) => {}
            Some(TaskRecord::Dead { .. } | TaskRecord::FailedAllowed { .. }) => {
                progress.done += 1;
                progress.failed += 1;
            }
            Some(record) if record.final_status().is_some() => progress.done += 1,
            Some(_) => progress.running += 1,
        }
    }
    progress
}
