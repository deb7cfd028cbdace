//! Lanes, put to every use that they allow: each call is driven by hand, and what Redis holds is
//! looked at after each.
// The lints of test code hold for the helpers as well, not only inside the test functions.
#![cfg(test)]

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use paceline_store::calls::cancel::Cancelled;
use paceline_store::calls::submit::NewJob;
use paceline_store::calls::turn::{Claimed, Settle, Settled, TurnReply};
use paceline_tests::{Bench, History, shared_redis};
use paceline_types::{Job, JobId, JobSpec, NodeId, Settlement};
use redis::AsyncTypedCommands;
use redis::aio::MultiplexedConnection;

mod cancel;
mod holes;
mod life;
mod listing;
mod marks;
mod model;
mod packs;
mod random;
mod sweep;
mod turns;

/// The lane of jobs that say nothing of themselves.
const LANE: &str = "n:work:";

/// No test takes so long.
const LONG: Duration = Duration::from_secs(600);

/// No test takes so many.
const MOST_TURNS: u64 = 3_000;

/// A shard with a node in it.
struct Lanes {
    bench: Bench,
    node: NodeId,
    raw: MultiplexedConnection,
    turns: Cell<u64>,
    next: Cell<u64>,
    made: RefCell<Vec<JobId>>,
}

impl Lanes {
    async fn new() -> Lanes {
        let bench = Bench::new().await;
        Lanes {
            node: bench.join(1, LONG).await,
            raw: shared_redis().await.connect().await,
            bench,
            turns: Cell::new(0),
            next: Cell::new(0),
            made: Default::default(),
        }
    }

    /// So many jobs, whose ids follow one another; not submitted.
    fn jobs(&self, count: usize) -> Vec<NewJob> {
        let make = |_| {
            let number = self.next.replace(self.next.get() + 1);
            let (id, spec) = (Bench::job_id(number), Bench::spec());
            NewJob { id, spec }
        };
        (0..count).map(make).collect()
    }

    async fn submit(&self, jobs: &[NewJob]) -> Vec<JobId> {
        self.bench.submit_all(jobs).await;
        let ids: Vec<_> = jobs.iter().map(|job| job.id).collect();
        self.made.borrow_mut().extend(&ids);
        ids
    }

    /// Jobs of one call: one entry of the lane.
    async fn pack(&self, count: usize) -> Vec<JobId> {
        self.submit(&self.jobs(count)).await
    }

    /// Jobs of a call each: so many entries.
    async fn singles(&self, count: usize) -> Vec<JobId> {
        let mut ids = Vec::new();
        for job in self.jobs(count) {
            ids.extend(self.submit(&[job]).await);
        }
        ids
    }

    /// One job that is not like the others.
    async fn other(&self, change: impl FnOnce(&mut JobSpec)) -> JobId {
        let mut job = self.jobs(1);
        change(&mut job[0].spec);
        self.submit(&job).await[0]
    }

    async fn turn(&self, node: NodeId, settle: &[Settle], max: u32) -> TurnReply {
        self.turns.set(self.turns.get() + 1);
        // Loops that claim until all has come end here when it does not come.
        assert!(self.turns.get() < MOST_TURNS, "this never ends");
        self.bench.turn(node, self.turns.get(), settle, max).await
    }

    async fn claim(&self, max: u32) -> Vec<Claimed> {
        self.turn(self.node, &[], max).await.claimed
    }

    async fn settle(&self, settles: &[Settle]) -> Vec<Settled> {
        self.turn(self.node, settles, 0).await.settled
    }

    /// Settles runs that are still the node's, all alike.
    async fn end(&self, claimed: &[Claimed], settlement: Settlement) {
        for some in claimed.chunks(100) {
            let settle = |run| Settle::of(run, settlement.clone(), Bench::KEPT);
            let settles: Vec<_> = some.iter().map(settle).collect();
            let answers = self.settle(&settles).await;
            assert_eq!(answers, vec![Settled::Accepted; settles.len()]);
        }
    }

    async fn complete(&self, claimed: &[Claimed]) {
        let settles: Vec<_> = claimed.iter().map(Bench::completed).collect();
        let answers = self.settle(&settles).await;
        assert_eq!(answers, vec![Settled::Accepted; settles.len()]);
    }

