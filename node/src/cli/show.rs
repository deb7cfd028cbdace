//! Jobs, workflows and nodes as text.

mod workflow;

use bytes::Bytes;
use paceline_types::workflow::TaskState;
use paceline_types::{Job, JobStatus, NodeInfo, Role, UnixMillis, WorkflowStatus};

pub(crate) use self::workflow::{attempt, failed, workflow, workflows};
use super::output::{Color, Output};
use super::table::{Table, shortened};
use super::time::{moment, now, span};

/// Characters of an error in a table.
const ERROR_WIDTH: usize = 60;

/// Names and values under each other, without those that are not there.
pub(crate) struct Sheet(pub(crate) Vec<(&'static str, String)>);

impl Sheet {
    pub(crate) fn maybe(&mut self, name: &'static str, value: Option<impl ToString>) {
        if let Some(value) = value {
            self.0.push((name, value.to_string()));
        }
    }

    pub(crate) fn time(&mut self, name: &'static str, at: Option<UnixMillis>) {
        self.maybe(name, at.map(moment));
    }

    pub(crate) fn render(self) -> String {
        let width = self.0.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        let lines = self.0.into_iter().map(|(name, value)| {
            let name = format!("{name}:");
            format!("{name:<0$}  {value}", width + 1)
        });
        lines.collect::<Vec<_>>().join("\n")
    }
}

/// Everything about a job.
pub(crate) fn job(output: Output, job: &Job) -> String {
    let mut sheet = Sheet(vec![
        ("id", job.id.to_string()),
        ("task type", job.task_type.to_string()),
        ("status", job_status(output, job.status)),
        ("attempt", job.attempt.to_string()),
        ("priority", job.priority.to_string()),
    ]);
    sheet.maybe("crashes", Some(job.crashes).filter(|&crashes| crashes > 0));
    sheet.maybe("version", job.version.as_ref());
    let tags = job
        .tags
        .iter()
        .map(|tag| tag.as_str())
        .collect::<Vec<_>>()
        .join(", ");
    sheet.maybe("tags", Some(tags).filter(|tags| !tags.is_empty()));
    sheet.maybe("unique key", job.unique_key.as_ref());
    sheet.maybe("workflow", job.workflow_id);
    sheet.maybe("task", job.workflow_task.as_ref());
    if let Some(firing) = &job.firing {
        sheet.maybe("schedule", Some(&firing.schedule));
        sheet.time("scheduled for", Some(firing.at));
    }
    sheet.maybe("node", job.node_id);
    sheet.time("accepted", Some(job.created_at));
    sheet.time("next run", job.next_run_at);
    sheet.time("started", job.started_at);
    sheet.time("ended", job.completed_at);
    sheet.maybe("skipped", job.skipped.then_some("yes"));
    sheet.maybe("progress", job.progress.as_ref().map(bytes));
    sheet.maybe("stop", job.cancel_requested.then_some("requested"));
    sheet.maybe("error", job.last_error.as_ref());
    sheet.maybe(
        "payload",
        Some(bytes(&job.payload)).filter(|text| !text.is_empty()),
    );
    sheet.maybe("result", job.result.as_ref().map(bytes));
    sheet.render()
}

/// A list of jobs.
pub(crate) fn jobs(output: Output, jobs: &[Job]) -> Table {
    let mut table = Table::new(["ID", "TASK TYPE", "STATUS", "ATTEMPT", "ACCEPTED", "ERROR"]);
    for job in jobs {
        let error = job.last_error.as_deref().unwrap_or_default();
        table.row([
            job.id.to_string(),
            job.task_type.to_string(),
            job_status(output, job.status),
            job.attempt.to_string(),
            moment(job.created_at),
            shortened(error, ERROR_WIDTH),
        ]);
    }
    table
}

/// A list of nodes.
pub(crate) fn nodes(nodes: &[NodeInfo]) -> Table {
    let headings = [
        "ID",
        "NAME",
        "HTTP",
        "RUNNING",
        "SLOTS",
        "STATE",
        "ROLES",
        "LEADS",
        "SINCE",
        "SEEN",
        "BUILD",
        "TASK TYPES",
    ];
    let mut table = Table::new(headings);
    for node in nodes {
        let leads = node
            .leads
            .keys()
            .map(ToString::to_string)
            .collect::<Vec<_>>();
        table.row([
            node.node_id.to_string(),
            node.name.clone(),
            node.address.clone().unwrap_or_default(),
            node.pool_stats.running_workers.to_string(),
            node.pool_stats.max_concurrency.to_string(),
            if node.draining { "draining" } else { "" }.to_owned(),
            roles_of(node),
            leads.join(","),
            moment(node.started_at),
            moment(node.last_heartbeat),
            node.build.clone(),
            handlers_of(node),
        ]);
    }
    table
}

/// What a node serves, with versions where its handlers have one: `mail.* image.resize@v2`.
fn handlers_of(node: &NodeInfo) -> String {
    let names = node.task_types.iter();
    let told = names.map(|name| match node.handler_versions.get(name) {
        Some(version) => format!("{name}@{version}"),
        None => name.clone(),
    });
    told.collect::<Vec<_>>().join(" ")
}

/// The roles of a node; `all` where nothing is left out.
fn roles_of(node: &NodeInfo) -> String {
    if node.roles.len() == Role::ALL.len() {
        return "all".to_owned();
    }
    let roles: Vec<_> = node.roles.iter().map(|role| role.as_str()).collect();
    roles.join(",")
}

/// How long a task took, or has been at work.
pub(crate) fn took(task: &TaskState) -> String {
    match (task.started_at, task.finished_at) {
        (Some(started), Some(finished)) => span(started, finished),
        (Some(started), None) if task.status == JobStatus::Running => span(started, now()),
        _ => String::new(),
    }
}

/// Payloads, inputs and results are JSON by convention.
pub(crate) fn bytes(bytes: &Bytes) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The status of a job in its colour.
pub(crate) fn job_status(output: Output, status: JobStatus) -> String {
    let color = match status {
        JobStatus::Completed => Color::Green,
        JobStatus::Dead | JobStatus::Cancelled => Color::Red,
        JobStatus::Running | JobStatus::Retrying | JobStatus::Paused => Color::Yellow,
        JobStatus::Pending | JobStatus::Scheduled => Color::Dim,
    };
    output.paint(color, status.as_str())
}

/// The status of a workflow in its colour.
pub(crate) fn workflow_status(output: Output, status: WorkflowStatus) -> String {
    let color = match status {
        WorkflowStatus::Completed | WorkflowStatus::Continued => Color::Green,
        WorkflowStatus::Failed | WorkflowStatus::Cancelled => Color::Red,
        WorkflowStatus::Running => Color::Yellow,
        WorkflowStatus::Pending | WorkflowStatus::Suspended => Color::Dim,
    };
    output.paint(color, status.as_str())
}
