//! Any sequence of firings, ends and changes: each scheduled time is accounted for once.

use std::collections::BTreeMap;
use std::time::Duration;

use paceline_store::calls::turn::Settle;
use paceline_tests::{Bench, History, rng};
use paceline_types::schedule::OverlapPolicy;
use paceline_types::{NodeId, Settlement};
use rand::RngExt;

use crate::{HOUR, POLICIES, Stage, rarely};

/// What a plain model says of one schedule.
#[derive(Debug, Default)]
struct Model {
    fired: Vec<u64>,
    buffer: Vec<u64>,
    skipped: u64,
    dropped: u64,
    active: bool,
    paused: bool,
}

impl Model {
    fn drain(&mut self) {
        if !self.active && !self.paused && !self.buffer.is_empty() {
            self.fired.push(self.buffer.remove(0));
            self.active = true;
        }
    }

    fn fire(&mut self, hour: u64, policy: OverlapPolicy) {
        self.drain();
        let waits = matches!(policy, OverlapPolicy::BufferOne | OverlapPolicy::BufferAll);
        if !self.active || matches!(policy, OverlapPolicy::AllowAll | OverlapPolicy::Replace) {
            self.fired.push(hour);
            self.active = true;
        } else if !waits {
            self.skipped += 1;
        } else {
            if policy == OverlapPolicy::BufferOne {
                self.dropped += self.buffer.drain(..).count() as u64;
            }
            self.buffer.push(hour);
        }
    }
}

/// Claims what waits, and ends every run of the schedule one way or another.
async fn end_all(stage: &Stage, worker: NodeId, number: &mut u64, chance: u32) {
    loop {
        *number += 1;
        let reply = stage.bench.turn(worker, *number, &[], 50).await;
        if reply.claimed.is_empty() {
            return;
        }
        let settle: Vec<_> = reply
            .claimed
            .iter()
            .map(|claimed| {
                let settlement = match chance {
                    0 => Settlement::Dead { error: "no".into() },
                    1 => Settlement::Skipped {
                        reason: "no".into(),
                    },
                    _ => Settlement::Completed { result: "1".into() },
                };
                Settle::of(claimed, settlement, Bench::KEPT)
            })
            .collect();
        *number += 1;
        stage.bench.turn(worker, *number, &settle, 0).await;
    }
}

/// Contract rows 52 to 57: for each (schedule, scheduled time) exactly one of fired, skipped,
/// waiting and dropped; what fires is what a plain model says, in its order.
#[tokio::test]
async fn each_scheduled_time_is_accounted_for_once() {
    let mut random = rng("schedules");
    for round in 0..6 {
        let mut stage = Stage::new().await;
        let worker = stage.bench.join(1, Duration::from_secs(600)).await;
        let start = stage.now().await - 1_000 * HOUR;
        let mut models: BTreeMap<String, (Model, u64)> = BTreeMap::new();
        let mut number = 0;
        let mut steps = Vec::new();
        for _ in 0..60 {
            let name = format!("s{}", random.random_range(0..3));
            let (model, hour) = models.entry(name.clone()).or_default();
            let step = random.random_range(0..10);
            steps.push((name.clone(), step));
            match step {
                0..=5 => {
                    if model.paused {
                        continue;
                    }
                    let policy = POLICIES[random.random_range(0..POLICIES.len())];
                    let mut definition = rarely(&name);
                    definition.schedule.overlap_policy = policy;
                    stage.keep(&definition, start + *hour * HOUR).await;
                    stage.tick().await;
                    model.fire(*hour, policy);
                    *hour += 1;
                }
                6 | 7 => {
                    end_all(&stage, worker, &mut number, random.random_range(0..4)).await;
                    for (model, _) in models.values_mut() {
                        model.active = false;
                        model.drain();
                    }
                    stage.tick().await;
                }
                8 if *hour > 0 => {
                    stage.client.pause_schedule(&name).await.expect("paused");
                    model.paused = true;
                }
                9 if *hour > 0 => {
                    stage.client.resume_schedule(&name).await.expect("resumed");
                    model.paused = false;
                    model.drain();
                    stage.tick().await;
                }
                _ => {}
            }
        }
        for (name, (model, hours)) in models {
            if hours == 0 {
                continue;
            }
            let place = format!("round {round}, {name}: {steps:?}");
            let info = stage.info(&name).await;
            let mut fired = model.fired.clone();
            fired.sort_unstable();
            assert_eq!(stage.hours(&name, start).await, fired, "{place}");
            let seen = (info.fired, info.buffered, info.skipped, info.dropped);
            let waiting = model.buffer.len() as u64;
            let wanted = (fired.len() as u64, waiting, model.skipped, model.dropped);
            assert_eq!(seen, wanted, "{place}");
            assert_eq!(seen.0 + seen.1 + seen.2 + seen.3, hours, "{place}");
        }
        let history = History::read(stage.store()).await;
        assert_eq!(history.violations, [""; 0]);
    }
}
