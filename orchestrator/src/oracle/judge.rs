//! Compares what happened with what was told.
//!
//! A workflow that nothing disturbed and that cannot fail must have ended exactly as told. One that
//! failed, or was cancelled, has done a part of it: whatever ended otherwise than by being
//! cancelled ended as told.

use std::collections::{BTreeMap, BTreeSet};

use paceline_types::WorkflowStatus;
use paceline_types::workflow::Hook;
use serde_json::{Value, json};

use super::interpret::{End, Kind, Start, Told};

/// What happened to an instance.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Its final status.
    pub status: WorkflowStatus,
    /// Why it failed: the task.
    pub cause: Option<String>,
    /// Every end of every start that is known.
    pub ends: BTreeMap<Start, End>,
    /// The last start of each task that is left.
    pub last: BTreeSet<Start>,
    /// How often a job or a child was made of each start; none if it is not known.
    pub made: Option<BTreeMap<Start, u32>>,
    /// Hooks, as they were dispatched.
    pub hooks: Vec<Hook>,
    /// What it came to, if it completed.
    pub output: Option<Value>,
    /// Its attempts.
    pub attempts: u32,
    /// Its children, by the start that they are of.
    pub children: BTreeMap<Start, Seen>,
    /// The instance that it went on as.
    pub next: Option<Box<Seen>>,
}

/// What happened beside the ends of jobs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Disturbed {
    /// It may have been cancelled, or have timed out.
    pub ended: bool,
    /// It may have been tried again by hand.
    pub retried: bool,
}

/// Whether it ended as it must.
///
/// # Errors
/// What differs.
pub fn judge(told: &Told, seen: &Seen, disturbed: Disturbed) -> Result<(), String> {
    if !seen.status.is_terminal() {
        return Err(format!("it is {} at the end", seen.status));
    }
    let whole = matches!(
        seen.status,
        WorkflowStatus::Completed | WorkflowStatus::Continued
    );
    let may_differ = disturbed.retried || (disturbed.ended && !whole);
    if seen.status != told.status && !may_differ {
        return Err(format!("it is {}, not {}", seen.status, told.status));
    }
    check_hooks(told, seen, disturbed)?;
    if let Some(made) = &seen.made
        && let Some((start, times)) = made.iter().find(|(_, times)| **times > 1)
    {
        return Err(format!("{start:?} was made {times} times"));
    }
    if disturbed.retried {
        return Ok(());
    }
    if whole {
        return check_whole(told, seen, disturbed);
    }
    if seen.status == WorkflowStatus::Failed && !disturbed.ended {
        let cause = seen.cause.clone().unwrap_or_default();
        let known = told.fatals.keys().any(|key| bare(key) == cause);
        if !known {
            return Err(format!(
                "it failed for {cause}, not for one of {:?}",
                told.fatals
            ));
        }
        if seen.attempts != told.attempts {
            return Err(format!(
                "it took {} attempts, not {}",
                seen.attempts, told.attempts
            ));
        }
    }
    if told.steady {
        return Ok(());
    }
    for (start, end) in &seen.ends {
        if end.kind != Kind::Cancelled {
            let wanted = told
                .ends
                .get(start)
                .ok_or(format!("{start:?} should not have begun"))?;
            same_end(start, wanted, end)?;
        }
    }
    check_children(
        told,
        seen,
        Disturbed {
            ended: true,
            ..disturbed
        },
    )
}

fn check_hooks(told: &Told, seen: &Seen, disturbed: Disturbed) -> Result<(), String> {
    let hooks = &seen.hooks;
    if seen.status == told.status && !disturbed.retried && !disturbed.ended {
        return match *hooks == told.hooks {
            true => Ok(()),
            false => Err(format!("hooks {hooks:?}, not {:?}", told.hooks)),
        };
    }
    let in_order = hooks.windows(2).all(|two| two[0] < two[1]);
    match in_order || disturbed.retried {
        true => Ok(()),
        false => Err(format!("hooks out of order: {hooks:?}")),
    }
}

/// The name of a key without what stands before it.
#[must_use]
pub fn bare(key: &str) -> &str {
    key.rsplit_once('/').map_or(key, |(_, name)| name)
}

/// A key without numbers of starts.
fn timeless(key: &str) -> String {
    let mut written = String::new();
    let mut in_number = false;
    for character in key.chars() {
        in_number = match character {
            '@' => true,
            '/' => false,
            _ => in_number,
        };
        if !in_number {
            written.push(character);
        }
    }
    written
}

