//! An instance, what is kept of it, and scripts over both.

mod script;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use paceline_types::workflow::{Header, Origin, Plan, Section, Stage, TaskRecord};
use paceline_types::{JobId, ShardIndex, SignalName, TaskName, WorkflowDefinition, WorkflowId};

use crate::advance::advance;
use crate::facts::Facts;
use crate::graph::graph;
use crate::instance::{Instance, Limits};
use crate::ports::{Alarm, ConcludedBy, StoredInstance, TaskOutcome};
use crate::transition::{Effect, Event, Refusal, Transition};

pub(super) const ALL: usize = 100;

pub(super) fn new_instance(line: &str) -> Instance {
    Run::new(line).instance
}

/// What a ledger keeps, by what it is told.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) input: Option<Bytes>,
    pub(super) origin: Option<Origin>,
    pub(super) suspended: bool,
    pub(super) continued_from: Option<WorkflowId>,
    pub(super) header: Header,
    pub(super) tasks: BTreeMap<u32, TaskRecord>,
    pub(super) history: BTreeMap<(u32, u32), TaskRecord>,
    pub(super) sections: BTreeMap<u32, Section>,
    pub(super) signals: BTreeMap<u64, SignalName>,
}

impl Kept {
    pub(super) fn stored(&self) -> StoredInstance {
        StoredInstance {
            definition: Bytes::new(),
            input: self.input.clone(),
            origin: self.origin,
            continued_from: self.continued_from,
            suspended: self.suspended,
            cancelled: None,
            retried: false,
            header: self.header.clone(),
            revision: 0,
            tasks: self.tasks.clone().into_iter().collect(),
            sections: self.sections.values().cloned().collect(),
            signals: self.signals.clone().into_iter().collect(),
            last_signal: 0,
        }
    }

    fn commit(&mut self, transition: &Transition) {
        if let Some(header) = &transition.header {
            self.header = header.clone();
        }
        let mut written = BTreeSet::new();
        for (index, record) in &transition.tasks {
            assert!(written.insert(*index), "task {index} is written twice");
            self.tasks.insert(*index, record.clone());
        }
        for (index, record) in &transition.history {
            let start = (*index, record.iteration());
            let before = self.history.insert(start, record.clone());
            assert_eq!(before, None, "{start:?} is over twice");
            let is_over = record.is_done()
                || matches!(
                    record,
                    TaskRecord::Dead { .. } | TaskRecord::Cancelled { .. }
                );
            assert!(is_over, "{start:?} was reset as {record:?}");
        }
        for section in &transition.sections {
            self.sections.insert(section.generator, section.clone());
        }
        for index in &transition.dropped {
            let record = self.tasks.remove(index).expect("it was kept");
            let start = (*index, record.iteration());
            let before = self.history.insert(start, record);
            assert_eq!(before, None, "{start:?} is over twice");
            self.sections.remove(index);
        }
        for effect in &transition.effects {
            if let Effect::Conclude(conclusion) = effect
                && let ConcludedBy::Signal { number } = conclusion.result
            {
                let taken = self.signals.remove(&number);
                assert!(taken.is_some(), "signal {number} is taken twice");
            }
        }
    }
}

/// A live instance beside what is kept of it.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub(super) instance: Instance,
    pub(super) kept: Kept,
    pub(super) limit: usize,
    /// Results by job; those of conclusions come in by themselves.
    pub(super) results: HashMap<JobId, Bytes>,
    /// Whether they are known without being asked for.
    pub(super) eager: bool,
    pub(super) dispatched: BTreeSet<JobId>,
    pub(super) limits: Limits,
}

impl Run {
    pub(super) fn new(line: &str) -> Run {
        Run::of(&graph(line))
    }

    pub(super) fn of(definition: &WorkflowDefinition) -> Run {
        let plan = definition
            .validate(64 << 10)
            .unwrap_or_else(|mistakes| panic!("{mistakes:?}"));
        Run::with(Arc::new(plan), |_| {})
    }

    /// An instance that begins with something more than its plan.
    pub(super) fn with(plan: Arc<Plan>, change: impl FnOnce(&mut Kept)) -> Run {
        let mut kept = Kept {
            input: None,
            origin: None,
            suspended: false,
            continued_from: None,
            header: Header::NEW,
            tasks: BTreeMap::new(),
            history: BTreeMap::new(),
            sections: BTreeMap::new(),
            signals: BTreeMap::new(),
        };
        change(&mut kept);
        let id = WorkflowId::from_parts(1, ShardIndex(0), 9);
        let limits = Limits::default();
        let instance = Instance::restore(id, plan, kept.stored(), limits).expect("an instance");
        Run {
            instance,
            kept,
            limit: ALL,
            results: HashMap::new(),
            eager: true,
            dispatched: BTreeSet::new(),
            limits,
        }
    }

    pub(super) fn limited(mut self, limit: usize) -> Run {
        self.limit = limit;
        self
    }

    /// What is loaded from what is kept.
    pub(super) fn reloaded(&self) -> Instance {
        let plan = self.instance.plan().clone();
        Instance::restore(self.instance.id(), plan, self.kept.stored(), self.limits)
            .expect("what is kept loads")
    }

    pub(super) fn facts(&self) -> Facts {
        let mut facts = Facts::new();
        if self.eager {
            for (&job, result) in &self.results {
                facts.learn(job, Some(result.clone()));
            }
        }
        facts
    }

