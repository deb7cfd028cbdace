//! A line for each task on a terminal, kept up to date.

use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::words::message;
use crate::cli::run::board::{Board, Row, Status};

/// How often the clock of a running task moves.
pub(in crate::cli::run) const TICK: Duration = Duration::from_millis(100);

/// Lines at the most; tasks that come when there are so many are counted in one more.
const MOST_LINES: usize = 40;

/// The lines.
pub(in crate::cli::run) struct Rows {
    all: MultiProgress,
    /// By row; none of those that have no line.
    bars: Vec<Option<ProgressBar>>,
    /// How many rows have no line.
    more: Option<ProgressBar>,
    width: usize,
}

impl Rows {
    /// Lines of all rows of a board.
    pub(super) fn new(board: &Board) -> Rows {
        let rows = board.rows().iter();
        let width = rows.map(|row| label(board, row).chars().count()).max();
        let mut lines = Rows {
            all: MultiProgress::new(),
            bars: Vec::new(),
            more: None,
            width: width.unwrap_or(0),
        };
        for index in 0..board.rows().len() {
            lines.show(board, index);
        }
        lines
    }

    /// A line above the others.
    pub(super) fn tell(&self, line: &str) {
        // Without a terminal there is nothing to write above the bars.
        let _ = self.all.println(line);
    }

    /// The row changed, or is new.
    pub(super) fn show(&mut self, board: &Board, index: usize) {
        let Some(row) = board.rows().get(index) else {
            return;
        };
        if self.bars.len() <= index {
            self.bars.resize(index + 1, None);
        }
        if self.bars.get(index).is_some_and(Option::is_none) && row.placed {
            self.add(board, index);
        }
        let Some(Some(bar)) = self.bars.get(index) else {
            self.count_more(board);
            return;
        };
        let name = label(board, row);
        let width = self.width.max(name.chars().count());
        bar.set_prefix(name);
        bar.set_message(message(board, row));
        if row.status == Status::Running {
            bar.set_style(moving(width));
            bar.reset_elapsed();
            bar.enable_steady_tick(TICK);
        } else {
            bar.disable_steady_tick();
            bar.set_style(standing(width));
            bar.tick();
        }
    }

    /// Everything has ended.
    pub(super) fn finish(&self, board: &Board) {
        for (bar, row) in self.bars.iter().zip(board.rows()) {
            if let Some(bar) = bar {
                bar.set_message(message(board, row));
                bar.finish();
            }
        }
        if let Some(more) = &self.more {
            more.finish();
        }
    }

    /// Under the last line of what stands under the same task, or under the task itself.
    fn add(&mut self, board: &Board, index: usize) {
        if self.bars.iter().flatten().count() >= MOST_LINES {
            return;
        }
        let parent = board.rows().get(index).and_then(|row| row.parent);
        let above = parent.and_then(|parent| {
            let rows = (0..self.bars.len()).rev();
            let mut kin = rows.filter(|&row| row != index && is_under(board, row, parent));
            let last = kin.find_map(|row| self.bars.get(row)?.as_ref());
            last.or_else(|| self.bars.get(parent)?.as_ref())
        });
        let bar = ProgressBar::new_spinner();
        let bar = match (above, &self.more) {
            (Some(above), _) => self.all.insert_after(above, bar),
            (None, Some(more)) => self.all.insert_before(more, bar),
            (None, None) => self.all.add(bar),
        };
        if let Some(slot) = self.bars.get_mut(index) {
            *slot = Some(bar);
        }
    }

    /// Those for which there was no room; one that is only not placed yet gets its line soon.
    fn count_more(&mut self, board: &Board) {
        let rows = board.rows().iter().enumerate();
        let hidden = rows
            .filter(|(index, row)| row.placed && !matches!(self.bars.get(*index), Some(Some(_))));
        let (mut count, mut ended) = (0, 0);
        for (_, row) in hidden {
            count += 1;
            ended += usize::from(row.status.is_final());
        }
        if count == 0 {
            return;
        }
        let more = self.more.get_or_insert_with(|| {
            let bar = self.all.add(ProgressBar::new_spinner());
            bar.set_style(style("{wide_msg}"));
            bar
        });
        more.set_message(format!("and {count} more tasks, {ended} ended"));
        more.tick();
    }
}

/// Whether a row stands under another, at any depth.
fn is_under(board: &Board, row: usize, above: usize) -> bool {
    let mut at = board.rows().get(row).and_then(|row| row.parent);
    while let Some(parent) = at {
        if parent == above {
            return true;
        }
        at = board.rows().get(parent).and_then(|row| row.parent);
    }
    false
}

/// The name, indented.
fn label(board: &Board, row: &Row) -> String {
    format!("{}{}", "  ".repeat(board.depth(row)), row.name)
}

/// Of tasks that are not at work.
fn standing(width: usize) -> ProgressStyle {
    style(&format!("{{prefix:{width}}}  {{wide_msg}}"))
}

/// Of tasks at work: with a clock.
fn moving(width: usize) -> ProgressStyle {
    style(&format!(
        "{{prefix:{width}}}  {{msg}} {{spinner}} {{elapsed}}"
    ))
}

pub(in crate::cli::run) fn style(template: &str) -> ProgressStyle {
    // The templates are written here; a wrong one would show the usual bar.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
