//! Text and JSON from arguments, files and standard input.

mod batch;

use std::borrow::Cow;
use std::io::Read;
use std::path::Path;

use paceline_types::workflow::DefinitionError;
use paceline_types::{BatchDefinition, ScheduleDefinition, WorkflowDefinition};
use serde::Deserialize;
use serde::de::IgnoredAny;

pub(crate) use self::batch::batch;
use super::failure::Failure;

/// What the parser of YAML tells those who call it, and what to tell those who wrote the file.
const ADVICE: [(&str, &str); 2] = [
    (
        ", set DuplicateKeyPolicy in Options if acceptable",
        "; write each key once",
    ),
    (
        "; use from_str_multiple or from_str_multiple_with_options",
        "; write one to a file",
    ),
];

/// Reads a file; `-` is standard input.
pub(crate) fn text(path: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    let read = if path == Path::new("-") {
        std::io::stdin().read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|mut file| file.read_to_string(&mut text))
    };
    read.map_err(|error| Failure::usage(format!("cannot read {}: {error}", path.display())))?;
    Ok(text)
}

/// A JSON argument: the JSON itself, `@FILE`, or `@-` for standard input. Numbers keep their
/// digits, as the text is checked and handed on unchanged.
pub(crate) fn json(option: &str, argument: &str) -> Result<String, Failure> {
    let text = match argument.strip_prefix('@') {
        Some(path) => text(Path::new(path))?,
        None => argument.to_owned(),
    };
    let text = text.trim();
    match serde_json::from_str::<&serde_json::value::RawValue>(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(Failure::usage(format!(
            "{option} is not JSON ({error}); write it as in '{{\"a\": 1}}', or @FILE"
        ))),
    }
}

/// A definition from a JSON or YAML file. Read, not yet validated.
pub(crate) fn definition(path: &Path) -> Result<WorkflowDefinition, Failure> {
    let text = text(path)?;
    let definition = parse(path, &text, WorkflowDefinition::from_json);
    definition.map_err(|problem| match in_json(path, &text) {
        Ok(json) if Looked::at(&json).is_batch() => told(
            path,
            "this is a batch, not a workflow; see `paceline batch --help`",
        ),
        _ => told(path, &problem),
    })
}

/// A schedule from a JSON or YAML file. Read, not yet checked.
pub(crate) fn schedule(path: &Path) -> Result<ScheduleDefinition, Failure> {
    read(path, ScheduleDefinition::from_json)
}

/// The fields by which workflows and batches are told apart.
#[derive(Default, Deserialize)]
struct Looked {
    tasks: Option<IgnoredAny>,
    item_task_type: Option<IgnoredAny>,
    items: Option<IgnoredAny>,
    items_file: Option<IgnoredAny>,
}

impl Looked {
    fn at(json: &str) -> Looked {
        serde_json::from_str(json).unwrap_or_default()
    }

    fn is_batch(&self) -> bool {
        let of_batch = [&self.item_task_type, &self.items, &self.items_file];
        self.tasks.is_none() && of_batch.iter().any(|field| field.is_some())
    }

    fn is_workflow(&self) -> bool {
        self.tasks.is_some() && self.item_task_type.is_none()
    }
}

/// What a file describes.
pub(crate) enum Work {
    /// It has `tasks`.
    Workflow(Box<WorkflowDefinition>),
    /// It has an `item_task_type` or items, and no `tasks`.
    Batch(Box<BatchDefinition>),
}

/// A workflow or a batch from a JSON or YAML file. Read, not yet validated.
pub(crate) fn work(path: &Path) -> Result<Work, Failure> {
    let text = text(path)?;
    let json = in_json(path, &text).map_err(|problem| told(path, &problem))?;
    if Looked::at(&json).is_batch() {
        let definition = batch::of_json(path, json)?;
        return Ok(Work::Batch(Box::new(definition)));
    }
    let definition = parse(path, &text, WorkflowDefinition::from_json);
    let definition = definition.map_err(|problem| told(path, &problem))?;
    Ok(Work::Workflow(Box::new(definition)))
}

fn told(path: &Path, problem: &str) -> Failure {
    Failure::usage(format!("{}: {problem}", name_of(path)))
}

type FromJson<T> = fn(&str) -> Result<T, DefinitionError>;

fn read<T>(path: &Path, from_json: FromJson<T>) -> Result<T, Failure> {
    let text = text(path)?;
    parse(path, &text, from_json).map_err(|problem| told(path, &problem))
}

/// How messages call a file.
pub(crate) fn name_of(path: &Path) -> String {
    match path.to_str() {
        Some("-") => "standard input".to_owned(),
        _ => path.display().to_string(),
    }
}

