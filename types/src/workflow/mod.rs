//! Workflows: the definition that a caller writes, its validation, and how an instance stands.

mod definition;
mod instance;

pub use definition::{DefinitionError, ResultFrom, TaskDefinition, WorkflowDefinition};
pub use instance::{TaskState, Workflow, WorkflowStatus};
