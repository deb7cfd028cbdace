//! Instances kept in memory between turns, bounded by their size.
//!
//! A cached instance is a guess: the revision in every commit is what makes acting on it safe.
//! One is taken out to be worked on and put back when its commit stands, so that a turn that
//! fails leaves nothing half-changed behind.

use std::collections::BTreeMap;

use paceline_types::WorkflowId;

use crate::instance::Instance;

/// An instance and what its next commit must say.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) instance: Instance,
    pub(crate) revision: u64,
    /// Somebody wants it tried again, as it was loaded.
    pub(crate) retried: bool,
    /// Computed when it is loaded or has grown, as it costs the size of the workflow.
    footprint: usize,
}

impl Held {
    pub(crate) fn new(instance: Instance, revision: u64, retried: bool) -> Held {
        let footprint = instance.footprint();
        Held {
            instance,
            revision,
            retried,
            footprint,
        }
    }

    /// To be called after tasks were added to the instance.
    pub(crate) fn measure(&mut self) {
        self.footprint = self.instance.footprint();
    }
}

#[derive(Debug)]
pub(crate) struct Cache {
    limit: usize,
    size: usize,
    uses: u64,
    held: BTreeMap<WorkflowId, (u64, Held)>,
    by_use: BTreeMap<u64, WorkflowId>,
}

impl Cache {
    /// Keeps instances of `limit` bytes in all, and the last one however large it is.
    pub(crate) fn new(limit: usize) -> Cache {
        Cache {
            limit,
            size: 0,
            uses: 0,
            held: BTreeMap::new(),
            by_use: BTreeMap::new(),
        }
    }

    /// Bytes that its instances take, about.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    pub(crate) fn take(&mut self, workflow: WorkflowId) -> Option<Held> {
        let (used, held) = self.held.remove(&workflow)?;
        self.by_use.remove(&used);
        self.size -= held.footprint;
        Some(held)
    }

    pub(crate) fn put(&mut self, held: Held) {
        let workflow = held.instance.id();
        self.take(workflow);
        self.uses += 1;
        self.size += held.footprint;
        self.by_use.insert(self.uses, workflow);
        self.held.insert(workflow, (self.uses, held));
        while self.size > self.limit && self.held.len() > 1 {
            let Some((_, oldest)) = self.by_use.pop_first() else {
                return;
            };
            if let Some((_, dropped)) = self.held.remove(&oldest) {
                self.size -= dropped.footprint;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use paceline_types::{ShardIndex, WorkflowDefinition};

    use super::*;

    #[test]
    fn the_least_recently_used_is_dropped_when_the_cache_is_full() {
        let text = r#"{"name":"w","tasks":[{"name":"a","task_type":"t"}]}"#;
        let definition = WorkflowDefinition::from_json(text).expect("definition");
        let plan = Arc::new(definition.validate(1024).expect("plan"));
        let id = |n| WorkflowId::from_parts(1, ShardIndex(0), n);
        let held = |n| Held::new(Instance::new(id(n), plan.clone()), 0, false);
        let each = held(0).footprint;

        let mut cache = Cache::new(each * 2);
        cache.put(held(1));
        cache.put(held(2));
        let first = cache.take(id(1)).expect("held");
        cache.put(first);
        cache.put(held(3));
        assert!(cache.take(id(2)).is_none());
        assert!(cache.take(id(1)).is_some() && cache.take(id(3)).is_some());
        assert_eq!(cache.size, 0);

        let mut tiny = Cache::new(1);
        tiny.put(held(1));
        assert!(
            tiny.take(id(1)).is_some(),
            "the last one stays, however large"
        );
    }
}
