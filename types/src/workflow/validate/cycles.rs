//! Tasks that wait for each other in a circle, and how to say so.
//!
//! Of each group of tasks that reach each other one shortest circle is printed, from its first
//! task in the definition, so that the same definition always gives the same message.

use std::collections::{HashMap, HashSet, VecDeque};

use super::Reader;
use super::graph::circles;
use crate::workflow::plan::Edges;

/// Tasks of a cycle that are printed before the middle is left out.
const MAX_CYCLE_SHOWN: usize = 20;

impl Reader<'_> {
    /// The dependencies, if they are without circles; otherwise these are told.
    pub(super) fn check_dependencies(&mut self) -> Option<Edges> {
        let edges = Edges::collect(self.tasks.len(), self.edges.iter().copied());
        if self.rules.is_none() {
            return Some(edges);
        }
        let groups = circles(self.tasks.len(), self.edges.iter().copied());
        if groups.is_empty() {
            return Some(edges);
        }
        let needless = self.check_back_targets(&groups, &edges);
        if needless.is_empty() {
            self.tell_circles(&edges, &groups, &|_, _, _| None);
            return None;
        }
        let kept = self.edges.iter().copied();
        let kept = Edges::collect(
            self.tasks.len(),
            kept.filter(|edge| !needless.contains(edge)),
        );
        let groups = circles(self.tasks.len(), kept.pairs());
        self.tell_circles(&kept, &groups, &|_, _, _| None);
        None
    }

    /// Tells of tasks that depend on a condition which leads back to them, and returns these
    /// edges: they would be told as circles otherwise.
    fn check_back_targets(&mut self, groups: &[Vec<u32>], edges: &Edges) -> HashSet<(u32, u32)> {
        let mut group_of = HashMap::new();
        for (group, tasks) in groups.iter().enumerate() {
            group_of.extend(tasks.iter().map(|&task| (task, group)));
        }
        let mut needless = HashSet::new();
        for way in 0..self.routes.len() {
            let (target, condition) = (self.routes[way].target, self.routes[way].condition);
            let group = group_of.get(&target);
            if group.is_none()
                || group != group_of.get(&condition)
                || !edges.of(target).contains(&condition)
                || !needless.insert((target, condition))
            {
                continue;
            }
            let name = &self.tasks[condition as usize].name;
            let problem =
                format!("{name:?} leads back to this task, which cannot wait for it; take it out");
            let field = self.field_of(target, condition);
            self.wrong_in(target, &field, problem);
        }
        needless
    }

    /// Where a task names one that it depends on.
    pub(super) fn field_of(&self, task: u32, on: u32) -> String {
        let name = &self.tasks[on as usize].name;
        let named = &self.tasks[task as usize].depends_on;
        match named.iter().position(|named| named == name) {
            Some(place) => format!("depends_on[{place}]"),
            None => "depends_on".to_owned(),
        }
    }

    /// Tells one circle of each group. `why` says why a task waits for another that it does not
    /// name.
    pub(super) fn tell_circles(
        &mut self,
        edges: &Edges,
        groups: &[Vec<u32>],
        why: &dyn Fn(&Self, u32, u32) -> Option<String>,
    ) {
        for group in groups {
            let cycle = cycle_in(edges, group);
            let Some(&first) = cycle.first() else {
                continue;
            };
            let name = |task: u32| self.tasks[task as usize].name.as_str();
            let mut shown: Vec<&str> = cycle.iter().map(|&task| name(task)).collect();
            let left_out = shown.len().saturating_sub(MAX_CYCLE_SHOWN);
            let between = format!("({left_out} more)");
            if left_out > 0 {
                let half = MAX_CYCLE_SHOWN / 2;
                shown.splice(half..half + left_out, [between.as_str()]);
            }
            shown.push(name(first));
            let mut problem = format!(
                "tasks wait for each other in a circle: {}",
                shown.join(" → ")
            );
            let next = cycle.iter().skip(1).chain([&first]);
            let reason = cycle
                .iter()
                .zip(next)
                .find_map(|(&task, &on)| why(self, task, on));
            match reason {
                Some(reason) => problem.push_str(&format!("; {reason}")),
                None => problem.push_str("; take one of these dependencies out"),
            }
            self.wrong_in(first, "depends_on", problem);
        }
    }
}

/// A shortest cycle through the first task of a group; each task waits for the next.
fn cycle_in(edges: &Edges, group: &[u32]) -> Vec<u32> {
    let Some(&start) = group.first() else {
        return Vec::new();
    };
    let mut before = HashMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(task) = queue.pop_front() {
        for &on in edges.of(task) {
            if on == start {
                let mut cycle = vec![task];
                let mut at = task;
                while at != start {
                    at = before[&at];
                    cycle.push(at);
                }
                cycle.reverse();
                return cycle;
            }
            if group.binary_search(&on).is_ok() && !before.contains_key(&on) {
                before.insert(on, task);
                queue.push_back(on);
            }
        }
    }
    Vec::new()
}
