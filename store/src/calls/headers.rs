//! The head of each script is its contract; this test holds both sides to it.

use std::collections::BTreeSet;
use std::path::Path;

use paceline_types::EventKind;

/// Scripts, and the Rust side of each.
const SIDES: &[(&str, &str)] = &[
    ("accept_batch", include_str!("batch/submit.rs")),
    ("ack_signal", include_str!("workflow/signals.rs")),
    ("audit", include_str!("audit.rs")),
    ("beat", include_str!("node.rs")),
    ("cancel", include_str!("cancel.rs")),
    ("cancel_batch", include_str!("batch/steer.rs")),
    ("cancel_workflow", include_str!("workflow.rs")),
    ("check_lanes", include_str!("leader.rs")),
    ("commit", include_str!("commit.rs")),
    ("configure", include_str!("config.rs")),
    ("copy_audit", include_str!("audit.rs")),
    ("delete", include_str!("delete.rs")),
    ("deliver_end", include_str!("outbox.rs")),
    ("drain", include_str!("node.rs")),
    ("drop_post", include_str!("outbox.rs")),
    ("due_schedules", include_str!("schedule/fire.rs")),
    ("edit", include_str!("edit.rs")),
    ("expire_jobs", include_str!("expire_jobs.rs")),
    ("expire_nodes", include_str!("leader.rs")),
    ("fire", include_str!("schedule/fire.rs")),
    ("fire_by_hand", include_str!("schedule/by_hand.rs")),
    ("flush_group", include_str!("group.rs")),
    ("flush_groups", include_str!("group.rs")),
    ("get", include_str!("read.rs")),
    ("get_limit", include_str!("limits.rs")),
    ("get_schedules", include_str!("schedule/read.rs")),
    ("hold", include_str!("leadership.rs")),
    ("join", include_str!("node.rs")),
    ("leave", include_str!("node.rs")),
    ("list_limits", include_str!("limits.rs")),
    ("overdue", include_str!("list/live.rs")),
    ("pause", include_str!("pause.rs")),
    ("place", include_str!("why.rs")),
    ("promote", include_str!("leader.rs")),
    ("purge", include_str!("leader.rs")),
    ("purge_dead", include_str!("dead_letters.rs")),
    ("push_group", include_str!("group.rs")),
    ("put_schedule", include_str!("schedule/put.rs")),
    ("recover", include_str!("recover.rs")),
    ("report", include_str!("report.rs")),
    ("requeue", include_str!("requeue.rs")),
    ("resign", include_str!("leadership.rs")),
    ("resume", include_str!("resume.rs")),
    ("resume_workflow", include_str!("workflow/steer.rs")),
    ("retry", include_str!("retry.rs")),
    ("retry_batch", include_str!("batch/steer.rs")),
    ("retry_workflow", include_str!("workflow/steer.rs")),
    ("save_callbacks", include_str!("callbacks.rs")),
    ("set_limit", include_str!("limits.rs")),
    ("signal", include_str!("workflow/signals.rs")),
    ("stage_batch", include_str!("batch/submit.rs")),
    ("stats", include_str!("stats.rs")),
    ("steer", include_str!("steering.rs")),
    ("steer_schedule", include_str!("schedule/steer.rs")),
    ("submit", include_str!("submit.rs")),
    ("submit_workflow", include_str!("workflow.rs")),
    ("survey", include_str!("leader.rs")),
    ("suspend_workflow", include_str!("workflow/steer.rs")),
    ("take", include_str!("leadership.rs")),
    ("take_callbacks", include_str!("callbacks.rs")),
    ("turn", include_str!("turn.rs")),
    ("watch", include_str!("watch.rs")),
    ("why", include_str!("why.rs")),
];

/// Answers that are read in one place for all of the leader's scripts.
const SHARED: &str = include_str!("mod.rs");

fn lua(path: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("lua").join(path);
    std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

fn header(name: &str, source: &str) -> String {
    let start = source
        .find("--[[")
        .unwrap_or_else(|| panic!("{name}.lua has no header"));
    let end = source
        .find("]]")
        .unwrap_or_else(|| panic!("{name}.lua: the header has no end"));
    source[start + 4..end].trim().to_owned()
}

/// One section of a header: from its word to the next one.
fn section<'a>(header: &'a str, word: &str) -> &'a str {
    let sections = ["\n  keys ", "\n  args ", "\n  reply ", "\n  events "];
    let this = sections
        .iter()
        .position(|section| section.trim() == word)
        .expect("a section");
    let start = header
        .find(sections[this])
        .unwrap_or_else(|| panic!("no {word} in: {header}"));
    let end = sections
        .get(this + 1)
        .and_then(|next| header.find(next))
        .unwrap_or(header.len());
    &header[start + sections[this].len()..end]
}

