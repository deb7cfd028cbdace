//! What each event changes.

use paceline_types::{Event, EventKind, JobStatus, WorkflowId};

use super::{Board, Change, Kind, Row, Status};

/// What the error of a task begins with that completed without having run.
const SKIPPED: &str = "skipped";

/// The error of a task that was cancelled with its workflow.
const CANCELLED: &str = "its job was cancelled";

/// What the error of a workflow begins with that goes on as a new instance; its id follows.
const CONTINUED: &str = "continued as ";

impl Board {
    /// Takes an event in; what it changed. Events of other workflows change nothing.
    pub(in crate::cli::run) fn apply(&mut self, event: &Event) -> Vec<Change> {
        let known = event.workflow_id.and_then(|id| self.by_id.get(&id));
        let Some(&flow) = known else {
            return Vec::new();
        };
        let Some(name) = &event.workflow_task else {
            return self.apply_to_workflow(flow, event);
        };
        if let Some((map, element)) = self.element_of(flow, name.as_str()) {
            return self.apply_to_element(map, element, event);
        }
        let Some(index) = self.row_of(flow, name.as_str()) else {
            return Vec::new();
        };
        let Some(row) = self.rows.get_mut(index) else {
            return Vec::new();
        };
        let before = row.clone();
        apply_to_row(row, event);
        if *row == before {
            return Vec::new();
        }
        let unknown = match &row.kind {
            Kind::Child => row.starts > before.starts,
            Kind::Map(elements) => elements.total.is_none() && !row.status.is_final(),
            Kind::Subflow => row.status == Status::Expanded,
            Kind::Job | Kind::Condition | Kind::Signal(_) | Kind::Hook => false,
        };
        if unknown {
            self.unread.insert(flow);
        }
        vec![Change::Row(index)]
    }

    /// The map and the place of an element: `resize#7`.
    fn element_of(&self, flow: usize, name: &str) -> Option<(usize, u32)> {
        let (map, place) = name.rsplit_once('#')?;
        let &row = self.flows.get(flow)?.by_name.get(map)?;
        let is_map = matches!(self.rows.get(row)?.kind, Kind::Map(_));
        Some((row, place.parse().ok()?)).filter(|_| is_map)
    }

    fn apply_to_element(&mut self, map: usize, element: u32, event: &Event) -> Vec<Change> {
        let Some(status) = status_of(&event.kind) else {
            return Vec::new();
        };
        let Some(row) = self.rows.get_mut(map) else {
            return Vec::new();
        };
        let Kind::Map(elements) = &mut row.kind else {
            return Vec::new();
        };
        // The end of the task follows that of its job, and says nothing new.
        let ended = elements.get(element).is_some_and(JobStatus::is_terminal);
        let of_task = matches!(
            event.kind,
            EventKind::WorkflowTaskCompleted
                | EventKind::WorkflowTaskFailed
                | EventKind::WorkflowTaskPanicked
        );
        if (ended && of_task) || !elements.set(element, status) {
            return Vec::new();
        }
        if elements.total.is_none() {
            let flow = row.flow;
            self.unread.insert(flow);
        }
        let mut changes = vec![Change::Row(map)];
        if matches!(status, JobStatus::Dead | JobStatus::Retrying)
            && let Some(row) = self.rows.get(map)
        {
            let error = event.error.as_deref().unwrap_or("no reason was given");
            let path = self.path(row);
            changes.push(Change::Notice(format!(
                "{path}#{element}  {status}: {error}"
            )));
        }
        changes
    }

    fn apply_to_workflow(&mut self, flow: usize, event: &Event) -> Vec<Change> {
        let error = event.error.as_deref();
        let mut changes = Vec::new();
        let said = match event.kind {
            EventKind::WorkflowRetrying => Some("is tried again".to_owned()),
            EventKind::WorkflowSuspended => {
                Some("is suspended: nothing new begins until it is resumed".to_owned())
            }
            EventKind::WorkflowResumed => Some("goes on".to_owned()),
            EventKind::WorkflowSignalReceived => Some(match error {
                Some(signal) => format!("got the {signal}"),
                None => "got a signal".to_owned(),
            }),
            EventKind::WorkflowTimedOut => Some("ran out of time".to_owned()),
            EventKind::WorkflowCompleted => {
                let successor = error.and_then(|error| error.strip_prefix(CONTINUED));
                let successor = successor.and_then(|id| id.trim().parse::<WorkflowId>().ok());
                successor.map(|id| {
                    changes.extend(self.reset_flow(flow));
                    self.name_flow(flow, id);
                    format!("goes on as {id}")
                })
            }
            _ => None,
        };
        let path = self.flows.get(flow).map_or("", |flow| &flow.path);
        let path = path.strip_suffix('/').unwrap_or("workflow");
        changes.extend(said.map(|said| Change::Notice(format!("{path} {said}"))));
        changes
    }
}

