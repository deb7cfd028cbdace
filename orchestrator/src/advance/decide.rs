//! Looking at what conditions and subflows answered, and going back where a route leads back.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;
use paceline_types::EventKind;
use paceline_types::WorkflowDefinition;
use paceline_types::workflow::{Hook, TaskRecord, Work};
use paceline_types::workflow::{MAX_TASKS, Plan, Routes, Section, SectionBody, TaskDefinition};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::Step;
use super::values::Lack;
use crate::instance::MAX_DEPTH;

/// Most mistakes of a subflow's answer that its error tells.
const MAX_MISTAKES_TOLD: usize = 10;

/// A field of an object that a handler answered.
fn field<'a, T: Deserialize<'a>>(answer: &'a [u8], name: &str) -> Result<T, serde_json::Error> {
    let fields: BTreeMap<Cow<'a, str>, &'a RawValue> = serde_json::from_slice(answer)?;
    let found = fields.get(name).map_or("null", |value| value.get());
    serde_json::from_str(found)
}

impl Step<'_> {
    /// Looks at every answer that is known.
    pub(super) fn decide(&mut self) {
        let mut passed = None;
        while self.can_act()
            && self.is_running()
            && !self.wants_enough()
            && let Some(index) = self.instance.returned_after(passed)
        {
            passed = Some(index);
            let iteration = match self.instance.record_of(index) {
                Some(record) => record.iteration(),
                None => return,
            };
            match self.result_of(index) {
                Ok(answer) => {
                    self.acted();
                    self.look_at(index, iteration, &answer);
                }
                Err(Lack::Unread) => {}
                Err(Lack::Gone(error)) => {
                    self.acted();
                    self.fail(index, iteration, error, false);
                }
            }
        }
    }

    fn look_at(&mut self, index: u32, iteration: u32, answer: &Bytes) {
        let Some((plan, _, place)) = self.instance.place(index) else {
            return;
        };
        let plan = plan.clone();
        match &plan.task(place).work {
            Work::Condition { routes, .. } => self.look_at_route(index, iteration, answer, routes),
            Work::Subflow { .. } => {
                if let Err(error) = self.expand(index, iteration, answer) {
                    self.fail(index, iteration, error, false);
                }
            }
            _ => {}
        }
    }

    fn look_at_route(&mut self, index: u32, iteration: u32, answer: &Bytes, routes: &Routes) {
        let evaluations = self.evaluations(index);
        let name = self.instance.task_name(index);
        let name = name.as_ref().map_or("", |name| name.as_str());
        match field::<u32>(answer, "route") {
            Ok(route) if routes.get(route).is_some() => {
                self.take_route(index, iteration, evaluations, route, routes);
            }
            Ok(route) => {
                let error = format!(
                    "condition {name:?} answered route {route}, which it does not have; its \
                     routes are {}",
                    routes.numbers()
                );
                self.fail(index, iteration, error, false);
            }
            Err(_) => {
                let error = format!(
                    "condition {name:?} answered no route; its handler must answer \
                     {{\"route\": n}}, with one of {}",
                    routes.numbers()
                );
                self.fail(index, iteration, error, false);
            }
        }
    }

    /// A condition was evaluated once more, and answered a number. Only an expression may answer
    /// one that it has no route for.
    pub(super) fn take_route(
        &mut self,
        index: u32,
        iteration: u32,
        evaluations: u32,
        number: u32,
        routes: &Routes,
    ) {
        let evaluations = evaluations + 1;
        match routes.get(number) {
            Some(route) if route.back => {
                self.record(
                    index,
                    TaskRecord::Rewinding {
                        iteration,
                        route: number,
                        evaluations,
                    },
                );
                let kind = EventKind::WorkflowTaskCompleted;
                self.tell_task(kind, index, iteration, None);
            }
            route => {
                let record = TaskRecord::Routed {
                    iteration,
                    route: route.map(|_| number),
                    evaluations,
                };
                self.end_well(index, record, None);
            }
        }
    }

    /// Resets what lies between the target of a route back and its condition: the target first,
    /// the condition last. Those that are reset already come first in that order.
    pub(super) fn rewind(&mut self) {
        while self.can_act()
            && let Some(condition) = self.instance.first_rewinding()
        {
            let Some(&TaskRecord::Rewinding {
                route, evaluations, ..
            }) = self.instance.record_of(condition)
            else {
                return;
            };
            let target = self.instance.route_target(condition, route);
            let (Some(target), Some((plan, base, place))) =
                (target, self.instance.place(condition))
            else {
                return;
            };
            let body = plan.body(place, target - base);
            let reset = body.partition_point(|&task| {
                let record = self.instance.record_of(base + task);
                matches!(record, Some(TaskRecord::Again { .. }))
            });
            let next = body.get(reset).map_or(condition, |task| base + task);
            self.acted();
            self.reset(next, if next == condition { evaluations } else { 0 });
        }
    }

    /// Adds the tasks that a subflow answered.
    fn expand(&mut self, index: u32, iteration: u32, answer: &Bytes) -> Result<(), String> {
        let name = self.instance.task_name(index);
        let name = name.as_ref().map_or("", |name| name.as_str());
        let tasks: Vec<TaskDefinition> = field(answer, "tasks").map_err(|error| {
            format!(
                "subflow {name:?} answered no tasks; its handler must answer {{\"tasks\": \
                 [...]}}: {error}"
            )
        })?;
        if tasks.is_empty() {
            let record = TaskRecord::Completed {
                iteration,
                continues: false,
            };
            self.end_well(index, record, None);
            return Ok(());
        }
        let count = self.room_for(index, name, tasks.len())?;
        let most = self.instance.limits().max_payload;
        let priority = self.instance.plan().default_priority();
        let plan = Plan::of_section(&tasks, name, priority, &*self.instance, most).map_err(
            |mistakes| {
                let told = mistakes.iter().take(MAX_MISTAKES_TOLD);
                let mut told: Vec<String> = told.map(ToString::to_string).collect();
                let untold = mistakes.len() - told.len();
                if untold > 0 {
                    told.push(format!("{untold} more mistakes; mend these first"));
                }
                format!(
                    "subflow {name:?} answered tasks that do not hold: {}",
                    told.join("; ")
                )
            },
        )?;
        self.check_limits(name, &tasks)?;
        let base = self.number(count);
        self.instance.add_subflow(index, iteration, base, plan);
        self.record(index, TaskRecord::Expanded { iteration });
        self.transition.sections.push(Section {
            generator: index,
            iteration,
            base,
            body: SectionBody::Subflow(tasks),
        });
        Ok(())
    }

    /// Limits are kept in the shard of their key, and the tasks run in that of the workflow.
    fn check_limits(&self, name: &str, tasks: &[TaskDefinition]) -> Result<(), String> {
        let shards = self.instance.header().shards.max(1);
        let all = WorkflowDefinition {
            tasks: tasks.to_vec(),
            ..WorkflowDefinition::default()
        };
        let here = self.instance.id().shard();
        match all.shard_of_limits(shards) {
            Ok(None) => Ok(()),
            Ok(Some(shard)) if shard == here => Ok(()),
            Ok(Some(_)) => Err(format!(
                "subflow {name:?} answered tasks whose limits are kept in another shard than the \
                 workflow; let a task of the definition carry one of them"
            )),
            Err(mistakes) => {
                let mistakes: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
                Err(format!(
                    "subflow {name:?} answered tasks that do not hold: {}",
                    mistakes.join("; ")
                ))
            }
        }
    }

    /// Whether a generator may add so many tasks.
    pub(super) fn room_for(&self, index: u32, name: &str, count: usize) -> Result<u32, String> {
        if self.instance.depth_of(index) >= MAX_DEPTH {
            return Err(format!(
                "task {name:?} adds tasks to tasks that were added, {MAX_DEPTH} levels deep, \
                 which is the most"
            ));
        }
        let there = self.instance.task_count() as usize;
        if there + count > MAX_TASKS {
            return Err(format!(
                "task {name:?} adds {count} tasks to {there}, and a workflow may have {MAX_TASKS} \
                 at most"
            ));
        }
        // Far beyond what a workflow comes to: behind it are the numbers of hooks.
        let numbered = u64::from(self.instance.numbered()) + count as u64;
        if numbered > u64::from(Hook::FIRST_INDEX) {
            return Err(format!(
                "task {name:?} adds {count} tasks, and the workflow has no numbers left; start it \
                 anew"
            ));
        }
        u32::try_from(count).map_err(|error| error.to_string())
    }

    /// Gives numbers to so many tasks; the first of them.
    pub(super) fn number(&mut self, count: u32) -> u32 {
        let base = self.instance.numbered();
        self.instance.header_mut().numbered = base + count;
        self.keep_header();
        base
    }
}
