//! What a caller writes of one task.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use super::definition::{ResultFrom, WorkflowDefinition};
use crate::duration;
use crate::{LimitKey, RetryPolicy, Tag};

/// What a task is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskKind {
    /// A job; or a child workflow, if there is a definition of one.
    #[default]
    #[serde(rename = "")]
    Static,
    /// A job whose handler answers `{"route": n}`, or an expression: says which of its routes is
    /// taken.
    Condition,
    /// A job whose handler answers `{"tasks": [...]}`: they become tasks of the workflow.
    Subflow,
    /// One job for each element of an array; its result is the array of theirs.
    Map,
    /// No job: waits for a signal, whose payload is its result.
    Signal,
}

impl TaskKind {
    /// Whether it is the kind of a task that names none.
    #[must_use]
    pub fn is_static(&self) -> bool {
        *self == TaskKind::Static
    }
}

/// Whether what a task came to is kept when its workflow is tried again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ResultReuse {
    /// A task that completed does not run again.
    #[default]
    Always,
    /// It runs again.
    Never,
}

/// Something that must be true when a task's turn comes, or it is skipped.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Precondition {
    /// `upstream_output` is the only type.
    #[serde(rename = "type")]
    pub kind: String,
    /// The task whose result is looked at; must be in `depends_on`.
    #[serde(default)]
    pub task: String,
    /// Where in the result, such as `$.order.total` or `lines[0].sku`; empty for the whole.
    #[serde(default)]
    pub path: String,
    /// What must stand there, compared as text: numbers without trailing zeros, `true`, `false`,
    /// nothing for null and for what is missing, arrays and objects as compact JSON.
    #[serde(default)]
    pub expected: String,
}

/// One node of the DAG.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a task: an object with a name")]
pub struct TaskDefinition {
    /// Unique in the workflow.
    pub name: String,
    /// Which handler runs it, or each element of a map; empty where nothing runs (expressions,
    /// signals, child workflows).
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub task_type: String,
    /// Given to the handler. Text in it may refer to other values: `{{input.order.id}}`,
    /// `{{tasks.NAME.output.total}}`, in the payload of a map also `{{item.sku}}` and `{{index}}`.
    /// Of a child workflow: its input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<Box<RawValue>>,
    /// Tasks that must have ended well before this one starts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<String>,
    /// Among tasks that become ready together, higher ones are dispatched first; from 1 to 10 it
    /// is also the priority of the job. 0 means the workflow's default.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub priority: i64,
    /// A dead job counts as done, and the dependents run. Of a map: a dead element counts as done,
    /// and its result is null.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_failure: bool,
    /// Upstream results to hand to the handler: the payload becomes
    /// `{"upstream": …, "original": <payload>}`. Each name must be in `depends_on`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result_from: Option<ResultFrom>,
    /// What it is.
    #[serde(rename = "type", default, skip_serializing_if = "TaskKind::is_static")]
    pub kind: TaskKind,
    /// Of a condition: the task of each route. One that the condition waits for, directly or not,
    /// begins that part of the workflow anew.
    #[serde(
        default,
        deserialize_with = "routes",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub condition_routes: BTreeMap<u32, String>,
    /// Of a condition: how often it may be evaluated since it, or what it is part of, began; 0
    /// means 100.
    #[serde(default, skip_serializing_if = "is_none")]
    pub max_iterations: u32,
    /// Of a condition, in place of a handler: `[not] path op value`. Route 0 is taken if it is
    /// true, else route 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// Makes the task a workflow of its own, in place of a handler: the task ends as it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub child_workflow_def: Option<Box<WorkflowDefinition>>,
    /// All must be true when the task's turn comes, or it is skipped and its dependents run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub preconditions: Vec<Precondition>,
    /// Of a map: the array, or text that refers to one: `{{tasks.list.output.files}}`. Without it
    /// the result of `result_from`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<Box<RawValue>>,
    /// Of a map: how many elements may be under way at once; 0 means 100.
    #[serde(default, skip_serializing_if = "is_none")]
    pub window: u32,
    /// Of a signal: the name that it waits for; its own without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<String>,
    /// Whether what it came to is kept when the workflow is tried again.
    #[serde(default, skip_serializing_if = "is_always")]
    pub result_reuse: ResultReuse,
    /// Retry policy of the job, in place of the handler's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_policy: Option<RetryPolicy>,
    /// Longest execution of one attempt. Of a signal: longest wait.
    #[serde(
        default,
        with = "duration::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub timeout: Option<Duration>,
    /// Longest wait of the job before its first run.
    #[serde(
        default,
        with = "duration::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub schedule_to_start_timeout: Option<Duration>,
    /// Longest time from the start of the job's first run to its end.
    #[serde(
        default,
        with = "duration::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub max_duration: Option<Duration>,
    /// Longest silence of a run.
    #[serde(
        default,
        with = "duration::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub heartbeat_timeout: Option<Duration>,
    /// Limits that the job counts against.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<LimitKey>,
    /// Labels of the job.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Tag>,
    /// Keeps a trail of what happens to the job.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub audited: bool,
    /// Only nodes that serve this version of the handler run it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Seen by the handler.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
}

