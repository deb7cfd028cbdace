//! Records of workflows: `wd:<id>`, the definition and input, written once; `wf:<id>`, a hash of
//! the header and one field for each task that was dispatched.
//!
//! `wd`: `<length of the definition>\n<definition><input>`, the input empty when there is none.
//! `wf`: `r` revision, `s` `<letter> <header as JSON>`, `c` created, `d` deadline, `e` ended,
//! `x` time of removal, `p` how far its removal came, `z` when it was suspended, `o` the task that it
//! is the child of as JSON, `f` the instance that went on as this one, `k` why somebody wants it cancelled,
//! `y` names the call that retried it last, `gn` the number of its newest signal, and
//!  - `t<index>`: a task, `<letter> <iteration> <job>[ <route> <evaluations>]\n<why>`
//!  - `x<generator>`: the newest section of a generator, as JSON
//!  - `g<number>`: the name of a signal that no task has taken.
//!
//! Beside it, where there is something to keep: `wh:<id>`, a hash of `<index>.<iteration>` to the
//! record of a start that is over, or whose task went with its section; no turn of the leader reads
//! it; `sg:<id>`, a hash of pending signals, number to `<sent ms> <name>\n<payload>`; `sk:<id>` and
//! `sk:<id>:due`, a hash and a sorted set of the keys that signals were sent with, see
//! `lua/signal.lua`.

use bytes::Bytes;
use paceline_types::workflow::{Header, Section, Stage, TaskRecord};
use paceline_types::{JobId, SignalName, UnixMillis, WorkflowId, WorkflowStatus};

/// The definition with the input behind it.
pub(crate) fn encode_definition(definition: &[u8], input: Option<&[u8]>) -> Vec<u8> {
    let mut record = format!("{}\n", definition.len()).into_bytes();
    record.extend_from_slice(definition);
    record.extend_from_slice(input.unwrap_or_default());
    record
}

/// Definition and input.
pub(crate) fn parse_definition(record: &Bytes) -> Option<(Bytes, Option<Bytes>)> {
    let line = record.iter().position(|&byte| byte == b'\n')?;
    let length: usize = std::str::from_utf8(&record[..line]).ok()?.parse().ok()?;
    let end = line + 1 + length;
    if record.len() < end {
        return None;
    }
    let input = record.slice(end..);
    Some((
        record.slice(line + 1..end),
        (!input.is_empty()).then_some(input),
    ))
}

/// The letter lets scripts tell ended workflows: `C`, `F`, `X` and `N` are final.
pub(crate) fn encode_header(header: &Header) -> String {
    let letter = match &header.stage {
        Stage::Pending => 'P',
        Stage::Opening | Stage::Running | Stage::Restarting => 'R',
        Stage::Ending(_) => 'E',
        Stage::Resting(_) => 'W',
        Stage::Completed => 'C',
        Stage::Continued { .. } => 'N',
        Stage::Ended(ending) => match ending.status() {
            WorkflowStatus::Cancelled => 'X',
            WorkflowStatus::Failed
            | WorkflowStatus::Pending
            | WorkflowStatus::Running
            | WorkflowStatus::Suspended
            | WorkflowStatus::Continued
            | WorkflowStatus::Completed => 'F',
        },
    };
    // Only text inside: it cannot fail to serialise.
    format!(
        "{letter} {}",
        serde_json::to_string(header).unwrap_or_default()
    )
}

pub(crate) fn parse_header(text: &str) -> Option<Header> {
    serde_json::from_str(text.get(2..)?).ok()
}

/// The final status that a letter stands for.
pub(crate) fn ended_status(letter: &str) -> Option<WorkflowStatus> {
    match letter {
        "C" => Some(WorkflowStatus::Completed),
        "F" => Some(WorkflowStatus::Failed),
        "X" => Some(WorkflowStatus::Cancelled),
        "N" => Some(WorkflowStatus::Continued),
        _ => None,
    }
}

/// Tasks that were added, as JSON.
pub(crate) fn encode_section(section: &Section) -> String {
    // What was read from JSON can be written as JSON.
    serde_json::to_string(section).unwrap_or_default()
}

pub(crate) fn parse_section(text: &str) -> Option<Section> {
    serde_json::from_str(text).ok()
}

/// Where a workflow stands by the letter of its header.
pub(crate) enum Standing {
    /// In this status, unless it is suspended.
    At(WorkflowStatus),
    /// Its tasks are being stopped.
    Ending,
}

pub(crate) fn standing(letter: &str) -> Option<Standing> {
    Some(match letter {
        "P" => Standing::At(WorkflowStatus::Pending),
        "R" | "W" => Standing::At(WorkflowStatus::Running),
        "E" => Standing::Ending,
        ended => Standing::At(ended_status(ended)?),
    })
}

/// When a pending signal was sent, its name and its payload.
pub(crate) fn parse_signal(record: &Bytes) -> Option<(UnixMillis, SignalName, Bytes)> {
    let line = record.iter().position(|&byte| byte == b'\n')?;
    let (sent_at, name) = std::str::from_utf8(&record[..line]).ok()?.split_once(' ')?;
    Some((
        sent_at.parse().ok()?,
        SignalName::new(name).ok()?,
        record.slice(line + 1..),
    ))
}