/// How a job stands after an event of it.
fn status_of(kind: &EventKind) -> Option<JobStatus> {
    Some(match kind {
        EventKind::WorkflowTaskDispatched
        | EventKind::JobEnqueued
        | EventKind::JobDispatched
        | EventKind::JobRetrying
        | EventKind::JobResumed
        | EventKind::JobAutoRecovered => JobStatus::Pending,
        EventKind::JobStarted => JobStatus::Running,
        EventKind::JobFailed => JobStatus::Retrying,
        EventKind::JobPaused => JobStatus::Paused,
        EventKind::JobScheduled => JobStatus::Scheduled,
        EventKind::JobCompleted | EventKind::WorkflowTaskCompleted => JobStatus::Completed,
        EventKind::JobDead
        | EventKind::JobScheduleToStartTimeout
        | EventKind::WorkflowTaskFailed
        | EventKind::WorkflowTaskPanicked => JobStatus::Dead,
        EventKind::JobCancelled => JobStatus::Cancelled,
        _ => return None,
    })
}

fn apply_to_row(row: &mut Row, event: &Event) {
    row.meet(event);
    match event.kind {
        EventKind::WorkflowTaskDispatched | EventKind::WorkflowHookDispatched => row.start(event),
        EventKind::JobStarted => row.run(event),
        EventKind::JobFailed => row.end_run(Status::Retrying, event),
        EventKind::JobPaused => row.end_run(Status::Paused, event),
        EventKind::JobScheduled => row.end_run(Status::Scheduled, event),
        EventKind::JobEnqueued
        | EventKind::JobDispatched
        | EventKind::JobRetrying
        | EventKind::JobResumed => row.status = Status::Queued,
        EventKind::JobAutoRecovered => {
            row.end_run(Status::Queued, event);
            row.note = Some("its node died".to_owned());
        }
        EventKind::JobCompleted => {
            let status = match row.kind {
                Kind::Subflow => Status::Expanded,
                _ => Status::Completed,
            };
            row.end_run(status, event);
        }
        EventKind::JobDead | EventKind::JobScheduleToStartTimeout => {
            row.end_run(Status::Dead, event);
        }
        EventKind::JobCancelled => row.end_run(Status::Cancelled, event),
        EventKind::WorkflowTaskCompleted | EventKind::WorkflowHookCompleted => complete(row, event),
        EventKind::WorkflowTaskFailed
        | EventKind::WorkflowTaskPanicked
        | EventKind::WorkflowHookFailed
            if !row.status.is_final() =>
        {
            // Also of tasks that never had a job, since one before them failed.
            let status = match (&row.kind, event.error.as_deref()) {
                (_, Some(CANCELLED)) => Status::Cancelled,
                // An expression is evaluated without having been dispatched.
                (Kind::Condition, _) => Status::Dead,
                _ if row.dispatched => Status::Dead,
                _ => Status::Cancelled,
            };
            row.end_run(status, event);
        }
        _ => {}
    }
}

/// The task is done; its job may have ended long before, or it had none.
fn complete(row: &mut Row, event: &Event) {
    let error = event.error.as_deref();
    match (row.status, error) {
        // A failure that is allowed counts as done for the workflow, but stays what it was.
        (Status::Dead, _) => row.status = Status::DeadAllowed,
        (Status::Cancelled | Status::DeadAllowed, _) => {}
        (_, Some(reason)) if reason.starts_with(SKIPPED) => {
            let reason = reason
                .trim_start_matches(SKIPPED)
                .trim_start_matches([':', ' ']);
            row.status = Status::Skipped;
            row.finished_at = Some(event.timestamp);
            row.note = Some(reason.to_owned()).filter(|reason| !reason.is_empty());
        }
        (Status::Completed | Status::Skipped, _) => {}
        _ => row.end_run(Status::Completed, event),
    }
}
