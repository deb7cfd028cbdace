//! `paceline job retry` and `paceline job resume`: jobs back into their lanes.

use paceline_client::Client;
use paceline_types::{JobId, JobStatus};

use super::tell::{PerJob, tell};
use crate::cli::connect::connect;
use crate::cli::failure::Failure;
use crate::cli::options::Globals;
use crate::cli::output::Output;

/// Runs dead and cancelled jobs again.
pub(crate) async fn retry(client: &Client, ids: &[JobId], output: Output) -> Result<(), Failure> {
    set_going(ids, output, "runs again", async |id| {
        client.retry(id).await.map_err(Failure::from)
    })
    .await
}

/// Puts jobs back into their lanes; the first that cannot be decides the exit code, and the
/// others go on.
async fn set_going(
    ids: &[JobId],
    output: Output,
    what: &str,
    act: impl AsyncFn(JobId) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut first = None;
    for &id in ids {
        match act(id).await {
            Ok(()) => {
                let waiting = PerJob {
                    id,
                    status: Some(JobStatus::Pending.to_string()),
                    error: None,
                };
                output.either(&waiting, || format!("{id} {what}"))?;
            }
            Err(failure) => tell(&mut first, id, failure, output)?,
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
    set_going(ids, output, "goes on", async |id| {
        client.resume(id).await.map_err(Failure::from)
    })
    .await
}
