//! What handlers of workflows are given, and what they answer, as Rust types.
//!
//! Each has a plain JSON form, so handlers in other languages do the same by hand.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::workflow::{TaskDefinition, WorkflowStatus};
use crate::{Task, WorkflowId};

/// What the handler of a condition answers: the number of the route to take, as `{"route": n}`.
///
/// Any other type that is written as an object with a field `route` does as well.
///
/// ```
/// # use paceline_types::Task;
/// # use paceline_types::handler::Route;
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct IsLarge { rows: u64 }
///
/// impl Task for IsLarge {
///     const TYPE: &'static str = "is-large";
///     type Output = Route;
/// }
///
/// fn decide(table: &IsLarge) -> Route {
///     Route(if table.rows > 1_000_000 { 0 } else { 1 })
/// }
/// # assert_eq!(serde_json::to_string(&decide(&IsLarge { rows: 7 })).expect("JSON"), r#"{"route":1}"#);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "RouteForm", from = "RouteForm")]
pub struct Route(pub u32);

#[derive(Serialize, Deserialize)]
struct RouteForm {
    route: u32,
}

impl From<Route> for RouteForm {
    fn from(Route(route): Route) -> RouteForm {
        RouteForm { route }
    }
}

impl From<RouteForm> for Route {
    fn from(form: RouteForm) -> Route {
        Route(form.route)
    }
}

/// What the handler of a subflow answers: tasks that become tasks of the workflow, as
/// `{"tasks": [...]}`. Without any, the subflow is done.
///
/// `T` is how the tasks are written: a [`TaskDefinition`], or a `Step` of the client.
///
/// ```
/// # use paceline_types::handler::Tasks;
/// # use paceline_types::workflow::TaskDefinition;
/// let task = |day: u8| TaskDefinition {
///     name: format!("day-{day}"),
///     task_type: "report".into(),
///     ..TaskDefinition::default()
/// };
/// let month: Tasks = (1..=31).map(task).collect();
/// # assert_eq!(month.tasks.len(), 31);
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Tasks<T = TaskDefinition> {
    /// In any order; they may depend on each other.
    pub tasks: Vec<T>,
}

impl<T> Default for Tasks<T> {
    fn default() -> Self {
        Tasks { tasks: Vec::new() }
    }
}

impl<T> FromIterator<T> for Tasks<T> {
    fn from_iter<I: IntoIterator<Item = T>>(tasks: I) -> Self {
        Tasks {
            tasks: tasks.into_iter().collect(),
        }
    }
}

impl<T> From<Vec<T>> for Tasks<T> {
    fn from(tasks: Vec<T>) -> Self {
        Tasks { tasks }
    }
}

impl<T, const N: usize> From<[T; N]> for Tasks<T> {
    fn from(tasks: [T; N]) -> Self {
        Tasks {
            tasks: tasks.into(),
        }
    }
}

/// What the handler of a task with `result_from` is given: `{"upstream": …, "original": …}`.
///
/// It is a task of the type of its payload `T`. `U` is the result of the one task that
/// `result_from` names, or an object of the results of all that it lists. The result of a task
/// that was skipped or passed by is null, and that of one whose failure is allowed is
/// `{"error": "…"}`, so let `U` be an `Option` or more where that may happen. A payload that the
/// definition does not give is null, which `T` may be written as: a unit struct is.
///
/// ```
/// # use paceline_types::Task;
/// # use paceline_types::handler::Upstream;
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Load { table: String }
///
/// impl Task for Load {
///     const TYPE: &'static str = "db.load";
///     type Output = usize;
/// }
///
/// fn load(job: &Upstream<Vec<String>, Load>) -> usize {
///     job.upstream.len() + job.original.table.len()
/// }
/// # let given = r#"{"upstream":["a"],"original":{"table":"t"}}"#;
/// # assert_eq!(load(&serde_json::from_str(given).expect("JSON")), 2);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upstream<U, T> {
    /// The result, or the results by name.
    pub upstream: U,
    /// The payload that the definition gives.
    pub original: T,
}

impl<U, T> Task for Upstream<U, T>
where
    U: Serialize + DeserializeOwned + Send + 'static,
    T: Task,
{
    const TYPE: &'static str = T::TYPE;
    type Output = T::Output;
}

/// What the handler of a hook is given: `{"workflow": …, "original": …}`.
///
/// It is a task of the type of its payload `T`, as [`Upstream`] is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookCall<T> {
    /// The workflow at whose beginning or end it is.
    pub workflow: HookedWorkflow,
    /// The payload that the definition gives; null without one.
    pub original: T,
}

/// A workflow as the handler of a hook is told of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookedWorkflow {
    /// Its id.
    pub id: WorkflowId,
    /// The definition's name.
    pub name: String,
    /// What it came to; `running` for the hook of the beginning.
    pub status: WorkflowStatus,
    /// Why it failed or was cancelled.
    #[serde(default)]
    pub error: Option<String>,
}

impl<T: Task> Task for HookCall<T> {
    const TYPE: &'static str = T::TYPE;
    type Output = T::Output;
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::ShardIndex;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Load {
        table: String,
    }

    impl Task for Load {
        const TYPE: &'static str = "db.load";
        type Output = ();
    }

    #[test]
    fn a_route_is_an_object() {
        assert_eq!(
            serde_json::to_value(Route(7)).ok(),
            Some(json!({"route": 7}))
        );
        let read = serde_json::from_value::<Route>(json!({"route": 7, "why": "x"}));
        assert_eq!(read.ok(), Some(Route(7)));
        assert!(serde_json::from_value::<Route>(json!(7)).is_err());
    }

    #[test]
    fn tasks_are_an_object_with_a_list() {
        let tasks = Tasks::from([TaskDefinition {
            name: "a".into(),
            task_type: "t".into(),
            ..TaskDefinition::default()
        }]);
        let text = r#"{"tasks":[{"name":"a","task_type":"t"}]}"#;
        assert_eq!(serde_json::to_string(&tasks).ok().as_deref(), Some(text));
        let read: Tasks = serde_json::from_str(text).expect("tasks");
        assert_eq!(read.tasks[0].name, "a");
        let none = serde_json::to_string(&Tasks::<TaskDefinition>::default());
        assert_eq!(none.ok().as_deref(), Some(r#"{"tasks":[]}"#));
    }

    /// Contract rows 72 and 75.
    #[test]
    fn upstream_results_are_read_beside_the_payload() {
        let given = r#"{"upstream":null,"original":{"table":"t"}}"#;
        let read: Upstream<Option<Vec<u8>>, Load> = serde_json::from_str(given).expect("given");
        assert_eq!(read.upstream, None);
        assert_eq!(read.original.table, "t");
        assert_eq!(<Upstream<u8, Load> as Task>::TYPE, "db.load");
    }

    /// Contract row 81.
    #[test]
    fn a_hook_is_told_of_its_workflow() {
        let id = WorkflowId::from_parts(1, ShardIndex(0), 1);
        let given = json!({
            "original": {"table": "t"},
            "workflow": {"id": id, "name": "etl", "status": "cancelled", "error": "cancelled: why"},
        });
        let read: HookCall<Load> = serde_json::from_value(given).expect("given");
        assert_eq!(read.workflow.status, WorkflowStatus::Cancelled);
        assert_eq!(read.workflow.error.as_deref(), Some("cancelled: why"));
        let begun = json!({
            "original": {"table": "t"},
            "workflow": {"id": id, "name": "etl", "status": "running", "error": null},
        });
        let read: HookCall<Load> = serde_json::from_value(begun).expect("given");
        assert_eq!(read.workflow.error, None);
    }
}