/// Words in single quotes that are words: answers, not separators.
fn quoted(text: &str) -> BTreeSet<&str> {
    text.split('\'')
        .skip(1)
        .step_by(2)
        .filter(|word| word.len() > 1 && word.chars().all(|c| c.is_ascii_lowercase()))
        .collect()
}

/// A script's text and those of its helpers.
fn with_helpers(source: String, texts: &mut Vec<String>) {
    let helpers: Vec<String> = source
        .lines()
        .filter_map(|line| {
            line.strip_prefix("--@include ")
                .or_else(|| line.strip_prefix("--@include-here "))
        })
        .map(lua)
        .collect();
    texts.push(source);
    for helper in helpers {
        with_helpers(helper, texts);
    }
}

/// What a script and its helpers emit.
fn emitted(source: &str) -> BTreeSet<String> {
    let mut texts = Vec::new();
    with_helpers(source.to_owned(), &mut texts);
    EventKind::ALL
        .iter()
        .map(|kind| kind.as_str().to_owned())
        .filter(|kind| texts.iter().any(|text| text.contains(&format!("'{kind}'"))))
        .collect()
}

#[test]
fn every_script_has_a_header_of_the_fixed_form_and_a_rust_side() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("lua");
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .expect("the scripts")
        .filter_map(|entry| {
            let name = entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned();
            name.strip_suffix(".lua").map(str::to_owned)
        })
        .collect();
    names.sort();
    let known: Vec<&str> = SIDES.iter().map(|(name, _)| *name).collect();
    assert_eq!(
        names, known,
        "a script without a call, or a call without a script"
    );
    for (name, _) in SIDES {
        let header = header(name, &lua(&format!("{name}.lua")));
        assert!(
            header.starts_with(&format!("{name}: ")),
            "{name}: the header names another"
        );
        for word in ["keys", "args", "reply", "events"] {
            assert!(
                !section(&header, word).trim().is_empty(),
                "{name}: {word} is empty"
            );
        }
    }
}

#[test]
fn the_rust_side_knows_every_answer_of_the_header() {
    for (name, rust) in SIDES {
        let source = lua(&format!("{name}.lua"));
        for word in quoted(section(&header(name, &source), "reply")) {
            let literal = format!("\"{word}\"");
            assert!(
                rust.contains(&literal) || SHARED.contains(&literal) || word == "none",
                "{name}.lua may answer '{word}', which its Rust side does not read"
            );
        }
    }
}

/// A text without what stands in parentheses: what comes of it by way of others.
fn without_remarks(text: &str) -> String {
    let parts = text.split('(').enumerate();
    parts
        .filter_map(|(place, part)| match place {
            0 => Some(part),
            _ => part.split_once(')').map(|(_, rest)| rest),
        })
        .collect()
}

#[test]
fn the_header_names_exactly_the_events_that_are_emitted() {
    for (name, _) in SIDES {
        let source = lua(&format!("{name}.lua"));
        let header = header(name, &source);
        let promised: BTreeSet<String> = without_remarks(section(&header, "events"))
            .split(|c: char| !(c.is_ascii_lowercase() || c == '.' || c == '_'))
            .filter(|word| word.contains('.'))
            .map(str::to_owned)
            .collect();
        assert_eq!(promised, emitted(&source), "{name}.lua");
    }
}

/// Trap W43: what is declared is really published. The kinds of workflows are chosen by the
/// orchestrator and written by `commit` as they are.
#[test]
fn every_kind_of_event_is_written_by_somebody() {
    let orchestrator = Path::new(env!("CARGO_MANIFEST_DIR")).join("../orchestrator/src");
    let mut chosen = String::new();
    let mut folders = vec![orchestrator];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("the orchestrator's sources") {
            let path = entry.expect("an entry").path();
            let name = path.to_string_lossy();
            if path.is_dir() && !name.contains("test") {
                folders.push(path);
            } else if name.ends_with(".rs") && !name.contains("test") {
                chosen.push_str(&std::fs::read_to_string(&path).expect("a source file"));
            }
        }
    }
    let scripts: BTreeSet<String> = SIDES
        .iter()
        .flat_map(|(name, _)| emitted(&lua(&format!("{name}.lua"))))
        .collect();
    for kind in EventKind::ALL {
        let written =
            scripts.contains(kind.as_str()) || chosen.contains(&format!("EventKind::{kind:?}"));
        assert!(written, "nobody writes {kind}");
    }
}
