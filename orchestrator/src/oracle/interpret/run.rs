//! The order of things: whose turn it is, ways back, attempts, and the end.

use paceline_types::WorkflowStatus;
use paceline_types::workflow::{Hook, TaskKind};
use serde_json::{Value, json};

use super::super::chance::Chance;
use super::super::shape::Leads;
use super::super::values;
use super::{End, Kind, MAX_STEPS, Machine, Task, Told, Unfit, tell_of};

impl Machine<'_> {
    pub(super) fn run(mut self, order: &mut Chance) -> Result<Told, Unfit> {
        loop {
            self.exhaust(order)?;
            let fatal: Vec<usize> = (0..self.tasks.len())
                .filter(|&task| self.is_alive(self.tasks[task].scope))
                .filter(|&task| self.kind(task).is_some_and(|kind| !kind.is_done()))
                .collect();
            let attempts = self.definition.retry_policy.as_ref();
            let attempts = attempts.map_or(1, |policy| policy.max_attempts);
            if fatal.is_empty() || self.told.attempts >= attempts {
                return self.finish(order);
            }
            self.told.attempts += 1;
            self.told.fatals.clear();
            for task in fatal {
                self.begin_anew(task);
            }
        }
    }

    /// Runs tasks until no turn comes any more.
    fn exhaust(&mut self, order: &mut Chance) -> Result<(), Unfit> {
        loop {
            let able: Vec<usize> = (0..self.tasks.len())
                .filter(|&task| self.can_go_on(task))
                .collect();
            if able.is_empty() {
                return Ok(());
            }
            let task = *order.pick(&able);
            self.take_turn(task, order)?;
            self.told.steps += 1;
            if self.told.steps > MAX_STEPS {
                return Err(Unfit::TooLong);
            }
        }
    }

    fn take_turn(&mut self, task: usize, order: &mut Chance) -> Result<(), Unfit> {
        if let Some((_, answered)) = self.tasks[task].expanded.take() {
            self.end(task, Kind::Completed, answered, None);
            return Ok(());
        }
        if self.is_passed_by(task) {
            self.end(task, Kind::Bypassed, Value::Null, None);
            return Ok(());
        }
        if let Some(reason) = self.unmet(task) {
            self.end(task, Kind::Skipped, Value::Null, Some(reason));
            return Ok(());
        }
        if self.tasks[task].definition.kind == TaskKind::Condition {
            self.evaluate(task);
            return Ok(());
        }
        self.work(task, order)
    }

    fn is_passed_by(&self, task: usize) -> bool {
        let shape = self.shape(task);
        let place = self.place(task);
        let deciders = &shape.deciders[place];
        if !deciders.is_empty() {
            let leads_here = |&decider: &usize| {
                let Some(Kind::Routed(Some(route))) = self.kind(self.beside(task, decider)) else {
                    return false;
                };
                shape.routes[decider].get(&route)
                    == Some(&Leads {
                        to: place,
                        back: false,
                    })
            };
            return !deciders.iter().any(leads_here);
        }
        let mut before = shape.dependencies[place]
            .iter()
            .map(|&on| self.kind(self.beside(task, on)));
        !shape.dependencies[place].is_empty() && before.all(|kind| kind == Some(Kind::Bypassed))
    }

    /// The first precondition that does not hold.
    fn unmet(&self, task: usize) -> Option<String> {
        let preconditions = &self.tasks[task].definition.preconditions;
        preconditions
            .iter()
            .enumerate()
            .find_map(|(number, precondition)| {
                let upstream = self.value_of(self.sibling(task, &precondition.task)?);
                let found = values::at(&upstream, &precondition.path).unwrap_or(Value::Null);
                let found = values::text_of(&found);
                (found != precondition.expected).then(|| format!("precondition {number}: "))
            })
    }

    fn evaluate(&mut self, task: usize) {
        let definition = self.tasks[task].definition.clone();
        let most = match definition.max_iterations {
            0 => 100,
            most => most,
        };
        if self.tasks[task].evaluations >= most {
            let name = &definition.name;
            let error = format!("condition \"{name}\" exceeded max iterations ({most})");
            return self.fail(task, Kind::Dead, error);
        }
        self.tasks[task].evaluations += 1;
        if let Some(expression) = &definition.condition {
            let holds = values::holds(expression, &|root: &str| self.root(task, root));
            let route = u32::from(!holds);
            return match self.leads(task, route) {
                Some(leads) => self.follow(task, route, leads, json!({ "route": route })),
                None => self.end(task, Kind::Routed(None), json!({ "route": route }), None),
            };
        }
        let Some(answer) = self.job(task) else {
            return;
        };
        let Some(number) = answer.get("route").and_then(Value::as_u64) else {
            return self.fail(
                task,
                Kind::Dead,
                format!("condition \"{}\"", definition.name),
            );
        };
        let route = u32::try_from(number).ok();
        match route.and_then(|route| Some((route, self.leads(task, route)?))) {
            Some((route, leads)) => self.follow(task, route, leads, answer),
            None => {
                let known: Vec<String> = definition
                    .condition_routes
                    .keys()
                    .map(u32::to_string)
                    .collect();
                let error = format!(
                    "condition \"{}\" answered route {number}, which it does not have; its routes are {}",
                    definition.name,
                    known.join(", ")
                );
                self.fail(task, Kind::Dead, error);
            }
        }
    }

    fn leads(&self, task: usize, route: u32) -> Option<Leads> {
        self.shape(task).routes[self.place(task)]
            .get(&route)
            .copied()
    }

    fn follow(&mut self, task: usize, route: u32, leads: Leads, answer: Value) {
        self.end(task, Kind::Routed(Some(route)), answer, None);
        if !leads.back {
            return;
        }
        let way = (leads.to, self.place(task));
        let body = self.shape(task).bodies[&way].clone();
        let evaluations = self.tasks[task].evaluations;
        for place in body {
            let member = self.beside(task, place);
            self.begin_anew(member);
        }
        self.tasks[task].evaluations = evaluations;
    }

    /// Forgets how a task ended; its next start is a new one.
    fn begin_anew(&mut self, task: usize) {
        for scope in &mut self.scopes {
            if scope.generator == Some(task) {
                scope.alive = false;
            }
        }
        let task = &mut self.tasks[task];
        task.iteration += 1;
        task.evaluations = 0;
        task.end = None;
        task.continues = false;
        task.elements.clear();
    }

    pub(super) fn end(&mut self, task: usize, kind: Kind, value: Value, error: Option<String>) {
        let end = End { kind, value, error };
        let task = &mut self.tasks[task];
        self.told
            .ends
            .insert((task.key.clone(), task.iteration), end.clone());
        task.end = Some(end);
    }

    /// Ends a task badly, as its definition has it.
    pub(super) fn fail(&mut self, task: usize, kind: Kind, error: String) {
        if self.tasks[task].definition.allow_failure {
            let value = json!({ "error": error });
            self.end(task, Kind::FailedAllowed, value, Some(error));
        } else {
            let key = self.tasks[task].key.clone();
            self.told.fatals.insert(key, error.clone());
            self.end(task, kind, Value::Null, Some(error));
        }
    }

    fn finish(mut self, order: &mut Chance) -> Result<Told, Unfit> {
        for task in 0..self.tasks.len() {
            let Task {
                key,
                iteration,
                scope,
                end,
                elements,
                ..
            } = &self.tasks[task];
            if self.is_alive(*scope) && end.is_some() {
                self.told.last.insert((key.clone(), *iteration));
                self.told.last.extend(elements.iter().cloned());
            }
        }
        self.check_bound()?;
        if !self.told.fatals.is_empty() {
            self.told.status = WorkflowStatus::Failed;
            self.hook(Hook::Failure);
            self.hook(Hook::Exit);
            return Ok(self.told);
        }
        let top = 0..self.scopes[0].count;
        if !top.clone().all(|task| self.is_done(task)) {
            return Err(Unfit::Hangs);
        }
        let leaves = self.scopes[0].shape.leaves.clone();
        if let Some(&leaf) = leaves.iter().find(|&&leaf| self.tasks[leaf].continues) {
            self.told.status = WorkflowStatus::Continued;
            let input = self.value_of(leaf);
            let next = tell_of(self.definition, &input, order, true)?;
            self.told.next = Some(Box::new(next));
            return Ok(self.told);
        }
        self.told.status = WorkflowStatus::Completed;
        self.told.output = match &*leaves {
            [leaf] => self.value_of(*leaf),
            leaves => leaves
                .iter()
                .map(|&leaf| {
                    (
                        self.tasks[leaf].definition.name.clone(),
                        self.value_of(leaf),
                    )
                })
                .collect::<serde_json::Map<_, _>>()
                .into(),
        };
        self.hook(Hook::Success);
        self.hook(Hook::Exit);
        Ok(self.told)
    }

    fn check_bound(&self) -> Result<(), Unfit> {
        for scope in &self.scopes {
            let tasks = &self.tasks[scope.first..scope.first + scope.count];
            let definitions: Vec<_> = tasks.iter().map(|task| task.definition.clone()).collect();
            let most = scope.shape.most_starts(&definitions);
            for (task, most) in tasks.iter().zip(most) {
                if u64::from(task.iteration) + 1
                    > most.saturating_mul(u64::from(self.told.attempts))
                {
                    return Err(Unfit::Overrun);
                }
            }
        }
        Ok(())
    }
}
