//! Definitions that a leader has read, by their revision; bounded by their bytes.

use std::collections::BTreeMap;
use std::sync::Arc;

use paceline_types::{JobSpec, ScheduleDefinition, ScheduleId};

/// A definition, read; none when this version cannot read it.
#[derive(Clone, Debug)]
pub(super) struct Read {
    pub(super) revision: String,
    pub(super) plan: Option<Arc<Plan>>,
}

/// What a firing is made of.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) definition: ScheduleDefinition,
    pub(super) spec: JobSpec,
    /// Bytes of its definition: what a firing costs on the wire, in about.
    pub(super) size: usize,
}

#[derive(Debug)]
pub(super) struct Kept {
    limit: usize,
    size: usize,
    uses: u64,
    read: BTreeMap<ScheduleId, (u64, Read)>,
    by_use: BTreeMap<u64, ScheduleId>,
}

fn size_of(read: &Read) -> usize {
    // What a definition takes beside its text, in about.
    const OVERHEAD: usize = 1_024;
    OVERHEAD + read.plan.as_ref().map_or(0, |plan| 2 * plan.size)
}

impl Kept {
    /// Keeps definitions of `limit` bytes in all, and the last one however large it is.
    pub(super) fn new(limit: usize) -> Kept {
        Kept {
            limit,
            size: 0,
            uses: 0,
            read: BTreeMap::new(),
            by_use: BTreeMap::new(),
        }
    }

    /// The definition of this revision, if it is there.
    pub(super) fn get(&mut self, id: &ScheduleId, revision: &str) -> Option<Read> {
        let (used, read) = self.read.get_mut(id)?;
        if read.revision != revision {
            return None;
        }
        self.uses += 1;
        self.by_use.remove(used);
        self.by_use.insert(self.uses, id.clone());
        *used = self.uses;
        Some(read.clone())
    }

    pub(super) fn put(&mut self, id: ScheduleId, read: Read) {
        self.forget(&id);
        self.uses += 1;
        self.size += size_of(&read);
        self.by_use.insert(self.uses, id.clone());
        self.read.insert(id, (self.uses, read));
        while self.size > self.limit && self.read.len() > 1 {
            let Some((_, oldest)) = self.by_use.pop_first() else {
                return;
            };
            if let Some((_, dropped)) = self.read.remove(&oldest) {
                self.size -= size_of(&dropped);
            }
        }
    }

    pub(super) fn forget(&mut self, id: &ScheduleId) {
        if let Some((used, read)) = self.read.remove(id) {
            self.by_use.remove(&used);
            self.size -= size_of(&read);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_used_is_dropped_and_revisions_are_told_apart() {
        let id = |text: &str| ScheduleId::new(text).expect("id");
        let read = |revision: &str| Read {
            revision: revision.to_owned(),
            plan: None,
        };
        let mut kept = Kept::new(2 * size_of(&read("1")));
        kept.put(id("a"), read("1"));
        kept.put(id("b"), read("2"));
        assert!(kept.get(&id("a"), "1").is_some());
        assert!(kept.get(&id("a"), "2").is_none(), "another definition");
        kept.put(id("c"), read("3"));
        assert!(kept.get(&id("b"), "2").is_none(), "dropped");
        kept.put(id("a"), read("4"));
        assert!(kept.get(&id("a"), "4").is_some() && kept.get(&id("c"), "3").is_some());
        kept.forget(&id("a"));
        kept.forget(&id("c"));
        assert_eq!((kept.size, kept.by_use.len()), (0, 0));
    }
}
