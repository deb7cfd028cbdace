//! The tasks of each loop, and what must wait until it is over.

use std::collections::{HashMap, HashSet};

use super::Reader;
use super::graph::{TooFar, Walk};
use super::routes::Ways;
use crate::workflow::plan::{Body, Edges};

/// Most tasks of all loops together, each counted as often as it is in one: 1,000,000.
const MAX_BODIES: usize = 1_000_000;

/// The loops of a definition.
pub(super) struct Loops {
    /// Sorted by condition and target.
    pub(super) bodies: Vec<Body>,
    /// `(task, condition)`: the task is outside of a loop of the condition, and waits for one
    /// inside. In the order of the tasks; some may be there twice.
    pub(super) order: Vec<(u32, u32)>,
}

impl Reader<'_> {
    /// Works out the loops; `forward` are dependencies and what routes forward add. None if a
    /// mistake was told.
    pub(super) fn find_loops(
        &mut self,
        ways: &Ways<'_>,
        forward: &Edges,
        walk: &mut Walk,
    ) -> Result<Option<Loops>, TooFar> {
        let mut ends: Vec<(u32, u32)> = ways
            .leading(true)
            .map(|way| (way.condition, way.target))
            .collect();
        ends.sort_unstable();
        ends.dedup();
        let mut loops = Loops {
            bodies: Vec::with_capacity(ends.len()),
            order: Vec::new(),
        };
        if ends.is_empty() {
            return Ok(Some(loops));
        }
        let onward = forward.reversed();
        // The loop that a task was last seen to be in, and to be outside of, from 1.
        let mut inside = vec![0_usize; self.tasks.len()];
        let mut outside = vec![0_usize; self.tasks.len()];
        let mut before = vec![0_usize; self.tasks.len()];
        let mut total = 0;
        for (number, (condition, target)) in (1..).zip(ends) {
            let group = ways.group_of[condition as usize];
            let near = |task: u32| ways.group_of[task as usize] == group;
            let mut tasks = vec![target];
            if target != condition {
                walk.from(&[condition], forward, near, |task| {
                    before[task as usize] = number;
                    false
                })?;
                let leads = |task: u32| before[task as usize] == number;
                walk.from(&[target], &onward, leads, |task| {
                    if task != target && task != condition {
                        tasks.push(task);
                    }
                    false
                })?;
                tasks[1..].sort_unstable();
                tasks.push(condition);
            }
            total += tasks.len();
            if total > MAX_BODIES {
                return Err(TooFar);
            }
            for &task in &tasks {
                inside[task as usize] = number;
            }
            for &waiter in tasks.iter().flat_map(|&task| onward.of(task)) {
                let place = waiter as usize;
                if inside[place] != number && outside[place] != number {
                    outside[place] = number;
                    loops.order.push((waiter, condition));
                }
            }
            if loops.order.len() > super::MAX_DEPENDENCIES {
                return Err(TooFar);
            }
            loops.bodies.push(Body {
                condition,
                target,
                tasks: tasks.into(),
            });
        }
        loops.spread(walk)?;
        loops.order.sort_unstable();
        Ok(Some(loops))
    }
}

impl Loops {
    /// `(condition, task)` for each task of each loop: the condition waits for all of it, and not
    /// only through the tasks between. When a workflow is tried again, one of them may run while
    /// those behind it are done already. In the order of the tasks.
    pub(super) fn inner(&self) -> Vec<(u32, u32)> {
        let mut inner = Vec::new();
        for body in &self.bodies {
            let others = body.tasks.iter().filter(|&&task| task != body.condition);
            inner.extend(others.map(|&task| (body.condition, task)));
        }
        inner.sort_unstable();
        inner
    }

    /// What waits for the condition of a loop waits for the loops that hold this condition too, if
    /// it is outside of them: they may begin the inner one anew. Loops that lie inside each other
    /// add nothing here, but those that only share tasks do.
    fn spread(&mut self, walk: &mut Walk) -> Result<(), TooFar> {
        let conditions: HashSet<u32> = self.bodies.iter().map(|body| body.condition).collect();
        let mut holders: HashMap<u32, Vec<usize>> = HashMap::new();
        for (place, body) in self.bodies.iter().enumerate() {
            for task in body.tasks.iter().filter(|task| conditions.contains(task)) {
                if *task != body.condition {
                    holders.entry(*task).or_default().push(place);
                }
            }
        }
        if holders.is_empty() {
            return Ok(());
        }
        let mut known: HashSet<(u32, u32)> = self.order.iter().copied().collect();
        let mut next = 0;
        while let Some(&(waiter, condition)) = self.order.get(next) {
            next += 1;
            for &place in holders.get(&condition).into_iter().flatten() {
                walk.step()?;
                let body = &self.bodies[place];
                if !body.contains(waiter) && known.insert((waiter, body.condition)) {
                    self.order.push((waiter, body.condition));
                }
            }
        }
        Ok(())
    }
}