/// `<letter> <iteration> <job>[ <more>]\n<why>`; more is the route (or `-`) and how often it was
/// evaluated, of those records that have them.
pub(crate) fn encode_task(workflow: WorkflowId, index: u32, record: &TaskRecord) -> String {
    let mut more = String::new();
    let letter = match record {
        TaskRecord::Dispatched { evaluations, .. } => {
            more = evaluated(*evaluations);
            'd'
        }
        TaskRecord::Cancelling { .. } => 'x',
        TaskRecord::Returned { evaluations, .. } => {
            more = evaluated(*evaluations);
            'r'
        }
        TaskRecord::Expanded { .. } => 'e',
        TaskRecord::Completed {
            continues: false, ..
        } => 'C',
        TaskRecord::Completed {
            continues: true, ..
        } => 'N',
        TaskRecord::Routed {
            route, evaluations, ..
        } => {
            let route = route.map_or_else(|| "-".to_owned(), |route| route.to_string());
            more = format!(" {route} {evaluations}");
            'R'
        }
        TaskRecord::Rewinding {
            route, evaluations, ..
        } => {
            more = format!(" {route} {evaluations}");
            'w'
        }
        TaskRecord::Again { evaluations, .. } => {
            more = format!(" - {evaluations}");
            'a'
        }
        TaskRecord::Skipped { .. } => 'K',
        TaskRecord::Bypassed { .. } => 'B',
        TaskRecord::FailedAllowed { .. } => 'A',
        TaskRecord::Dead { .. } => 'D',
        TaskRecord::Cancelled { .. } => 'X',
    };
    let iteration = record.iteration();
    let job = JobId::of_task(workflow, index, iteration);
    let why = match record {
        TaskRecord::Skipped { reason, .. } => reason,
        other => other.error().unwrap_or_default(),
    };
    format!(
        "{letter} {iteration} {}{more}\n{why}",
        job.bare(&mut [0; 26])
    )
}

/// Nothing, for what was never evaluated before, as most tasks.
fn evaluated(evaluations: u32) -> String {
    match evaluations {
        0 => String::new(),
        count => format!(" - {count}"),
    }
}

pub(crate) fn parse_task(text: &str) -> Option<TaskRecord> {
    let (head, why) = text.split_once('\n')?;
    let mut head = head.split(' ');
    let letter = head.next()?;
    let iteration = head.next()?.parse().ok()?;
    let _job = head.next();
    let route = head.next();
    let evaluations: Option<u32> = head.next().and_then(|count| count.parse().ok());
    let why = || why.to_owned();
    Some(match letter {
        "d" => TaskRecord::Dispatched {
            iteration,
            evaluations: evaluations.unwrap_or_default(),
        },
        "x" => TaskRecord::Cancelling { iteration },
        "r" => TaskRecord::Returned {
            iteration,
            evaluations: evaluations.unwrap_or_default(),
        },
        "e" => TaskRecord::Expanded { iteration },
        "C" => TaskRecord::Completed {
            iteration,
            continues: false,
        },
        "N" => TaskRecord::Completed {
            iteration,
            continues: true,
        },
        "R" => TaskRecord::Routed {
            iteration,
            route: match route? {
                "-" => None,
                route => Some(route.parse().ok()?),
            },
            evaluations: evaluations?,
        },
        "w" => TaskRecord::Rewinding {
            iteration,
            route: route?.parse().ok()?,
            evaluations: evaluations?,
        },
        "a" => TaskRecord::Again {
            iteration,
            evaluations: evaluations?,
        },
        "K" => TaskRecord::Skipped {
            iteration,
            reason: why(),
        },
        "B" => TaskRecord::Bypassed { iteration },
        "A" => TaskRecord::FailedAllowed {
            iteration,
            error: why(),
        },
        "D" => TaskRecord::Dead {
            iteration,
            error: why(),
        },
        "X" => TaskRecord::Cancelled { iteration },
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use paceline_types::ShardIndex;
    use paceline_types::workflow::Ending;

    #[test]
    fn definition_and_input_read_back() {
        for input in [None, Some(&b"{\"n\":1}"[..])] {
            let record = encode_definition(b"{}\n", input).into();
            let (definition, found) = parse_definition(&record).expect("record");
            assert_eq!(&definition[..], b"{}\n");
            assert_eq!(found.as_deref(), input);
        }
        assert_eq!(parse_definition(&Bytes::from_static(b"9\nshort")), None);
    }

    #[test]
    fn headers_and_tasks_read_back() {
        let ended = Header {
            stage: Stage::Ended(Ending::Cancelled {
                reason: "enough".into(),
            }),
            ..Header::NEW
        };
        assert!(encode_header(&ended).starts_with("X "));
        for header in [Header::NEW, ended] {
            assert_eq!(parse_header(&encode_header(&header)), Some(header));
        }
        let workflow = WorkflowId::from_parts(1, ShardIndex(0), 4);
        for record in [
            TaskRecord::Dispatched {
                iteration: 0,
                evaluations: 0,
            },
            TaskRecord::Returned {
                iteration: 4,
                evaluations: 3,
            },
            TaskRecord::Dead {
                iteration: 3,
                error: "a\nb".into(),
            },
            TaskRecord::Routed {
                iteration: 1,
                route: None,
                evaluations: 2,
            },
            TaskRecord::Rewinding {
                iteration: 1,
                route: 7,
                evaluations: 2,
            },
            TaskRecord::Again {
                iteration: 2,
                evaluations: 2,
            },
            TaskRecord::Completed {
                iteration: 0,
                continues: true,
            },
        ] {
            assert_eq!(parse_task(&encode_task(workflow, 7, &record)), Some(record));
        }
    }
}
