//! `paceline job`: submit, look at and steer jobs, one file for each verb.

mod audit;
mod cancel;
mod list;
mod set_going;
mod submit;
mod tell;
mod why;

use clap::Subcommand;
use paceline_client::WhyTarget;
use paceline_types::JobId;

use super::connect::connect;
use super::failure::Failure;
use super::options::Globals;
use super::output::Output;

pub(crate) use list::list_jobs;
pub(crate) use set_going::retry;
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
    Retry {
        /// Their ids
        #[arg(required = true)]
        ids: Vec<JobId>,
    },
    /// Let paused jobs go on
    Resume {
        /// Their ids
        #[arg(required = true)]
        ids: Vec<JobId>,
    },
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
        Job::Retry { ids } => retry(&connect(globals).await?, &ids, output).await,
        Job::Resume { ids } => set_going::resume(&ids, globals, output).await,
    }
}
