//! Batch files: a definition, whose items may stand in a file of their own.
//!
//! `items_file` names a file of lines, each the JSON of an item: `{"id": "a", "payload": {…}}`. It is
//! read line by line, so that a hundred thousand items need no document that is as large as they
//! are. Its path is relative to the batch file's folder.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use paceline_types::BatchDefinition;
use paceline_types::batch::{BatchItem, MAX_ITEMS};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Failure, Looked, in_json, text, told, without_position};

/// Mistakes of an items file that are told one by one.
const MAX_MISTAKES: usize = 20;

/// A batch from a JSON or YAML file, with its items. Read, not yet validated.
pub(crate) fn batch(path: &Path) -> Result<BatchDefinition, Failure> {
    let text = text(path)?;
    let json = in_json(path, &text).map_err(|problem| told(path, &problem))?;
    let is_workflow = Looked::at(&json).is_workflow();
    of_json(path, json).map_err(|failure| match is_workflow {
        true => told(
            path,
            "this is a workflow, not a batch; see `paceline workflow --help`",
        ),
        false => failure,
    })
}

/// A batch from the JSON that a file holds or became.
pub(super) fn of_json(path: &Path, json: Cow<'_, str>) -> Result<BatchDefinition, Failure> {
    let told = |problem: String| told(path, &problem);
    let Some((rest, items)) = apart(&json).map_err(told)? else {
        return BatchDefinition::from_json(&json).map_err(|error| {
            let error = error.to_string();
            told(match json {
                Cow::Borrowed(_) => error,
                Cow::Owned(_) => without_position(&error),
            })
        });
    };
    let mut definition = BatchDefinition::from_json(&rest)
        .map_err(|error| told(without_position(&error.to_string())))?;
    definition.items = read_items(&beside(path, &items))?;
    Ok(definition)
}

/// The definition without the name of its items file, and that name, if it has one.
fn apart(json: &str) -> Result<Option<(String, PathBuf)>, String> {
    #[derive(Deserialize)]
    struct Named {
        items_file: Option<PathBuf>,
    }
    // What is wrong with the rest is told when that is read.
    let Ok(Named {
        items_file: Some(items),
    }) = serde_json::from_str(json)
    else {
        return Ok(None);
    };
    let mut fields: BTreeMap<String, Box<RawValue>> =
        serde_json::from_str(json).map_err(|error| format!("definition: {error}"))?;
    if fields.contains_key("items") {
        return Err("items_file: there are items already; take one of the two out".to_owned());
    }
    fields.remove("items_file");
    match serde_json::to_string(&fields) {
        Ok(rest) => Ok(Some((rest, items))),
        Err(error) => Err(format!("definition: {error}")),
    }
}

fn beside(batch: &Path, items: &Path) -> PathBuf {
    match batch.parent() {
        Some(folder) if batch != Path::new("-") => folder.join(items),
        _ => items.to_path_buf(),
    }
}

fn read_items(path: &Path) -> Result<Vec<BatchItem>, Failure> {
    let unreadable = |error| Failure::usage(format!("cannot read {}: {error}", path.display()));
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let (mut items, mut mistakes) = (Vec::new(), Vec::new());
    for (number, line) in (1_usize..).zip(BufReader::new(file).lines()) {
        let line = line.map_err(unreadable)?;
        if line.trim().is_empty() {
            continue;
        }
        if items.len() >= MAX_ITEMS {
            let sentence = format!(
                "{} has more than {MAX_ITEMS} items; split the batch",
                path.display()
            );
            return Err(Failure::usage(sentence));
        }
        match item(&line) {
            Ok(item) => items.push(item),
            Err(problem) => {
                mistakes.push(format!("\n  line {number}: {problem}"));
                if mistakes.len() == MAX_MISTAKES {
                    break;
                }
            }
        }
    }
    if mistakes.is_empty() {
        return Ok(items);
    }
    let (name, count) = (path.display(), mistakes.len());
    let more = if count == MAX_MISTAKES {
        " or more"
    } else {
        ""
    };
    let sentence = format!(
        "{name} has {count}{more} lines that are no items; write each as \
         {{\"id\": \"a\", \"payload\": 1}}:{}",
        mistakes.concat()
    );
    Err(Failure::usage(sentence))
}

