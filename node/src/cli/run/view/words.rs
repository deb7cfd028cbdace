//! What is said of a row.

use crate::cli::output::shell_word;
use crate::cli::run::board::{Board, Elements, Kind, Row, Status};
use crate::cli::table::shortened;
use crate::cli::time::span;

/// Characters of an error.
pub(super) const TEXT_WIDTH: usize = 60;

/// Characters of a bar of elements.
const BAR_WIDTH: usize = 20;

/// Status, starts, attempt, duration and error of a row.
pub(super) fn message(board: &Board, row: &Row) -> String {
    let mut text = match (&row.kind, row.status) {
        (Kind::Signal(name), Status::Listening) => return waits_for(board, row, name),
        (Kind::Map(elements), Status::Running) => progress(elements),
        (_, status) => word(status).to_owned(),
    };
    if row.starts > 1 {
        text.push_str(&format!(" x{}", row.starts));
    }
    if row.attempt > 1 {
        text.push_str(&format!(", attempt {}", row.attempt));
    }
    match (row.started_at, row.finished_at) {
        (Some(started), Some(finished)) if row.status.is_final() => {
            text.push_str(&format!(" after {}", span(started, finished)));
        }
        _ => {}
    }
    if let Some(note) = &row.note {
        text.push_str(&format!(": {}", shortened(note, TEXT_WIDTH)));
    }
    text
}

fn word(status: Status) -> &'static str {
    match status {
        Status::Waiting => "waiting",
        Status::Queued => "queued",
        Status::Running => "running",
        Status::Retrying => "retrying",
        Status::Scheduled => "scheduled",
        Status::Paused => "paused",
        Status::Expanded => "waiting for the tasks that it added",
        Status::Listening => "waiting for its signal",
        Status::Completed => "completed",
        Status::Skipped => "skipped",
        Status::Dead => "dead",
        Status::DeadAllowed => "dead, as it may be",
        Status::Cancelled => "cancelled",
    }
}

/// What would send the signal.
fn waits_for(board: &Board, row: &Row, signal: &str) -> String {
    let again = match row.starts {
        0 | 1 => String::new(),
        starts => format!(" x{starts}"),
    };
    let Some(id) = board.workflow_of(row) else {
        return format!("waiting{again} for the signal {signal}");
    };
    // What begins with a dash would be read as an option.
    let end_of_options = if signal.starts_with('-') { "-- " } else { "" };
    let signal = shell_word(signal);
    format!("waiting{again} for: paceline workflow signal {id} {end_of_options}{signal}")
}

/// `━━━━━─────  12/37, 1 failed`
fn progress(elements: &Elements) -> String {
    let Some(total) = elements.total else {
        return match elements.done {
            0 => "running".to_owned(),
            done => format!("running, {done} done"),
        };
    };
    let mut text = bar(u64::from(elements.done), u64::from(total));
    text.push_str(&format!("  {}/{total}", elements.done));
    if elements.running > 0 {
        text.push_str(&format!(", {} running", elements.running));
    }
    if elements.failed > 0 {
        text.push_str(&format!(", {} failed", elements.failed));
    }
    text
}

/// How much of a whole is done.
fn bar(done: u64, total: u64) -> String {
    let width = u64::try_from(BAR_WIDTH).unwrap_or(0);
    let full = (done.min(total) * width)
        .checked_div(total)
        .unwrap_or(width);
    let full = usize::try_from(full).unwrap_or(BAR_WIDTH).min(BAR_WIDTH);
    format!("{}{}", "━".repeat(full), "─".repeat(BAR_WIDTH - full))
}

#[cfg(test)]
mod tests {
    use paceline_types::{Event, EventKind};

    use super::*;
    use crate::cli::run::board::Place;
    use crate::cli::run::board::tests::{ONE, board, event, id, of, saying};

    /// What is said of the first row after these events, which come a second after one another.
    fn said(tasks: &str, events: &[Event]) -> String {
        let mut board = board(tasks);
        for (at, event) in (1..).zip(events) {
            board.apply(&Event {
                timestamp: at * 1000,
                ..event.clone()
            });
        }
        message(&board, &board.rows()[0])
    }

    #[test]
    fn a_message_says_what_matters() {
        use EventKind as Kind;
        let started = |attempt| Event {
            attempt: Some(attempt),
            ..event(Kind::JobStarted)
        };
        let dispatched = || event(Kind::WorkflowTaskDispatched);
        let table = [
            (vec![], "waiting"),
            (vec![dispatched()], "queued"),
            (vec![dispatched(), started(1)], "running"),
            (vec![dispatched(), started(2)], "running, attempt 2"),
            (
                vec![started(1), saying("no", event(Kind::JobFailed))],
                "retrying: no",
            ),
            (
                vec![started(1), event(Kind::JobCompleted)],
                "completed after 1.0s",
            ),
            (
                vec![started(3), saying("no", event(Kind::JobDead))],
                "dead, attempt 3 after 1.0s: no",
            ),
            (
                vec![
                    started(1),
                    event(Kind::JobCompleted),
                    dispatched(),
                    started(1),
                ],
                "running x2",
            ),
            (
                vec![saying(
                    "skipped: no way",
                    event(Kind::WorkflowTaskCompleted),
                )],
                "skipped: no way",
            ),
        ];
        for (events, text) in table {
            assert_eq!(said(ONE, &events), text);
        }
    }

    #[test]
    fn a_signal_says_what_would_send_it() {
        let tasks = r#"[{"name":"a","type":"signal","signal":"go on"}]"#;
        let waits = said(tasks, &[event(EventKind::WorkflowTaskDispatched)]);
        let command = format!("waiting for: paceline workflow signal {} 'go on'", id(1));
        assert_eq!(waits, command);
    }

    #[test]
    fn a_map_says_how_many_of_its_elements_have_ended() {
        let mut board = board(r#"[{"name":"a","type":"map","task_type":"t","items":[]}]"#);
        board.apply(&event(EventKind::WorkflowTaskDispatched));
        board.apply(&of("a#0", EventKind::JobCompleted));
        assert_eq!(message(&board, &board.rows()[0]), "running, 1 done");
        let place = Place {
            name: "a".to_owned(),
            total: Some(4),
            ..Place::default()
        };
        board.place(id(1), &[place]);
        board.apply(&of("a#1", EventKind::JobDead));
        board.apply(&of("a#2", EventKind::JobStarted));
        assert_eq!(
            message(&board, &board.rows()[0]),
            "━━━━━━━━━━──────────  2/4, 1 running, 1 failed"
        );
    }

    #[test]
    fn a_bar_is_full_when_all_is_done() {
        for (done, total, full) in [(0, 3, 0), (1, 3, 6), (3, 3, 20), (9, 3, 20), (0, 0, 20)] {
            let bar = bar(done, total);
            assert_eq!(bar.chars().count(), BAR_WIDTH);
            let filled = bar.chars().filter(|&letter| letter == '━').count();
            assert_eq!(filled, full, "{done}/{total}");
        }
    }
}
