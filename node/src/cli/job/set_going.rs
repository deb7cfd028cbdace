//! `paceline job retry`, `resume` and `requeue`: jobs back into their lanes; and `pause`.

use std::time::Duration;

use clap::Args;
use paceline_client::{Client, JobFilter, Requeued};
use paceline_types::{JobId, JobStatus};

use super::tell::{PerJob, tell};
use super::which::{Chosen, Which, tell_all};
use crate::cli::connect::connect;
use crate::cli::failure::Failure;
use crate::cli::options::{Globals, parse_duration};
use crate::cli::output::Output;

/// What to run again.
#[derive(Debug, Args)]
pub(crate) struct Retry {
    #[command(flatten)]
    which: Which,
    /// Submit each afresh under a new id, and leave the old one as it is
    #[arg(long, conflicts_with_all = ["status", "task_type", "tag"])]
    as_new: bool,
}

/// What to pause.
#[derive(Debug, Args)]
pub(crate) struct Pause {
    /// Their ids
    #[arg(required = true)]
    ids: Vec<JobId>,
    /// They go on by themselves after this long
    #[arg(long = "for", value_parser = parse_duration, value_name = "DURATION")]
    resume_after: Option<Duration>,
}

/// Runs dead and cancelled jobs again.
pub(super) async fn retry(retry: Retry, globals: &Globals, output: Output) -> Result<(), Failure> {
    let chosen = retry.which.chosen()?;
    let client = connect(globals).await?;
    match chosen {
        Chosen::Ids(ids) if retry.as_new => retry_as_new(&client, &ids, output).await,
        Chosen::Ids(ids) => retry_these(&client, &ids, output).await,
        Chosen::Matching(filter) => retry_matching(&client, filter, output).await,
    }
}

/// Runs these jobs again; dead letters as well.
pub(crate) async fn retry_these(
    client: &Client,
    ids: &[JobId],
    output: Output,
) -> Result<(), Failure> {
    let mut first = None;
    let outcomes = client.retry_many(ids).await?;
    for (&id, outcome) in ids.iter().zip(outcomes) {
        let outcome = outcome.map_err(Failure::from);
        say(
            &mut first,
            id,
            JobStatus::Pending,
            "runs again",
            outcome,
            output,
        )?;
    }
    first.map_or(Ok(()), Err)
}

/// Runs every job again that matches; dead letters as well.
pub(crate) async fn retry_matching(
    client: &Client,
    filter: JobFilter,
    output: Output,
) -> Result<(), Failure> {
    let mut first = None;
    tell_all(client.bulk_retry(filter), |id, outcome| {
        let outcome = outcome.map_err(Failure::from);
        say(
            &mut first,
            id,
            JobStatus::Pending,
            "runs again",
            outcome,
            output,
        )
    })
    .await?;
    first.map_or(Ok(()), Err)
}

async fn retry_as_new(client: &Client, ids: &[JobId], output: Output) -> Result<(), Failure> {
    let mut first = None;
    for &id in ids {
        match client.retry_as_new(id).await {
            Ok(handle) => {
                let new = PerJob {
                    id: handle.id(),
                    status: Some(JobStatus::Pending.to_string()),
                    error: None,
                };
                output.either(&new, || format!("{id} runs again as {}", handle.id()))?;
            }
            Err(error) => tell(&mut first, id, Failure::from(error), output)?,
        }
    }
    first.map_or(Ok(()), Err)
}

/// Lets paused jobs go on.
pub(super) async fn resume(
    ids: &[JobId],
    globals: &Globals,
    output: Output,
) -> Result<(), Failure> {
    let client = connect(globals).await?;
    let mut first = None;
    for &id in ids {
        let outcome = client.resume(id).await.map_err(Failure::from);
        say(
            &mut first,
            id,
            JobStatus::Pending,
            "goes on",
            outcome,
            output,
        )?;
    }
    first.map_or(Ok(()), Err)
}

/// Brings jobs to their lanes now.
pub(super) async fn requeue(
    ids: &[JobId],
    globals: &Globals,
    output: Output,
) -> Result<(), Failure> {
    let client = connect(globals).await?;
    let mut first = None;
    for &id in ids {
        let (status, what, outcome) = match client.requeue(id).await {
            Ok(Requeued::Requested) => (
                JobStatus::Running,
                "is running and is handed back when its handler has ended",
                Ok(()),
            ),
            done => (
                JobStatus::Pending,
                "waits in its lane",
                done.map(drop).map_err(Failure::from),
            ),
        };
        say(&mut first, id, status, what, outcome, output)?;
    }
    first.map_or(Ok(()), Err)
}

/// Pauses jobs that wait.
pub(super) async fn pause(pause: Pause, globals: &Globals, output: Output) -> Result<(), Failure> {
    let client = connect(globals).await?;
    let mut first = None;
    for id in pause.ids {
        let outcome = client.pause(id, pause.resume_after).await;
        let outcome = outcome.map_err(Failure::from);
        say(
            &mut first,
            id,
            JobStatus::Paused,
            "is paused",
            outcome,
            output,
        )?;
    }
    first.map_or(Ok(()), Err)
}

/// Says of one job what it does now, or why not; the first that failed decides the exit code.
fn say(
    first: &mut Option<Failure>,
    id: JobId,
    status: JobStatus,
    what: &str,
    outcome: Result<(), Failure>,
    output: Output,
) -> Result<(), Failure> {
    match outcome {
        Ok(()) => {
            let told = PerJob {
                id,
                status: Some(status.to_string()),
                error: None,
            };
            output.either(&told, || format!("{id} {what}"))
        }
        Err(failure) => tell(first, id, failure, output),
    }
}