fn item(line: &str) -> Result<BatchItem, String> {
    let mut deserializer = serde_json::Deserializer::from_str(line);
    let item = serde_path_to_error::deserialize::<_, BatchItem>(&mut deserializer);
    let item = item.map_err(|error| {
        let problem = without_position(&error.inner().to_string());
        match error.path().to_string().as_str() {
            "." | "" => problem,
            path => format!("{path}: {problem}"),
        }
    })?;
    let ended = deserializer.end();
    ended.map_err(|_| "more stands behind the item".to_owned())?;
    Ok(item)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(name: &str, text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("file");
        (folder, path)
    }

    #[test]
    fn items_stand_inside_or_beside() {
        let inside = "name: b\nitem_task_type: t\nitems:\n  - { id: a, payload: [1] }\n  - id: b\n";
        let (_folder, path) = written("b.yaml", inside);
        let items = batch(&path).expect("batch").items;
        assert_eq!(items.len(), 2);
        assert_eq!(items[0].payload_bytes(), b"[1]");

        for (name, text) in [
            (
                "b.yaml",
                "name: b\nitem_task_type: t\nitems_file: sub.jsonl\n",
            ),
            (
                "b.json",
                r#"{"name":"b","item_task_type":"t","items_file":"sub.jsonl"}"#,
            ),
        ] {
            let (folder, path) = written(name, text);
            let lines =
                "{\"id\":\"a\",\"payload\":{\"n\":123456789012345678901}}\n\n{\"id\":\"b\"}";
            std::fs::write(folder.path().join("sub.jsonl"), lines).expect("file");
            let items = batch(&path).expect("batch").items;
            assert_eq!(items.len(), 2, "{name}");
            assert_eq!(items[0].payload_bytes(), br#"{"n":123456789012345678901}"#);
        }
    }

    #[test]
    fn a_mistake_names_its_place() {
        let table = [
            (
                "name: b\nitem_task_type: t\nitems_fil: x",
                "items_fil: unknown field `items_fil`",
            ),
            (
                "name: b\nitem_task_type: t\nitems: []\nitems_file: x",
                "items_file: there are items already; take one of the two out",
            ),
            (
                "name: b\nitem_task_type: t\nchunk_sie: 1\nitems_file: x",
                "chunk_sie: unknown field `chunk_sie`",
            ),
            (
                "name: w\ntasks: []",
                "this is a workflow, not a batch; see `paceline workflow --help`",
            ),
            (
                "name: b\nitem_task_type: t\nitems:\n - { id: 7 }",
                "items[0].id: invalid type: integer `7`",
            ),
        ];
        for (text, words) in table {
            let (_folder, path) = written("b.yaml", text);
            let sentence = batch(&path).expect_err(text).sentence;
            let expected = format!("{}: {words}", path.display());
            assert!(sentence.starts_with(&expected), "{sentence}");
        }
    }

    #[test]
    fn every_line_that_is_no_item_is_told() {
        let (folder, path) = written("b.yaml", "name: b\nitem_task_type: t\nitems_file: i\n");
        let items = folder.path().join("i");
        let missing = batch(&path).expect_err("no items").sentence;
        assert!(missing.starts_with("cannot read "), "{missing}");
        let lines = "{\"id\":\"a\"}\n[]\n{\"id\":7}\n{\"idd\":\"x\"}\n{\"id\":\"b\"} 1\n";
        std::fs::write(&items, lines).expect("file");
        let sentence = batch(&path).expect_err("mistakes").sentence;
        for words in [
            "has 4 lines that are no items",
            "\n  line 2: ",
            "\n  line 3: id: invalid type: integer `7`, expected a string",
            "\n  line 4: idd: unknown field `idd`",
            "\n  line 5: more stands behind the item",
        ] {
            assert!(sentence.contains(words), "{words}: {sentence}");
        }
        std::fs::write(&items, "x\n".repeat(1_000)).expect("file");
        let sentence = batch(&path).expect_err("mistakes").sentence;
        assert!(sentence.contains("has 20 or more lines"), "{sentence}");
    }

    #[test]
    fn a_hundred_thousand_items_are_read() {
        let (folder, path) = written("b.yaml", "name: b\nitem_task_type: t\nitems_file: i\n");
        let lines: String = (0..100_000)
            .map(|n| format!("{{\"id\":\"item {n}\",\"payload\":{n}}}\n"))
            .collect();
        std::fs::write(folder.path().join("i"), lines).expect("file");
        let definition = batch(&path).expect("batch");
        assert_eq!(definition.items.len(), 100_000);
        definition.validate(1_000).expect("valid");
    }
}
