//! Random lives of jobs with keys, held against what must be true at every step (row 10, W40, I13).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use paceline_store::calls::turn::{Claimed, Settle, Settled};
use paceline_tests::{History, rng};
use paceline_types::{Bytes, JobId, JobStatus, Settlement};
use rand::RngExt;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

use crate::{Bay, Bench, LONG, at_once, key};

const SEQUENCES: usize = 25;
const STEPS: usize = 120;
const KEYS: [&str; 4] = ["a", "b", "c", "d"];

struct Life<'a> {
    random: &'a mut StdRng,
    bay: Bay,
    limits: BTreeMap<&'static str, u32>,
    keys: BTreeMap<JobId, Vec<&'static str>>,
    running: Vec<Claimed>,
    open: BTreeSet<JobId>,
    cancelled: Vec<JobId>,
    /// How many held each key at the last look.
    held: BTreeMap<&'static str, u64>,
}

/// Contract row 10, trap W40, I13: whatever is submitted, claimed, ended, cancelled, retried and
/// declared: no key has more runs than its limit allowed when they began, and in the end every job has
/// ended.
#[tokio::test]
async fn limits_hold_and_nothing_is_stuck() {
    let mut random = rng("limits");
    for _ in 0..SEQUENCES {
        let mut life = Life {
            random: &mut random,
            bay: Bay::new().await,
            limits: BTreeMap::new(),
            keys: BTreeMap::new(),
            running: Vec::new(),
            open: BTreeSet::new(),
            cancelled: Vec::new(),
            held: BTreeMap::new(),
        };
        for name in KEYS {
            life.declare(name).await;
        }
        for _ in 0..STEPS {
            life.step().await;
            life.compare().await;
        }
        life.end().await;
    }
}

