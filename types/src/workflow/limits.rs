//! Which shard a workflow must live in because its jobs count against limits.
//!
//! A limit is kept in the shard that its key leads to, and one script sees one shard. So all
//! limits of a workflow and of its children lead to one shard, in which all of them live.

use super::{DefinitionError, WorkflowDefinition};
use crate::{LimitKey, ShardIndex};

impl WorkflowDefinition {
    /// Whether a job of it, or of one of its children, counts against a limit.
    #[must_use]
    pub fn has_limits(&self) -> bool {
        let mut found = false;
        self.each_limit("", &mut |_, _| found = true);
        found
    }

    /// The shard that its limits lead to, of `shards` in all; none without limits.
    ///
    /// # Errors
    /// Each key that leads to another shard than the first one, with its place.
    pub fn shard_of_limits(&self, shards: u16) -> Result<Option<ShardIndex>, Vec<DefinitionError>> {
        let mut first: Option<(LimitKey, ShardIndex)> = None;
        let mut apart = Vec::new();
        self.each_limit("", &mut |path, key| {
            let shard = ShardIndex::of_key(key.as_str(), shards);
            match &first {
                None => first = Some((key.clone(), shard)),
                Some((one, other)) if *other != shard => apart.push(DefinitionError {
                    path,
                    problem: format!(
                        "the limits {:?} and {:?} lead to different shards, and all of a workflow \
                         must lead to one; give both the same part in braces, such as {{mail}}",
                        one.as_str(),
                        key.as_str()
                    ),
                }),
                Some(_) => {}
            }
        });
        match apart.is_empty() {
            true => Ok(first.map(|(_, shard)| shard)),
            false => Err(apart),
        }
    }

    fn each_limit(&self, prefix: &str, see: &mut dyn FnMut(String, &LimitKey)) {
        for (place, task) in self.tasks.iter().enumerate() {
            for (number, key) in task.limits.iter().enumerate() {
                see(format!("{prefix}tasks[{place}].limits[{number}]"), key);
            }
            if let Some(child) = &task.child_workflow_def {
                child.each_limit(&format!("{prefix}tasks[{place}].child_workflow_def."), see);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn definition(outer: &str, inner: &str) -> WorkflowDefinition {
        let text = json!({ "name": "w", "tasks": [
            { "name": "a", "task_type": "t", "limits": [outer] },
            { "name": "b", "child_workflow_def": { "name": "c", "tasks": [
                { "name": "d", "task_type": "t" },
                { "name": "e", "task_type": "t", "limits": [inner] } ] } },
        ]});
        WorkflowDefinition::from_json(&text.to_string()).expect("a definition")
    }

    /// Row 6 for tasks: one script sees one shard.
    #[test]
    fn limits_of_a_workflow_and_of_its_children_lead_to_one_shard() {
        let together = definition("{mail}/send", "{mail}/print");
        let shard = ShardIndex::of_key("mail", 16);
        assert_eq!(together.shard_of_limits(16), Ok(Some(shard)));
        let apart = (0..100)
            .map(|n| definition("mail", &format!("print-{n}")))
            .find_map(|definition| definition.shard_of_limits(16).err())
            .expect("some lead elsewhere");
        assert_eq!(apart.len(), 1);
        assert_eq!(
            apart[0].path,
            "tasks[1].child_workflow_def.tasks[1].limits[0]"
        );
        assert!(
            apart[0].problem.contains("same part in braces"),
            "{apart:?}"
        );
        assert!(definition("mail", "print").shard_of_limits(1).is_ok());
    }

    #[test]
    fn a_workflow_without_limits_may_live_anywhere() {
        let plain = WorkflowDefinition::default();
        assert!(!plain.has_limits());
        assert_eq!(plain.shard_of_limits(16), Ok(None));
        assert!(definition("a", "a").has_limits());
    }
}
