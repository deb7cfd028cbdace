//! What a caller writes: a DAG of tasks.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::duration;
use crate::{Priority, RetryPolicy};

/// A DAG of tasks. Read from JSON with [`WorkflowDefinition::from_json`], or built in Rust; it is
/// only accepted after validation.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkflowDefinition {
    /// For readers; need not be unique.
    pub name: String,
    /// At least one task, names unique.
    pub tasks: Vec<TaskDefinition>,
    /// The workflow fails when it has run for longer than this.
    #[serde(
        default,
        with = "duration::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub execution_timeout: Option<Duration>,
    /// Priority of tasks that name none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_priority: Option<Priority>,
}

/// One node of the DAG; executes as a job.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskDefinition {
    /// Unique in the workflow.
    pub name: String,
    /// Which handler runs it.
    pub task_type: String,
    /// Given to the handler.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<Box<RawValue>>,
    /// Tasks that must have ended well before this one starts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<String>,
    /// Among tasks that become ready together, higher ones are dispatched first; from 1 to 10 it
    /// is also the priority of the job. 0 means the workflow's default.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub priority: i64,
    /// A dead job counts as done, and the dependents run.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_failure: bool,
    /// Upstream results to hand to the handler: the payload becomes
    /// `{"upstream": …, "original": <payload>}`. Each name must be in `depends_on`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result_from: Option<ResultFrom>,
    /// Retry policy of the job, in place of the handler's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_policy: Option<RetryPolicy>,
    /// Longest execution of one attempt.
    #[serde(
        default,
        with = "duration::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub timeout: Option<Duration>,
    /// Only nodes that serve this version of the handler run it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Seen by the handler.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the form that serde calls"
)]
fn is_zero(value: &i64) -> bool {
    *value == 0
}

/// Whose results a task is given.
///
/// One name: `upstream` is that result. A list: `upstream` is an object, name to result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResultFrom {
    /// The result itself.
    One(String),
    /// An object of results by name.
    Many(Vec<String>),
}

impl ResultFrom {
    /// The tasks named, in order.
    #[must_use]
    pub fn names(&self) -> &[String] {
        match self {
            ResultFrom::One(name) => std::slice::from_ref(name),
            ResultFrom::Many(names) => names,
        }
    }
}

impl Serialize for ResultFrom {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            ResultFrom::One(name) => serializer.serialize_str(name),
            ResultFrom::Many(names) => names.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for ResultFrom {
    // By hand: an untagged enum would hide which of its forms was meant behind one message.
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Names;
        impl<'de> serde::de::Visitor<'de> for Names {
            type Value = ResultFrom;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("the name of a task, or a list of names")
            }

            fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<ResultFrom, E> {
                Ok(ResultFrom::One(name.to_owned()))
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(
                self,
                mut seq: A,
            ) -> Result<ResultFrom, A::Error> {
                let mut names = Vec::new();
                while let Some(name) = seq.next_element()? {
                    names.push(name);
                }
                Ok(ResultFrom::Many(names))
            }
        }
        deserializer.deserialize_any(Names)
    }
}

/// Why a text is not a definition: one mistake with the path of its place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {problem}")]
pub struct DefinitionError {
    /// Such as `tasks[3].depends_on`; `definition` for the whole.
    pub path: String,
    /// What is wrong there.
    pub problem: String,
}

impl WorkflowDefinition {
    /// Reads a definition from JSON. Not validated yet.
    ///
    /// # Errors
    /// The first unknown field, missing field or wrong type, with its path.
    pub fn from_json(text: &str) -> Result<WorkflowDefinition, DefinitionError> {
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let definition = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
            let path = match error.path().to_string().as_str() {
                "." | "" => "definition".to_owned(),
                path => path.to_owned(),
            };
            DefinitionError {
                path,
                problem: error.into_inner().to_string(),
            }
        })?;
        deserializer.end().map_err(|error| DefinitionError {
            path: "definition".to_owned(),
            problem: error.to_string(),
        })?;
        Ok(definition)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_definition_of_the_reference_parses() {
        let text = r#"{"name":"etl","default_priority":8,"execution_timeout":60000000000,"tasks":[
            {"name":"a","task_type":"x","payload":{"n":123456789012345678901}},
            {"name":"b","task_type":"y","depends_on":["a"],"result_from":"a","priority":3,
             "allow_failure":true}]}"#;
        let definition = WorkflowDefinition::from_json(text).expect("definition");
        assert_eq!(definition.execution_timeout, Some(Duration::from_secs(60)));
        assert_eq!(
            definition.tasks[1].result_from,
            Some(ResultFrom::One("a".into()))
        );
        let payload = definition.tasks[0].payload.as_deref().expect("payload");
        assert_eq!(payload.get(), r#"{"n":123456789012345678901}"#);
    }

    #[test]
    fn a_mistake_names_its_place() {
        let table = [
            (
                r#"{"name":"x","tasks":[{"name":"a","task_type":"t","dependson":[]}]}"#,
                "tasks[0].dependson",
            ),
            (
                r#"{"name":"x","tasks":[{"name":"a","task_type":7}]}"#,
                "tasks[0].task_type",
            ),
            (r#"{"name":"x","tasks":{}}"#, "tasks"),
            (r#"{"tasks":[]}"#, "definition"),
            ("[]", "definition"),
            (
                r#"{"name":"x","tasks":[{"name":"a","task_type":"t","timeout":"5"}]}"#,
                "tasks[0].timeout",
            ),
        ];
        for (text, path) in table {
            let error = WorkflowDefinition::from_json(text).expect_err(text);
            assert_eq!(error.path, path, "{error}");
        }
    }
}
