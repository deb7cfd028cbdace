//! Submits a batch and follows it to its end.

use std::io::IsTerminal;

use indicatif::ProgressBar;
use paceline_client::Client;
use paceline_types::batch::{Batch, BatchDefinition, BatchProgress, BatchStep};
use paceline_types::{BatchId, BatchStatus};

use super::Watch;
use super::view::{TICK, style};
use crate::cli::failure::{Failure, Kind};
use crate::cli::output::Output;
use crate::cli::time::span;

/// Without a terminal it is told so often how far the items are.
const STEPS: u64 = 10;

/// Submits the batch and follows it to its end.
pub(super) async fn follow(
    client: &Client,
    definition: BatchDefinition,
    watch: Watch,
    output: Output,
) -> Result<(), Failure> {
    let handle = client.submit_batch(definition).await?;
    let mut view = View::new(watch, output);
    view.submitted(handle.id());
    let ended = handle.wait();
    tokio::pin!(ended);
    let mut feed = handle.follow().await?;
    let batch = loop {
        tokio::select! {
            progress = feed.next(), if view.is_shown() => match progress? {
                Some(progress) => view.show(&progress),
                None => break ended.await?,
            },
            batch = &mut ended => break batch?,
        }
    };
    view.show(&batch.progress());
    view.finish();
    end(&batch, output)
}

/// Prints the id, or fails as the batch failed.
fn end(batch: &Batch, output: Output) -> Result<(), Failure> {
    if output.is_json() {
        output.json(batch)?;
    }
    let (id, status) = (batch.id, batch.status);
    if status != BatchStatus::Completed {
        let error = batch.error.as_deref().unwrap_or("no reason was given");
        if batch.failed_items > 0 {
            output.note(&format!(
                "what failed: paceline batch results {id} --failed"
            ));
        }
        return Err(Failure::new(
            Kind::Outcome,
            format!("{id} {status}: {error}"),
        ));
    }
    let took = batch.completed_at.map_or_else(String::new, |ended| {
        format!(" in {}", span(batch.created_at, ended))
    });
    let items = batch.total_items;
    output.note(&format!("{id} completed{took}, {items} items"));
    if output.is_json() {
        return Ok(());
    }
    // What the items came to may be large: it is asked for by this.
    output.line(&id.to_string())
}

/// One way to show progress.
enum View {
    Bar(ProgressBar),
    Lines(Lines),
    Silent,
}

struct Lines {
    output: Output,
    told: Option<(BatchStep, u64, u32)>,
}

impl View {
    fn new(watch: Watch, output: Output) -> View {
        if output.is_json() {
            return View::Silent;
        }
        let live = match watch {
            Watch::None => return View::Silent,
            Watch::Live => true,
            Watch::Lines => false,
            Watch::Auto => std::io::stderr().is_terminal(),
        };
        if !live {
            return View::Lines(Lines { output, told: None });
        }
        let bar = ProgressBar::new(0);
        bar.set_style(style(
            "{bar:40.cyan/dim} {pos}/{len}  {elapsed}, {eta} to go  {wide_msg}",
        ));
        bar.enable_steady_tick(TICK);
        View::Bar(bar)
    }

    fn is_shown(&self) -> bool {
        !matches!(self, View::Silent)
    }

    fn submitted(&self, id: BatchId) {
        match self {
            View::Bar(bar) => bar.println(format!("{id} submitted")),
            View::Lines(lines) => lines.output.note(&format!("{id} submitted")),
            View::Silent => {}
        }
    }

    fn show(&mut self, progress: &BatchProgress) {
        match self {
            View::Bar(bar) => {
                bar.set_length(progress.total.into());
                bar.set_position(progress.done.into());
                bar.set_message(message(progress));
            }
            View::Lines(lines) => {
                if let Some(line) = lines.told(progress) {
                    lines.output.note(&line);
                }
            }
            View::Silent => {}
        }
    }

    fn finish(&self) {
        if let View::Bar(bar) = self {
            bar.finish();
        }
    }
}

impl Lines {
    /// The line of a progress that is so much further than the one before.
    fn told(&mut self, progress: &BatchProgress) -> Option<String> {
        let (done, total) = (u64::from(progress.done), u64::from(progress.total));
        let tenth = (done * STEPS).checked_div(total).unwrap_or(STEPS);
        // The first failure is told at once, the others with the items that end beside them.
        let now = (progress.step, tenth, progress.failed.min(1));
        if self.told.replace(now) == Some(now) {
            return None;
        }
        Some(match (progress.step, message(progress)) {
            (BatchStep::Onetime, _) => "preparing".to_owned(),
            (_, message) if message.is_empty() => format!("{done} of {total} items"),
            (_, message) => format!("{done} of {total} items, {message}"),
        })
    }
}

/// What is particular about a progress.
fn message(progress: &BatchProgress) -> String {
    match (progress.step, progress.failed) {
        (BatchStep::Onetime, _) => "preparing".to_owned(),
        (_, 0) => String::new(),
        (_, failed) => format!("{failed} failed"),
    }
}

#[cfg(test)]
mod tests {
    use paceline_types::ShardIndex;

    use super::*;
    use crate::cli::output::Format;

    fn progress(done: u32, failed: u32, step: BatchStep) -> BatchProgress {
        BatchProgress {
            batch_id: BatchId::from_parts(1, ShardIndex(0), 1),
            done,
            total: 1_000,
            failed,
            step,
        }
    }

    #[test]
    fn each_tenth_is_told_once() {
        use BatchStep::{Done, Onetime, Processing};
        let mut lines = Lines {
            output: Output::new(Format::Text),
            told: None,
        };
        let table = [
            (progress(0, 0, Onetime), Some("preparing")),
            (progress(0, 0, Onetime), None),
            (progress(0, 0, Processing), Some("0 of 1000 items")),
            (progress(99, 0, Processing), None),
            (progress(101, 0, Processing), Some("101 of 1000 items")),
            (
                progress(102, 1, Processing),
                Some("102 of 1000 items, 1 failed"),
            ),
            (progress(103, 2, Processing), None),
            (
                progress(250, 2, Processing),
                Some("250 of 1000 items, 2 failed"),
            ),
            (
                progress(1_000, 2, Done),
                Some("1000 of 1000 items, 2 failed"),
            ),
            (progress(1_000, 2, Done), None),
        ];
        for (progress, line) in table {
            assert_eq!(lines.told(&progress).as_deref(), line, "{progress:?}");
        }
    }
}
