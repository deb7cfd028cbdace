//! `paceline job get` and `paceline job list`.

use clap::Args;
use paceline_client::JobFilter;
use paceline_types::{Job as Record, JobId, JobStatus, Tag, TaskType};
use serde::Serialize;

use crate::cli::connect::connect;
use crate::cli::failure::Failure;
use crate::cli::options::{Globals, PageOptions};
use crate::cli::output::Output;
use crate::cli::show;

/// Which jobs to list.
#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only of this status
    #[arg(long)]
    status: Option<JobStatus>,
    /// Only of this task type
    #[arg(long = "type", value_name = "TASK_TYPE")]
    task_type: Option<TaskType>,
    /// Only with this tag
    #[arg(long)]
    tag: Option<Tag>,
    #[command(flatten)]
    page: PageOptions,
}

#[derive(Serialize)]
struct Jobs<'a> {
    jobs: &'a [Record],
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<&'a str>,
}

/// Shows one job.
pub(super) async fn get(id: JobId, globals: &Globals, output: Output) -> Result<(), Failure> {
    let job = connect(globals).await?.job(id).await?;
    let job = job.ok_or_else(|| Failure::not_found(id))?;
    output.either(&job, || show::job(output, &job))
}

/// Lists one page.
pub(super) async fn run(list: List, globals: &Globals, output: Output) -> Result<(), Failure> {
    let List {
        status,
        task_type,
        tag,
        page,
    } = list;
    let filter = JobFilter {
        status,
        task_type,
        tag,
    };
    let client = connect(globals).await?;
    let mut list = client.jobs(filter).limit(page.limit);
    if let Some(cursor) = page.cursor {
        list = list.after(cursor);
    }
    let page = list.await?;
    list_jobs(output, &page.items, page.next.as_deref())
}

/// One page of jobs; of dead letters as well.
pub(crate) fn list_jobs(
    output: Output,
    jobs: &[Record],
    next: Option<&str>,
) -> Result<(), Failure> {
    output.page(&Jobs { jobs, next }, &show::jobs(output, jobs), next)
}
