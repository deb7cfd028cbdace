//! Random definitions, random outcomes: every walk ends.

use std::fmt::Write as _;

use bytes::Bytes;
use paceline_types::workflow::{
    Hook, ResultFrom, ResultReuse, TaskDefinition, TaskKind, TaskRecord, Work,
};
use paceline_types::{SignalName, TaskName, WorkflowDefinition};
use serde_json::json;
use serde_json::value::RawValue;

use super::*;
use crate::graph::{graph, task};

/// A small generator of numbers, so that a seed names a walk.
#[derive(Clone, Debug)]
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from((self.0 >> 11) % most.max(1) as u64).unwrap_or(0)
    }

    /// True in so many of a hundred cases.
    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

fn raw(value: &serde_json::Value) -> Option<Box<RawValue>> {
    RawValue::from_string(value.to_string()).ok()
}

/// Tasks that most often hold; `prefix` keeps the names of sections apart.
fn tasks(dice: &mut Dice, prefix: &str, nests: bool) -> Vec<TaskDefinition> {
    let count = 1 + dice.below(8);
    let name = |place: usize| format!("{prefix}{place}");
    let mut tasks: Vec<TaskDefinition> = Vec::new();
    for place in 0..count {
        let mut on: Vec<usize> = Vec::new();
        for _ in 0..dice.below(4) {
            if place > 0 {
                on.push(dice.below(place));
            }
        }
        on.sort_unstable();
        on.dedup();
        let mut this = TaskDefinition {
            depends_on: on.iter().map(|&on| name(on)).collect(),
            priority: i64::try_from(dice.below(4)).unwrap_or(0),
            allow_failure: dice.chance(20),
            ..task(&name(place))
        };
        if dice.chance(10) {
            this.result_reuse = ResultReuse::Never;
        }
        match dice.below(20) {
            0..=3 => {
                this.kind = TaskKind::Condition;
                this.max_iterations = 1 + u32::try_from(dice.below(3)).unwrap_or(0);
                if dice.chance(40) && place > 0 {
                    // Back to one before it: only an ancestor holds.
                    this.condition_routes.insert(0, name(dice.below(place + 1)));
                }
                if dice.chance(30)
                    && let Some(first) = this.depends_on.first()
                {
                    this.task_type.clear();
                    this.condition = Some(format!("tasks.{first}.output.n gte 2"));
                }
            }
            4 | 5 => {
                this.kind = TaskKind::Map;
                this.window = u32::try_from(dice.below(3)).unwrap_or(0);
                match (this.depends_on.first(), dice.chance(40)) {
                    (Some(first), true) => this.result_from = Some(ResultFrom::One(first.clone())),
                    _ => {
                        let items: Vec<usize> = (0..dice.below(5)).collect();
                        this.items = raw(&json!(items));
                    }
                }
            }
            6 | 7 if nests => this.kind = TaskKind::Subflow,
            8 => {
                this.kind = TaskKind::Signal;
                this.task_type.clear();
                this.signal = Some(format!("s{}", dice.below(2)));
                if dice.chance(50) {
                    this.timeout = Some(std::time::Duration::from_secs(60));
                }
            }
            9 => {
                this.task_type.clear();
                this.child_workflow_def = Some(Box::new(graph("only")));
            }
            _ => {}
        }
        if dice.chance(10)
            && let Some(first) = this.depends_on.first()
        {
            this.preconditions = vec![paceline_types::workflow::Precondition {
                kind: "upstream_output".to_owned(),
                task: first.clone(),
                path: "n".to_owned(),
                expected: "1".to_owned(),
            }];
        }
        // Whoever depends on a condition is led to by it.
        let led = on.iter().copied();
        for condition in led.chain(dice.chance(10).then_some(place / 2)) {
            let Some(condition) = tasks.get_mut(condition) else {
                continue;
            };
            if condition.kind == TaskKind::Condition {
                let routes = &mut condition.condition_routes;
                let free = (0..).find(|number| !routes.contains_key(number));
                routes.insert(free.unwrap_or(0), name(place));
            }
        }
        tasks.push(this);
    }
    for task in &mut tasks {
        if task.kind == TaskKind::Condition && task.condition_routes.is_empty() {
            let own = task.name.clone();
            task.condition_routes.insert(1, own);
        }
    }
    tasks
}

fn definition(dice: &mut Dice) -> WorkflowDefinition {
    let mut line = String::new();
    for (mark, percent) in [
        ("@1h", 30),
        ("%2", 30),
        ("#init", 10),
        ("#success,exit", 15),
    ] {
        if dice.chance(percent) {
            let _ = write!(line, "{mark} ");
        }
    }
    if dice.chance(15) {
        line.push_str("#init,success,failure,exit");
    }
    WorkflowDefinition {
        tasks: tasks(dice, "t", true),
        ..graph(&line)
    }
}

