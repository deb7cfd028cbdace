//! Progress on standard error: bars on a terminal, lines elsewhere.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use paceline_types::{Event, JobStatus, WorkflowId};

use super::Watch;
use super::board::{Board, Row};
use crate::cli::output::Output;
use crate::cli::table::shortened;
use crate::cli::time::span;

/// More tasks than this share one bar.
const MOST_LINES: usize = 20;

/// Characters of an error, and of the list of running tasks.
const TEXT_WIDTH: usize = 60;

/// How often the clock of a running task moves.
const TICK: Duration = Duration::from_millis(100);

/// One way to show progress.
pub(super) enum View {
    /// A line for each task.
    Rows(Box<Rows>),
    /// One bar for all.
    Bar(ProgressBar),
    /// A line for each thing that happens.
    Lines { output: Output, width: usize },
    /// Nothing.
    Silent,
}

/// The lines of [`View::Rows`].
pub(super) struct Rows {
    all: MultiProgress,
    bars: Vec<ProgressBar>,
    /// Of tasks that are not at work.
    standing: ProgressStyle,
    /// Of tasks at work: with a clock.
    moving: ProgressStyle,
}

impl View {
    /// The way that was asked for; never any with JSON.
    pub(super) fn new(watch: Watch, output: Output, board: &Board) -> View {
        if output.is_json() {
            return View::Silent;
        }
        let live = match watch {
            Watch::None => return View::Silent,
            Watch::Live => true,
            Watch::Lines => false,
            Watch::Auto => std::io::stderr().is_terminal(),
        };
        let names = board.rows().iter().map(|row| row.name.chars().count());
        let width = names.max().unwrap_or(0);
        if !live {
            return View::Lines { output, width };
        }
        if board.rows().len() > MOST_LINES {
            let len = u64::try_from(board.rows().len()).unwrap_or(u64::MAX);
            let bar = ProgressBar::new(len);
            bar.set_style(style(
                "{bar:40.cyan/dim} {pos}/{len}  {elapsed}  {wide_msg}",
            ));
            bar.enable_steady_tick(TICK);
            return View::Bar(bar);
        }
        let all = MultiProgress::new();
        let standing = style(&format!("{{prefix:{width}}}  {{wide_msg}}"));
        let moving = style(&format!(
            "{{prefix:{width}}}  {{msg}} {{spinner}} {{elapsed}}"
        ));
        let bars = board.rows().iter().map(|row| {
            let bar = all.add(ProgressBar::new_spinner());
            bar.set_style(standing.clone());
            bar.set_prefix(row.name.clone());
            bar.set_message(message(row));
            bar
        });
        let bars = bars.collect();
        View::Rows(Box::new(Rows {
            all,
            bars,
            standing,
            moving,
        }))
    }

    /// The workflow was accepted.
    pub(super) fn submitted(&self, id: WorkflowId) {
        match self {
            View::Rows(rows) => {
                // Without a terminal there is nothing to write above the bars.
                let _ = rows.all.println(format!("{id} submitted"));
            }
            View::Bar(bar) => bar.println(format!("{id} submitted")),
            View::Lines { output, .. } => output.note(&format!("{id} submitted")),
            View::Silent => {}
        }
    }

    /// The row of a task changed by an event.
    pub(super) fn changed(&self, board: &Board, task: usize, event: &Event) {
        match self {
            View::Lines { output, width } => {
                let Some(row) = board.rows().get(task) else {
                    return;
                };
                let node = match (row.status, event.node_id) {
                    (JobStatus::Running, Some(node)) => format!(" on {node}"),
                    _ => String::new(),
                };
                output.note(&format!("{:<width$}  {}{node}", row.name, message(row)));
            }
            _ => self.settled(board, task),
        }
    }

    /// The row of a task changed by the record at the end.
    pub(super) fn settled(&self, board: &Board, task: usize) {
        let Some(row) = board.rows().get(task) else {
            return;
        };
        match self {
            View::Rows(rows) => rows.show(task, row),
            View::Bar(bar) => {
                bar.set_position(u64::try_from(board.ended()).unwrap_or(u64::MAX));
                bar.set_message(running(board));
                if row.status == JobStatus::Dead {
                    bar.println(format!("{}  {}", row.name, message(row)));
                }
            }
            View::Lines { output, width } => {
                output.note(&format!("{:<width$}  {}", row.name, message(row)));
            }
            View::Silent => {}
        }
    }

    /// The workflow has ended.
    pub(super) fn finish(&self, board: &Board) {
        match self {
            View::Rows(rows) => {
                for (bar, row) in rows.bars.iter().zip(board.rows()) {
                    bar.set_message(message(row));
                    bar.finish();
                }
            }
            View::Bar(bar) => bar.finish(),
            View::Lines { .. } | View::Silent => {}
        }
    }
}

impl Rows {
    fn show(&self, task: usize, row: &Row) {
        let Some(bar) = self.bars.get(task) else {
            return;
        };
        bar.set_message(message(row));
        if row.status == JobStatus::Running {
            bar.set_style(self.moving.clone());
            bar.reset_elapsed();
            bar.enable_steady_tick(TICK);
        } else {
            bar.disable_steady_tick();
            bar.set_style(self.standing.clone());
            bar.tick();
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    // The templates are written above; a wrong one would show the usual bar.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// The names of the tasks at work.
fn running(board: &Board) -> String {
    let rows = board.rows().iter();
    let names = rows
        .filter(|row| row.status == JobStatus::Running)
        .map(|row| &*row.name);
    shortened(&names.collect::<Vec<_>>().join(" "), TEXT_WIDTH)
}

/// Status, attempt, duration and error of a task.
fn message(row: &Row) -> String {
    let mut text = match row.status {
        JobStatus::Pending if !row.dispatched => "waiting".to_owned(),
        JobStatus::Pending => "queued".to_owned(),
        status => status.to_string(),
    };
    if row.attempt > 1 {
        text.push_str(&format!(", attempt {}", row.attempt));
    }
    match (row.started_at, row.finished_at) {
        (Some(started), Some(finished)) if row.status.is_terminal() => {
            text.push_str(&format!(" after {}", span(started, finished)));
        }
        _ => {}
    }
    if let Some(error) = &row.error {
        text.push_str(&format!(": {}", shortened(error, TEXT_WIDTH)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_says_what_matters() {
        let row = |status, attempt, error: Option<&str>| Row {
            name: "a".to_owned(),
            status,
            dispatched: attempt > 0,
            attempt,
            started_at: Some(1_000),
            finished_at: Some(3_500),
            error: error.map(str::to_owned),
        };
        let table = [
            (row(JobStatus::Pending, 0, None), "waiting"),
            (row(JobStatus::Pending, 1, None), "queued"),
            (row(JobStatus::Running, 1, None), "running"),
            (row(JobStatus::Running, 2, None), "running, attempt 2"),
            (row(JobStatus::Retrying, 1, Some("no")), "retrying: no"),
            (row(JobStatus::Completed, 1, None), "completed after 2.5s"),
            (
                row(JobStatus::Dead, 3, Some("no")),
                "dead, attempt 3 after 2.5s: no",
            ),
        ];
        for (row, text) in table {
            assert_eq!(message(&row), text);
        }
    }
}
