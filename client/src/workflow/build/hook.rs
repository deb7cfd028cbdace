//! Jobs at the beginning and the end of a workflow, in the making.

use std::time::Duration;

use paceline_types::Task;
use paceline_types::workflow::{DefinitionError, HookDefinition};
use serde::Serialize;

use super::step::written;

/// A hook of a workflow in the making; a task type alone is one as well.
///
/// Its handler is given a [`HookCall`](paceline_types::handler::HookCall): the workflow, and the
/// payload.
///
/// ```
/// use paceline_client::{HookStep, Step, WorkflowBuilder};
/// use serde_json::json;
///
/// let report = WorkflowBuilder::new("report")
///     .task(Step::new("make", "report.make"))
///     .on_failure(HookStep::new("mail.send").payload(json!({ "to": "owner" })))
///     .on_exit("scratch.clean");
/// # report.build().unwrap();
/// ```
#[derive(Clone, Debug)]
#[must_use = "a hook does nothing until it is given to a workflow"]
pub struct HookStep {
    hook: HookDefinition,
    mistake: Option<DefinitionError>,
}

impl HookStep {
    /// A hook of any task type.
    pub fn new(task_type: impl Into<String>) -> HookStep {
        HookStep {
            hook: HookDefinition {
                task_type: task_type.into(),
                ..HookDefinition::default()
            },
            mistake: None,
        }
    }

    /// A typed task, which is its own payload.
    pub fn of<T: Task>(task: &T) -> HookStep {
        HookStep::new(T::TYPE).payload(task)
    }

    /// What the handler is given as `original`, written as JSON.
    pub fn payload(mut self, payload: impl Serialize) -> Self {
        match written("payload", &payload) {
            Ok(payload) => {
                self.hook.payload = Some(payload);
                self.mistake = None;
            }
            Err(mistake) => self.mistake = Some(mistake),
        }
        self
    }

    /// Longest execution of one attempt, in place of the handler's.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.hook.timeout = Some(timeout);
        self
    }

    pub(super) fn into_parts(self) -> (HookDefinition, Option<DefinitionError>) {
        (self.hook, self.mistake)
    }
}

impl<T: Into<String>> From<T> for HookStep {
    fn from(task_type: T) -> HookStep {
        HookStep::new(task_type)
    }
}
