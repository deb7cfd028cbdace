//! What a task names: tasks that it depends on, results that it takes, preconditions.

use std::collections::BTreeSet;

use super::{MAX_DEPENDENCIES, Reader, Scope};
use crate::value::Path;
use crate::workflow::plan::{PlannedPrecondition, UpstreamTasks};
use crate::workflow::{Precondition, ResultFrom, TaskDefinition};

/// The only type of a precondition.
const UPSTREAM_OUTPUT: &str = "upstream_output";

impl<'a> Reader<'a> {
    pub(super) fn read_dependencies(&mut self, place: u32, task: &'a TaskDefinition) {
        if self.edges.len() + task.depends_on.len() > MAX_DEPENDENCIES {
            let problem = format!(
                "more than {MAX_DEPENDENCIES} dependencies in all; let tasks depend on one that \
                 joins the others"
            );
            self.wrong_in(place, "depends_on", problem);
            return;
        }
        for (index, name) in task.depends_on.iter().enumerate() {
            let field = || format!("depends_on[{index}]");
            match self.places.get(name.as_str()) {
                None if self.is_generator(name) => {}
                None => {
                    let problem = self.unknown(name);
                    self.wrong_in(place, &field(), problem);
                }
                Some(&on) if on == place => {
                    let problem = format!("task {name:?} depends on itself; take this out");
                    self.wrong_in(place, &field(), problem);
                }
                Some(&on) if self.stamps[on as usize] == place + 1 => {
                    let problem = format!("{name:?} is named twice; take one out");
                    self.wrong_in(place, &field(), problem);
                }
                Some(&on) => {
                    self.stamps[on as usize] = place + 1;
                    self.edges.push((place, on));
                }
            }
        }
    }

    /// Whether it is the task that generated these. They begin after it in any case.
    fn is_generator(&self, name: &str) -> bool {
        matches!(self.scope, Scope::Section { generator, .. } if generator == name)
    }

    /// The index of a task that this one depends on. Must follow
    /// [`Reader::read_dependencies`] of the same task, whose stamps it reads.
    pub(super) fn dependency(&mut self, place: u32, name: &str) -> Result<u32, String> {
        match self.places.get(name).copied() {
            None if self.is_generator(name) => Err(format!(
                "{name:?} generated this task, and its result is not at hand here; let it put the \
                 value into the task"
            )),
            None => Err(self.unknown(name)),
            Some(on) if self.stamps[on as usize] != place + 1 => {
                Err(format!("{name:?} is not in depends_on; add it there"))
            }
            Some(on) => Ok(on),
        }
    }

    pub(super) fn read_result_from(
        &mut self,
        place: u32,
        task: &'a TaskDefinition,
    ) -> Option<UpstreamTasks> {
        let from = task.result_from.as_ref()?;
        let mut sources = Vec::with_capacity(from.names().len());
        for (index, name) in from.names().iter().enumerate() {
            match self.dependency(place, name) {
                Ok(on) => sources.push(on),
                Err(problem) => {
                    let field = match from {
                        ResultFrom::One(_) => "result_from".to_owned(),
                        ResultFrom::Many(_) => format!("result_from[{index}]"),
                    };
                    self.wrong_in(place, &field, problem);
                }
            }
        }
        match from {
            ResultFrom::One(_) => sources.pop().map(UpstreamTasks::One),
            ResultFrom::Many(names) => {
                let distinct: BTreeSet<_> = names.iter().collect();
                if names.is_empty() {
                    let problem = "names no task; name one, or leave it out";
                    self.wrong_in(place, "result_from", problem);
                } else if distinct.len() < names.len() {
                    let problem = "names a task twice; take one out";
                    self.wrong_in(place, "result_from", problem);
                }
                Some(UpstreamTasks::Many(sources.into()))
            }
        }
    }

    pub(super) fn read_preconditions(
        &mut self,
        place: u32,
        task: &'a TaskDefinition,
    ) -> Box<[PlannedPrecondition]> {
        let all = task.preconditions.iter().enumerate();
        all.filter_map(|(index, one)| self.read_precondition(place, index, one))
            .collect()
    }

    fn read_precondition(
        &mut self,
        place: u32,
        index: usize,
        one: &Precondition,
    ) -> Option<PlannedPrecondition> {
        let field = |name| format!("preconditions[{index}].{name}");
        if one.kind != UPSTREAM_OUTPUT {
            let problem = format!(
                "{:?} is not a type of precondition; {UPSTREAM_OUTPUT:?} is the only one",
                one.kind
            );
            self.wrong_in(place, &field("type"), problem);
        }
        let task = self
            .dependency(place, &one.task)
            .map_err(|problem| self.wrong_in(place, &field("task"), problem));
        let path = Path::parse(&one.path).map_err(|problem| {
            let problem = format!("{:?} {problem}", one.path);
            self.wrong_in(place, &field("path"), problem);
        });
        Some(PlannedPrecondition {
            task: task.ok()?,
            path: path.ok()?,
            expected: one.expected.clone(),
            text: one.path.clone(),
        })
    }
}
