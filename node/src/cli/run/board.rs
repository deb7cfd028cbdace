//! How each task of a watched workflow stands, from its events. Pure.

use std::collections::HashMap;

use paceline_types::workflow::Workflow;
use paceline_types::{Event, EventKind, JobStatus, UnixMillis, WorkflowDefinition};

/// One task.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) status: JobStatus,
    /// Its job was made; before that it waits for its dependencies.
    pub(super) dispatched: bool,
    pub(super) attempt: u32,
    pub(super) started_at: Option<UnixMillis>,
    pub(super) finished_at: Option<UnixMillis>,
    pub(super) error: Option<String>,
}

/// All tasks, in the order of the definition.
#[derive(Debug)]
pub(super) struct Board {
    rows: Vec<Row>,
    by_name: HashMap<String, usize>,
}

impl Board {
    /// A board on which nothing has happened yet.
    pub(super) fn of(definition: &WorkflowDefinition) -> Board {
        let rows: Vec<Row> = definition
            .tasks
            .iter()
            .map(|task| Row {
                name: task.name.clone(),
                status: JobStatus::Pending,
                dispatched: false,
                attempt: 0,
                started_at: None,
                finished_at: None,
                error: None,
            })
            .collect();
        let names = rows.iter().enumerate();
        let by_name = names
            .map(|(index, row)| (row.name.clone(), index))
            .collect();
        Board { rows, by_name }
    }

    /// All rows.
    pub(super) fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// How many tasks have ended.
    pub(super) fn ended(&self) -> usize {
        self.rows
            .iter()
            .filter(|row| row.status.is_terminal())
            .count()
    }

    /// Takes an event in; the index of the row that it changed.
    pub(super) fn apply(&mut self, event: &Event) -> Option<usize> {
        let name = event.workflow_task.as_ref()?;
        let index = *self.by_name.get(name.as_str())?;
        let row = self.rows.get_mut(index)?;
        let before = row.clone();
        row.dispatched = true;
        match event.kind {
            EventKind::JobStarted => {
                row.status = JobStatus::Running;
                row.attempt = event.attempt.unwrap_or(row.attempt + 1);
                row.started_at = Some(event.timestamp);
                row.finished_at = None;
                row.error = None;
            }
            EventKind::JobFailed => row.end_run(JobStatus::Retrying, event),
            EventKind::JobPaused => row.end_run(JobStatus::Paused, event),
            EventKind::JobScheduled => row.end_run(JobStatus::Scheduled, event),
            EventKind::WorkflowTaskDispatched
            | EventKind::JobEnqueued
            | EventKind::JobDispatched
            | EventKind::JobRetrying
            | EventKind::JobResumed => row.status = JobStatus::Pending,
            EventKind::JobAutoRecovered => {
                row.end_run(JobStatus::Pending, event);
                row.error = Some("its node died".to_owned());
            }
            EventKind::JobCompleted => row.end_run(JobStatus::Completed, event),
            EventKind::JobDead | EventKind::JobScheduleToStartTimeout => {
                row.end_run(JobStatus::Dead, event)
            }
            EventKind::JobCancelled => row.end_run(JobStatus::Cancelled, event),
            // A failure that is allowed counts as done for the workflow, but stays what it was.
            EventKind::WorkflowTaskCompleted if !row.status.is_terminal() => {
                row.end_run(JobStatus::Completed, event);
            }
            // Also of tasks that never had a job, since one before them failed.
            EventKind::WorkflowTaskFailed if !row.status.is_terminal() => {
                let status = match row.started_at {
                    Some(_) => JobStatus::Dead,
                    None => JobStatus::Cancelled,
                };
                row.end_run(status, event);
            }
            _ => {}
        }
        (*row != before).then_some(index)
    }

