//! Who waits for what, and what is to be asked next. Pure.
//!
//! Every entity that is waited for passes through the same stages: it is to be watched, it is
//! watched, it is to be read, it is answered. Whatever goes wrong on the way sends it back to
//! *to be watched*, which is harmless to repeat.

use std::collections::{HashMap, VecDeque};

use super::Entity;

/// Most entities of one call.
pub(super) const MAX_BATCH: usize = 100;

/// Calls on the wire at once, of each kind.
const MAX_ON_WIRE: usize = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Is in `to_watch`.
    ToWatch,
    /// A call that watches it is on the wire.
    Watching,
    /// Redis knows that it is waited for.
    Watched,
    /// Is in `to_read`.
    ToRead,
    /// A call that reads it is on the wire.
    Reading,
}

/// What the task has to do next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Call {
    /// Tell Redis that these are waited for, and learn which of them have ended.
    Watch(Vec<Entity>),
    /// Read these, which have ended.
    Read(Vec<Entity>),
}

/// What Redis said about an entity that is to be watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    Waiting,
    Ended,
}

struct Entry<W> {
    stage: Stage,
    /// Its end was told while a call about it was on the wire, so that call's answer may be old.
    told: bool,
    /// Messages may have been missed while a call about it was on the wire.
    stale: bool,
    waiters: Vec<W>,
}

/// The entities that are waited for; `W` is one waiter.
pub(super) struct Book<W> {
    entries: HashMap<Entity, Entry<W>>,
    to_watch: VecDeque<Entity>,
    to_read: VecDeque<Entity>,
    watches: usize,
    reads: usize,
}

impl<W> Default for Book<W> {
    fn default() -> Self {
        Book {
            entries: HashMap::new(),
            to_watch: VecDeque::new(),
            to_read: VecDeque::new(),
            watches: 0,
            reads: 0,
        }
    }
}

impl<W> Book<W> {
    /// Someone waits for an entity.
    pub(super) fn wait(&mut self, entity: Entity, waiter: W) {
        if let Some(entry) = self.entries.get_mut(&entity) {
            entry.waiters.push(waiter);
            return;
        }
        let entry = Entry {
            stage: Stage::ToWatch,
            told: false,
            stale: false,
            waiters: vec![waiter],
        };
        self.entries.insert(entity, entry);
        self.to_watch.push_back(entity);
    }

    /// A message said that an entity ended.
    pub(super) fn told(&mut self, entity: Entity) {
        let Some(entry) = self.entries.get_mut(&entity) else {
            return;
        };
        match entry.stage {
            Stage::Watched => {
                entry.stage = Stage::ToRead;
                self.to_read.push_back(entity);
            }
            Stage::Watching | Stage::Reading => entry.told = true,
            // It will be seen as ended when its turn comes.
            Stage::ToWatch | Stage::ToRead => {}
        }
    }

    /// Messages may have been missed: everything is watched afresh. Waiters for whom `gone`
    /// holds are forgotten.
    pub(super) fn watch_all(&mut self, gone: impl Fn(&W) -> bool) {
        self.entries.retain(|_, entry| {
            entry.waiters.retain(|waiter| !gone(waiter));
            !entry.waiters.is_empty()
        });
        for (entity, entry) in &mut self.entries {
            match entry.stage {
                Stage::Watched => {
                    entry.stage = Stage::ToWatch;
                    self.to_watch.push_back(*entity);
                }
                Stage::Watching => entry.stale = true,
                Stage::ToWatch | Stage::ToRead | Stage::Reading => {}
            }
        }
    }

    /// The next call that may leave; it is on the wire from here on.
    pub(super) fn next_call(&mut self) -> Option<Call> {
        if self.reads < MAX_ON_WIRE {
            let batch = Self::take(&mut self.entries, &mut self.to_read, Stage::ToRead);
            if !batch.is_empty() {
                self.reads += 1;
                return Some(Call::Read(batch));
            }
        }
        if self.watches < MAX_ON_WIRE {
            let batch = Self::take(&mut self.entries, &mut self.to_watch, Stage::ToWatch);
            if !batch.is_empty() {
                self.watches += 1;
                return Some(Call::Watch(batch));
            }
        }
        None
    }

    fn take(
        entries: &mut HashMap<Entity, Entry<W>>,
        queue: &mut VecDeque<Entity>,
        stage: Stage,
    ) -> Vec<Entity> {
        let mut batch = Vec::new();
        while batch.len() < MAX_BATCH {
            let Some(entity) = queue.pop_front() else {
                break;
            };
            // Its waiters may have gone, and others come, since it was queued.
            let Some(entry) = entries
                .get_mut(&entity)
                .filter(|entry| entry.stage == stage)
            else {
                continue;
            };
            (entry.told, entry.stale) = (false, false);
            entry.stage = match stage {
                Stage::ToRead => Stage::Reading,
                _ => Stage::Watching,
            };
            batch.push(entity);
        }
        batch
    }

    /// A watch came back; what it said about each entity follows by [`Book::seen`],
    /// [`Book::again`] and [`Book::answered`].
    pub(super) fn watch_returned(&mut self) {
        self.watches = self.watches.saturating_sub(1);
    }

    /// A read came back; what it said about each entity follows.
    pub(super) fn read_returned(&mut self) {
        self.reads = self.reads.saturating_sub(1);
    }