impl Life<'_> {
    async fn step(&mut self) {
        match self.random.random_range(0..100) {
            0..30 => self.submit().await,
            30..58 => self.claim().await,
            58..80 => self.settle().await,
            80..87 => self.cancel().await,
            87..92 => self.retry().await,
            92..95 => {
                let name = KEYS.choose(self.random).unwrap();
                self.declare(name).await;
            }
            95..97 => self.crash().await,
            _ => {
                self.bay.promote().await;
            }
        }
    }

    async fn declare(&mut self, name: &'static str) {
        let most = self.random.random_range(0..5);
        if most == 0 {
            self.limits.remove(name);
            self.bay
                .bench
                .store
                .set_limit(&key(name), None)
                .await
                .unwrap();
        } else {
            self.limits.insert(name, most);
            self.bay.limit(name, at_once(most)).await;
        }
    }

    async fn submit(&mut self) {
        let mut keys: Vec<_> = KEYS
            .into_iter()
            .filter(|_| self.random.random_bool(0.4))
            .collect();
        if self.random.random_bool(0.5) {
            keys.reverse();
        }
        let count = self.random.random_range(1..4);
        for job in self.bay.jobs(count, &keys).await {
            self.keys.insert(job, keys.clone());
            self.open.insert(job);
        }
    }

    fn runs(&self, name: &str) -> usize {
        let runs = self.running.iter();
        runs.filter(|run| self.keys[&run.job].contains(&name))
            .count()
    }

    async fn claim(&mut self) {
        let max = self.random.random_range(1..8);
        let claimed = self.bay.claim(max).await;
        if self.random.random_bool(0.2) {
            let again = self
                .bay
                .bench
                .turn(self.bay.node, self.bay.turns.get(), &[], max)
                .await;
            if !claimed.is_empty() {
                assert_eq!(crate::ids(&again.claimed), crate::ids(&claimed));
            } else {
                self.take(again.claimed);
            }
        }
        self.take(claimed);
    }

    fn take(&mut self, claimed: Vec<Claimed>) {
        for run in claimed {
            assert!(self.open.contains(&run.job), "{} has ended", run.job);
            assert!(
                self.running.iter().all(|other| other.job != run.job),
                "{} runs",
                run.job
            );
            let keys = self.keys[&run.job].clone();
            self.running.push(run);
            for name in keys {
                let limit = self.limits.get(name).copied().unwrap_or(u32::MAX);
                assert!(
                    self.runs(name) <= limit as usize,
                    "more than {limit} of {name}"
                );
            }
        }
    }

    async fn settle(&mut self) {
        let count = self.random.random_range(1..5).min(self.running.len());
        let runs: Vec<_> = self.running.drain(..count).collect();
        for run in runs {
            let settlement = match self.random.random_range(0..4) {
                0 => Settlement::Released,
                1 => Settlement::Dead { error: "no".into() },
                _ => Settlement::Completed {
                    result: Bytes::from_static(b"1"),
                },
            };
            let ends = settlement != Settlement::Released;
            let settle = Settle::of(&run, settlement, Bench::KEPT);
            let answers = self.bay.turn(&[settle], 0).await.settled;
            match answers[0] {
                Settled::Accepted if !ends => {}
                Settled::Accepted => {
                    self.open.remove(&run.job);
                }
                Settled::Cancelled => {
                    self.open.remove(&run.job);
                    self.cancelled.push(run.job);
                }
                Settled::Fenced => panic!("{} was fenced", run.job),
            }
        }
    }

    async fn cancel(&mut self) {
        let open: Vec<_> = self.open.iter().copied().collect();
        let Some(&job) = open.choose(self.random) else {
            return;
        };
        self.bay.bench.store.cancel(&[job], "enough").await.unwrap();
        if self.running.iter().all(|run| run.job != job) {
            self.open.remove(&job);
            self.cancelled.push(job);
        }
    }

    async fn retry(&mut self) {
        if self.cancelled.is_empty() {
            return;
        }
        let place = self.random.random_range(0..self.cancelled.len());
        let job = self.cancelled.swap_remove(place);
        self.bay.bench.store.retry(job).await.unwrap();
        self.open.insert(job);
    }

    /// The node dies with all that it runs, and another takes its place.
    async fn crash(&mut self) {
        let bay = &mut self.bay;
        bay.bench.store.leave(Bench::SHARD, bay.node).await.unwrap();
        bay.bench.recover(bay.term).await;
        let number = 1_000 + bay.turns.get();
        bay.node = bay.bench.join(number, LONG).await;
        for run in std::mem::take(&mut self.running) {
            let status = self.bay.bench.status(run.job).await;
            if status.is_terminal() {
                self.open.remove(&run.job);
                if status == JobStatus::Cancelled {
                    self.cancelled.push(run.job);
                }
            }
        }
    }

    /// Slots are held by those that run and those that were granted theirs, nobody else.
    async fn compare(&mut self) {
        for name in KEYS {
            let (found, holders) = self.bay.bench.store.limit(&key(name)).await.unwrap();
            let running = holders.iter().filter(|it| it.granted_until.is_none());
            assert_eq!(running.count(), self.runs(name), "{name}");
            for holder in &holders {
                assert!(self.open.contains(&holder.job), "{} has ended", holder.job);
            }
            // A limit that was lowered is left by those that held it, and by nobody taken anew.
            let before = self.held.insert(name, found.holders).unwrap_or(0);
            if let Some(&limit) = self.limits.get(name) {
                let most = before.max(u64::from(limit));
                assert!(found.holders <= most, "{name}: {holders:?}");
            }
        }
    }

    async fn end(mut self) {
        for _ in 0..1_000 {
            while !self.running.is_empty() {
                self.settle().await;
            }
            if self.open.is_empty() {
                break;
            }
            self.claim().await;
            if self.running.is_empty() && self.bay.promote().await == Some(Duration::ZERO) {
                self.claim().await;
            }
        }
        assert_eq!(self.open, BTreeSet::new(), "these are stuck");
        History::read(&self.bay.bench.store)
            .await
            .assert_jobs_ended(&self.bay.made.borrow());
        self.bay.assert_done(&KEYS).await;
    }
}
