//! What a definition says of the workflow as a whole.

use super::{MAX_NAME, Reader};
use crate::workflow::plan::{Head, PlannedHook};
use crate::workflow::{Hook, HookDefinition, WorkflowDefinition};
use crate::{RetryPolicy, TaskType};

impl Reader<'_> {
    pub(super) fn read_head(&mut self, definition: &WorkflowDefinition) -> Head {
        let hooks = definition.hooks.as_ref();
        let hooks = Hook::ALL.map(|hook| {
            let defined = hooks.and_then(|hooks| hooks.get(hook))?;
            self.read_hook(hook, defined)
        });
        Head {
            name: definition.name.clone(),
            execution_timeout: definition.execution_timeout,
            retry_policy: definition.retry_policy.clone(),
            hooks,
            default_priority: definition.default_priority.unwrap_or_default(),
        }
    }

    fn read_hook(&mut self, hook: Hook, defined: &HookDefinition) -> Option<PlannedHook> {
        let path = |field| format!("hooks.{}.{field}", hook.as_str());
        if self.rules.is_some() {
            if defined.timeout.is_some_and(|timeout| timeout.is_zero()) {
                let problem = "must be longer than zero; leave it out for the handler's own";
                self.wrong(path("timeout"), problem);
            }
            if let Some(payload) = defined.payload.as_deref() {
                self.fits(path("payload"), payload);
            }
        }
        match TaskType::new(&defined.task_type) {
            Ok(task_type) => Some(PlannedHook {
                task_type,
                payload: super::tasks::bytes_of(defined.payload.as_deref()),
                timeout: defined.timeout,
            }),
            Err(error) => {
                self.wrong(path("task_type"), error.to_string());
                None
            }
        }
    }

    pub(super) fn check_workflow(&mut self, definition: &WorkflowDefinition) {
        let name = &definition.name;
        if name.trim().is_empty() {
            self.wrong("name", "the workflow has no name; give it one");
        } else if name.len() > MAX_NAME {
            let problem = format!(
                "the workflow's name has {} bytes, at most {MAX_NAME} are allowed; shorten it",
                name.len()
            );
            self.wrong("name", problem);
        } else if let Some(character) = name.chars().find(|character| character.is_control()) {
            let problem =
                format!("the workflow's name contains {character:?}; use printable characters");
            self.wrong("name", problem);
        }
        if definition
            .execution_timeout
            .is_some_and(|timeout| timeout.is_zero())
        {
            let problem = "must be longer than zero; leave it out for no timeout";
            self.wrong("execution_timeout", problem);
        }
        let policy = definition.retry_policy.iter();
        for error in policy.flat_map(RetryPolicy::check) {
            self.wrong(format!("retry_policy.{}", error.field), error.problem);
        }
        if definition.tasks.is_empty() {
            self.wrong("tasks", "the workflow has no tasks; give it at least one");
        }
    }
}
