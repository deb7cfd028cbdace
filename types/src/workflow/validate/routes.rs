//! What conditions add to the edges of a plan.
//!
//! A route leads *back* if the condition waits for its target, by `depends_on`; otherwise it
//! leads *forward*. Only a task that is in a circle of dependencies and routes together can be the
//! target of a route back, so that a definition without loops costs one pass.

use super::graph::{TooFar, Walk, circles};
use super::{MAX_DEPENDENCIES, Reader};
use crate::workflow::plan::{Edges, PlannedTask, Routed};

/// Most routes of one workflow, over all of its conditions: 100,000.
pub const MAX_ROUTES: usize = 100_000;

/// Most tasks of a loop, together with those of loops that it shares tasks with: 10,000.
pub const MAX_LOOP: usize = 10_000;

/// One route of one condition.
#[derive(Clone, Copy, Debug)]
pub(super) struct Way {
    pub(super) condition: u32,
    pub(super) number: u32,
    pub(super) target: u32,
}

/// Routes, and what is known of them.
pub(super) struct Ways<'a> {
    pub(super) all: &'a [Way],
    /// Whether each leads back.
    pub(super) back: Vec<bool>,
    /// The group of tasks that reach each other that a task is in, from 1; 0 if it is in none.
    pub(super) group_of: Vec<u32>,
}

impl Ways<'_> {
    pub(super) fn leading(&self, back: bool) -> impl Iterator<Item = Way> {
        let all = self.all.iter().zip(&self.back);
        all.filter(move |&(_, &leads)| leads == back)
            .map(|(&way, _)| way)
    }
}

impl Reader<'_> {
    /// Works out routes, the edges that they add, and loops, and checks them. None without routes,
    /// or with a mistake that was told.
    pub(super) fn route(
        &mut self,
        dependencies: &Edges,
        planned: &mut [PlannedTask],
    ) -> Option<Routed> {
        if self.routes.is_empty() {
            return None;
        }
        let all = std::mem::take(&mut self.routes);
        let mut walk = Walk::new(self.tasks.len());
        let routed = self.route_all(&all, dependencies, &mut walk, planned);
        let Err(TooFar) = routed else {
            return routed.ok().flatten();
        };
        let problem = "the routes and loops of this workflow are too many to be worked out; split \
                       it, or make the tasks between a condition and its joins fewer";
        self.wrong("tasks", problem);
        None
    }

    fn route_all(
        &mut self,
        all: &[Way],
        dependencies: &Edges,
        walk: &mut Walk,
        planned: &mut [PlannedTask],
    ) -> Result<Option<Routed>, TooFar> {
        let Some(ways) = self.classify(all, dependencies, walk)? else {
            return Ok(None);
        };
        let mut deciders: Vec<(u32, u32)> = ways
            .leading(false)
            .map(|way| (way.target, way.condition))
            .collect();
        deciders.sort_unstable();
        deciders.dedup();
        let forward = dependencies.with(&deciders);
        let deciders = Edges::collect(self.tasks.len(), deciders.iter().copied());
        if self.rules.is_some() {
            let led: &dyn Fn(&Self, u32, u32) -> Option<String> = &|reader, task, on| {
                let named = dependencies.of(task).contains(&on);
                let (task, on) = (reader.name_of(task), reader.name_of(on));
                (!named).then(|| {
                    format!(
                        "{task:?} waits for {on:?}, which has a route to it; a route leads back \
                         only to a task that the condition depends on"
                    )
                })
            };
            if self.told_circles(&forward, led) {
                return Ok(None);
            }
        }
        let Some(loops) = self.find_loops(&ways, &forward, walk)? else {
            return Ok(None);
        };
        let ordered = forward.with(&loops.order);
        if self.rules.is_some() {
            let held: &dyn Fn(&Self, u32, u32) -> Option<String> = &|reader, task, on| {
                let known = forward.of(task).contains(&on);
                let (task, on) = (reader.name_of(task), reader.name_of(on));
                (!known).then(|| {
                    format!(
                        "{task:?} waits for {on:?}, since it depends on a task of the loop that \
                         {on:?} closes; let loops lie inside each other, or apart"
                    )
                })
            };
            if self.told_circles(&ordered, held) {
                return Ok(None);
            }
            self.check_joins(&ways, dependencies, &forward, walk)?;
        }
        let waits = ordered.with(&loops.inner());
        if waits.len() > MAX_DEPENDENCIES {
            let problem = format!(
                "more than {MAX_DEPENDENCIES} edges in all, with those that routes and loops add; \
                 let tasks depend on one that joins the others"
            );
            self.wrong("tasks", problem);
            return Ok(None);
        }
        if self.mistakes.is_empty() {
            for way in ways.leading(true) {
                let routes = planned[way.condition as usize].work.routes_mut();
                let route = routes.and_then(|routes| routes.by_number.get_mut(&way.number));
                if let Some(route) = route {
                    route.back = true;
                }
            }
        }
        Ok(Some(Routed {
            waits,
            deciders,
            bodies: loops.bodies.into(),
        }))
    }

    /// Says of each route whether it leads back. None if a mistake was told.
    fn classify<'w>(
        &mut self,
        all: &'w [Way],
        dependencies: &Edges,
        walk: &mut Walk,
    ) -> Result<Option<Ways<'w>>, TooFar> {
        let count = self.tasks.len();
        let mut ways = Ways {
            all,
            back: vec![false; all.len()],
            group_of: vec![0; count],
        };
        let led = all.iter().map(|way| (way.target, way.condition));
        let groups = circles(count, dependencies.pairs().chain(led));
        for (group, tasks) in (1..).zip(&groups) {
            if tasks.len() > MAX_LOOP {
                let problem = format!(
                    "loops of {} tasks that hang together, at most {MAX_LOOP} are allowed; make \
                     what begins anew a child workflow",
                    tasks.len()
                );
                self.wrong("tasks", problem);
                return Ok(None);
            }
            for &task in tasks {
                ways.group_of[task as usize] = group;
            }
        }
        let mut first = 0;
        for of_one in all.chunk_by(|a, b| a.condition == b.condition) {
            let condition = of_one[0].condition;
            let group = ways.group_of[condition as usize];
            let within = |task: u32| group > 0 && ways.group_of[task as usize] == group;
            let candidates = of_one.iter().filter(|way| within(way.target)).count();
            let mut open = candidates;
            if candidates > 0 {
                let is_target = |task| of_one.iter().filter(|way| way.target == task).count();
                walk.from(&[condition], dependencies, within, |task| {
                    open -= is_target(task);
                    open == 0
                })?;
            }
            for (way, back) in of_one.iter().zip(&mut ways.back[first..]) {
                let reached = candidates > 0 && within(way.target) && walk.saw(way.target);
                *back = way.target == condition || reached;
            }
            first += of_one.len();
        }
        Ok(Some(ways))
    }

    /// Tells circles, and whether there are any.
    fn told_circles(
        &mut self,
        edges: &Edges,
        why: &dyn Fn(&Self, u32, u32) -> Option<String>,
    ) -> bool {
        let groups = circles(self.tasks.len(), edges.pairs());
        self.tell_circles(edges, &groups, why);
        !groups.is_empty()
    }

    pub(super) fn name_of(&self, task: u32) -> &str {
        &self.tasks[task as usize].name
    }
}