    /// Claims so many at once until nothing waits, and completes them. Returns them in order.
    async fn drain(&self, max: u32) -> Vec<JobId> {
        let mut ran = Vec::new();
        loop {
            let claimed = self.claim(max).await;
            if claimed.is_empty() {
                return ran;
            }
            self.complete(&claimed).await;
            ran.extend(ids(&claimed));
        }
    }

    /// Cancels jobs that wait.
    async fn cancel(&self, jobs: &[JobId]) {
        let answers = self.bench.store.cancel(jobs, "enough").await.unwrap();
        assert_eq!(answers, vec![Cancelled::Done; jobs.len()]);
    }

    async fn retry(&self, job: JobId) {
        self.bench.store.retry(job).await.unwrap();
    }

    async fn job(&self, job: JobId) -> Job {
        self.bench.store.job(job).await.unwrap().unwrap()
    }

    fn key(&self, name: &str) -> String {
        format!("{{{}:0}}:{name}", self.bench.store.namespace())
    }

    /// How many jobs wait, by lane.
    async fn waiting(&self) -> BTreeMap<String, u64> {
        let key = self.key("waiting");
        let counts: HashMap<String, String> = self.raw.clone().hgetall(key).await.unwrap();
        let lanes = counts.into_iter().filter(|(lane, _)| !lane.ends_with(','));
        let parsed = lanes.map(|(lane, count)| (lane, count.parse().unwrap()));
        parsed.collect()
    }

    async fn assert_waiting(&self, lane: &str, expected: u64) {
        let waiting = self.waiting().await;
        assert_eq!(waiting.get(lane).copied().unwrap_or(0), expected);
        if expected == 0 {
            self.assert_gone(lane).await;
        }
    }

    /// How many jobs of its oldest entry were claimed.
    async fn taken(&self, lane: &str) -> Option<String> {
        let mut raw = self.raw.clone();
        raw.hget(self.key("waiting"), format!("{lane},"))
            .await
            .unwrap()
    }

    /// Entries of a lane.
    async fn entries(&self, lane: &str) -> usize {
        let key = self.key(&format!("lane:{lane}"));
        self.raw.clone().xlen(key).await.unwrap()
    }

    /// Places of a lane that their jobs have left.
    async fn holes(&self, lane: &str) -> usize {
        let key = self.key(&format!("holes:{lane}"));
        self.raw.clone().scard(key).await.unwrap()
    }

    /// Nothing is kept of a lane in which nothing waits.
    async fn assert_gone(&self, lane: &str) {
        assert_eq!(self.entries(lane).await, 0, "{lane}");
        assert_eq!(self.holes(lane).await, 0, "{lane}");
        assert_eq!(self.waiting().await.get(lane), None, "{lane}");
        assert_eq!(self.taken(lane).await, None, "{lane}");
        assert!(!self.ready().await.contains(lane), "{lane}");
    }

    /// Lanes that are known to have work.
    async fn ready(&self) -> BTreeSet<String> {
        let mut lanes = BTreeSet::new();
        for tier in ["h", "n", "l"] {
            let key = self.key(&format!("ready:{tier}"));
            let names: Vec<String> = self.raw.clone().zrange(key, 0, -1).await.unwrap();
            lanes.extend(names.iter().map(|name| format!("{tier}:{name}")));
        }
        lanes
    }

    /// Every job that was submitted has ended, once. Returns how, by the names of the events.
    async fn ends(&self) -> BTreeMap<String, usize> {
        let history = History::read(&self.bench.store).await;
        history.assert_jobs_ended(&self.made.borrow())
    }
}

fn ids(claimed: &[Claimed]) -> Vec<JobId> {
    claimed.iter().map(|run| run.job).collect()
}

/// The jobs that are not at these places.
fn without(jobs: &[JobId], places: &[usize]) -> Vec<JobId> {
    let kept = jobs.iter().enumerate();
    kept.filter(|(place, _)| !places.contains(place))
        .map(|(_, &job)| job)
        .collect()
}
