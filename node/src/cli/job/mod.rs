//! `paceline job`: submit, look at and steer jobs, one file for each verb.

mod audit;
mod cancel;
mod delete;
mod edit;
mod list;
mod set_going;
mod submit;
mod tell;
mod which;
mod why;

use clap::Subcommand;
use paceline_client::WhyTarget;
use paceline_types::JobId;

use super::failure::Failure;
use super::options::Globals;
use super::output::Output;

pub(crate) use list::list_jobs;
pub(crate) use set_going::{retry_matching, retry_these};
pub(crate) use submit::JobOptions;

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Job {
    /// Submit a job
    Submit(Box<submit::Submit>),
    /// Show a job
    Get {
        /// Its id
        id: JobId,
    },
    /// Say why a job is not running, or a task of a workflow
    Why {
        /// The job's id, or WORKFLOW/TASK
        id: WhyTarget,
    },
    /// Show what happened to a job
    Audit {
        /// Its id
        id: JobId,
    },
    /// List jobs, page by page
    List(list::List),
    /// Cancel jobs: what waits never runs, what runs is told to end
    Cancel(cancel::Cancel),
    /// Run dead or cancelled jobs again, with all their attempts
    Retry(set_going::Retry),
    /// Pause jobs that wait, until they are resumed
    Pause(set_going::Pause),
    /// Let paused jobs go on
    Resume {
        /// Their ids
        #[arg(required = true)]
        ids: Vec<JobId>,
    },
    /// Bring jobs to their lanes now: those that wait for their time, and those that run
    Requeue {
        /// Their ids
        #[arg(required = true)]
        ids: Vec<JobId>,
    },
    /// Replace the payload of a job that waits
    Edit {
        /// Its id
        id: JobId,
        /// JSON for the handler, or @FILE, or @- for standard input
        payload: String,
    },
    /// Remove jobs that have ended
    Delete(which::Which),
}

/// Carries the command out.
pub(crate) async fn run(command: Job, globals: &Globals, output: Output) -> Result<(), Failure> {
    match command {
        Job::Submit(submit) => submit::run(*submit, globals, output).await,
        Job::Get { id } => list::get(id, globals, output).await,
        Job::Why { id } => why::run(id, globals, output).await,
        Job::Audit { id } => audit::run(id, globals, output).await,
        Job::List(list) => list::run(list, globals, output).await,
        Job::Cancel(cancel) => cancel::run(cancel, globals, output).await,
        Job::Retry(retry) => set_going::retry(retry, globals, output).await,
        Job::Pause(pause) => set_going::pause(pause, globals, output).await,
        Job::Resume { ids } => set_going::resume(&ids, globals, output).await,
        Job::Requeue { ids } => set_going::requeue(&ids, globals, output).await,
        Job::Edit { id, payload } => edit::run(id, &payload, globals, output).await,
        Job::Delete(which) => delete::run(which, globals, output).await,
    }
}