    /// Takes in what the record at the end says; the rows that it changed.
    pub(super) fn reconcile(&mut self, workflow: &Workflow) -> Vec<usize> {
        let mut changed = Vec::new();
        for task in &workflow.tasks {
            let Some(&index) = self.by_name.get(task.name.as_str()) else {
                continue;
            };
            let Some(row) = self.rows.get_mut(index) else {
                continue;
            };
            if row.status != task.status {
                row.status = task.status;
                row.attempt = task.attempt;
                row.started_at = task.started_at;
                row.finished_at = task.finished_at;
                row.error.clone_from(&task.error);
                changed.push(index);
            }
        }
        changed
    }
}

impl Row {
    fn end_run(&mut self, status: JobStatus, event: &Event) {
        self.status = status;
        self.finished_at = Some(event.timestamp);
        if event.error.is_some() {
            self.error.clone_from(&event.error);
        }
    }
}

#[cfg(test)]
mod tests {
    use paceline_types::event::EventCursor;
    use paceline_types::{ShardIndex, TaskName};

    use super::*;

    fn board() -> Board {
        let definition = r#"{"name":"x","tasks":[
            {"name":"a","task_type":"t"},{"name":"b","task_type":"t","depends_on":["a"]}]}"#;
        Board::of(&WorkflowDefinition::from_json(definition).expect("definition"))
    }

    fn event(kind: &EventKind, at: UnixMillis, attempt: u32, error: Option<&str>) -> Event {
        Event {
            kind: kind.clone(),
            timestamp: at,
            shard: ShardIndex(0),
            cursor: EventCursor::default(),
            job_id: None,
            task_type: None,
            attempt: Some(attempt),
            run: None,
            workflow_id: None,
            workflow_task: Some(TaskName::new("a").expect("name")),
            batch_id: None,
            batch_item: None,
            batch_progress: None,
            schedule_id: None,
            node_id: None,
            term: None,
            error: error.map(str::to_owned),
        }
    }

    #[test]
    fn a_row_follows_its_events() {
        use EventKind as Kind;
        use JobStatus as Status;
        let table = [
            (Kind::WorkflowTaskDispatched, 0, None, Status::Pending),
            (Kind::JobStarted, 1, None, Status::Running),
            (Kind::JobFailed, 1, Some("no"), Status::Retrying),
            (Kind::JobDispatched, 1, None, Status::Pending),
            (Kind::JobStarted, 2, None, Status::Running),
            (Kind::JobAutoRecovered, 2, None, Status::Pending),
            (Kind::JobStarted, 3, None, Status::Running),
            (Kind::JobCompleted, 3, None, Status::Completed),
            (Kind::WorkflowTaskCompleted, 3, None, Status::Completed),
        ];
        let mut board = board();
        for (at, (kind, attempt, error, status)) in (10..).zip(&table) {
            board.apply(&event(kind, at, *attempt, *error));
            assert_eq!(board.rows()[0].status, *status, "{kind}");
        }
        let row = &board.rows()[0];
        assert_eq!(
            (row.attempt, row.started_at, row.finished_at),
            (3, Some(16), Some(17))
        );
        assert_eq!(row.error, None, "of an earlier attempt");
        assert_eq!(board.ended(), 1);
    }

    #[test]
    fn what_changes_nothing_is_not_told() {
        let mut board = board();
        let started = event(&EventKind::JobStarted, 1, 1, None);
        assert_eq!(board.apply(&started), Some(0));
        assert_eq!(board.apply(&started), None);
        let mut of_workflow = event(&EventKind::WorkflowStarted, 2, 1, None);
        of_workflow.workflow_task = None;
        assert_eq!(board.apply(&of_workflow), None);
    }

    #[test]
    fn a_task_that_never_ran_is_cancelled_and_an_allowed_failure_stays_one() {
        let mut board = board();
        board.apply(&event(
            &EventKind::WorkflowTaskFailed,
            1,
            0,
            Some("cancelled"),
        ));
        assert_eq!(board.rows()[0].status, JobStatus::Cancelled);
        board.apply(&event(&EventKind::JobDead, 2, 1, Some("no")));
        board.apply(&event(&EventKind::WorkflowTaskCompleted, 3, 1, None));
        assert_eq!(board.rows()[0].status, JobStatus::Dead);
    }
}
