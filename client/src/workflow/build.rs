//! Building a definition in Rust.
//!
//! Nothing is checked here: validation finds every mistake at once when the definition is
//! submitted, with the same words and places as for one read from a file. Only a payload that
//! has no JSON form is noted here, since a definition could not hold it.

use std::time::Duration;

use paceline_types::workflow::{DefinitionError, ResultFrom, TaskDefinition};
use paceline_types::{Priority, RetryPolicy, Task, WorkflowDefinition};
use serde::Serialize;

/// A workflow in the making.
///
/// ```
/// use paceline_client::{Step, WorkflowBuilder};
/// use serde_json::json;
///
/// let etl = WorkflowBuilder::new("etl")
///     .task(Step::new("extract", "db.extract").payload(json!({ "table": "orders" })))
///     .task(Step::new("clean", "csv.clean").after(["extract"]).result_from("extract"))
///     .task(Step::new("notify", "mail.send").after(["clean"]).allow_failure())
///     .build()?;
/// etl.validate(256 * 1024)?;
/// # Ok::<(), Vec<paceline_client::DefinitionError>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a definition does nothing until it is submitted"]
pub struct WorkflowBuilder {
    definition: WorkflowDefinition,
    mistakes: Vec<DefinitionError>,
}

impl WorkflowBuilder {
    /// A workflow without tasks. The name is for readers and need not be unique.
    pub fn new(name: impl Into<String>) -> WorkflowBuilder {
        WorkflowBuilder {
            definition: WorkflowDefinition {
                name: name.into(),
                ..WorkflowDefinition::default()
            },
            mistakes: Vec::new(),
        }
    }

    /// Adds a task; it may depend on tasks that are added later.
    pub fn task(mut self, step: Step) -> Self {
        if let Some(problem) = step.unwritable {
            self.mistakes.push(DefinitionError {
                path: format!("tasks[{}].payload", self.definition.tasks.len()),
                problem,
            });
        }
        self.definition.tasks.push(step.task);
        self
    }

    /// Adds many tasks.
    pub fn tasks(self, steps: impl IntoIterator<Item = Step>) -> Self {
        steps.into_iter().fold(self, WorkflowBuilder::task)
    }

    /// The workflow fails when it has run for longer than this.
    pub fn execution_timeout(mut self, timeout: Duration) -> Self {
        self.definition.execution_timeout = Some(timeout);
        self
    }

    /// Priority of tasks that name none.
    pub fn default_priority(mut self, priority: Priority) -> Self {
        self.definition.default_priority = Some(priority);
        self
    }

    /// The definition, not validated yet.
    ///
    /// # Errors
    /// Every payload that cannot be written as JSON.
    pub fn build(self) -> Result<WorkflowDefinition, Vec<DefinitionError>> {
        if self.mistakes.is_empty() {
            Ok(self.definition)
        } else {
            Err(self.mistakes)
        }
    }
}

/// What [`submit_workflow`](crate::Client::submit_workflow) takes: a [`WorkflowDefinition`], or a
/// [`WorkflowBuilder`].
pub trait IntoDefinition {
    /// The definition, not validated yet.
    ///
    /// # Errors
    /// What keeps it from being one.
    fn into_definition(self) -> Result<WorkflowDefinition, Vec<DefinitionError>>;
}

impl IntoDefinition for WorkflowDefinition {
    fn into_definition(self) -> Result<WorkflowDefinition, Vec<DefinitionError>> {
        Ok(self)
    }
}

impl IntoDefinition for WorkflowBuilder {
    fn into_definition(self) -> Result<WorkflowDefinition, Vec<DefinitionError>> {
        self.build()
    }
}

/// One task of a workflow in the making.
#[derive(Clone, Debug)]
#[must_use = "a task does nothing until it is added to a workflow"]
pub struct Step {
    task: TaskDefinition,
    unwritable: Option<String>,
}

impl Step {
    /// A task of any task type; its name must be unique in the workflow.
    pub fn new(name: impl Into<String>, task_type: impl Into<String>) -> Step {
        Step {
            task: TaskDefinition {
                name: name.into(),
                task_type: task_type.into(),
                ..TaskDefinition::default()
            },
            unwritable: None,
        }
    }

    /// A typed task, which is its own payload.
    pub fn of<T: Task>(name: impl Into<String>, task: &T) -> Step {
        Step::new(name, T::TYPE).payload(task)
    }