fn is_open(record: &TaskRecord) -> bool {
    matches!(
        record,
        TaskRecord::Dispatched { .. } | TaskRecord::Cancelling { .. }
    )
}

/// What a walk came through.
#[derive(Debug, Default)]
struct Seen {
    walks: usize,
    completed: usize,
    ended: usize,
    loops: usize,
    sections: usize,
    bypassed: usize,
    retries: usize,
    late: usize,
}

struct Walk {
    run: Run,
    dice: Dice,
    /// Results that are known because they were asked for.
    told: Facts,
    past: Vec<Event>,
    signals: u64,
    by_hand: usize,
    closed: usize,
    retired: usize,
}

impl Walk {
    fn apply(&mut self, event: &Event, seen: &mut Seen) {
        let facts = match self.run.eager {
            true => self.run.facts(),
            false => self.told.clone(),
        };
        let transition = match self.run.apply_knowing(event, &facts) {
            Ok(transition) => transition,
            Err(Refusal::Late(_)) => {
                seen.late += 1;
                return;
            }
            Err(impossible) => panic!("{event:?}: {impossible}"),
        };
        for job in &transition.wanted {
            self.told.learn(*job, self.run.results.get(job).cloned());
        }
        for effect in &transition.effects {
            match effect {
                Effect::Close { .. } => self.closed += 1,
                Effect::Retire => self.retired += 1,
                _ => {}
            }
        }
        let count = |is: fn(&TaskRecord) -> bool| {
            let records = transition.tasks.iter().filter(|(_, record)| is(record));
            records.count()
        };
        seen.bypassed += count(|record| matches!(record, TaskRecord::Bypassed { .. }));
        seen.loops += count(|record| matches!(record, TaskRecord::Rewinding { .. }));
        seen.sections += transition.sections.len();
        if !matches!(event, Event::Continue) {
            self.past.push(event.clone());
        }
    }

    /// What happens next; none when it is over.
    fn next(&mut self, seen: &mut Seen) -> Option<Event> {
        let more = self.run.instance.has_leftover();
        if more && self.dice.chance(75) {
            return Some(Event::Continue);
        }
        let resting = matches!(self.run.instance.stage(), Stage::Resting(_));
        if self.dice.chance(4) && !self.past.is_empty() {
            let again = self.dice.below(self.past.len());
            let again = self.past.get(again).cloned();
            // What would be true once more is no repetition.
            let anew = |event: &Event| matches!(event, Event::RetryRequested | Event::Rang(_));
            if let Some(event) = again.filter(|event| !anew(event)) {
                return Some(event);
            }
        }
        match self.dice.below(150) {
            0 => {
                return Some(Event::CancelRequested {
                    reason: "why".to_owned(),
                });
            }
            1 if self.run.instance.plan().execution_timeout().is_some() => {
                return Some(Event::Rang(Alarm::Deadline));
            }
            2 if !self.run.kept.suspended => {
                self.run.kept.suspended = true;
                self.run.instance = self.run.reloaded();
            }
            3..=12 => return Some(self.signal()),
            _ => {}
        }
        if self.run.kept.suspended && self.dice.chance(30) {
            self.run.kept.suspended = false;
            self.run.instance = self.run.reloaded();
            return Some(Event::Continue);
        }
        let open: Vec<(u32, TaskRecord)> = self
            .run
            .instance
            .records()
            .filter(|(_, record)| is_open(record))
            .map(|(index, record)| (index, record.clone()))
            .collect();
        if let Some((index, record)) = open.get(self.dice.below(open.len())) {
            return Some(self.end(*index, record.iteration()));
        }
        if more {
            return Some(Event::Continue);
        }
        if resting {
            seen.retries += 1;
            return Some(Event::Rang(Alarm::Retry));
        }
        match self.run.instance.stage() {
            Stage::Ended(_) if self.by_hand < 2 && self.dice.chance(50) => {
                self.by_hand += 1;
                seen.retries += 1;
                Some(Event::RetryRequested)
            }
            stage if stage.is_closed() => None,
            Stage::Pending => Some(Event::Start { shards: 4 }),
            _ if self.run.kept.suspended => {
                self.run.kept.suspended = false;
                self.run.instance = self.run.reloaded();
                Some(Event::Continue)
            }
            stage => panic!("stuck in {stage:?}: {:?}", self.run.instance),
        }
    }

    fn signal(&mut self) -> Event {
        self.signals += 1;
        let number = self.signals;
        let name = SignalName::new(&format!("s{}", self.dice.below(2))).expect("a name");
        if !self.run.instance.stage().is_closed() {
            self.run.kept.signals.insert(number, name.clone());
        }
        Event::Signalled { number, name }
    }

