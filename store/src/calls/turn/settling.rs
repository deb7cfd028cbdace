//! Settles as the script takes them.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::Duration;

use paceline_types::Settlement;

use super::{MAX_ERROR, Settle};
use crate::script::Invocation;
use crate::wire::pack::pack;
use crate::wire::{RS, US, millis, plain};

/// Runs that ended alike stand together: what they share is sent once.
pub(super) fn add_settles(call: &mut Invocation, settles: &[Settle]) {
    let ends: Vec<End> = settles.iter().map(End::of).collect();
    let groups = || ends.chunk_by(|one, next| one.is_alike(next));
    call.arg(groups().count());
    for group in groups() {
        let End {
            code,
            attempt,
            number,
            settle,
            ..
        } = &group[0];
        let place = if settle.in_workflow { 'w' } else { '.' };
        let run = settle.run;
        redis::RedisWrite::write_arg_fmt(call, format_args!("{code}{place} {attempt} {run}"));
        call.bytes(&settle.token.0)
            .arg(number)
            .arg(pack(group.iter().map(|end| end.settle.job)));
        if settle.in_workflow {
            call.bytes(&items(group));
        } else {
            call.bytes(&settle.ident);
        }
        for end in group {
            let settle = end.settle;
            match &settle.settlement {
                Settlement::Completed { result } | Settlement::Continued { result } => {
                    call.bytes(result)
                }
                _ => call.bytes(plain(end.why, MAX_ERROR).as_bytes()),
            };
        }
    }
}

/// What the script must see to beside the jobs' states: each field once, with the settles that have
/// it.
pub(super) fn add_followed(call: &mut Invocation, settles: &[Settle]) {
    let mut followed: Vec<(&str, String)> = Vec::new();
    let mut known: HashMap<&str, usize> = HashMap::new();
    for (index, settle) in settles.iter().enumerate() {
        for field in &settle.followed {
            let place = *known.entry(field).or_insert(followed.len());
            if place == followed.len() {
                followed.push((field, String::new()));
            }
            let settles = &mut followed[place].1;
            // Writing to a string does not fail.
            let _ = write!(settles, "{} ", index + 1);
        }
    }
    call.arg(followed.len());
    for (field, settles) in followed {
        call.arg(field).arg(settles);
    }
}

/// id US ident of each, joined by RS.
fn items(group: &[End<'_>]) -> Vec<u8> {
    let mut items = Vec::with_capacity(96 * group.len());
    for End { settle, .. } in group {
        if !items.is_empty() {
            items.push(RS as u8);
        }
        items.extend_from_slice(settle.job.bare(&mut [0; 26]).as_bytes());
        items.push(US as u8);
        items.extend_from_slice(&settle.ident);
    }
    items
}

/// What a settlement is to the script.
struct End<'a> {
    settle: &'a Settle,
    code: char,
    attempt: u32,
    /// A retention or a delay, by the code.
    number: u64,
    why: &'a str,
}

impl End<'_> {
    fn of(settle: &Settle) -> End<'_> {
        let retention = millis(settle.retention);
        // A delay of a moment still goes through the delayed set, as a retry does.
        let delay = |delay: &Duration| millis(*delay).max(1);
        let unused = settle.attempt.saturating_sub(1);
        let (code, attempt, number, why) = match &settle.settlement {
            // Outside of a workflow there is nothing that could go on.
            Settlement::Continued { .. } if settle.in_workflow => {
                ('N', settle.attempt, retention, "")
            }
            Settlement::Completed { .. } | Settlement::Continued { .. } => {
                ('C', settle.attempt, retention, "")
            }
            Settlement::Skipped { reason } => ('K', settle.attempt, retention, reason.as_str()),
            Settlement::Retry {
                delay: wait,
                error,
                uses_attempt,
            } => {
                let attempt = if *uses_attempt {
                    settle.attempt
                } else {
                    unused
                };
                // Before the job's whole time is over it must have begun.
                let timed = settle.followed.iter().any(|field| field.starts_with('M'));
                let code = if timed { 'r' } else { 'R' };
                (code, attempt, delay(wait), error.as_str())
            }
            Settlement::Repeat { delay } => ('P', unused, millis(*delay), ""),
            Settlement::Paused { after, error } => (
                'Z',
                settle.attempt,
                after.as_ref().map_or(0, delay),
                error.as_str(),
            ),
            Settlement::Dead { error } => ('D', settle.attempt, retention, error.as_str()),
            Settlement::Released => ('L', unused, 0, ""),
        };
        End {
            settle,
            code,
            attempt,
            number,
            why,
        }
    }

    fn is_alike(&self, other: &End<'_>) -> bool {
        self.settle.token == other.settle.token
            && self.code == other.code
            && self.attempt == other.attempt
            && self.number == other.number
            && self.settle.in_workflow == other.settle.in_workflow
            && (self.settle.in_workflow || self.settle.ident == other.settle.ident)
    }
}
