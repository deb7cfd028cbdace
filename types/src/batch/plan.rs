//! What a batch needs to be carried out, without its items.

use std::time::Duration;

use bytes::Bytes;

use super::{BatchDefinition, BatchFailurePolicy, DEFAULT_CHUNK, ONETIME_NAME};
use crate::workflow::DefinitionError;
use crate::{JobSpec, Priority, RetryPolicy, TaskName, TaskType};

/// A batch without its items, ready to be carried out.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchPlan {
    /// For readers.
    pub name: String,
    /// What runs before the items.
    pub onetime: Option<Onetime>,
    /// Which handler runs each item.
    pub item_type: TaskType,
    /// How many items it has; at least one.
    pub total: u32,
    /// Most items that are dispatched and have not ended, at any time.
    pub window: u32,
    /// What the failure of an item means for the others.
    pub failure_policy: BatchFailurePolicy,
    /// Retry policy of each item, in place of the handler's.
    pub item_retry_policy: Option<RetryPolicy>,
    /// Longest time that one attempt of it may take.
    pub execution_timeout: Option<Duration>,
    /// How often it is tried.
    pub retry_policy: Option<RetryPolicy>,
    /// Of all its jobs.
    pub priority: Priority,
}

/// What runs once before the items.
#[derive(Clone, Debug, PartialEq)]
pub struct Onetime {
    /// Which handler.
    pub task_type: TaskType,
    /// What it is given.
    pub payload: Bytes,
}

impl BatchPlan {
    /// Makes a plan of a definition that was validated when it was accepted; `total` is how many
    /// items it had, as they are not kept in it.
    ///
    /// # Errors
    /// When it cannot be the one that was accepted: a task type does not parse.
    pub fn restore(definition: &BatchDefinition, total: u32) -> Result<BatchPlan, DefinitionError> {
        let task_type = |path: &str, text: &str| {
            TaskType::new(text).map_err(|error| DefinitionError {
                path: path.to_owned(),
                problem: error.to_string(),
            })
        };
        let onetime = definition.onetime_task_type.as_deref();
        let onetime = onetime
            .map(|text| {
                let payload = definition.onetime_payload.as_ref();
                let payload = payload.map_or(&b"null"[..], |payload| payload.get().as_bytes());
                Ok(Onetime {
                    task_type: task_type("onetime_task_type", text)?,
                    payload: Bytes::copy_from_slice(payload),
                })
            })
            .transpose()?;
        Ok(BatchPlan {
            name: definition.name.clone(),
            onetime,
            item_type: task_type("item_task_type", &definition.item_task_type)?,
            total,
            window: match definition.chunk_size {
                0 => DEFAULT_CHUNK,
                size => size,
            },
            failure_policy: definition.failure_policy,
            item_retry_policy: definition.item_retry_policy.clone(),
            execution_timeout: definition.execution_timeout,
            retry_policy: definition.retry_policy.clone(),
            priority: definition.default_priority.unwrap_or_default(),
        })
    }

    /// What an item's job asks for, with this payload.
    #[must_use]
    pub fn item_spec(&self, payload: Bytes) -> JobSpec {
        let mut spec = JobSpec::new(self.item_type.clone(), payload);
        spec.priority = self.priority;
        spec.retry_policy.clone_from(&self.item_retry_policy);
        spec
    }

    /// What the job of the onetime task asks for; none without one.
    #[must_use]
    pub fn onetime_spec(&self) -> Option<JobSpec> {
        let onetime = self.onetime.as_ref()?;
        let mut spec = JobSpec::new(onetime.task_type.clone(), onetime.payload.clone());
        spec.priority = self.priority;
        Some(spec)
    }

    /// Executions of the batch that its policy allows.
    #[must_use]
    pub fn max_attempts(&self) -> u32 {
        let policy = self.retry_policy.as_ref();
        policy.map_or(1, |policy| policy.max_attempts)
    }

    /// The name that the onetime task has as the upstream of the items; always there.
    #[must_use]
    pub fn onetime_name() -> Option<TaskName> {
        TaskName::new(ONETIME_NAME).ok()
    }

    /// Bytes that the plan takes in memory, about.
    #[must_use]
    pub fn footprint(&self) -> usize {
        let payload = self
            .onetime
            .as_ref()
            .map_or(0, |onetime| onetime.payload.len());
        size_of::<BatchPlan>() + self.name.len() + payload + 128
    }
}