fn parse<T>(path: &Path, text: &str, from_json: FromJson<T>) -> Result<T, String> {
    let json = in_json(path, text)?;
    from_json(&json).map_err(|error| match json {
        Cow::Borrowed(_) => error.to_string(),
        Cow::Owned(_) => without_position(&error.to_string()),
    })
}

/// By the extension: `.json` is JSON, `.yaml` and `.yml` are YAML. Anything else is JSON when it
/// begins like an object of it, else YAML.
///
/// YAML becomes JSON, so that a mistake is told with its path as in JSON; YAML that is no YAML is
/// told with line and column.
fn in_json<'a>(path: &Path, text: &'a str) -> Result<Cow<'a, str>, String> {
    let extension = path.extension().and_then(|extension| extension.to_str());
    let json = match extension.map(str::to_ascii_lowercase).as_deref() {
        Some("json") => true,
        Some("yaml" | "yml") => false,
        _ => text.trim_start().starts_with('{'),
    };
    if json {
        return Ok(Cow::Borrowed(text));
    }
    let value: serde_json::Value = serde_saphyr::from_str(text)
        .map_err(|error| format!("not YAML: {}", said_of_yaml(&error.to_string())))?;
    Ok(Cow::Owned(value.to_string()))
}

/// The first line, as the parser adds a picture of the place; without its advice to programmers.
fn said_of_yaml(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default();
    let line = line.strip_prefix("error: ").unwrap_or(line);
    ADVICE.iter().fold(line.to_owned(), |line, (theirs, ours)| {
        line.replace(theirs, ours)
    })
}

/// Line and column in the JSON that the YAML became are of no use.
fn without_position(message: &str) -> String {
    match message.rsplit_once(" at line ") {
        Some((sentence, _)) => sentence.to_owned(),
        None => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workflow(path: &str, text: &str) -> Result<WorkflowDefinition, String> {
        parse(Path::new(path), text, WorkflowDefinition::from_json)
    }

    const YAML: &str = "
name: etl
execution_timeout: 1m
tasks:
  - name: fetch
    task_type: shell
    payload: { argv: [echo, '1'], env: { A: 'yes' } }
  - name: load
    task_type: echo
    depends_on: [fetch]
    result_from: fetch
";

    #[test]
    fn yaml_and_json_say_the_same() {
        let yaml = workflow("a.yaml", YAML).expect("YAML");
        let json = serde_json::to_string(&yaml).expect("JSON");
        for path in ["a.json", "a.JSON", "-"] {
            let read = workflow(path, &json).expect(path);
            assert_eq!(serde_json::to_string(&read).expect("JSON"), json);
        }
        assert!(
            json.contains(r#"{"argv":["echo","1"],"env":{"A":"yes"}}"#),
            "{json}"
        );
        assert_eq!(workflow("-", YAML).expect("YAML").tasks.len(), 2);
    }

    #[test]
    fn a_mistake_names_its_place() {
        let table = [
            (
                "a.yaml",
                "name: x\ntasks:\n  - name: a\n    task_typ: b",
                "tasks[0].task_typ: unknown field `task_typ`",
            ),
            (
                "a.json",
                r#"{"name":"x","tasks":7}"#,
                "tasks: invalid type: integer `7`",
            ),
            ("a.yaml", "name: [", "not YAML: line 1 column "),
            (
                "a.yaml",
                "name: x\nname: y",
                "not YAML: line 2 column 1: duplicate mapping key: name; write each key once",
            ),
            (
                "a.yaml",
                "name: x\n---\nname: y",
                "not YAML: line 3 column 1: multiple YAML documents detected; write one to a file",
            ),
            (
                "a.yaml",
                "# nothing",
                "definition: invalid type: null, expected a workflow: an object with a name",
            ),
            ("a.json", "name: x", "definition: expected"),
        ];
        for (path, text, beginning) in table {
            let problem = workflow(path, text).expect_err(text);
            assert!(problem.starts_with(beginning), "{problem}");
            assert!(!problem.contains('\n'), "{problem}");
        }
    }

    #[test]
    fn json_arguments_are_checked_and_kept() {
        let kept = json("--input", " {\"n\": 123456789012345678901}\n");
        assert_eq!(kept, Ok("{\"n\": 123456789012345678901}".to_owned()));
        let failure = json("--input", "{a: 1}").expect_err("no JSON");
        assert!(
            failure
                .sentence
                .starts_with("--input is not JSON (key must be"),
            "{failure:?}"
        );
        let failure = json("--input", "@/no/such/file").expect_err("no file");
        assert!(
            failure.sentence.starts_with("cannot read /no/such/file: "),
            "{failure:?}"
        );
    }
}