fn check_whole(told: &Told, seen: &Seen, disturbed: Disturbed) -> Result<(), String> {
    if told.steady {
        let ends = |ends: &BTreeMap<Start, End>, last: &BTreeSet<Start>| -> BTreeMap<String, End> {
            let last = last
                .iter()
                .filter_map(|start| Some((timeless(&start.0), ends.get(start)?.clone())));
            last.collect()
        };
        let wanted = ends(&told.ends, &told.last);
        let found = ends(&seen.ends, &seen.last);
        if wanted.keys().ne(found.keys()) {
            return Err(format!("tasks {:?}, not {:?}", found.keys(), wanted.keys()));
        }
        for (key, wanted) in &wanted {
            same_end(&(key.clone(), 0), wanted, &found[key])?;
        }
    } else {
        if told.last != seen.last {
            let more: Vec<_> = seen.last.difference(&told.last).collect();
            let less: Vec<_> = told.last.difference(&seen.last).collect();
            return Err(format!(
                "tasks beside those told: {more:?}; missing: {less:?}"
            ));
        }
        for start in &told.last {
            same_end(start, &told.ends[start], &seen.ends[start])?;
        }
        for (start, end) in &seen.ends {
            let wanted = told
                .ends
                .get(start)
                .ok_or(format!("{start:?} should not have begun"))?;
            same_end(start, wanted, end)?;
        }
        if let Some(made) = &seen.made
            && !made.keys().eq(&told.made)
        {
            let made: BTreeSet<_> = made.keys().cloned().collect();
            let more: Vec<_> = made.difference(&told.made).collect();
            let less: Vec<_> = told.made.difference(&made).collect();
            return Err(format!(
                "made beside those told: {more:?}; not made: {less:?}"
            ));
        }
    }
    if let Some(output) = &seen.output
        && told.status == WorkflowStatus::Completed
        && plain(output) != plain(&told.output)
    {
        return Err(format!("its output is {output}, not {}", told.output));
    }
    match (&told.next, &seen.next) {
        (None, None) => {}
        (Some(told), Some(seen)) => judge(told, seen, disturbed)?,
        (told, _) => return Err(format!("it goes on: {}", told.is_some())),
    }
    check_children(told, seen, disturbed)
}

fn check_children(told: &Told, seen: &Seen, disturbed: Disturbed) -> Result<(), String> {
    let steady = told.steady;
    for (start, child) in &seen.children {
        let same = |other: &&Start| match told.steady {
            true => timeless(&other.0) == timeless(&start.0),
            false => *other == start,
        };
        let told = told
            .children
            .keys()
            .find(same)
            .map(|other| &told.children[other]);
        let told = told.ok_or(format!("{start:?} should have no child"))?;
        // One of an attempt that failed may have been cancelled.
        let disturbed = Disturbed {
            ended: disturbed.ended || steady,
            ..disturbed
        };
        judge(told, child, disturbed).map_err(|error| format!("child of {start:?}: {error}"))?;
    }
    Ok(())
}

fn same_end(start: &Start, wanted: &End, found: &End) -> Result<(), String> {
    let error = |end: &End| end.error.clone().unwrap_or_default();
    let same = wanted.kind == found.kind
        && (found.value == json!("?") || plain(&wanted.value) == plain(&found.value))
        && (wanted.kind == Kind::Cancelled
            || error(wanted) == super::interpret::CANCELLED
            || error(found).contains(&error(wanted)));
    match same {
        true => Ok(()),
        false => Err(format!("{start:?} is {found:?}, not {wanted:?}")),
    }
}

/// Whether two values are alike but for the words of errors.
#[must_use]
pub fn same_value(one: &Value, other: &Value) -> bool {
    plain(one) == plain(other)
}

/// A value without the words of errors, in which ids stand.
fn plain(value: &Value) -> Value {
    match value {
        Value::Object(fields) if fields.len() == 1 && fields.contains_key("error") => {
            json!({ "error": "*" })
        }
        Value::Object(fields) => fields
            .iter()
            .map(|(name, field)| (name.clone(), plain(field)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Value::Array(elements) => elements.iter().map(plain).collect(),
        Value::String(text) => match text.find("{\"error\":") {
            Some(start) => json!(text[..start]),
            None => value.clone(),
        },
        other => other.clone(),
    }
}
