//! `paceline dlq`: the dead letters, jobs that were given up.

use clap::{ArgGroup, Subcommand};
use paceline_client::JobFilter;
use paceline_types::{JobId, JobStatus, TaskType};
use serde::Serialize;

use super::connect::connect;
use super::failure::Failure;
use super::job;
use super::options::{Globals, PageOptions};
use super::output::Output;

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Dlq {
    /// List dead letters, page by page
    List {
        #[command(flatten)]
        page: PageOptions,
    },
    /// Run dead letters again, with all their attempts
    #[command(group(ArgGroup::new("retried").required(true).args(["ids", "all"])))]
    Retry {
        /// Ids of the jobs
        ids: Vec<JobId>,
        /// Run all of them again
        #[arg(long)]
        all: bool,
        /// Of all, only those of this task type
        #[arg(long = "type", value_name = "TASK_TYPE", requires = "all")]
        task_type: Option<TaskType>,
    },
    /// Remove dead letters with their records
    #[command(group(ArgGroup::new("which").required(true).args(["ids", "all"])))]
    Purge {
        /// Ids of the jobs
        ids: Vec<JobId>,
        /// Remove all of them
        #[arg(long)]
        all: bool,
    },
}

#[derive(Serialize)]
struct Purged {
    purged: u64,
}

/// Carries the command out.
pub(crate) async fn run(command: Dlq, globals: &Globals, output: Output) -> Result<(), Failure> {
    let client = connect(globals).await?;
    let dead_letters = client.dead_letters();
    match command {
        Dlq::List { page } => {
            let mut list = dead_letters.list().limit(page.limit);
            if let Some(cursor) = page.cursor {
                list = list.after(cursor);
            }
            let page = list.await?;
            job::list_jobs(output, &page.items, page.next.as_deref())
        }
        Dlq::Retry {
            ids,
            all,
            task_type,
        } => {
            if !all {
                return job::retry_these(&client, &ids, output).await;
            }
            let filter = JobFilter {
                status: Some(JobStatus::Dead),
                task_type,
                ..JobFilter::default()
            };
            job::retry_matching(&client, filter, output).await
        }
        Dlq::Purge { ids, all } => {
            let purged = if all {
                dead_letters.purge_all().await?
            } else {
                dead_letters.purge(&ids).await?
            };
            output.either(&Purged { purged }, || format!("{purged} removed"))
        }
    }
}
