//! What a caller writes: a DAG of tasks.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::task::TaskDefinition;
use crate::duration;
use crate::reading::from_json;
use crate::{Priority, RetryPolicy};

/// A DAG of tasks. Read from JSON with [`WorkflowDefinition::from_json`], or built in Rust; it is
/// only accepted after validation.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a workflow: an object with a name and tasks"
)]
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
    /// How often, and after which waits, a workflow that failed is tried again: what failed runs
    /// again, what completed is kept. Without it, once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_policy: Option<RetryPolicy>,
    /// Jobs at its beginning and its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hooks: Option<WorkflowHooks>,
}

/// Jobs at moments of a workflow's life. What they come to never changes its outcome.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkflowHooks {
    /// Ends before the first task begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_init: Option<HookDefinition>,
    /// After it completed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_success: Option<HookDefinition>,
    /// After it failed, timed out or was cancelled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<HookDefinition>,
    /// After either of them has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_exit: Option<HookDefinition>,
}

impl WorkflowHooks {
    /// The hook of a moment.
    #[must_use]
    pub fn get(&self, hook: Hook) -> Option<&HookDefinition> {
        match hook {
            Hook::Init => self.on_init.as_ref(),
            Hook::Success => self.on_success.as_ref(),
            Hook::Failure => self.on_failure.as_ref(),
            Hook::Exit => self.on_exit.as_ref(),
        }
    }
}

/// A moment of a workflow's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Hook {
    /// Before the first task.
    Init,
    /// It completed.
    Success,
    /// It failed, timed out or was cancelled.
    Failure,
    /// After either.
    Exit,
}

impl Hook {
    /// Every hook, in the order in which they run.
    pub const ALL: [Hook; 4] = [Hook::Init, Hook::Success, Hook::Failure, Hook::Exit];

    /// The first index of a task that is a hook: no task of a definition comes so far.
    pub const FIRST_INDEX: u32 = u32::MAX - 7;

    /// The field of a definition that names it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Hook::Init => "on_init",
            Hook::Success => "on_success",
            Hook::Failure => "on_failure",
            Hook::Exit => "on_exit",
        }
    }

    /// The name of the task that its job executes, such as `__hook.on_exit`; no other task may
    /// begin so.
    #[must_use]
    pub fn task_name(self) -> String {
        format!("{HOOK_PREFIX}{}", self.as_str())
    }

    /// The hook whose task has this name.
    #[must_use]
    pub fn of_task_name(name: &str) -> Option<Hook> {
        let name = name.strip_prefix(HOOK_PREFIX)?;
        Hook::ALL.into_iter().find(|hook| hook.as_str() == name)
    }

    /// The index that its records and jobs have; see [`TaskRecord`](super::TaskRecord).
    #[must_use]
    pub fn index(self) -> u32 {
        Hook::FIRST_INDEX
            + match self {
                Hook::Init => 0,
                Hook::Success => 1,
                Hook::Failure => 2,
                Hook::Exit => 3,
            }
    }

    /// The hook of an index.
    #[must_use]
    pub fn of_index(index: u32) -> Option<Hook> {
        Hook::ALL.into_iter().find(|hook| hook.index() == index)
    }
}

/// What the names of tasks that are hooks begin with.
pub const HOOK_PREFIX: &str = "__hook.";

/// One hook: a job.
///
/// Its handler is given `{"original": <payload>, "workflow": {"id", "name", "status", "error"}}`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HookDefinition {
    /// Which handler runs it.
    pub task_type: String,
    /// Given to the handler, as `original`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<Box<RawValue>>,
    /// Longest execution of one attempt.
    #[serde(
        default,
        with = "duration::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub timeout: Option<Duration>,
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
        from_json(text)
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