impl TaskDefinition {
    /// The name of the signal that it waits for; none of what waits for no signal.
    #[must_use]
    pub fn awaited_signal(&self) -> Option<&str> {
        (self.kind == TaskKind::Signal).then(|| self.signal.as_deref().unwrap_or(&self.name))
    }
}

/// The routes of a condition: keys are numbers, or strings of digits, as in JSON all keys are.
fn routes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<u32, String>, D::Error> {
    struct Routes;
    impl<'de> Visitor<'de> for Routes {
        type Value = BTreeMap<u32, String>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object of tasks by the number of the route")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut routes = BTreeMap::new();
            while let Some((RouteNumber(number), task)) = map.next_entry()? {
                if routes.insert(number, task).is_some() {
                    let problem = format!("route {number} is there twice; take one out");
                    return Err(de::Error::custom(problem));
                }
            }
            Ok(routes)
        }
    }
    deserializer.deserialize_map(Routes)
}

struct RouteNumber(u32);

impl<'de> Deserialize<'de> for RouteNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Number;
        impl Visitor<'_> for Number {
            type Value = RouteNumber;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("the number of a route, from 0")
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<RouteNumber, E> {
                let wrong = || E::invalid_value(de::Unexpected::Unsigned(number), &self);
                u32::try_from(number).map(RouteNumber).map_err(|_| wrong())
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<RouteNumber, E> {
                let wrong = || E::invalid_value(de::Unexpected::Signed(number), &self);
                u32::try_from(number).map(RouteNumber).map_err(|_| wrong())
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<RouteNumber, E> {
                let wrong = || E::invalid_value(de::Unexpected::Str(text), &self);
                text.parse().map(RouteNumber).map_err(|_| wrong())
            }
        }
        deserializer.deserialize_any(Number)
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the form that serde calls"
)]
fn is_zero(value: &i64) -> bool {
    *value == 0
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the form that serde calls"
)]
fn is_none(value: &u32) -> bool {
    *value == 0
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the form that serde calls"
)]
fn is_always(value: &ResultReuse) -> bool {
    *value == ResultReuse::Always
}

#[cfg(test)]
mod tests {
    use serde::de::IntoDeserializer;
    use serde::de::value::{Error, MapDeserializer};

    use super::*;

    fn read<'de, K: IntoDeserializer<'de, Error>>(
        keys: [K; 2],
    ) -> Result<BTreeMap<u32, String>, Error> {
        routes(MapDeserializer::new(keys.into_iter().zip(["x", "y"])))
    }

    /// In YAML the keys are numbers, in JSON they are strings.
    #[test]
    fn routes_are_read_by_number_and_by_text() {
        let expected = BTreeMap::from([(0, "x".to_owned()), (7, "y".to_owned())]);
        assert_eq!(read([0_u64, 7]), Ok(expected.clone()));
        assert_eq!(read([0_i64, 7]), Ok(expected.clone()));
        assert_eq!(read(["0", "7"]), Ok(expected));
        for problem in [
            read([0_i64, -7]).err(),
            read([0_u64, 1 << 40]).err(),
            read(["0", "x"]).err(),
            read([3_u64, 3]).err(),
        ] {
            assert!(problem.is_some());
        }
    }
}
