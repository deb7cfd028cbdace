//! The house: arrows that must not be, and rules that no compiler checks (ARCHITECTURE.md).
// The lints of test code hold for the helpers as well, not only inside the test functions.
#![cfg(test)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Longest source file that is not a test.
const MOST_LINES: usize = 600;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

/// Names of all packages that a package of ours is built from.
fn tree(package: &str) -> BTreeSet<String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .current_dir(root())
        .args([
            "tree",
            "--locked",
            "--edges",
            "normal,no-proc-macro",
            "--prefix",
            "none",
            "--format",
            "{p}",
        ])
        .args(["--package", package])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let tree = String::from_utf8(output.stdout).unwrap();
    let names = tree.lines().filter_map(|line| line.split(' ').next());
    let names: BTreeSet<_> = names
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect();
    assert!(names.contains(package), "{tree}");
    names
}

/// Whether any of these stands in the tree of a package.
fn has(package: &str, named: &[&str]) -> Vec<String> {
    let tree = tree(package);
    let begins =
        |name: &String, named: &str| name == named || name.starts_with(&format!("{named}-"));
    tree.into_iter()
        .filter(|name| named.iter().any(|named| begins(name, named)))
        .collect()
}

/// Invariant 1: no async runtime, no Redis, no randomness.
#[test]
fn types_are_pure() {
    let io = [
        "tokio",
        "redis",
        "mio",
        "rand",
        "getrandom",
        "async-std",
        "smol",
        "socket2",
    ];
    assert_eq!(has("paceline-types", &io), [""; 0]);
    assert_eq!(has("paceline-types", &["paceline"]), ["paceline-types"]);
}

/// Invariant 2.
#[test]
fn the_orchestrator_does_not_know_of_redis() {
    let tree = has("paceline-orchestrator", &["redis", "paceline"]);
    assert_eq!(tree, ["paceline-orchestrator", "paceline-types"]);
}

/// Invariant 3.
#[test]
fn the_client_does_not_depend_on_nodes() {
    let tree = has("paceline-client", &["paceline"]);
    assert_eq!(
        tree,
        ["paceline-client", "paceline-store", "paceline-types"]
    );
}

/// What the others are searched for is really called so.
#[test]
fn the_store_is_where_redis_is() {
    assert_eq!(has("paceline-store", &["redis"]), ["redis"]);
    let found = has("paceline-store", &["tokio", "paceline"]);
    for name in ["tokio", "paceline-types", "paceline-store"] {
        assert!(found.iter().any(|one| one == name), "{name} in {found:?}");
    }
    let node = has("paceline-node", &["paceline"]);
    assert_eq!(node.len(), 5, "a node uses all of them: {node:?}");
}

/// Every file that is kept: what git knows, and what it would take up.
fn files() -> Vec<(String, String)> {
    let output = Command::new("git")
        .current_dir(root())
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .output();
    let listed = output.ok().filter(|output| output.status.success());
    let names: Vec<String> = match listed {
        Some(output) => String::from_utf8(output.stdout)
            .unwrap()
            .lines()
            .map(str::to_owned)
            .collect(),
        // A source archive has no history; its folders are searched in place of it.
        None => walk(&root(), ""),
    };
    let mut files: Vec<_> = names
        .into_iter()
        // What is no text, and what was removed and not committed yet, is left out.
        .filter_map(|name| Some((std::fs::read_to_string(root().join(&name)).ok()?, name)))
        .map(|(text, name)| (name, text))
        .collect();
    files.sort();
    assert!(
        files.iter().any(|(name, _)| name == "store/src/keys.rs"),
        "the search finds files"
    );
    files
}

fn walk(folder: &Path, prefix: &str) -> Vec<String> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let path = format!("{prefix}{name}");
        if entry.file_type().unwrap().is_dir() {
            if name != "target" && name != ".git" {
                names.extend(walk(&entry.path(), &format!("{path}/")));
            }
        } else {
            names.push(path);
        }
    }
    names
}

fn is_test(name: &str) -> bool {
    name.starts_with("tests/") || name.contains("/tests/") || name.ends_with("/tests.rs")
}

