//! Building a definition in Rust.
//!
//! Nothing is checked here: validation finds every mistake at once when the definition is
//! submitted, with the same words and places as for one read from a file. Only what a definition
//! could not hold is noted here, and told then: a payload without a JSON form, a tag that is none.

mod hook;
mod job;
mod step;
#[cfg(test)]
mod tests;

use std::time::Duration;

use paceline_types::workflow::{DefinitionError, Hook, WorkflowHooks};
use paceline_types::{Priority, RetryPolicy, WorkflowDefinition};

pub use self::hook::HookStep;
pub use self::step::Step;

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
///     .on_failure("pager.call")
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
        let place = format!("tasks[{}]", self.definition.tasks.len());
        let (task, mistakes) = step.into_parts();
        self.mistakes.extend(within(&place, mistakes));
        self.definition.tasks.push(task);
        self
    }

    /// Adds many tasks.
    pub fn tasks(self, steps: impl IntoIterator<Item = Step>) -> Self {
        steps.into_iter().fold(self, WorkflowBuilder::task)
    }

    /// The workflow fails when it has run for longer than this. Each attempt has the whole time.
    pub fn execution_timeout(mut self, timeout: Duration) -> Self {
        self.definition.execution_timeout = Some(timeout);
        self
    }

    /// Priority of tasks that name none.
    pub fn default_priority(mut self, priority: Priority) -> Self {
        self.definition.default_priority = Some(priority);
        self
    }

    /// How often, and after which waits, the workflow is tried again when it failed: what failed
    /// runs again, what completed is kept. Without it, once.
    pub fn retry_policy(mut self, policy: RetryPolicy) -> Self {
        self.definition.retry_policy = Some(policy);
        self
    }

    /// A job that ends before the first task begins.
    pub fn on_init(self, hook: impl Into<HookStep>) -> Self {
        self.hook(Hook::Init, hook.into())
    }

    /// A job that runs after the workflow completed.
    pub fn on_success(self, hook: impl Into<HookStep>) -> Self {
        self.hook(Hook::Success, hook.into())
    }

    /// A job that runs after the workflow failed, timed out or was cancelled.
    pub fn on_failure(self, hook: impl Into<HookStep>) -> Self {
        self.hook(Hook::Failure, hook.into())
    }

    /// A job that runs at the end, whatever it was, after the hook of that.
    pub fn on_exit(self, hook: impl Into<HookStep>) -> Self {
        self.hook(Hook::Exit, hook.into())
    }

    fn hook(mut self, moment: Hook, hook: HookStep) -> Self {
        let (hook, mistake) = hook.into_parts();
        let place = format!("hooks.{}", moment.as_str());
        // The last word about a moment counts, also about what is wrong with it.
        self.mistakes
            .retain(|mistake| mistake.path != format!("{place}.payload"));
        self.mistakes.extend(within(&place, mistake));
        let hooks = self
            .definition
            .hooks
            .get_or_insert_with(WorkflowHooks::default);
        let hook = Some(hook);
        match moment {
            Hook::Init => hooks.on_init = hook,
            Hook::Success => hooks.on_success = hook,
            Hook::Failure => hooks.on_failure = hook,
            Hook::Exit => hooks.on_exit = hook,
        }
        self
    }

    /// The definition, not validated yet.
    ///
    /// # Errors
    /// Everything that a definition cannot hold, such as a payload without a JSON form.
    pub fn build(self) -> Result<WorkflowDefinition, Vec<DefinitionError>> {
        if self.mistakes.is_empty() {
            Ok(self.definition)
        } else {
            Err(self.mistakes)
        }
    }
}

/// Mistakes of a part, with the place of the part.
fn within(
    place: &str,
    mistakes: impl IntoIterator<Item = DefinitionError>,
) -> impl Iterator<Item = DefinitionError> {
    mistakes.into_iter().map(move |mistake| DefinitionError {
        path: format!("{place}.{}", mistake.path),
        problem: mistake.problem,
    })
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
