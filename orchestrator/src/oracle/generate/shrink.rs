//! Smaller definitions, for the search for the smallest that goes wrong.

use paceline_types::workflow::{TaskDefinition, TaskKind, WorkflowDefinition, WorkflowHooks};

use super::routes::forget;

/// Definitions with one thing less each.
#[must_use]
pub fn shrunk(definition: &WorkflowDefinition) -> Vec<WorkflowDefinition> {
    let mut smaller = Vec::new();
    for place in 0..definition.tasks.len() {
        if definition.tasks.len() > 1 {
            smaller.push(without(definition, place));
        }
    }
    if definition.hooks.is_some() {
        smaller.push(WorkflowDefinition {
            hooks: None::<WorkflowHooks>,
            ..definition.clone()
        });
    }
    if definition.execution_timeout.is_some() {
        smaller.push(WorkflowDefinition {
            execution_timeout: None,
            ..definition.clone()
        });
    }
    for place in 0..definition.tasks.len() {
        let task = &definition.tasks[place];
        let mut variants: Vec<TaskDefinition> = Vec::new();
        let mut vary = |holds: bool, change: &dyn Fn(&mut TaskDefinition)| {
            if holds {
                let mut variant = task.clone();
                change(&mut variant);
                variants.push(variant);
            }
        };
        vary(!task.preconditions.is_empty(), &|task| {
            task.preconditions.clear()
        });
        vary(
            task.result_from.is_some() && task.kind != TaskKind::Map,
            &|task| task.result_from = None,
        );
        vary(task.payload.is_some(), &|task| task.payload = None);
        vary(task.priority != 0, &|task| task.priority = 0);
        vary(task.allow_failure, &|task| task.allow_failure = false);
        for on in &task.depends_on {
            vary(true, &|task| forget(task, on));
        }
        for number in task.condition_routes.keys() {
            vary(task.condition_routes.len() > 1, &|task| {
                task.condition_routes.remove(number);
            });
        }
        if let Some(child) = &task.child_workflow_def {
            for child in shrunk(child) {
                vary(true, &|task| {
                    task.child_workflow_def = Some(Box::new(child.clone()))
                });
            }
        }
        for variant in variants {
            let mut definition = definition.clone();
            definition.tasks[place] = variant;
            smaller.push(definition);
        }
    }
    smaller
}

fn without(definition: &WorkflowDefinition, place: usize) -> WorkflowDefinition {
    let mut definition = definition.clone();
    let gone = definition.tasks.remove(place).name;
    for task in &mut definition.tasks {
        forget(task, &gone);
        task.condition_routes.retain(|_, target| *target != gone);
    }
    definition
}
