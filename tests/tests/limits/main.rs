//! Limits by key, tiers, and what is paused: driven by hand, and by nodes (rows 3, 4, 5, 10 and 48).
// The lints of test code hold for the helpers as well, not only inside the test functions.
#![cfg(test)]

use std::cell::{Cell, RefCell};
use std::time::Duration;

use paceline_store::calls::submit::NewJob;
use paceline_store::calls::turn::{Claimed, Settle, Settled, TurnReply};
use paceline_tests::{Bench, History, shared_redis};
use paceline_types::{JobId, Limit, LimitKey, NodeId, Priority, Rate, Settlement, TaskType};
use redis::AsyncTypedCommands;
use redis::aio::MultiplexedConnection;

mod cost;
mod grants;
mod keys;
mod model;
mod nodes;
mod parked;
mod rate;
mod shares;
mod slots;
mod steer;

/// No test takes so long.
const LONG: Duration = Duration::from_secs(600);

/// A shard with a node and a leader in it.
struct Bay {
    bench: Bench,
    node: NodeId,
    term: u64,
    raw: MultiplexedConnection,
    turns: Cell<u64>,
    next: Cell<u64>,
    made: RefCell<Vec<JobId>>,
}

impl Bay {
    async fn new() -> Bay {
        let bench = Bench::new().await;
        Bay {
            node: bench.join(1, LONG).await,
            term: bench.lead().await,
            raw: shared_redis().await.connect().await,
            bench,
            turns: Cell::new(0),
            next: Cell::new(0),
            made: RefCell::default(),
        }
    }

    /// Declares the limit of a key.
    async fn limit(&self, name: &str, limit: Limit) {
        let store = &self.bench.store;
        store.set_limit(&key(name), Some(&limit)).await.unwrap();
    }

    /// So many jobs with these keys, submitted by one call.
    async fn jobs(&self, count: usize, keys: &[&str]) -> Vec<JobId> {
        self.jobs_of(count, keys, "work", Priority::NORMAL).await
    }

    async fn jobs_of(
        &self,
        count: usize,
        keys: &[&str],
        task_type: &str,
        priority: Priority,
    ) -> Vec<JobId> {
        let make = |_| {
            let number = self.next.replace(self.next.get() + 1);
            let mut spec = Bench::spec();
            spec.task_type = TaskType::new(task_type).unwrap();
            spec.priority = priority;
            spec.limits = keys.iter().map(|name| key(name)).collect();
            let id = Bench::job_id(number);
            NewJob { id, spec }
        };
        let jobs: Vec<_> = (0..count).map(make).collect();
        for some in jobs.chunks(100) {
            self.bench.submit_all(some).await;
        }
        let ids: Vec<_> = jobs.iter().map(|job| job.id).collect();
        self.made.borrow_mut().extend(&ids);
        ids
    }

    async fn job(&self, keys: &[&str]) -> JobId {
        self.jobs(1, keys).await[0]
    }

    async fn turn(&self, settle: &[Settle], max: u32) -> TurnReply {
        self.turns.set(self.turns.get() + 1);
        let turn = self.bench.turn(self.node, self.turns.get(), settle, max);
        turn.await
    }

    async fn claim(&self, max: u32) -> Vec<Claimed> {
        self.turn(&[], max).await.claimed
    }

    /// Ends runs that are the node's, all alike.
    async fn end(&self, runs: &[Claimed], settlement: Settlement) {
        for some in runs.chunks(100) {
            let settle = |run| Settle::of(run, settlement.clone(), Bench::KEPT);
            let settles: Vec<_> = some.iter().map(settle).collect();
            let answers = self.turn(&settles, 0).await.settled;
            assert_eq!(answers, vec![Settled::Accepted; settles.len()]);
        }
    }

    async fn complete(&self, runs: &[Claimed]) {
        let result = paceline_types::Bytes::from_static(b"1");
        self.end(runs, Settlement::Completed { result }).await;
    }

    /// The leader's look at what is due.
    async fn promote(&self) -> Option<Duration> {
        let step = self.bench.store.promote(Bench::SHARD, self.term, 100).await;
        step.unwrap().next_due_in
    }

    /// How many hold a key, and how many are parked at it.
    async fn uses(&self, name: &str) -> (u64, u64) {
        let (found, _) = self.bench.store.limit(&key(name)).await.unwrap();
        (found.holders, found.waiting)
    }

    fn redis_key(&self, name: &str) -> String {
        format!("{{{}:0}}:{name}", self.bench.store.namespace())
    }

    /// Jobs that are parked at any key.
    async fn parked(&self) -> usize {
        let key = self.redis_key("blocked");
        self.raw.clone().zcard(key).await.unwrap()
    }

    /// Tokens of a bell.
    async fn rung(&self, task_type: &str) -> usize {
        let key = self.redis_key(&format!("bell:{task_type}"));
        self.raw.clone().llen(key).await.unwrap()
    }

    async fn silence(&self, task_type: &str) {
        let key = self.redis_key(&format!("bell:{task_type}"));
        self.raw.clone().del(key).await.unwrap();
    }

    /// Claims so many at once and completes them, until nothing is given any more. Returns them.
    async fn drain(&self, max: u32) -> Vec<JobId> {
        let mut ran = Vec::new();
        loop {
            let reply = self.turn(&[], max).await;
            if reply.claimed.is_empty() && !reply.more {
                return ran;
            }
            self.complete(&reply.claimed).await;
            ran.extend(ids(&reply.claimed));
        }
    }

    /// Every job has ended, once, and nothing is held, parked or to be woken.
    async fn assert_done(&self, keys: &[&str]) {
        History::read(&self.bench.store)
            .await
            .assert_jobs_ended(&self.made.borrow());
        for name in keys {
            assert_eq!(self.uses(name).await, (0, 0), "{name}");
        }
        assert_eq!(self.parked().await, 0);
    }
}

fn key(name: &str) -> LimitKey {
    LimitKey::new(name).unwrap()
}

fn at_once(most: u32) -> Limit {
    Limit::concurrency(most)
}

fn a_second(rate: f64, burst: u32) -> Limit {
    let rate = Rate::per_second(rate).and_then(|rate| rate.with_burst(burst));
    Limit::rate(rate.unwrap())
}

fn ids(claimed: &[Claimed]) -> Vec<JobId> {
    claimed.iter().map(|run| run.job).collect()
}
