//! `paceline batch progress`, `cancel` and `retry`.

use clap::Args;
use paceline_client::{BatchSubmitError, CancelBatchError, RetryBatchError, WaitBatchError};
use paceline_types::BatchId;

use super::show;
use crate::cli::connect::connect;
use crate::cli::each::each;
use crate::cli::failure::{Failure, Kind};
use crate::cli::options::Globals;
use crate::cli::output::Output;

/// Which batches to try again, and how much of them.
#[derive(Debug, Args)]
pub(crate) struct Retry {
    /// Their ids
    #[arg(required = true)]
    ids: Vec<BatchId>,
    /// Every item again, those that completed included
    #[arg(long)]
    all: bool,
}

/// Says how far a batch is; once, or each time that it is further, until its end.
pub(super) async fn progress(
    id: BatchId,
    follow: bool,
    globals: &Globals,
    output: Output,
) -> Result<(), Failure> {
    let client = connect(globals).await?;
    if !follow {
        let progress = client.batch_progress(id).await?;
        let progress = progress.ok_or_else(|| Failure::not_found(id))?;
        return output.either(&progress, || show::said(&progress));
    }
    let mut feed = client.batch_handle(id).follow().await?;
    let mut known = false;
    while let Some(progress) = feed.next().await? {
        known = true;
        output.either(&progress, || show::said(&progress))?;
    }
    match known {
        true => Ok(()),
        false => Err(Failure::not_found(id)),
    }
}

/// Cancels batches.
pub(super) async fn cancel(
    ids: &[BatchId],
    reason: &str,
    globals: &Globals,
    output: Output,
) -> Result<(), Failure> {
    each(ids, globals, output, async |client, &id| {
        let cancelled = client.cancel_batch(id, reason).await;
        cancelled.map(|()| ("cancelling", "is being cancelled"))
    })
    .await
}

/// Tries batches again.
pub(super) async fn retry(retry: Retry, globals: &Globals, output: Output) -> Result<(), Failure> {
    each(&retry.ids, globals, output, async |client, &id| {
        let retried = client.retry_batch(id, !retry.all).await;
        retried.map(|()| ("running", "is tried again"))
    })
    .await
}

impl From<BatchSubmitError> for Failure {
    fn from(error: BatchSubmitError) -> Failure {
        match error {
            BatchSubmitError::Store(error) => error.into(),
            error => Failure::usage(error),
        }
    }
}

impl From<CancelBatchError> for Failure {
    fn from(error: CancelBatchError) -> Failure {
        let kind = match error {
            CancelBatchError::Unknown { .. } => Kind::NotFound,
            CancelBatchError::Store(_) => Kind::Redis,
            _ => Kind::Conflict,
        };
        Failure::new(kind, error)
    }
}

impl From<RetryBatchError> for Failure {
    fn from(error: RetryBatchError) -> Failure {
        let kind = match error {
            RetryBatchError::Unknown { .. } => Kind::NotFound,
            RetryBatchError::Store(_) => Kind::Redis,
            _ => Kind::Conflict,
        };
        Failure::new(kind, error)
    }
}

impl From<WaitBatchError> for Failure {
    fn from(error: WaitBatchError) -> Failure {
        let kind = match error {
            WaitBatchError::Unknown { .. } => Kind::NotFound,
            WaitBatchError::TimedOut { .. } => Kind::Outcome,
            _ => Kind::Redis,
        };
        Failure::new(kind, error)
    }
}