    /// Applies an event with what is known, and checks what must hold after every event.
    pub(super) fn apply(&mut self, event: &Event) -> Result<Transition, Refusal> {
        let facts = self.facts();
        self.apply_knowing(event, &facts)
    }

    pub(super) fn apply_knowing(
        &mut self,
        event: &Event,
        facts: &Facts,
    ) -> Result<Transition, Refusal> {
        let before = self.instance.clone();
        let answer = advance(&mut self.instance, event, facts, self.limit);
        let transition = match &answer {
            Err(_) => {
                assert_eq!(
                    self.instance, before,
                    "{event:?}: a refusal changed something"
                );
                return answer;
            }
            Ok(transition) => transition,
        };
        self.kept.commit(transition);
        self.learn(transition);
        assert_eq!(
            self.reloaded(),
            self.instance,
            "{event:?}: loaded differently"
        );
        assert_eq!(transition.more, self.instance.has_leftover(), "{event:?}");
        assert!(transition.wanted.is_empty() || transition.more, "{event:?}");
        let launched = transition.effects.iter().filter(|effect| launches(effect));
        // The hooks of an outcome that is left are called at once.
        let hooks = if *event == Event::RetryRequested {
            2
        } else {
            0
        };
        let most = self.limit + hooks;
        assert!(launched.count() <= most, "{event:?}: {transition:?}");
        // One that ended, or rests, once more may be tried again once more.
        let anew = match event {
            Event::Continue => true,
            Event::RetryRequested => matches!(self.instance.stage(), Stage::Ended(_)),
            Event::Rang(Alarm::Retry) => matches!(self.instance.stage(), Stage::Resting(_)),
            _ => false,
        };
        if !anew {
            let mut again = self.instance.clone();
            let repeated = advance(&mut again, event, facts, self.limit);
            assert!(
                matches!(repeated, Err(Refusal::Late(_))),
                "{event:?}: applied twice: {repeated:?}"
            );
            assert_eq!(again, self.instance);
        }
        answer
    }

    /// Results that came with a transition, and jobs that it made.
    fn learn(&mut self, transition: &Transition) {
        for effect in &transition.effects {
            match effect {
                Effect::Conclude(conclusion) => {
                    let result = match &conclusion.result {
                        ConcludedBy::Value(value) => value.clone(),
                        ConcludedBy::Signal { number } => {
                            Bytes::from(format!("\"signal {number}\""))
                        }
                    };
                    self.results.entry(conclusion.job).or_insert(result);
                }
                Effect::Spawn(spawn) => {
                    let origin = spawn.origin;
                    let job = self.instance.job_of(origin.task, origin.iteration);
                    assert!(self.dispatched.insert(job), "{} is made twice", spawn.task);
                }
                Effect::Dispatch(job) => {
                    assert!(
                        self.dispatched.insert(job.job),
                        "{} is made twice",
                        job.task
                    );
                }
                _ => {}
            }
        }
    }

    /// Applies a line of a script and goes on while there is something to do. How many tasks
    /// were dropped.
    pub(super) fn settle(&mut self, line: &str) -> usize {
        let mut event = self.event(line);
        let mut dropped = 0;
        loop {
            let transition = self
                .apply(&event)
                .unwrap_or_else(|refusal| panic!("{line}: {refusal}"));
            assert!(transition.dropped.len() <= self.limit, "{line}");
            dropped += transition.dropped.len();
            if !transition.more {
                return dropped;
            }
            event = Event::Continue;
        }
    }

    /// Names of tasks whose jobs, children or waits are under way.
    pub(super) fn open(&self) -> Vec<String> {
        let open = self.instance.records().filter(|(_, record)| {
            matches!(
                record,
                TaskRecord::Dispatched { .. } | TaskRecord::Cancelling { .. }
            )
        });
        let name = |(index, _)| self.instance.task_name(index).expect("a name").to_string();
        open.map(name).collect()
    }

    pub(super) fn record(&self, task: &str) -> Option<&TaskRecord> {
        self.instance.record_of(self.instance.index_of(task)?)
    }
}

fn launches(effect: &Effect) -> bool {
    matches!(
        effect,
        Effect::Dispatch(_) | Effect::CancelJob(_) | Effect::Spawn(_) | Effect::CancelChild { .. }
    )
}

/// Runs a script of `event => what follows`; each event is delivered twice, and the instance is
/// loaded afresh after each.
pub(super) fn check_limited(line: &str, limit: usize, script: &[&str]) {
    Run::new(line).limited(limit).script(script);
}

pub(super) fn check(line: &str, script: &[&str]) {
    check_limited(line, ALL, script);
}

/// The instance that is loaded from the records of one without sections.
pub(super) fn reloaded(instance: &Instance) -> Instance {
    let fresh = Run::with(instance.plan().clone(), |kept| {
        kept.header = instance.header().clone();
        let records = instance.records();
        kept.tasks = records
            .map(|(task, record)| (task, record.clone()))
            .collect();
    });
    fresh.instance
}

/// The end of a task's start.
pub(super) fn ended(
    instance: &Instance,
    task: &str,
    iteration: u32,
    outcome: TaskOutcome,
) -> Event {
    let index = instance.index_of(task).unwrap_or(0);
    Event::TaskEnded {
        task: TaskName::new(task).expect(task),
        iteration,
        job: JobId::of_task(instance.id(), index, iteration),
        outcome,
    }
}
