//! Workflows: the definition that a caller writes, its validation, the plan that comes of it,
//! what is kept of an instance, and how an instance reads.

mod definition;
mod draw;
mod instance;
mod limits;
mod plan;
mod record;
mod section;
mod task;
mod validate;

pub use definition::{
    DefinitionError, HOOK_PREFIX, Hook, HookDefinition, ResultFrom, WorkflowDefinition,
    WorkflowHooks,
};
pub use draw::{Graph, GraphFormat};
pub use instance::{MapProgress, TaskResult, TaskState, Workflow, WorkflowSignal, WorkflowStatus};
pub use plan::{
    MapItems, Plan, PlannedHook, PlannedPrecondition, PlannedTask, Route, Routes, UpstreamTasks,
    Work, element_of, object, with_upstream,
};
pub use record::{Ending, Header, Stage, TaskRecord};
pub use section::{Origin, Section, SectionBody};
pub use task::{Precondition, ResultReuse, TaskDefinition, TaskKind};
pub use validate::{MAX_DEPENDENCIES, MAX_ELEMENTS, MAX_LOOP, MAX_ROUTES, MAX_TASKS, TakenNames};
