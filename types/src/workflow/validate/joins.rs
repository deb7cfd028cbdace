//! What depends on a condition must be where one of its routes leads, or behind that: otherwise
//! nothing would say whether it runs.

use std::collections::HashSet;

use super::Reader;
use super::graph::{TooFar, Walk};
use super::routes::Ways;
use crate::workflow::plan::Edges;

impl Reader<'_> {
    /// `forward` are dependencies and what routes forward add.
    pub(super) fn check_joins(
        &mut self,
        ways: &Ways<'_>,
        dependencies: &Edges,
        forward: &Edges,
        walk: &mut Walk,
    ) -> Result<(), TooFar> {
        let dependents = dependencies.reversed();
        let onward = forward.reversed();
        let mut lost = Vec::new();
        let mut first = 0;
        for of_one in ways.all.chunk_by(|a, b| a.condition == b.condition) {
            let condition = of_one[0].condition;
            let back = &ways.back[first..first + of_one.len()];
            first += of_one.len();
            if self.doubtful.contains(&condition) {
                continue;
            }
            let targets: HashSet<u32> = of_one
                .iter()
                .zip(back)
                .filter(|&(_, back)| !back)
                .map(|(way, _)| way.target)
                .collect();
            let mut joins: HashSet<u32> = dependents.of(condition).iter().copied().collect();
            joins.retain(|task| !targets.contains(task));
            if joins.is_empty() {
                continue;
            }
            let starts: Vec<u32> = targets.into_iter().collect();
            walk.from(
                &starts,
                &onward,
                |_| true,
                |task| {
                    joins.remove(&task);
                    joins.is_empty()
                },
            )?;
            lost.extend(joins.into_iter().map(|task| (task, condition)));
        }
        lost.sort_unstable();
        for (task, condition) in lost {
            let name = self.name_of(condition);
            let problem = format!(
                "{name:?} is a condition, and none of its routes leads here; make this task the \
                 target of a route, or let it depend on what a route leads to"
            );
            let field = self.field_of(task, condition);
            self.wrong_in(task, &field, problem);
        }
        Ok(())
    }
}