    /// The end of what is under way.
    fn end(&mut self, index: u32, iteration: u32) -> Event {
        let task = self.run.instance.task_name(index).expect("a name");
        let job = self.run.instance.job_of(index, iteration);
        let element = self.run.instance.element(index).is_some();
        let work = match Hook::of_index(index) {
            Some(_) => None,
            None => self
                .run
                .instance
                .planned(index)
                .map(|planned| planned.work.clone()),
        };
        if let Some(Work::Signal { .. }) = &work {
            return match self.dice.chance(50) {
                true => Event::Rang(Alarm::Signal {
                    task: index,
                    iteration,
                }),
                false => self.signal(),
            };
        }
        if self.dice.chance(2) {
            return Event::JobGone { task, iteration };
        }
        let stopping = matches!(self.run.instance.stage(), Stage::Ending(_));
        let outcome = match self.dice.below(100) {
            0..=4 => TaskOutcome::Dead {
                error: "boom".to_owned(),
            },
            5 => TaskOutcome::Cancelled,
            6..=30 if stopping => TaskOutcome::Cancelled,
            7..=10 => TaskOutcome::Skipped {
                reason: "nothing".to_owned(),
            },
            11 => TaskOutcome::Continued,
            _ => TaskOutcome::Completed,
        };
        let result = match &work {
            Some(Work::Condition { routes, .. }) if !element => {
                let known: Vec<u32> = routes.by_number.keys().copied().collect();
                let place = self.dice.below(known.len());
                match self.dice.chance(3) {
                    true => json!({"route": 77}),
                    false => json!({"route": known.get(place)}),
                }
            }
            Some(Work::Subflow { .. }) => self.section(index, &task),
            _ if self.dice.chance(30) => json!([1, {"a": 2}, "x"]),
            _ => json!({"n": self.dice.below(4)}),
        };
        let result = Bytes::from(result.to_string());
        self.run.results.entry(job).or_insert(result);
        Event::TaskEnded {
            task,
            iteration,
            job,
            outcome,
        }
    }

    fn section(&mut self, index: u32, task: &TaskName) -> serde_json::Value {
        let depth = self.run.instance.depth_of(index);
        let prefix = format!("{}-", task.as_str());
        match self.dice.below(10) {
            0 => json!({"tasks": []}),
            1 => json!({"tasks": [{"name": task.as_str(), "task_type": "x"}]}),
            _ => json!({"tasks": tasks(&mut self.dice, &prefix, depth < 2)}),
        }
    }
}

fn walk(seed: u64, seen: &mut Seen) {
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let definition = definition(&mut dice);
    if definition.validate(64 << 10).is_err() {
        return;
    }
    seen.walks += 1;
    let limit = [1, 2, 3, ALL][dice.below(4)];
    let mut run = Run::of(&definition).limited(limit);
    run.eager = dice.chance(50);
    let mut walk = Walk {
        run,
        dice,
        told: Facts::new(),
        past: Vec::new(),
        signals: 0,
        by_hand: 0,
        closed: 0,
        retired: 0,
    };
    for step in 0.. {
        assert!(
            step < 20_000,
            "seed {seed}: it does not end: {:?}",
            walk.run.instance.stage()
        );
        let Some(event) = walk.next(seen) else {
            break;
        };
        walk.apply(&event, seen);
    }
    let instance = &walk.run.instance;
    assert!(
        !instance.has_open_tasks() && !instance.has_open_hooks(),
        "seed {seed}"
    );
    assert_eq!(
        walk.closed,
        walk.by_hand + 1,
        "seed {seed}: each outcome is told once"
    );
    match instance.stage() {
        Stage::Completed | Stage::Continued { .. } => {
            seen.completed += 1;
            assert!(instance.all_done(), "seed {seed}");
        }
        _ => seen.ended += 1,
    }
}

/// Rows 65 to 89 at once: whatever happens in whatever order, a walk ends, what is loaded is what
/// lives, nothing is made twice, and what comes again is late.
#[test]
fn every_walk_ends() {
    let mut seen = Seen::default();
    let seeds = match std::env::var("PACELINE_SEED") {
        Ok(seed) => {
            let seed: u64 = seed.parse().expect("a number");
            seed..seed + 1
        }
        Err(_) => 0..4_000,
    };
    for seed in seeds.clone() {
        let outcome =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| walk(seed, &mut seen)));
        assert!(outcome.is_ok(), "seed {seed}");
    }
    if seeds.end - seeds.start > 1 {
        let Seen {
            walks,
            completed,
            ended,
            loops,
            sections,
            bypassed,
            retries,
            late,
        } = seen;
        assert!(walks > 1_000, "{seen:?}");
        for some in [completed, ended, loops, sections, bypassed, retries, late] {
            assert!(some > 100, "{seen:?}");
        }
    }
}