    /// Redis knows that the entity is waited for, and said how it stands.
    pub(super) fn seen(&mut self, entity: Entity, seen: Seen) {
        let Some(entry) = self.entries.get_mut(&entity) else {
            return;
        };
        if entry.stage != Stage::Watching {
            return;
        }
        if entry.told || seen == Seen::Ended {
            entry.stage = Stage::ToRead;
            self.to_read.push_back(entity);
        } else if entry.stale {
            entry.stage = Stage::ToWatch;
            self.to_watch.push_back(entity);
        } else {
            entry.stage = Stage::Watched;
        }
    }

    /// The entity's call failed for now, or it was read and has not ended: it counts as watched
    /// until everything is watched afresh, or at once if its end was told meanwhile.
    pub(super) fn again(&mut self, entity: Entity) {
        let Some(entry) = self.entries.get_mut(&entity) else {
            return;
        };
        if !matches!(entry.stage, Stage::Watching | Stage::Reading) {
            return;
        }
        if entry.told {
            entry.stage = Stage::ToWatch;
            self.to_watch.push_back(entity);
        } else {
            entry.stage = Stage::Watched;
        }
    }

    /// The entity is settled: its waiters, to be answered.
    pub(super) fn answered(&mut self, entity: Entity) -> Vec<W> {
        self.entries
            .remove(&entity)
            .map_or_else(Vec::new, |entry| entry.waiters)
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.entries.len()
    }
}

#[cfg(test)]
mod tests {
    use paceline_types::{JobId, ShardIndex, WorkflowId};

    use super::*;

    fn job(n: u64) -> Entity {
        Entity::Job(JobId::from_parts(1, ShardIndex(0), n))
    }

    fn waiting(jobs: u64) -> Book<&'static str> {
        let mut book = Book::default();
        for n in 0..jobs {
            book.wait(job(n), "first");
        }
        book
    }

    fn size(call: Option<Call>) -> Option<(&'static str, usize)> {
        call.map(|call| match call {
            Call::Watch(batch) => ("watch", batch.len()),
            Call::Read(batch) => ("read", batch.len()),
        })
    }

    #[test]
    fn waits_join_one_call_and_one_entity_is_asked_for_once() {
        let mut book = waiting(150);
        book.wait(job(0), "second");
        let workflow = Entity::Workflow(WorkflowId::from_parts(1, ShardIndex(0), 9));
        book.wait(workflow, "third");
        assert_eq!(size(book.next_call()), Some(("watch", 100)));
        let Some(Call::Watch(rest)) = book.next_call() else {
            panic!("the rest is to be watched");
        };
        assert_eq!((rest.len(), rest.last()), (51, Some(&workflow)));
        assert_eq!(book.next_call(), None);
        assert_eq!(book.answered(job(0)), ["first", "second"]);
    }

    #[test]
    fn an_end_is_read_in_batches_however_it_was_learnt() {
        let mut book = waiting(3);
        book.next_call().expect("watch");
        // Told while the watch is on the wire: its answer is older than the message.
        book.told(job(0));
        book.watch_returned();
        book.seen(job(0), Seen::Waiting);
        book.seen(job(1), Seen::Ended);
        book.seen(job(2), Seen::Waiting);
        book.told(job(2));
        book.told(job(2));
        book.told(job(77));
        assert_eq!(
            book.next_call(),
            Some(Call::Read(vec![job(0), job(1), job(2)]))
        );
        book.read_returned();
        for n in 0..3 {
            assert_eq!(book.answered(job(n)), ["first"]);
        }
        assert_eq!((book.len(), book.next_call()), (0, None));
    }

    #[test]
    fn everything_is_watched_afresh_after_a_disconnect() {
        let mut book = waiting(2);
        book.next_call().expect("watch");
        book.watch_returned();
        book.seen(job(0), Seen::Waiting);
        book.again(job(1));
        assert_eq!(book.next_call(), None, "no busy polling");
        book.watch_all(|_| false);
        book.watch_all(|_| false);
        assert_eq!(size(book.next_call()), Some(("watch", 2)));
        assert_eq!(book.next_call(), None);
    }

    #[test]
    fn a_watch_from_before_a_disconnect_is_repeated() {
        let mut book = waiting(1);
        book.next_call().expect("watch");
        book.watch_all(|_| false);
        book.watch_returned();
        book.seen(job(0), Seen::Waiting);
        assert_eq!(size(book.next_call()), Some(("watch", 1)));
        book.watch_returned();
        book.seen(job(0), Seen::Waiting);
        assert_eq!(book.next_call(), None);
    }

    #[test]
    fn waiters_that_are_gone_are_forgotten_and_may_come_back() {
        let mut book = waiting(1);
        book.watch_all(|_| true);
        assert_eq!((book.len(), book.next_call()), (0, None));
        book.wait(job(0), "again");
        assert_eq!(size(book.next_call()), Some(("watch", 1)));
        assert_eq!(book.next_call(), None, "queued twice, asked once");
    }

    #[test]
    fn a_read_that_found_no_end_does_not_lose_one_that_was_told() {
        let mut book = waiting(1);
        let entity = job(0);
        book.next_call().expect("watch");
        book.watch_returned();
        book.seen(entity, Seen::Ended);
        book.next_call().expect("read");
        book.told(entity);
        book.read_returned();
        book.again(entity);
        assert_eq!(size(book.next_call()), Some(("watch", 1)));
    }
}
