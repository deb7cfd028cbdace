//! Progress on standard error: bars on a terminal, lines elsewhere.

mod live;
mod words;

use std::collections::HashMap;
use std::io::IsTerminal;

use indicatif::ProgressBar;
use paceline_types::{Event, WorkflowId};

use self::live::Rows;
pub(super) use self::live::{TICK, style};
use self::words::{TEXT_WIDTH, message};
use super::Watch;
use super::board::{Board, Change, Elements, Kind, Row, Status};
use crate::cli::output::Output;
use crate::cli::table::shortened;

/// More tasks than this share one bar.
const MOST_LINES: usize = 20;

/// A map without a terminal is told of so often on its way.
const MAP_STEPS: u32 = 10;

/// One way to show progress.
pub(super) enum View {
    /// A line for each task.
    Rows(Box<Rows>),
    /// One bar for all.
    Bar(ProgressBar),
    /// A line for each thing that happens.
    Lines(Lines),
    /// Nothing.
    Silent,
}

/// What [`View::Lines`] keeps.
pub(super) struct Lines {
    output: Output,
    width: usize,
    /// What was told last of each row.
    told: HashMap<usize, Told>,
}

/// What of a row makes a line of its own: where it stands, and how far a map is.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Told {
    status: Status,
    starts: u32,
    step: u32,
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
        if !live {
            let names = board.rows().iter().map(|row| row.name.chars().count());
            return View::Lines(Lines {
                output,
                width: names.max().unwrap_or(0),
                told: HashMap::new(),
            });
        }
        if board.rows().len() > MOST_LINES {
            let bar = ProgressBar::new(count(board.rows().len()));
            bar.set_style(style(
                "{bar:40.cyan/dim} {pos}/{len}  {elapsed}  {wide_msg}",
            ));
            bar.enable_steady_tick(TICK);
            return View::Bar(bar);
        }
        View::Rows(Box::new(Rows::new(board)))
    }

    /// The workflow was accepted.
    pub(super) fn submitted(&self, id: WorkflowId) {
        self.tell(&format!("{id} submitted"));
    }

    /// What changed, by an event or without one.
    pub(super) fn show(&mut self, board: &Board, changes: &[Change], event: Option<&Event>) {
        for change in changes {
            match change {
                Change::Row(row) => self.changed(board, *row, event),
                Change::Notice(line) => self.tell(line),
            }
        }
    }

    fn tell(&self, line: &str) {
        match self {
            View::Rows(rows) => rows.tell(line),
            View::Bar(bar) => bar.println(line),
            View::Lines(lines) => lines.output.note(line),
            View::Silent => {}
        }
    }

    fn changed(&mut self, board: &Board, index: usize, event: Option<&Event>) {
        let Some(row) = board.rows().get(index) else {
            return;
        };
        match self {
            View::Rows(rows) => rows.show(board, index),
            View::Bar(bar) => {
                bar.set_length(count(board.rows().len()));
                bar.set_position(count(board.ended()));
                bar.set_message(running(board));
                if matches!(row.status, Status::Dead | Status::Listening) {
                    let path = board.path(row);
                    bar.println(format!("{path}  {}", message(board, row)));
                }
            }
            View::Lines(lines) => lines.tell(board, index, event),
            View::Silent => {}
        }
    }

    /// The workflow has ended.
    pub(super) fn finish(&self, board: &Board) {
        match self {
            View::Rows(rows) => rows.finish(board),
            View::Bar(bar) => bar.finish(),
            View::Lines(_) | View::Silent => {}
        }
    }
}

impl Lines {
    fn tell(&mut self, board: &Board, index: usize, event: Option<&Event>) {
        let Some(row) = board.rows().get(index) else {
            return;
        };
        if !self.is_news(index, row, event) {
            return;
        }
        let node = event.and_then(|event| match row.status {
            Status::Running => event.node_id,
            _ => None,
        });
        let node = match (node, &row.kind) {
            (Some(node), Kind::Job | Kind::Condition | Kind::Subflow | Kind::Hook) => {
                format!(" on {node}")
            }
            _ => String::new(),
        };
        let (path, width) = (board.path(row), self.width);
        let line = format!("{path:<width$}  {}{node}", message(board, row));
        self.output.note(&line);
    }

    /// Whether there is something to tell: each event but those of a map that is hardly further,
    /// and of what was found otherwise, what no event had told.
    fn is_news(&mut self, index: usize, row: &Row, event: Option<&Event>) -> bool {
        let (is_map, step) = match &row.kind {
            Kind::Map(elements) if row.status == Status::Running => (true, step_of(elements)),
            kind => (matches!(kind, Kind::Map(_)), 0),
        };
        let now = Told {
            status: row.status,
            starts: row.starts,
            step,
        };
        let before = self.told.insert(index, now);
        let known = before == Some(now) || (before.is_none() && row.status == Status::Waiting);
        !known || (event.is_some() && !is_map)
    }
}

/// Which step of its way a map has come to.
fn step_of(elements: &Elements) -> u32 {
    match elements.total {
        Some(total) if total > 0 => elements.done.saturating_mul(MAP_STEPS) / total,
        _ => 0,
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// The names of the tasks at work.
fn running(board: &Board) -> String {
    let rows = board.rows().iter();
    let names = rows
        .filter(|row| row.status == Status::Running)
        .map(|row| &*row.name);
    shortened(&names.collect::<Vec<_>>().join(" "), TEXT_WIDTH)
}
