//! One task in the making: what it is, and what it waits for.

use paceline_types::Task;
use paceline_types::workflow::{
    DefinitionError, Precondition, ResultFrom, TaskDefinition, TaskKind,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use super::{IntoDefinition, within};

/// The only type of precondition that there is.
const UPSTREAM_OUTPUT: &str = "upstream_output";

/// One task of a workflow in the making.
///
/// Written and read as JSON it is a
/// [`TaskDefinition`](paceline_types::workflow::TaskDefinition), so the handler of a subflow may
/// answer [`Tasks<Step>`](paceline_types::handler::Tasks).
#[derive(Clone, Debug)]
#[must_use = "a task does nothing until it is added to a workflow"]
pub struct Step {
    pub(super) task: TaskDefinition,
    mistakes: Vec<DefinitionError>,
}

impl Step {
    /// A task of any task type; its name must be unique in the workflow.
    pub fn new(name: impl Into<String>, task_type: impl Into<String>) -> Step {
        Step::of_kind(TaskKind::Static, name, task_type)
    }

    /// A typed task, which is its own payload.
    pub fn of<T: Task>(name: impl Into<String>, task: &T) -> Step {
        Step::new(name, T::TYPE).payload(task)
    }

    /// A task whose handler says which route the workflow takes: it answers `{"route": n}`, a
    /// [`Route`](paceline_types::handler::Route). Give it its routes with [`Step::route`].
    ///
    /// ```
    /// # use paceline_client::{Step, WorkflowBuilder};
    /// let shop = WorkflowBuilder::new("shop")
    ///     .task(Step::condition("in-stock", "stock.check").route(0, "ship").route(1, "order"))
    ///     .task(Step::new("ship", "parcel.send").after(["in-stock"]))
    ///     .task(Step::new("order", "supplier.order").after(["in-stock"]));
    /// # assert!(shop.build().unwrap().validate(1024).is_ok());
    /// ```
    pub fn condition(name: impl Into<String>, task_type: impl Into<String>) -> Step {
        Step::of_kind(TaskKind::Condition, name, task_type)
    }

    /// A condition without a handler: `[not] path op value`. Route 0 is taken where it is true,
    /// else route 1; a route that it does not have leads nowhere.
    ///
    /// ```
    /// # use paceline_client::Step;
    /// let large = Step::expression("large", "tasks.count.output.rows gt 1000")
    ///     .after(["count"])
    ///     .route(0, "split");
    /// # let _ = large;
    /// ```
    pub fn expression(name: impl Into<String>, condition: impl Into<String>) -> Step {
        let mut step = Step::of_kind(TaskKind::Condition, name, "");
        step.task.condition = Some(condition.into());
        step
    }

    /// A task whose handler answers further tasks, `{"tasks": [...]}`, as
    /// [`Tasks`](paceline_types::handler::Tasks): whoever depends on it waits for them.
    pub fn subflow(name: impl Into<String>, task_type: impl Into<String>) -> Step {
        Step::of_kind(TaskKind::Subflow, name, task_type)
    }

    /// One job of this task type for each element of an array; its result is the array of theirs,
    /// in order. The array comes from [`Step::over`] or [`Step::items`].
    ///
    /// ```
    /// # use paceline_client::{Step, WorkflowBuilder};
    /// # use serde_json::json;
    /// let resize = WorkflowBuilder::new("resize")
    ///     .task(Step::new("list", "files.list"))
    ///     .task(
    ///         Step::map("resize", "image.resize")
    ///             .after(["list"])
    ///             .items("{{tasks.list.output.files}}")
    ///             .payload(json!({ "image": "{{item.name}}", "place": "{{index}}" }))
    ///             .window(20),
    ///     );
    /// # resize.build().unwrap();
    /// ```
    pub fn map(name: impl Into<String>, task_type: impl Into<String>) -> Step {
        Step::of_kind(TaskKind::Map, name, task_type)
    }

    /// A workflow of its own, whose input is the payload: the task ends as it does, with its output
    /// as the result.
    pub fn child(name: impl Into<String>, definition: impl IntoDefinition) -> Step {
        let mut step = Step::of_kind(TaskKind::Static, name, "");
        match definition.into_definition() {
            Ok(definition) => step.task.child_workflow_def = Some(Box::new(definition)),
            Err(mistakes) => step.mistakes.extend(within("child_workflow_def", mistakes)),
        }
        step
    }

    /// Waits for a signal of the task's own name, or of the one that [`Step::named`] gives; its
    /// payload is the result. It fails after [`Step::timeout`].
    pub fn signal(name: impl Into<String>) -> Step {
        Step::of_kind(TaskKind::Signal, name, "")
    }

    fn of_kind(kind: TaskKind, name: impl Into<String>, task_type: impl Into<String>) -> Step {
        Step {
            task: TaskDefinition {
                name: name.into(),
                task_type: task_type.into(),
                kind,
                ..TaskDefinition::default()
            },
            mistakes: Vec::new(),
        }
    }

    /// What the handler is given, written as JSON. Text in it may refer to other values:
    /// `{{input.order.id}}`, `{{tasks.NAME.output.total}}`.
    pub fn payload(mut self, payload: impl Serialize) -> Self {
        self.task.payload = self.taken("payload", written("payload", &payload));
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

    /// Skips the task, and lets its dependents run, unless `path` in the result of a task named in
    /// [`Step::after`] reads as `expected`; adds to earlier ones.
    ///
    /// Numbers are compared without trailing zeros, null and what is missing read as nothing,
    /// arrays and objects as compact JSON. An empty path means the whole result.
    pub fn precondition(
        mut self,
        task: impl Into<String>,
        path: impl Into<String>,
        expected: impl Into<String>,
    ) -> Self {
        self.task.preconditions.push(Precondition {
            kind: UPSTREAM_OUTPUT.to_owned(),
            task: task.into(),
            path: path.into(),
            expected: expected.into(),
        });
        self
    }

    /// Of a condition: the task that a route leads to. One that the condition waits for, directly or
    /// not, begins that part of the workflow anew.
    pub fn route(mut self, number: u32, task: impl Into<String>) -> Self {
        self.task.condition_routes.insert(number, task.into());
        self
    }

    /// [`Step::route`] for each of these tasks: the first is route 0.
    pub fn routes<I: IntoIterator<Item: Into<String>>>(self, tasks: I) -> Self {
        (0..)
            .zip(tasks)
            .fold(self, |step, (number, task)| step.route(number, task))
    }

    /// Of a condition: how often it may be evaluated since it, or what it is part of, began.
    /// Without it, 100 times.
    pub fn max_iterations(mut self, evaluations: u32) -> Self {
        self.task.max_iterations = evaluations;
        self
    }

    /// Of a map: the array is the result of a task named in [`Step::after`].
    pub fn over(self, task: impl Into<String>) -> Self {
        self.result_from(task)
    }

    /// Of a map: the array, or text that refers to one, such as `{{tasks.list.output.files}}`.
    pub fn items(mut self, items: impl Serialize) -> Self {
        self.task.items = self.taken("items", written("items", &items));
        self
    }

    /// Of a map: how many elements may be under way at once. Without it, 100.
    pub fn window(mut self, elements: u32) -> Self {
        self.task.window = elements;
        self
    }

    /// Of a signal: the name that it waits for, in place of the task's own.
    pub fn named(mut self, signal: impl Into<String>) -> Self {
        self.task.signal = Some(signal.into());
        self
    }

    /// What could be made of a value for a field; what was wrong with an earlier one is forgotten.
    fn taken<T>(&mut self, field: &str, value: Result<T, DefinitionError>) -> Option<T> {
        self.mistakes.retain(|mistake| mistake.path != field);
        value.map_err(|mistake| self.mistakes.push(mistake)).ok()
    }

    /// Notes what a definition cannot hold.
    pub(super) fn wrong(&mut self, field: &str, problem: &impl ToString) {
        self.mistakes.push(DefinitionError {
            path: field.to_owned(),
            problem: problem.to_string(),
        });
    }

    pub(super) fn into_parts(self) -> (TaskDefinition, Vec<DefinitionError>) {
        (self.task, self.mistakes)
    }
}

/// A value as a definition holds it.
pub(super) fn written(
    field: &str,
    value: &impl Serialize,
) -> Result<Box<RawValue>, DefinitionError> {
    serde_json::value::to_raw_value(value).map_err(|error| DefinitionError {
        path: field.to_owned(),
        problem: format!("cannot be written as JSON: {error}"),
    })
}

impl Serialize for Step {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.mistakes.first() {
            None => self.task.serialize(serializer),
            Some(mistake) => Err(serde::ser::Error::custom(format!(
                "task {}: {mistake}",
                self.task.name
            ))),
        }
    }
}

impl<'de> Deserialize<'de> for Step {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Step, D::Error> {
        Ok(Step {
            task: TaskDefinition::deserialize(deserializer)?,
            mistakes: Vec::new(),
        })
    }
}
