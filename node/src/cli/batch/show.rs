//! Batches and their items as text.

use paceline_types::BatchStatus;
use paceline_types::batch::{Batch, BatchItemResult, BatchProgress};

use crate::cli::output::{Color, Output};
use crate::cli::show::{Sheet, attempt, bytes, job_status};
use crate::cli::table::{Table, shortened};
use crate::cli::time::{moment, span};

/// Characters of an error or an output in a table.
const TEXT_WIDTH: usize = 60;

/// Everything about a batch but its items.
pub(super) fn batch(output: Output, batch: &Batch) -> String {
    let progress = batch.progress();
    let mut sheet = Sheet(vec![
        ("id", batch.id.to_string()),
        ("name", batch.name.clone()),
        ("status", status(output, batch.status)),
        ("task type", batch.definition.item_task_type.clone()),
        ("progress", said(&progress)),
        ("running", batch.running_items.to_string()),
        ("to begin", batch.pending_items.to_string()),
    ]);
    sheet.maybe("attempt", attempt(batch.attempt, batch.max_attempts));
    if let Some(onetime) = &batch.onetime_state {
        sheet.maybe("onetime", Some(job_status(output, onetime.status)));
        sheet.maybe("onetime job", onetime.job_id);
        sheet.maybe("onetime result", onetime.result_data.as_ref().map(bytes));
        sheet.maybe("onetime error", onetime.error.as_ref());
    }
    sheet.time("accepted", Some(batch.created_at));
    sheet.time("deadline", batch.deadline);
    sheet.time("ended", batch.completed_at);
    sheet.maybe("error", batch.error.as_ref());
    sheet.render()
}

/// `37 of 100 done, 2 failed (processing)`
pub(super) fn said(progress: &BatchProgress) -> String {
    let failed = match progress.failed {
        0 => String::new(),
        failed => format!(", {failed} failed"),
    };
    let (done, total, step) = (progress.done, progress.total, progress.step.as_str());
    format!("{done} of {total} done{failed} ({step})")
}

/// A list of batches.
pub(super) fn batches(output: Output, batches: &[Batch]) -> Table {
    let mut table = Table::new([
        "ID", "NAME", "STATUS", "DONE", "FAILED", "ACCEPTED", "TOOK", "ERROR",
    ]);
    for batch in batches {
        let progress = batch.progress();
        let error = batch.error.as_deref().unwrap_or_default();
        let ended = batch.completed_at;
        table.row([
            batch.id.to_string(),
            batch.name.clone(),
            status(output, batch.status),
            format!("{}/{}", progress.done, progress.total),
            progress.failed.to_string(),
            moment(batch.created_at),
            ended.map_or_else(String::new, |ended| span(batch.created_at, ended)),
            shortened(error, TEXT_WIDTH),
        ]);
    }
    table
}

/// What items came to.
pub(super) fn items(output: Output, items: &[BatchItemResult]) -> Table {
    let mut table = Table::new(["ITEM", "STATUS", "OUTPUT OR ERROR"]);
    for item in items {
        let status = match item.skipped {
            true => output.paint(Color::Dim, "skipped"),
            false => job_status(output, item.status),
        };
        let text = match (&item.error, &item.output) {
            (Some(error), _) => error.clone(),
            (None, Some(result)) => bytes(result),
            (None, None) => String::new(),
        };
        table.row([item.item_id.clone(), status, shortened(&text, TEXT_WIDTH)]);
    }
    table
}

/// The status of a batch in its colour.
fn status(output: Output, status: BatchStatus) -> String {
    let color = match status {
        BatchStatus::Completed => Color::Green,
        BatchStatus::Failed | BatchStatus::Cancelled => Color::Red,
        BatchStatus::Running => Color::Yellow,
        BatchStatus::Pending => Color::Dim,
    };
    output.paint(color, status.as_str())
}
