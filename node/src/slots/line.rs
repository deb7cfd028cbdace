//! The line of pumps that found no slot: first come, first served.
//!
//! A pump with steady work takes up slots as its runs end, and so before any other hears of it.
//! Without a line, a handler with a limit would serve one shard only while that has a backlog.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use paceline_types::ShardIndex;

#[derive(Debug)]
struct Waiting {
    pump: ShardIndex,
    /// It has no slot at all.
    any: bool,
    /// Handlers that its last claim had no room for.
    handlers: Vec<usize>,
}

/// Pumps that wait for slots.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// Length of the line: looked at without the lock, as it is mostly zero.
    length: AtomicUsize,
    waiting: Mutex<VecDeque<Waiting>>,
}

/// What a pump leaves to those ahead of it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Yields {
    /// It takes nothing now.
    pub(super) everything: bool,
    /// Handlers that it takes nothing of.
    pub(super) handlers: Vec<usize>,
}

impl Line {
    pub(super) fn is_empty(&self) -> bool {
        self.length.load(Ordering::SeqCst) == 0
    }

    /// What is not for this pump, as those ahead of it wait for it. `is_free` says whether a
    /// handler has a free slot: then the one that waits for it is about to start.
    pub(super) fn ahead_of(&self, pump: ShardIndex, is_free: impl Fn(usize) -> bool) -> Yields {
        let mut yields = Yields::default();
        if self.is_empty() {
            return yields;
        }
        for ahead in self
            .lock()
            .iter()
            .take_while(|waiting| waiting.pump != pump)
        {
            yields.everything |= ahead.any || ahead.handlers.iter().any(|&it| is_free(it));
            yields.handlers.extend(&ahead.handlers);
        }
        yields
    }

    /// Joins at the end, or adds to what it waits for at its place.
    pub(super) fn stand(&self, pump: ShardIndex, any: bool, handlers: &[usize]) {
        let mut line = self.lock();
        match line.iter_mut().find(|waiting| waiting.pump == pump) {
            Some(waiting) => {
                waiting.any |= any;
                waiting.handlers = handlers.to_vec();
            }
            None => line.push_back(Waiting {
                pump,
                any,
                handlers: handlers.to_vec(),
            }),
        }
        self.length.store(line.len(), Ordering::SeqCst);
    }

    pub(super) fn leave(&self, pump: ShardIndex) {
        let mut line = self.lock();
        line.retain(|waiting| waiting.pump != pump);
        self.length.store(line.len(), Ordering::SeqCst);
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUMPS: [ShardIndex; 3] = [ShardIndex(0), ShardIndex(1), ShardIndex(2)];

    fn yields(line: &Line, pump: usize) -> (bool, Vec<usize>) {
        let Yields {
            everything,
            handlers,
        } = line.ahead_of(PUMPS[pump], |handler| handler == 9);
        (everything, handlers)
    }

    #[test]
    fn only_those_behind_give_way() {
        let line = Line::default();
        assert_eq!(yields(&line, 0), (false, vec![]));
        line.stand(PUMPS[0], false, &[4]);
        line.stand(PUMPS[1], true, &[]);
        assert_eq!(yields(&line, 0), (false, vec![]));
        assert_eq!(yields(&line, 1), (false, vec![4]));
        assert_eq!(
            yields(&line, 2),
            (true, vec![4]),
            "it does not even stand in line"
        );
        line.leave(PUMPS[1]);
        assert_eq!(yields(&line, 2), (false, vec![4]));
        line.stand(PUMPS[0], false, &[9]);
        assert_eq!(yields(&line, 2), (true, vec![9]), "its slot is free");
        line.leave(PUMPS[0]);
        assert!(line.is_empty());
    }
}
