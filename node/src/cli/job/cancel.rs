//! `paceline job cancel`.

use clap::Args;
use paceline_client::Cancelled;
use paceline_types::{JobId, JobStatus};

use super::tell::{PerJob, tell};
use crate::cli::connect::connect;
use crate::cli::failure::{Failure, Kind};
use crate::cli::options::Globals;
use crate::cli::output::Output;

/// What to cancel.
#[derive(Debug, Args)]
pub(crate) struct Cancel {
    /// Their ids
    #[arg(required = true)]
    ids: Vec<JobId>,
    /// Why, for readers
    #[arg(long, default_value = "cancelled from the command line")]
    reason: String,
}

/// Carries the command out.
pub(super) async fn run(cancel: Cancel, globals: &Globals, output: Output) -> Result<(), Failure> {
    let Cancel { ids, reason } = cancel;
    let client = connect(globals).await?;
    let mut first = None;
    let outcomes = client.cancel_many(&ids, &reason).await?;
    for (&id, outcome) in ids.iter().zip(outcomes) {
        let (status, text) = match outcome {
            Cancelled::Done => ("cancelled", format!("{id} is cancelled")),
            Cancelled::Requested => ("requested", format!("{id} is running and was told to end")),
            Cancelled::Ended(JobStatus::Cancelled) => {
                ("cancelled", format!("{id} was cancelled before"))
            }
            Cancelled::Ended(status) => {
                let sentence = format!("{id} cannot be cancelled: it is {status}");
                tell(
                    &mut first,
                    id,
                    Failure::new(Kind::Conflict, sentence),
                    output,
                )?;
                continue;
            }
            Cancelled::Unknown => {
                tell(&mut first, id, Failure::not_found(id), output)?;
                continue;
            }
        };
        let cancelled = PerJob {
            id,
            status: Some(status.to_owned()),
            error: None,
        };
        output.either(&cancelled, || text)?;
    }
    first.map_or(Ok(()), Err)
}
