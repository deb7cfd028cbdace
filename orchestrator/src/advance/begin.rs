//! What happens to a task when its turn comes.

use bytes::Bytes;
use paceline_types::workflow::{Origin, Plan};
use paceline_types::workflow::{PlannedTask, Routes, TaskRecord, Work, with_upstream};
use paceline_types::{EventKind, SignalName};
use serde_json::json;

use super::Step;
use super::values::Lack;
use crate::instance::MAX_DEPTH;
use crate::ports::{Alarm, ConcludedBy, Spawn};
use crate::transition::{Effect, Late, Refusal};

/// What the event of a task says that no way led to.
const BYPASSED: &str = "skipped: no route led here";

impl Step<'_> {
    /// Goes through the queue. What waits for a result is passed over.
    pub(super) fn begin_tasks(&mut self) {
        let mut passed = None;
        while self.can_act()
            && self.is_running()
            && !self.instance.is_suspended()
            && !self.wants_enough()
            && let Some(turn) = self.instance.next_turn(passed)
            && let Some(index) = self.instance.task_at(turn)
        {
            match self.begin(index) {
                Ok(()) => self.acted(),
                Err(Lack::Unread) => passed = Some(turn),
                Err(Lack::Gone(error)) => {
                    self.acted();
                    self.fail(index, self.next_iteration(index), error, false);
                }
            }
        }
    }

    /// Which start of the task its turn is.
    fn next_iteration(&self, index: u32) -> u32 {
        match self.instance.record_of(index) {
            Some(record) => record.iteration(),
            None => 0,
        }
    }

    fn begin(&mut self, index: u32) -> Result<(), Lack> {
        let iteration = self.next_iteration(index);
        let Some((plan, base, place)) = self.instance.place(index) else {
            return self.begin_element(index, iteration);
        };
        let plan = plan.clone();
        let planned = plan.task(place);
        if !self.is_led_to(&plan, base, place) {
            let note = Some(BYPASSED.to_owned());
            self.end_well(index, TaskRecord::Bypassed { iteration }, note);
            return Ok(());
        }
        if let Some(reason) = self.failing_precondition(index)? {
            let note = Some(format!("skipped: {reason}"));
            self.end_well(index, TaskRecord::Skipped { iteration, reason }, note);
            return Ok(());
        }
        match &planned.work {
            Work::Job { .. } | Work::Subflow { .. } => self.dispatch(index, iteration, 0),
            Work::Condition { routes, .. } => {
                if let Some(evaluations) = self.may_evaluate(index, iteration, planned, routes) {
                    self.dispatch(index, iteration, evaluations);
                }
            }
            Work::Expression { expression, routes } => {
                let known = self.known_to(index)?;
                if let Some(evaluations) = self.may_evaluate(index, iteration, planned, routes) {
                    let number = match expression.holds(&known) {
                        true => 0,
                        false => 1,
                    };
                    let result = json!({ "route": number }).to_string();
                    self.leave(index, iteration, ConcludedBy::Value(Bytes::from(result)));
                    self.take_route(index, iteration, evaluations, number, routes);
                }
            }
            Work::Map { .. } => self.begin_map(index, iteration, planned)?,
            Work::Child { definition, .. } => {
                self.begin_child(index, iteration, planned, definition)?;
            }
            Work::Signal { name } => self.begin_wait(index, iteration, planned, name),
        }
        Ok(())
    }

    /// Whether a way leads to a task whose turn has come: a route that was taken, or, if no
    /// condition decides on it, a dependency that was not passed by.
    fn is_led_to(&self, plan: &Plan, base: u32, place: u32) -> bool {
        let record = |place: u32| self.instance.record_of(base + place);
        let deciders = plan.deciders(place);
        if !deciders.is_empty() {
            return deciders.iter().any(|&condition| match record(condition) {
                Some(TaskRecord::Routed {
                    route: Some(number),
                    ..
                }) => {
                    let routes = plan.task(condition).work.routes();
                    let route = routes.and_then(|routes| routes.get(*number));
                    route.is_some_and(|route| route.target == place)
                }
                _ => false,
            });
        }
        let dependencies = plan.dependencies(place);
        let live = |&on: &u32| !matches!(record(on), Some(TaskRecord::Bypassed { .. }));
        dependencies.is_empty() || dependencies.iter().any(live)
    }

    /// How often a condition was evaluated before, if it may be once more; else it has failed.
    fn may_evaluate(
        &mut self,
        index: u32,
        iteration: u32,
        planned: &PlannedTask,
        routes: &Routes,
    ) -> Option<u32> {
        let evaluations = self.evaluations(index);
        let most = routes.max_iterations;
        if evaluations < most {
            return Some(evaluations);
        }
        let name = planned.name.as_str();
        let error = format!("condition {name:?} exceeded max iterations ({most})");
        self.fail(index, iteration, error, false);
        None
    }

    fn dispatch(&mut self, index: u32, iteration: u32, evaluations: u32) {
        let Some(job) = self.instance.task_job(index, iteration) else {
            return;
        };
        self.dispatched(index, iteration, evaluations);
        self.effect(Effect::Dispatch(Box::new(job)));
    }

    pub(super) fn dispatched(&mut self, index: u32, iteration: u32, evaluations: u32) {
        self.record(
            index,
            TaskRecord::Dispatched {
                iteration,
                evaluations,
            },
        );
        let kind = EventKind::WorkflowTaskDispatched;
        self.tell_task(kind, index, iteration, None);
    }

    fn begin_child(
        &mut self,
        index: u32,
        iteration: u32,
        planned: &PlannedTask,
        definition: &Bytes,
    ) -> Result<(), Lack> {
        if self.depth_of_children() > MAX_DEPTH {
            let error = format!(
                "a workflow may have {MAX_DEPTH} ancestors at most; let this one end before \
                 another begins"
            );
            self.fail(index, iteration, error, false);
            return Ok(());
        }
        let spawn = self.spawn_of(index, iteration, planned, definition)?;
        self.dispatched(index, iteration, 0);
        self.effect(Effect::Spawn(Box::new(spawn)));
        Ok(())
    }

    fn depth_of_children(&self) -> u32 {
        self.instance.origin().map_or(0, |origin| origin.depth) + 1
    }

    /// The child that one start of a task is, with what it is given.
    pub(super) fn spawn_of(
        &mut self,
        index: u32,
        iteration: u32,
        planned: &PlannedTask,
        definition: &Bytes,
    ) -> Result<Spawn, Lack> {
        let known = self.known_to(index)?;
        let upstream = self.upstream_of(index)?;
        let most = self.instance.limits().max_payload;
        let payload = match &planned.template {
            None => planned.payload.clone(),
            Some(template) => template
                .render(&known, most)
                .map_err(|error| Lack::Gone(format!("payload: {error}")))?,
        };
        let input = match upstream {
            Some(upstream) => Some(with_upstream(&upstream, &payload)),
            None if payload == b"null"[..] => None,
            None => Some(payload),
        };
        let size = input.as_ref().map_or(0, Bytes::len);
        if size > most {
            return Err(Lack::Gone(format!(
                "payload: {size} bytes, at most {most} are allowed; pass a reference to the data"
            )));
        }
        Ok(Spawn {
            child: self.instance.child_of(index, iteration),
            definition: definition.clone(),
            input,
            origin: Origin {
                parent: self.instance.id(),
                task: index,
                iteration,
                depth: self.depth_of_children(),
            },
            task: planned.name.clone(),
        })
    }

    fn begin_wait(&mut self, index: u32, iteration: u32, planned: &PlannedTask, name: &SignalName) {
        if let Some(number) = self.instance.mailbox().oldest(name) {
            return self.hand_over(index, iteration, number, name);
        }
        self.dispatched(index, iteration, 0);
        if let Some(timeout) = planned.timeout {
            let task = index;
            self.effect(Effect::Arm(Alarm::Signal { task, iteration }, timeout));
        }
    }

    /// A task takes a signal, and is done with it.
    fn hand_over(&mut self, index: u32, iteration: u32, number: u64, name: &SignalName) {
        self.instance.mailbox_mut().take_signal(number, name);
        self.leave(index, iteration, ConcludedBy::Signal { number });
        let record = TaskRecord::Completed {
            iteration,
            continues: false,
        };
        self.end_well(index, record, None);
    }

    /// Hands signals that are there to the tasks that wait for them.
    pub(super) fn deliver_signals(&mut self) {
        while self.can_act()
            && let Some((number, index)) = self.instance.mailbox().deliverable()
        {
            self.acted();
            let Some(planned) = self.instance.planned(index) else {
                return;
            };
            let Work::Signal { name } = &planned.work else {
                return;
            };
            let (name, timeout) = (name.clone(), planned.timeout);
            let iteration = self.next_iteration(index);
            if timeout.is_some() {
                let task = index;
                self.effect(Effect::Disarm(Alarm::Signal { task, iteration }));
            }
            self.hand_over(index, iteration, number, &name);
        }
    }

    pub(super) fn take_signal_in(&mut self, number: u64, name: &SignalName) -> Result<(), Refusal> {
        if self.instance.stage().is_closed() {
            return Err(Refusal::Late(Late::Closed));
        }
        if number <= self.instance.header().signals {
            return Err(Refusal::Late(Late::SignalKnown));
        }
        self.instance.header_mut().signals = number;
        if !self.instance.was_acknowledged(number) {
            self.instance.mailbox_mut().signal(number, name.clone());
        }
        self.keep_header();
        Ok(())
    }
}
