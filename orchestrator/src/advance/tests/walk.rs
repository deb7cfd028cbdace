//! Random definitions, random outcomes: every walk ends.

mod generate;

use bytes::Bytes;
use generate::{Dice, definition, tasks};
use paceline_types::workflow::{Hook, TaskRecord, Work};
use paceline_types::{SignalName, TaskName};
use serde_json::json;

use super::*;

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
