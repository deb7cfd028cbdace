//! `paceline batch results`.

use clap::Args;
use futures::TryStreamExt;
use paceline_types::BatchId;
use paceline_types::batch::BatchItemResult;
use serde::Serialize;

use super::show;
use crate::cli::connect::connect;
use crate::cli::failure::{Failure, Kind};
use crate::cli::options::Globals;
use crate::cli::output::Output;
use crate::cli::show::bytes;

/// Which items.
#[derive(Debug, Args)]
pub(crate) struct Results {
    /// The batch's id
    id: BatchId,
    /// Only this item, and all of what it came to
    #[arg(long, conflicts_with_all = ["failed", "all", "limit", "from", "stream"])]
    item: Option<String>,
    /// Only items that failed or were cancelled
    #[arg(long, conflicts_with = "all")]
    failed: bool,
    /// Also items that have not ended
    #[arg(long)]
    all: bool,
    /// Items of a page
    #[arg(long, default_value_t = 50, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    limit: u32,
    /// Begin at this place of the definition, from 0: where an earlier page said that the next begins
    #[arg(long, default_value_t = 0, value_name = "PLACE")]
    from: u32,
    /// Every item from there on, a line of JSON each
    #[arg(long)]
    stream: bool,
}

#[derive(Serialize)]
struct Items<'a> {
    items: &'a [BatchItemResult],
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<u32>,
}

/// Prints results.
pub(super) async fn run(
    results: Results,
    globals: &Globals,
    output: Output,
) -> Result<(), Failure> {
    let client = connect(globals).await?;
    let id = results.id;
    if let Some(item) = &results.item {
        let found = client.batch_item(id, item).await?;
        let found = found.ok_or_else(|| {
            let sentence = format!(
                "{id} has no item {item:?}: its id is another one, or the retention of the batch is \
                 over"
            );
            Failure::new(Kind::NotFound, sentence)
        })?;
        return tell(&found, output);
    }
    let limit = usize::try_from(results.limit).unwrap_or(usize::MAX);
    let mut items = client.batch_results(id).from(results.from).limit(limit);
    if results.failed {
        items = items.failed();
    } else if results.all {
        items = items.all();
    }
    if results.stream {
        // A page of a batch that is not known is none: told apart from an empty one.
        if client.batch_progress(id).await?.is_none() {
            return Err(Failure::not_found(id));
        }
        let mut stream = items.stream();
        while let Some(item) = stream.try_next().await? {
            output.json(&item)?;
        }
        return Ok(());
    }
    let page = items.await?.ok_or_else(|| Failure::not_found(id))?;
    let told = Items {
        items: &page.items,
        next: page.next,
    };
    if output.is_json() {
        return output.json(&told);
    }
    let table = show::items(output, &page.items);
    output.page(&told, &table, None)?;
    if let Some(place) = page.next {
        output.note(&format!("more: add --from {place}"));
    }
    Ok(())
}

/// One item; a failure if it failed.
fn tell(item: &BatchItemResult, output: Output) -> Result<(), Failure> {
    if let Some(result) = &item.output {
        return output.either(item, || bytes(result));
    }
    if output.is_json() {
        output.json(item)?;
    }
    let (id, status) = (&item.item_id, item.status);
    let kind = match status.is_terminal() {
        true => Kind::Outcome,
        false => Kind::Conflict,
    };
    let reason = match (&item.error, item.skipped) {
        (Some(error), _) => format!("it is {status}: {error}"),
        (None, true) => "it was skipped".to_owned(),
        (None, false) => format!("it is {status}"),
    };
    let sentence = format!("item {id} of {} has no output: {reason}", item.batch_id);
    Err(Failure::new(kind, sentence))
}
