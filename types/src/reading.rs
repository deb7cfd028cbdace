//! Definitions from JSON: what is wrong is told with its place.

use serde::de::DeserializeOwned;

use crate::nearest::nearest;
use crate::workflow::DefinitionError;

/// Where what concerns the whole stands.
const WHOLE: &str = "definition";

/// Reads an object.
pub(crate) fn from_json<T: DeserializeOwned>(text: &str) -> Result<T, DefinitionError> {
    let whole = |problem: String| DefinitionError {
        path: WHOLE.to_owned(),
        problem,
    };
    // A list would be read as the fields in their order.
    if text.trim_start().starts_with('[') {
        let problem = "a list stands where an object with named fields must stand";
        return Err(whole(problem.to_owned()));
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let read = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        let error = error.into_inner();
        let problem = meant(&error.to_string());
        match path.as_str() {
            "." | "" => whole(problem),
            // Before a field had a name; line and column say where.
            unnamed if unnamed.ends_with('?') => whole(problem),
            _ => DefinitionError { path, problem },
        }
    })?;
    deserializer
        .end()
        .map_err(|error| whole(error.to_string()))?;
    Ok(read)
}

/// The problem with the field that was meant, where one is near enough.
fn meant(problem: &str) -> String {
    let unknown = || {
        let (field, others) = problem
            .strip_prefix("unknown field `")?
            .split_once("`, expected one of ")?;
        let others = others.split('`').skip(1).step_by(2);
        Some(format!("; did you mean `{}`?", nearest(field, others)?))
    };
    let (sentence, place) = match problem.rfind(" at line ") {
        Some(at) => problem.split_at(at),
        None => (problem, ""),
    };
    let hint = unknown().unwrap_or_default();
    format!("{sentence}{hint}{place}")
}

#[cfg(test)]
mod tests {
    use crate::{BatchDefinition, ScheduleDefinition, WorkflowDefinition};

    #[test]
    fn what_is_wrong_says_where_and_what_was_meant() {
        let table = [
            (
                r#"{"name":"w","tasks":[{"name":"a","task_typ":"t"}]}"#,
                "tasks[0].task_typ: unknown field `task_typ`, expected one of `name`",
                "`headers`; did you mean `task_type`? at line 1 column ",
            ),
            (
                r#"{"name":"w","tasks":[{"name":"a","colour":"t"}]}"#,
                "tasks[0].colour: unknown field `colour`, expected one of `name`",
                "`headers` at line 1 column ",
            ),
            (
                r#"{"name":"w","tasks":[{"name":"a",}]}"#,
                "definition: trailing comma",
                " at line 1 column ",
            ),
            ("", "definition: EOF while parsing a value", ""),
            (
                "null",
                "definition: invalid type: null, expected a workflow: an object with a name and tasks",
                "",
            ),
            (
                r#"["w",[]]"#,
                "definition: a list stands where an object with named fields must stand",
                "",
            ),
            (
                r#"{"name":"w","tasks":["a"]}"#,
                "tasks[0]: invalid type: string \"a\", expected a task: an object with a name",
                "",
            ),
            (
                r#"{"name":"w","tasks":[]} 1"#,
                "definition: trailing characters",
                "",
            ),
        ];
        for (text, beginning, part) in table {
            let error = WorkflowDefinition::from_json(text)
                .expect_err(text)
                .to_string();
            assert!(
                error.starts_with(beginning) && error.contains(part),
                "{error}"
            );
        }
    }

    #[test]
    fn all_definitions_are_read_so() {
        let expected = "invalid type: null, expected a batch: an object with a name and items";
        let error = BatchDefinition::from_json("null").expect_err("null");
        assert_eq!(error.path, "definition");
        assert!(error.problem.starts_with(expected), "{error}");
        let error = ScheduleDefinition::from_json("[]").expect_err("a list");
        assert_eq!(error.path, "definition");
    }
}
