//! Instances with work left over, in the order of their turn.

use std::collections::BTreeMap;

/// Instances with work left over, in the order of their turn, each once.
#[derive(Debug)]
pub(super) struct Backlog<K> {
    tickets: u64,
    by_ticket: BTreeMap<u64, K>,
    waiting: BTreeMap<K, u64>,
}

impl<K> Default for Backlog<K> {
    fn default() -> Backlog<K> {
        Backlog {
            tickets: 0,
            by_ticket: BTreeMap::new(),
            waiting: BTreeMap::new(),
        }
    }
}

impl<K: Copy + Ord> Backlog<K> {
    /// To the end of the queue, unless it waits already.
    pub(super) fn push(&mut self, instance: K) {
        if !self.waiting.contains_key(&instance) {
            self.tickets += 1;
            self.waiting.insert(instance, self.tickets);
            self.by_ticket.insert(self.tickets, instance);
        }
    }

    pub(super) fn remove(&mut self, instance: K) {
        if let Some(ticket) = self.waiting.remove(&instance) {
            self.by_ticket.remove(&ticket);
        }
    }

    /// After a commit: one with work left over goes to the end of the queue.
    pub(super) fn settle(&mut self, instance: K, more: bool) {
        self.remove(instance);
        if more {
            self.push(instance);
        }
    }

    /// Those whose turn is next, at most `max`.
    pub(super) fn first(&self, max: usize) -> Vec<K> {
        self.by_ticket.values().take(max).copied().collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}
