//! Reading what a built-in task was given.

use bytes::Bytes;
use paceline_types::JobError;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

/// A payload, with what the orchestrator put beside it taken apart from it.
#[derive(Debug)]
pub(super) struct Given<T> {
    /// What the job or the definition of the task says.
    pub(super) spec: T,
    /// What came beside it, if anything did.
    pub(super) beside: Option<Beside>,
}

/// What a payload of a workflow's task may come with.
#[derive(Debug)]
pub(super) enum Beside {
    /// Results of the tasks in `result_from`.
    Upstream(Box<RawValue>),
    /// The workflow at whose beginning or end a hook is.
    Workflow(Box<RawValue>),
}

impl Beside {
    fn field(&self) -> (&'static str, &RawValue) {
        match self {
            Beside::Upstream(results) => ("upstream", results),
            Beside::Workflow(workflow) => ("workflow", workflow),
        }
    }
}

/// The form that a payload has when the task names `result_from`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WithUpstream<'a> {
    #[serde(borrow)]
    upstream: &'a RawValue,
    #[serde(borrow)]
    original: &'a RawValue,
}

/// The form that the payload of a hook has.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WithWorkflow<'a> {
    #[serde(borrow)]
    workflow: &'a RawValue,
    #[serde(borrow)]
    original: &'a RawValue,
}

/// The payload that a definition gives, and what came beside it.
fn taken_apart(payload: &[u8]) -> (&[u8], Option<Beside>) {
    if let Ok(wrapped) = serde_json::from_slice::<WithUpstream<'_>>(payload) {
        let beside = Beside::Upstream(wrapped.upstream.to_owned());
        return (wrapped.original.get().as_bytes(), Some(beside));
    }
    if let Ok(wrapped) = serde_json::from_slice::<WithWorkflow<'_>>(payload) {
        let beside = Beside::Workflow(wrapped.workflow.to_owned());
        return (wrapped.original.get().as_bytes(), Some(beside));
    }
    (payload, None)
}

/// Reads the payload of `task_type`. No payload, and `null`, mean an empty object.
///
/// # Errors
/// Permanent, as the same bytes would be wrong again: one sentence with the place of the mistake.
pub(super) fn read<T: DeserializeOwned>(
    task_type: &str,
    payload: &[u8],
) -> Result<Given<T>, JobError> {
    let (original, beside) = taken_apart(payload);
    let original = match original {
        b"" | b"null" => b"{}",
        bytes => bytes,
    };
    let mut deserializer = serde_json::Deserializer::from_slice(original);
    let spec = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let place = match error.path().to_string().as_str() {
            "." | "" => "the payload".to_owned(),
            path => format!("`{path}` in the payload"),
        };
        let problem = without_position(&error.into_inner().to_string());
        wrong(task_type, &format!("{place}: {problem}"))
    })?;
    deserializer
        .end()
        .map_err(|error| wrong(task_type, &format!("the payload: {error}")))?;
    Ok(Given { spec, beside })
}

/// A permanent error about a payload.
pub(super) fn wrong(task_type: &str, problem: &str) -> JobError {
    JobError::permanent(format!("task type `{task_type}` cannot use {problem}"))
}

/// Line and column mean nothing in a payload that nobody sees as lines.
fn without_position(problem: &str) -> String {
    match problem.rsplit_once(" at line ") {
        Some((sentence, _)) => sentence.to_owned(),
        None => problem.to_owned(),
    }
}

/// The one rule of what a built-in hands on: the input, or with upstream results
/// `{"input": <input or null>, "upstream": <results>}`, as a hook
/// `{"input": <input or null>, "workflow": <workflow>}`.
pub(super) fn handed_on(input: Option<&RawValue>, beside: Option<&Beside>) -> Option<Bytes> {
    match (input, beside) {
        (input, Some(beside)) => {
            let input = input.map_or("null", RawValue::get);
            let (field, value) = beside.field();
            let value = value.get();
            Some(format!(r#"{{"input":{input},"{field}":{value}}}"#).into())
        }
        // A JSON string goes as the text that it says, so that programs need no JSON for it.
        (Some(input), None) => Some(match serde_json::from_str::<String>(input.get()) {
            Ok(text) => text.into(),
            Err(_) => input.get().to_owned().into(),
        }),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Spec {
        size: u32,
    }

    fn size_and_beside(payload: &str) -> (u32, Option<(&'static str, String)>) {
        let given = read::<Spec>("x", payload.as_bytes()).expect(payload);
        let beside = given.beside.map(|beside| {
            let (field, value) = beside.field();
            (field, value.get().to_owned())
        });
        (given.spec.size, beside)
    }

    #[test]
    fn what_came_beside_is_taken_apart() {
        let table = [
            ("", 0, None),
            ("null", 0, None),
            (r#"{"size":3}"#, 3, None),
            (
                r#"{"upstream":[1],"original":{"size":4}}"#,
                4,
                Some(("upstream", "[1]")),
            ),
            (
                r#"{"upstream":null,"original":null}"#,
                0,
                Some(("upstream", "null")),
            ),
            (
                r#"{"original":{"size":4},"workflow":{"id":1}}"#,
                4,
                Some(("workflow", r#"{"id":1}"#)),
            ),
        ];
        for (payload, size, beside) in table {
            let beside = beside.map(|(field, value)| (field, value.to_owned()));
            assert_eq!(size_and_beside(payload), (size, beside), "{payload}");
        }
    }

    #[test]
    fn a_mistake_is_permanent_and_names_its_place() {
        let table = [
            (
                r#"{"sise":3}"#,
                "task type `x` cannot use `sise` in the payload: \
                 unknown field `sise`, expected `size`",
            ),
            (
                r#"{"size":"big"}"#,
                "task type `x` cannot use `size` in the payload: \
                 invalid type: string \"big\", expected u32",
            ),
            (
                "7",
                "task type `x` cannot use the payload: \
                 invalid type: integer `7`, expected struct Spec",
            ),
        ];
        for (payload, sentence) in table {
            let error = read::<Spec>("x", payload.as_bytes()).expect_err(payload);
            assert_eq!(error, JobError::Permanent(sentence.to_owned()));
        }
    }

    #[test]
    fn what_is_handed_on_follows_one_rule() {
        let raw = |json: &str| RawValue::from_string(json.to_owned()).expect(json);
        let (object, text) = (raw(r#"{"a":1.0}"#), raw(r#""plain\ntext""#));
        let upstream = Beside::Upstream(object.clone());
        let workflow = Beside::Workflow(object.clone());
        let table = [
            (None, None, None),
            (Some(&object), None, Some(r#"{"a":1.0}"#)),
            (Some(&text), None, Some("plain\ntext")),
            (
                None,
                Some(&upstream),
                Some(r#"{"input":null,"upstream":{"a":1.0}}"#),
            ),
            (
                Some(&text),
                Some(&upstream),
                Some(r#"{"input":"plain\ntext","upstream":{"a":1.0}}"#),
            ),
            (
                None,
                Some(&workflow),
                Some(r#"{"input":null,"workflow":{"a":1.0}}"#),
            ),
        ];
        for (input, beside, expected) in table {
            let handed = handed_on(input.map(|raw| &**raw), beside);
            assert_eq!(handed.as_deref(), expected.map(str::as_bytes));
        }
    }
}
