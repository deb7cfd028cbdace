//! `paceline job get` and `paceline job list`.

use clap::Args;
use paceline_client::{JobFilter, NameError, PayloadFilter, UniqueKey};
use paceline_types::{Job as Record, JobId, JobStatus, Tag, TaskType, UnixMillis};
use serde::Serialize;

use crate::cli::connect::connect;
use crate::cli::failure::Failure;
use crate::cli::options::{Globals, PageOptions};
use crate::cli::output::Output;
use crate::cli::show;
use crate::cli::time::parse_moment;

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
    /// Only with this unique key
    #[arg(long, value_name = "KEY", value_parser = unique_key)]
    unique: Option<UniqueKey>,
    /// Only accepted since then: 2026-01-31, 2026-01-31T08:15:00Z, or so long ago, such as 2h
    #[arg(long, value_name = "TIME", value_parser = parse_moment)]
    since: Option<UnixMillis>,
    /// Only accepted before then
    #[arg(long, value_name = "TIME", value_parser = parse_moment)]
    until: Option<UnixMillis>,
    /// Only ended since then
    #[arg(long, value_name = "TIME", value_parser = parse_moment)]
    ended_since: Option<UnixMillis>,
    /// Only ended before then
    #[arg(long, value_name = "TIME", value_parser = parse_moment)]
    ended_until: Option<UnixMillis>,
    /// Only with this value in the payload; there is no index, so every job is read, page by page
    #[arg(long, value_name = "PATH=VALUE")]
    payload: Option<PayloadFilter>,
    #[command(flatten)]
    page: PageOptions,
}

#[derive(Serialize)]
struct Jobs<'a> {
    jobs: &'a [Record],
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scanned: Option<usize>,
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
        unique,
        since,
        until,
        ended_since,
        ended_until,
        payload,
        page,
    } = list;
    let searched = payload.is_some();
    let filter = JobFilter {
        status,
        task_type,
        tag,
        unique_key: unique,
        created_since: since,
        created_until: until,
        ended_since,
        ended_until,
        payload,
    };
    let client = connect(globals).await?;
    let mut list = client.jobs(filter).limit(page.limit);
    if let Some(cursor) = page.cursor {
        list = list.after(cursor);
    }
    let page = list.await?;
    let told = Jobs {
        jobs: &page.items,
        next: page.next.as_deref(),
        scanned: Some(page.scanned),
    };
    output.page(&told, &show::jobs(output, &page.items), told.next)?;
    if searched {
        output.note(&format!("{} jobs were read for this page", page.scanned));
    }
    Ok(())
}

fn unique_key(text: &str) -> Result<UniqueKey, NameError> {
    UniqueKey::new(text)
}

/// One page of jobs; of dead letters as well.
pub(crate) fn list_jobs(
    output: Output,
    jobs: &[Record],
    next: Option<&str>,
) -> Result<(), Failure> {
    let told = Jobs {
        jobs,
        next,
        scanned: None,
    };
    output.page(&told, &show::jobs(output, jobs), next)
}
