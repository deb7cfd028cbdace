//! Tasks that wait for each other in a circle, and how to say so.
//!
//! The strongly connected components are found by the iterative algorithm: a recursive one would
//! overflow the stack on a long chain. Of each component one shortest cycle is printed, from its
//! first task in the definition, so that the same definition always gives the same message.

use std::collections::{BTreeSet, HashMap, VecDeque};

use petgraph::algo::kosaraju_scc;
use petgraph::graph::DiGraph;

use super::Reader;

/// Tasks of a cycle that are printed before the middle is left out.
const MAX_CYCLE_SHOWN: usize = 20;

impl Reader<'_> {
    /// Tells one cycle of each group of tasks that wait for each other.
    pub(super) fn check_cycles(&mut self) {
        let mut graph = DiGraph::<(), (), u32>::with_capacity(self.stamps.len(), self.edges.len());
        for _ in &self.stamps {
            graph.add_node(());
        }
        graph.extend_with_edges(&self.edges);
        let mut groups: Vec<BTreeSet<u32>> = kosaraju_scc(&graph)
            .into_iter()
            .filter(|group| group.len() > 1)
            .map(|group| {
                let index = |node: petgraph::graph::NodeIndex| u32::try_from(node.index());
                group.into_iter().flat_map(index).collect()
            })
            .collect();
        groups.sort_unstable();
        for group in groups {
            let cycle = self.cycle_in(&group);
            let Some(&first) = cycle.first() else {
                continue;
            };
            let name = |task: u32| self.definition.tasks[task as usize].name.as_str();
            let mut shown: Vec<&str> = cycle.iter().map(|&task| name(task)).collect();
            let left_out = shown.len().saturating_sub(MAX_CYCLE_SHOWN);
            let between = format!("({left_out} more)");
            if left_out > 0 {
                let half = MAX_CYCLE_SHOWN / 2;
                shown.splice(half..half + left_out, [between.as_str()]);
            }
            shown.push(name(first));
            let problem = format!(
                "tasks wait for each other in a circle: {}; take one of these dependencies out",
                shown.join(" → ")
            );
            self.wrong(format!("tasks[{first}].depends_on"), problem);
        }
    }

    /// A shortest cycle through the first task of a group; each task depends on the next.
    fn cycle_in(&self, group: &BTreeSet<u32>) -> Vec<u32> {
        let Some(&start) = group.first() else {
            return Vec::new();
        };
        let mut before = HashMap::new();
        let mut queue = VecDeque::from([start]);
        while let Some(task) = queue.pop_front() {
            let from = self.edges.partition_point(|&(from, _)| from < task);
            for &(_, on) in self.edges[from..]
                .iter()
                .take_while(|&&(from, _)| from == task)
            {
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
                if group.contains(&on) && !before.contains_key(&on) {
                    before.insert(on, task);
                    queue.push_back(on);
                }
            }
        }
        Vec::new()
    }
}
