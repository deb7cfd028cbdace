//! `paceline job cancel`.

use clap::Args;
use paceline_client::Cancelled;
use paceline_types::{JobId, JobStatus};

use super::tell::{PerJob, tell};
use super::which::{Chosen, Which, tell_all};
use crate::cli::connect::connect;
use crate::cli::failure::{Failure, Kind};
use crate::cli::options::Globals;
use crate::cli::output::Output;

/// What to cancel.
#[derive(Debug, Args)]
pub(crate) struct Cancel {
    #[command(flatten)]
    which: Which,
    /// The job that holds this unique key; it is well if none does
    #[arg(long, value_name = "KEY", conflicts_with_all = ["ids", "status", "task_type", "tag"])]
    unique: Option<String>,
    /// Why, for readers
    #[arg(long, default_value = "cancelled from the command line")]
    reason: String,
}

/// Carries the command out.
pub(super) async fn run(cancel: Cancel, globals: &Globals, output: Output) -> Result<(), Failure> {
    let Cancel {
        which,
        unique,
        reason,
    } = cancel;
    let mut first = None;
    if let Some(key) = unique {
        let client = connect(globals).await?;
        match client.cancel_by_unique(&key).reason(reason).await? {
            Some((id, outcome)) => say(&mut first, id, outcome, output)?,
            None => output.note(&format!("no job holds the unique key {key}")),
        }
        return first.map_or(Ok(()), Err);
    }
    let chosen = which.chosen()?;
    let client = connect(globals).await?;
    match chosen {
        Chosen::Ids(ids) => {
            let outcomes = client.cancel_many(&ids, &reason).await?;
            for (&id, outcome) in ids.iter().zip(outcomes) {
                say(&mut first, id, outcome, output)?;
            }
        }
        Chosen::Matching(filter) => {
            tell_all(client.bulk_cancel(filter, reason), |id, outcome| {
                say(&mut first, id, outcome, output)
            })
            .await?;
        }
    }
    first.map_or(Ok(()), Err)
}

fn say(
    first: &mut Option<Failure>,
    id: JobId,
    outcome: Cancelled,
    output: Output,
) -> Result<(), Failure> {
    let (status, text) = match outcome {
        Cancelled::Done => ("cancelled", format!("{id} is cancelled")),
        Cancelled::Requested => ("requested", format!("{id} is running and was told to end")),
        Cancelled::Ended(JobStatus::Cancelled) => {
            ("cancelled", format!("{id} was cancelled before"))
        }
        Cancelled::Ended(status) => {
            let sentence = format!("{id} cannot be cancelled: it is {status}");
            return tell(first, id, Failure::new(Kind::Conflict, sentence), output);
        }
        Cancelled::Unknown => return tell(first, id, Failure::not_found(id), output),
    };
    let cancelled = PerJob {
        id,
        status: Some(status.to_owned()),
        error: None,
    };
    output.either(&cancelled, || text)
}
