//! The graph of a definition, computed the slow way.

use std::collections::{BTreeMap, BTreeSet};

use paceline_types::workflow::TaskDefinition;

/// Where a route leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leads {
    /// The task, by its place in the list.
    pub to: usize,
    /// Whether that is back.
    pub back: bool,
}

/// Edges between the tasks of one list, by their places in it.
#[derive(Clone, Debug, Default)]
pub struct Shape {
    /// What stands in `depends_on`.
    pub dependencies: Vec<BTreeSet<usize>>,
    /// Every task that one waits for.
    pub waits: Vec<BTreeSet<usize>>,
    /// Routes of each condition.
    pub routes: Vec<BTreeMap<u32, Leads>>,
    /// Conditions with a forward route to the task.
    pub deciders: Vec<BTreeSet<usize>>,
    /// What lies between the target and the condition of each way back.
    pub bodies: BTreeMap<(usize, usize), BTreeSet<usize>>,
    /// Tasks from which no edge leads on but those that only make wait.
    pub leaves: Vec<usize>,
}

type Edges = BTreeSet<(usize, usize)>;

/// Everything that can be reached from a task, itself included.
fn reached(edges: &Edges, from: usize) -> BTreeSet<usize> {
    let mut found = BTreeSet::from([from]);
    loop {
        let next: Vec<usize> = edges
            .iter()
            .filter(|(before, after)| found.contains(before) && !found.contains(after))
            .map(|&(_, after)| after)
            .collect();
        if next.is_empty() {
            return found;
        }
        found.extend(next);
    }
}

impl Shape {
    /// The graph of these tasks. Names that are not among them are passed over.
    #[must_use]
    pub fn of(tasks: &[TaskDefinition]) -> Shape {
        let count = tasks.len();
        let place = |name: &str| tasks.iter().position(|task| task.name == name);
        let targets = |condition: usize| -> BTreeMap<u32, usize> {
            let routes = tasks[condition].condition_routes.iter();
            routes
                .filter_map(|(number, name)| Some((*number, place(name)?)))
                .collect()
        };
        let mut dependencies = vec![BTreeSet::new(); count];
        let mut depends = Edges::new();
        for (task, definition) in tasks.iter().enumerate() {
            for on in definition.depends_on.iter().filter_map(|name| place(name)) {
                dependencies[task].insert(on);
                depends.insert((on, task));
            }
        }
        let mut routes = vec![BTreeMap::new(); count];
        let mut deciders = vec![BTreeSet::new(); count];
        let mut loops = BTreeSet::new();
        let mut forward = depends.clone();
        for (condition, routes) in routes.iter_mut().enumerate() {
            for (number, to) in targets(condition) {
                let mut others = depends.clone();
                others.remove(&(condition, to));
                let back = to == condition || reached(&others, to).contains(&condition);
                routes.insert(number, Leads { to, back });
                if back {
                    loops.insert((to, condition));
                } else {
                    deciders[to].insert(condition);
                    forward.insert((condition, to));
                }
            }
        }
        let between = |(from, to): (usize, usize)| -> BTreeSet<usize> {
            let after = reached(&forward, from);
            (0..count)
                .filter(|task| after.contains(task) && reached(&forward, *task).contains(&to))
                .chain([from, to])
                .collect()
        };
        let bodies: BTreeMap<_, _> = loops.iter().map(|&way| (way, between(way))).collect();

        let leaves = (0..count)
            .filter(|task| !forward.iter().any(|(before, _)| before == task))
            .collect();
        // What waits for a loop may be part of another one, which is waited for in its turn.
        let mut edges = forward;
        loop {
            let mut added = Edges::new();
            for (&(_, condition), body) in &bodies {
                for &(before, after) in &edges {
                    if body.contains(&before) && !body.contains(&after) {
                        added.insert((condition, after));
                    }
                }
            }
            let known = edges.len();
            edges.extend(added);
            if edges.len() == known {
                break;
            }
        }
        // All of a loop is done when its condition's turn comes, also after a retry in which a task
        // runs again while those behind it are done.
        for (&(_, condition), body) in &bodies {
            let others = body.iter().filter(|task| **task != condition);
            edges.extend(others.map(|&task| (task, condition)));
        }
        let mut waits = vec![BTreeSet::new(); count];
        for (before, after) in edges {
            waits[after].insert(before);
        }
        Shape {
            dependencies,
            waits,
            routes,
            deciders,
            bodies,
            leaves,
        }
    }

    /// Whether the edges lead in a circle.
    #[must_use]
    pub fn is_cyclic(&self) -> bool {
        let edges: Edges = (0..self.waits.len())
            .flat_map(|task| self.waits[task].iter().map(move |&before| (before, task)))
            .collect();
        let comes_back = |task| {
            let mut next = edges.iter().filter(|(before, _)| *before == task);
            next.any(|&(_, after)| reached(&edges, after).contains(&task))
        };
        (0..self.waits.len()).any(comes_back)
    }

    /// How often each task may start at most, in one attempt of the workflow.
    ///
    /// A condition leads back at most as often as it may be evaluated, anew each time that a later
    /// condition's way back begins it anew.
    #[must_use]
    pub fn most_starts(&self, tasks: &[TaskDefinition]) -> Vec<u64> {
        let resets = |task: usize| -> u64 {
            let conditions: BTreeSet<usize> = self
                .bodies
                .iter()
                .filter(|(_, body)| body.contains(&task))
                .map(|(&(_, condition), _)| condition)
                .collect();
            conditions.into_iter().fold(0, |sum, condition| {
                self.most_rewinds(tasks, condition).saturating_add(sum)
            })
        };
        (0..tasks.len())
            .map(|task| resets(task).saturating_add(1))
            .collect()
    }

    fn most_rewinds(&self, tasks: &[TaskDefinition], condition: usize) -> u64 {
        let evaluations = match tasks[condition].max_iterations {
            0 => 100,
            most => u64::from(most),
        };
        let later: BTreeSet<usize> = self
            .bodies
            .iter()
            .filter(|((_, other), body)| *other != condition && body.contains(&condition))
            .map(|(&(_, other), _)| other)
            .collect();
        let begun = later.into_iter().fold(1_u64, |sum, other| {
            self.most_rewinds(tasks, other).saturating_add(sum)
        });
        evaluations.saturating_mul(begun)
    }
}