/// The part of a source file that is no comment and no unit test.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text
        .lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line.trim()));
    lines
        .take_while(|(_, line)| *line != "#[cfg(test)]")
        .filter(|(_, line)| !line.starts_with("//"))
}

fn is_rust(name: &str) -> bool {
    name.ends_with(".rs")
}

/// Whether a line names the Redis client, and not a module whose name ends alike.
fn names_redis(line: &str) -> bool {
    line.match_indices("redis::").any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|before| before.is_alphanumeric() || before == '_')
    })
}

/// A file that is longer does more than one thing.
#[test]
fn no_source_file_is_too_long() {
    let files = files().into_iter();
    let long: Vec<_> = files
        .filter(|(name, _)| (is_rust(name) || name.ends_with(".lua")) && !is_test(name))
        .map(|(name, text)| (text.lines().count(), name))
        .filter(|(lines, _)| *lines > MOST_LINES)
        .collect();
    assert!(long.is_empty(), "{long:?}");
}

/// Invariant 4: only the store names a command of Redis or a key.
#[test]
fn only_the_store_speaks_redis() {
    let commands = [
        "EVALSHA",
        "FCALL",
        "XADD",
        "XRANGE",
        "XREAD",
        "XTRIM",
        "XDEL",
        "XACK",
        "ZADD",
        "ZRANGE",
        "ZRANGEBYSCORE",
        "ZREM",
        "HSET",
        "HGET",
        "HGETALL",
        "HMGET",
        "HDEL",
        "BLPOP",
        "RPUSH",
        "LPUSH",
        "SADD",
        "SMEMBERS",
        "MGET",
        "MSET",
        "SETNX",
        "SCAN",
        "FLUSHALL",
        "PUBLISH",
        "SUBSCRIBE",
    ];
    let keys = [
        "{{{namespace}",
        "{paceline:",
        ":lane:",
        ":events:count",
        "}:leader",
    ];
    let mut found = Vec::new();
    let mut store_found = false;
    for (name, text) in files() {
        if !is_rust(&name) || is_test(&name) {
            continue;
        }
        for (line, text) in code(&text) {
            let quoted = |word: &&str| text.contains(&format!("\"{word}\""));
            let speaks = names_redis(text)
                || commands.iter().any(quoted)
                || keys.iter().any(|key| text.contains(key));
            if !speaks {
                continue;
            }
            if name.starts_with("store/") {
                store_found = true;
            } else {
                found.push(format!("{name}:{line}: {text}"));
            }
        }
    }
    assert!(store_found, "the search finds what it looks for");
    assert!(found.is_empty(), "{found:#?}");
}

/// Every test runs every time, and waits on signals. Unit tests wind the clock by sleeping while
/// it is paused; of the others, only the helper that looks again and again may sleep.
#[test]
fn tests_are_neither_skipped_nor_slept_through() {
    // In pieces, so that this file does not find itself.
    let ignored = concat!("#[", "ignore");
    let sleeps = [
        concat!("thread::", "sleep("),
        concat!("time::", "sleep("),
        concat!(" ", "sleep("),
    ];
    let mut found = Vec::new();
    for (name, text) in files() {
        if !is_rust(&name) {
            continue;
        }
        let looks = ["tests/src/wait.rs", "/support.rs", "/support/mod.rs"];
        let may_sleep = !(name.starts_with("tests/") || name.contains("/tests/"))
            || looks.iter().any(|end| name.ends_with(end));
        for (index, line) in text.lines().enumerate() {
            let slept = !may_sleep && sleeps.iter().any(|sleep| line.contains(sleep));
            if line.contains(ignored) || slept {
                found.push(format!("{name}:{}: {}", index + 1, line.trim()));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

/// What names a folder of one machine works on no other.
#[test]
fn no_file_names_the_path_of_a_machine() {
    let homes = [
        concat!("/", "work/"),
        concat!("/", "home/"),
        concat!("/", "Users/"),
        concat!("/", "root/"),
        concat!("C:", "\\"),
    ];
    let mut found = Vec::new();
    for (name, text) in files() {
        for (index, line) in text.lines().enumerate() {
            if homes.iter().any(|home| line.contains(home)) {
                found.push(format!("{name}:{}: {}", index + 1, line.trim()));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}