    /// What the handler is given, written as JSON.
    pub fn payload(mut self, payload: impl Serialize) -> Self {
        match serde_json::value::to_raw_value(&payload) {
            Ok(payload) => {
                self.task.payload = Some(payload);
                self.unwritable = None;
            }
            Err(error) => self.unwritable = Some(format!("cannot be written as JSON: {error}")),
        }
        self
    }

    /// Starts only after these tasks have ended well; adds to earlier ones.
    pub fn after<I: IntoIterator<Item: Into<String>>>(mut self, tasks: I) -> Self {
        self.task
            .depends_on
            .extend(tasks.into_iter().map(Into::into));
        self
    }

    /// Hands the result of a task named in [`Step::after`] to the handler: its payload becomes
    /// `{"upstream": <result>, "original": <payload>}`.
    pub fn result_from(mut self, task: impl Into<String>) -> Self {
        self.task.result_from = Some(ResultFrom::One(task.into()));
        self
    }

    /// [`Step::result_from`] several tasks: `upstream` is an object, name to result.
    pub fn results_from<I: IntoIterator<Item: Into<String>>>(mut self, tasks: I) -> Self {
        let names = tasks.into_iter().map(Into::into).collect();
        self.task.result_from = Some(ResultFrom::Many(names));
        self
    }

    /// A dead job counts as done, and the dependents run.
    pub fn allow_failure(mut self) -> Self {
        self.task.allow_failure = true;
        self
    }

    /// Among tasks that become ready together, higher ones are dispatched first; also the
    /// priority of the job, where 1 to 10 stand for themselves. 0 means the workflow's default.
    pub fn priority(mut self, priority: i64) -> Self {
        self.task.priority = priority;
        self
    }

    /// When a failed run is tried again, in place of the handler's policy.
    pub fn retry_policy(mut self, policy: RetryPolicy) -> Self {
        self.task.retry_policy = Some(policy);
        self
    }

    /// Longest execution of one attempt, in place of the handler's.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.task.timeout = Some(timeout);
        self
    }

    /// Only nodes that serve this version of the handler run it.
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.task.version = Some(version.into());
        self
    }

    /// Adds a header for the handler.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.task.headers.insert(name.into(), value.into());
        self
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_built_definition_is_the_one_that_its_json_reads_as() {
        let built = WorkflowBuilder::new("etl")
            .task(Step::new("a", "x").payload(json!({"n": 1})).priority(8))
            .task(
                Step::new("b", "y")
                    .after(["a"])
                    .result_from("a")
                    .allow_failure()
                    .timeout(Duration::from_secs(90))
                    .header("h", "v"),
            )
            .task(
                Step::new("c", "y")
                    .after(["a"])
                    .after(["b"])
                    .results_from(["a", "b"]),
            )
            .execution_timeout(Duration::from_secs(60))
            .default_priority(Priority::LOW)
            .build()
            .expect("definition");
        let read = WorkflowDefinition::from_json(
            r#"{"name":"etl","execution_timeout":"1m","default_priority":1,"tasks":[
              {"name":"a","task_type":"x","payload":{"n":1},"priority":8},
              {"name":"b","task_type":"y","depends_on":["a"],"result_from":"a",
               "allow_failure":true,"timeout":"1m30s","headers":{"h":"v"}},
              {"name":"c","task_type":"y","depends_on":["a","b"],"result_from":["a","b"]}]}"#,
        )
        .expect("definition");
        let json =
            |definition: &WorkflowDefinition| serde_json::to_string(definition).expect("json");
        assert_eq!(json(&built), json(&read));
    }

    #[test]
    fn payloads_without_a_json_form_are_told_with_their_places() {
        let pairs = std::collections::HashMap::from([((1, 2), 3)]);
        let mistakes = WorkflowBuilder::new("w")
            .tasks([
                Step::new("a", "x").payload(&pairs),
                Step::new("b", "x").payload(1),
                Step::new("c", "x").payload(&pairs),
                Step::new("d", "x").payload(&pairs).payload("mended"),
            ])
            .build()
            .expect_err("keys are pairs");
        let paths: Vec<_> = mistakes.iter().map(|mistake| &mistake.path[..]).collect();
        assert_eq!(paths, ["tasks[0].payload", "tasks[2].payload"]);
    }
}
