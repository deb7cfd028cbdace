//! `paceline batch`: submit, look at, follow, cancel and try again batches of items.

mod results;
mod show;
mod steer;

use std::path::Path;

use clap::Subcommand;
use paceline_types::batch::{Batch as Record, BatchDefinition};
use paceline_types::{BatchId, BatchStatus, DEFAULT_MAX_PAYLOAD};
use serde::Serialize;

use self::results::Results;
use self::steer::Retry;
use super::connect::connect;
use super::failure::Failure;
use super::mistakes::{invalid, tell_validated};
use super::options::{FileArgument, Globals, PageOptions};
use super::output::Output;
use super::source;

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Batch {
    /// Submit a batch file, and return when all of its items are stored
    Submit {
        #[command(flatten)]
        file: FileArgument,
    },
    /// Show a batch, without its items
    Get {
        /// Its id
        id: BatchId,
    },
    /// List batches, page by page
    List {
        /// Only of this status
        #[arg(long)]
        status: Option<BatchStatus>,
        #[command(flatten)]
        page: PageOptions,
    },
    /// Show what items came to, page by page
    Results(Results),
    /// Show how far a batch is; with --follow until it has ended
    Progress {
        /// Its id
        id: BatchId,
        /// Go on until the batch has ended
        #[arg(long, short)]
        follow: bool,
    },
    /// Cancel batches with their waiting and running jobs
    Cancel {
        /// Their ids
        #[arg(required = true)]
        ids: Vec<BatchId>,
        /// Why, for readers
        #[arg(long, default_value = "cancelled from the command line")]
        reason: String,
    },
    /// Try failed or cancelled batches again: the items that did not end well, or all
    Retry(Retry),
    /// Say every mistake of a batch file; needs no Redis
    Validate {
        #[command(flatten)]
        file: FileArgument,
    },
}

#[derive(Serialize)]
struct Submitted {
    id: BatchId,
    items: usize,
}

#[derive(Serialize)]
struct Batches<'a> {
    batches: &'a [Record],
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<&'a str>,
}

/// Carries the command out.
pub(crate) async fn run(command: Batch, globals: &Globals, output: Output) -> Result<(), Failure> {
    match command {
        Batch::Submit { file } => {
            let definition = definition(&file.file)?;
            let items = definition.items.len();
            let client = connect(globals).await?;
            let id = client.submit_batch(definition).await?.id();
            output.either(&Submitted { id, items }, || id.to_string())
        }
        Batch::Get { id } => {
            let batch = connect(globals).await?.batch(id).await?;
            let batch = batch.ok_or_else(|| Failure::not_found(id))?;
            output.either(&batch, || show::batch(output, &batch))
        }
        Batch::List { status, page } => {
            let mut list = connect(globals).await?.batches(status).limit(page.limit);
            if let Some(cursor) = page.cursor {
                list = list.after(cursor);
            }
            let page = list.await?;
            let (batches, next) = (&page.items[..], page.next.as_deref());
            let table = show::batches(output, batches);
            output.page(&Batches { batches, next }, &table, next)
        }
        Batch::Results(results) => results::run(results, globals, output).await,
        Batch::Progress { id, follow } => steer::progress(id, follow, globals, output).await,
        Batch::Cancel { ids, reason } => steer::cancel(&ids, &reason, globals, output).await,
        Batch::Retry(retry) => steer::retry(retry, globals, output).await,
        Batch::Validate { file } => validate(&file.file, output),
    }
}

/// Reads and validates a batch file.
pub(crate) fn definition(path: &Path) -> Result<BatchDefinition, Failure> {
    let definition = source::batch(path)?;
    match definition.validate(DEFAULT_MAX_PAYLOAD) {
        Ok(_) => Ok(definition),
        Err(mistakes) => Err(invalid(path, &mistakes)),
    }
}

fn validate(path: &Path, output: Output) -> Result<(), Failure> {
    let definition = source::batch(path)?;
    let mistakes = definition.validate(DEFAULT_MAX_PAYLOAD).err();
    let size = format!("{} items", definition.items.len());
    tell_validated(path, &mistakes.unwrap_or_default(), &size, output)
}
