//! Signals that no task has taken, and tasks that wait for one.

use std::collections::{BTreeMap, BTreeSet};

use paceline_types::SignalName;

/// Both by name. Each signal is taken by one task: the oldest signal, and the task of the lowest
/// index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mailbox {
    names: BTreeMap<SignalName, Name>,
    /// Names of which there are both.
    deliverable: BTreeSet<SignalName>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Name {
    signals: BTreeSet<u64>,
    tasks: BTreeSet<u32>,
}

impl Mailbox {
    pub(crate) fn signal(&mut self, number: u64, name: SignalName) {
        self.change(name, |of| {
            of.signals.insert(number);
        });
    }

    pub(crate) fn take_signal(&mut self, number: u64, name: &SignalName) {
        self.change(name.clone(), |of| {
            of.signals.remove(&number);
        });
    }

    pub(crate) fn wait(&mut self, task: u32, name: SignalName) {
        self.change(name, |of| {
            of.tasks.insert(task);
        });
    }

    pub(crate) fn wait_no_more(&mut self, task: u32, name: &SignalName) {
        self.change(name.clone(), |of| {
            of.tasks.remove(&task);
        });
    }

    /// The oldest signal of a name.
    pub(crate) fn oldest(&self, name: &SignalName) -> Option<u64> {
        self.names.get(name)?.signals.first().copied()
    }

    /// Whether a task waits for a signal that is there.
    pub(crate) fn has_deliverable(&self) -> bool {
        !self.deliverable.is_empty()
    }

    /// A signal that is there, and the task that it is for.
    pub(crate) fn deliverable(&self) -> Option<(u64, u32)> {
        let of = self.names.get(self.deliverable.first()?)?;
        Some((*of.signals.first()?, *of.tasks.first()?))
    }

    /// How many signals are there.
    pub(crate) fn len(&self) -> usize {
        self.names.values().map(|name| name.signals.len()).sum()
    }

    /// The newest number of a signal that is there.
    pub(crate) fn newest(&self) -> Option<u64> {
        let last = |name: &Name| name.signals.last().copied();
        self.names.values().filter_map(last).max()
    }

    /// Signals that no task has taken.
    pub(crate) fn signals(&self) -> impl Iterator<Item = (u64, &SignalName)> {
        let of = |(name, of): (_, &'_ Name)| (name, of.signals.clone());
        self.names
            .iter()
            .map(of)
            .flat_map(|(name, numbers)| numbers.into_iter().map(move |number| (number, name)))
    }

    fn change(&mut self, name: SignalName, change: impl FnOnce(&mut Name)) {
        let of = self.names.entry(name.clone()).or_default();
        change(of);
        let (signals, tasks) = (!of.signals.is_empty(), !of.tasks.is_empty());
        if !signals && !tasks {
            self.names.remove(&name);
        }
        if signals && tasks {
            self.deliverable.insert(name);
        } else {
            self.deliverable.remove(&name);
        }
    }
}
