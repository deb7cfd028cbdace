//! What one walk suspects of standing still, and the next one finds again.

use std::collections::BTreeSet;

/// Most suspicions that are carried from one walk to the next.
const MAX_SUSPECTS: usize = 10_000;

/// Suspicions of the walk before this one, and of this one.
#[derive(Debug)]
pub(super) struct Suspicions<S> {
    before: BTreeSet<S>,
    now: BTreeSet<S>,
}

impl<S> Default for Suspicions<S> {
    fn default() -> Suspicions<S> {
        Suspicions {
            before: BTreeSet::new(),
            now: BTreeSet::new(),
        }
    }
}

impl<S: Ord> Suspicions<S> {
    /// Whether the walk before suspected the same; remembers it for the next one.
    pub(super) fn stands_still(&mut self, suspect: S) -> bool {
        let again = self.before.contains(&suspect);
        if self.now.len() < MAX_SUSPECTS {
            self.now.insert(suspect);
        }
        again
    }

    /// The walk is at its end.
    pub(super) fn end_walk(&mut self) {
        self.before = std::mem::take(&mut self.now);
    }
}
