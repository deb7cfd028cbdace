//! Workflows inside of tasks.

use bytes::Bytes;

use super::Reader;
use crate::workflow::plan::Work;
use crate::workflow::{Origin, TaskDefinition};

impl Reader<'_> {
    pub(super) fn read_child(&mut self, place: u32, task: &TaskDefinition) -> Option<Work> {
        const FIELD: &str = "child_workflow_def";
        let child = task.child_workflow_def.as_deref()?;
        if let Some(rules) = self.rules {
            let depth = rules.depth + 1;
            if depth > Origin::MAX_DEPTH {
                let problem = format!(
                    "the definitions are more than {} deep in each other; start this workflow from \
                     a handler instead",
                    Origin::MAX_DEPTH
                );
                self.wrong_in(place, FIELD, problem);
                return None;
            }
            for error in child
                .validate_at(rules.max_payload, depth)
                .err()
                .unwrap_or_default()
            {
                let field = match error.path.as_str() {
                    "definition" => FIELD.to_owned(),
                    path => format!("{FIELD}.{path}"),
                };
                self.wrong_in(place, &field, error.problem);
            }
        }
        match serde_json::to_vec(child) {
            Ok(definition) => Some(Work::Child {
                definition: Bytes::from(definition),
                beside: child.has_limits(),
            }),
            Err(error) => {
                self.wrong_in(place, FIELD, format!("cannot be written as JSON: {error}"));
                None
            }
        }
    }
}
